"""Frames: 8-bit and float, image files and video files."""
