"""Wiener deconvolution of a linear motion."""
