"""Smooth shaking: where the camera or an object is at every sub-frame of the 240 fps camera."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deblurbench.datasets.synthesis.dice import Dice

FPS = 240.0
Curve = NDArray[np.float64]


@dataclass(frozen=True)
class Trajectory:
    """Position at each of N sub-frames: x, y in pixels, angle in radians, zoom as a natural logarithm. Each (N,)."""

    x: Curve
    y: Curve
    angle: Curve
    zoom: Curve

    def __len__(self) -> int:
        return len(self.x)

    def maps(self, share: float = 1.0) -> Curve:
        """The camera's view as affine maps (N, 2, 3): a pixel of the frame (origin: its centre) to a point outside.

        `share` scales the shift alone: what is near moves more, what is far less.
        """
        cos, sin = np.cos(self.angle) * np.exp(self.zoom), np.sin(self.angle) * np.exp(self.zoom)
        rows = [np.stack([cos, -sin, share * self.x], -1), np.stack([sin, cos, share * self.y], -1)]
        return np.stack(rows, 1)

    def reach(self, half_width: float, half_height: float) -> tuple[float, float]:
        """Farthest |x| and |y| that a frame of these half sizes touches outside, over all sub-frames."""
        maps = self.maps()
        far = np.abs(maps[:, :, :2]) @ np.array([half_width, half_height]) + np.abs(maps[:, :, 2])
        return float(far[:, 0].max()), float(far[:, 1].max())


def shake(dice: Dice, count: int, window: int, speed: float, radius: float, twist: float = 0.25) -> Trajectory:
    """A hand's shake over `count` sub-frames.

    The velocity is a slow drift and three sinusoids of 1 to 12 Hz, under an envelope that rises and falls with time,
    so that one frame of a clip is blurred much and the next little. It is scaled so that the centre covers `speed`
    pixels per exposure (`window` sub-frames) on average. Turning and zooming move a point at `radius` pixels from the
    centre by about `twist` of that.
    """
    envelope = _envelope(dice, count)
    vx, vy = _velocity(dice, count) * envelope, _velocity(dice, count) * envelope
    factor = speed / window / max(float(np.hypot(vx, vy).mean()), 1e-9)
    turn = speed / window * twist / radius
    return Trajectory(
        _path(vx * factor),
        _path(vy * factor),
        _path(_velocity(dice, count) * envelope * turn * dice.uniform()),
        _path(_velocity(dice, count) * envelope * turn * dice.uniform(0, 0.6)),
    )


def _velocity(dice: Dice, count: int) -> Curve:
    """A drift and three sinusoids, each of size about 1."""
    time = np.arange(count) / FPS
    velocity = np.full(count, 0.7 * dice.bell())
    for _ in range(3):
        frequency, phase = dice.log_uniform(1.0, 12.0), dice.uniform(0, 2 * math.pi)
        velocity += dice.bell() * np.sin(2 * math.pi * frequency * time + phase)
    return velocity


def _envelope(dice: Dice, count: int) -> Curve:
    """Between 0.25 and 1.75, rising and falling at 0.7 to 4 Hz."""
    time = np.arange(count) / FPS
    frequency, phase = dice.log_uniform(0.7, 4.0), dice.uniform(0, 2 * math.pi)
    return 1.0 + 0.75 * np.sin(2 * math.pi * frequency * time + phase)


def _path(velocity: Curve) -> Curve:
    """Integrate, and centre the path's extremes about zero so that it needs the least room."""
    path = np.cumsum(velocity)
    return path - (path.max() + path.min()) / 2
