"""DBN: deep video deblurring for hand-held cameras (Su et al., CVPR 2017)."""
