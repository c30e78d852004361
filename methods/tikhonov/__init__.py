"""Tikhonov-regularised inverse of a linear motion."""
