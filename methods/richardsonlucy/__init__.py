"""Richardson-Lucy deconvolution of a linear motion."""
