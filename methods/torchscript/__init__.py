"""TorchScript files as methods."""
