"""DeepDeblur: multi-scale convolutional network (Nah, Kim, Lee, CVPR 2017)."""
