"""The image pairs that metrics are held to: each a way in which an implementation can go wrong."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def _uint8(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def _scene(height: int, width: int) -> NDArray[np.float64]:
    """Smooth shading, an edge and fine stripes, different in each channel, 0 to 255."""
    y, x = np.mgrid[:height, :width].astype(float)
    red = 255 * y / max(height - 1, 1)
    green = 128 + 100 * np.sin(x / 2.3) * np.cos(y / 5.1)
    blue = np.where(x + 0.3 * y > width / 2, 230.0, 20.0)
    return np.stack([red, green, blue], axis=2)


def _blurred(scene: NDArray[np.float64], length: int = 7) -> NDArray[np.float64]:
    return sum(np.roll(scene, k, axis=1) for k in range(length)) / length


def image_pairs(tiny: int) -> dict[str, Pair]:
    """(restored, sharp) pairs by name; the one called `tiny` is just larger than a window of `tiny` pixels."""
    rng = np.random.default_rng(2019)
    scene = _scene(66, 98)
    noise = rng.normal(0, 1, scene.shape)
    flat = np.full((48, 50, 3), 200, np.uint8)
    bright = 255 - np.abs(rng.normal(0, 12, scene.shape))
    return {
        "blurred": (_uint8(_blurred(scene)), _uint8(scene)),
        "saturated": (_uint8(bright), np.full(scene.shape, 255, np.uint8)),
        "saturated-edges": (_uint8(1.6 * _blurred(scene) - 20), _uint8(1.6 * scene - 20)),
        "flat": (flat + np.uint8(1), flat),
        "black-white": (np.zeros_like(flat), np.full_like(flat, 255)),
        "noisy": (_uint8(scene + 25 * noise), _uint8(scene)),
        "noise-only": (rng.integers(0, 256, scene.shape, np.uint8), rng.integers(0, 256, scene.shape, np.uint8)),
        "dark": (_uint8(scene / 40 + np.abs(noise)), _uint8(scene / 40)),
        "odd-sized": (_uint8(_scene(61, 135) + 3), _uint8(_scene(61, 135))),
        "wide": (_uint8(_blurred(_scene(35, 401))), _uint8(_scene(35, 401))),
        "tiny": (_uint8(_blurred(_scene(tiny + 1, tiny + 2), 2)), _uint8(_scene(tiny + 1, tiny + 2))),
    }
