"""A simple convolutional auto-encoder for single frames."""
