"""Fourier burst accumulation over neighbouring frames."""
