"""The accumulation itself, in overlapping blocks, since shake differs over a frame (rotation, moving objects)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2
from scipy.ndimage import gaussian_filter

Array = NDArray[np.float32]
SMOOTH = 50.0


def accumulate_blocks(frames: Array, power: float, block: int) -> Array:
    """Registered frames (N, H, W, 3) to one frame (H, W, 3): blocks half overlapping, blended by a Hann window."""
    height, width = frames.shape[1:3]
    step = block // 2
    down, right = -height % step, -width % step
    padded = np.pad(frames, ((0, 0), (step, step + down), (step, step + right), (0, 0)), mode="symmetric")
    ramp = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(block) + 0.5) / block)
    window = np.outer(ramp, ramp).astype(np.float32)[..., None]
    total = np.zeros(padded.shape[1:], np.float32)
    for place in _places(padded.shape[1], padded.shape[2], block, step):
        total[place] += window * accumulate(padded[(slice(None), *place)], power)
    return total[step : step + height, step : step + width]


def _places(height: int, width: int, block: int, step: int) -> Iterator[tuple[slice, slice]]:
    for top in range(0, height - block + 1, step):
        for left in range(0, width - block + 1, step):
            yield slice(top, top + block), slice(left, left + block)


def accumulate(frames: Array, power: float) -> Array:
    """Blocks (N, h, w, 3) to one (h, w, 3).

    Weights are common to the channels: the mean of their magnitudes, smoothed by a Gaussian of min(h, w) / 50
    frequencies as in the paper, so that the weights do not follow the noise of single frequencies.
    """
    spectra = rfft2(frames, axes=(1, 2))
    magnitude = np.abs(spectra).mean(axis=3)
    magnitude = _smoothed(magnitude, min(frames.shape[1:3]) / SMOOTH)
    strongest = magnitude.max(axis=0)
    there = strongest > 0  # a flat block has no magnitude but at frequency 0: all frames count alike elsewhere
    weights = np.where(there, magnitude / np.where(there, strongest, 1), 1) ** power
    weights /= weights.sum(axis=0)
    return irfft2((weights[..., None] * spectra).sum(axis=0), s=frames.shape[1:3], axes=(0, 1))


def _smoothed(magnitude: Array, sigma: float) -> Array:
    """Gaussian over frequencies; rows wrap around, columns mirror at frequency 0 and at the highest."""
    return gaussian_filter(magnitude, (0, sigma, sigma), mode=("nearest", "wrap", "mirror"))
