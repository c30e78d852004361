"""A simple convolutional network for single frames."""
