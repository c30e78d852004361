"""Blind deconvolution: the PSF is estimated from the blurry frame itself."""
