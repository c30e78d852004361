"""Unsharp masking."""
