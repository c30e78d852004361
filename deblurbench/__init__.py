"""deblurbench: find out which video deblurring method is really better."""

__version__ = "0.1.0"
