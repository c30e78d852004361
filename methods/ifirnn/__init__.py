"""IFI-RNN: recurrent video deblurring with intra-frame iterations (Nah, Son, Lee, CVPR 2019)."""
