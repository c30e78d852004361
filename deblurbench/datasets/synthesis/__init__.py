"""Blurry and sharp clips synthesised from photographs by a virtual camera."""
