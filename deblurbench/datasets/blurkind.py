"""Telling a linear average from a gamma average by the pixels.

A linear average keeps the mean of the encoded values x, and lowers the mean of the light x^2.2 (Jensen's inequality); a
gamma average keeps the mean of the light, and raises that of x. So with the sharp frames at hand, the clip's
brightness says which mean was kept; with both averages at hand, the brighter one is the gamma average.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from deblurbench.frames.convert import Frame8

GAMMA = 2.2
_LIGHT = ((np.arange(256) / 255.0) ** GAMMA).astype(np.float64)
_SLOPE = ((np.arange(256) / 255.0) ** (GAMMA - 1) * GAMMA).astype(np.float64)
MIN_FRAMES, MIN_AGREEMENT = 4, 0.9
NEAR = (0.4, 1.6)


@dataclass(frozen=True)
class Guess:
    """Which average the frames look like.

    `place` is -1 for a linear average and +1 for a gamma average; a value far from both is neither.
    `agreement` is the share of the frames that lie on the same side as their mean; `kind` is None where the frames are
    too few, too little blurred, or do not agree.
    """

    kind: Literal["linear", "gamma"] | None
    place: float
    agreement: float
    frames: int

    def __str__(self) -> str:
        """In words, with the figures."""
        place = f"place {self.place:+.2f} between linear -1 and gamma +1"
        figures = f"{self.agreement:.0%} of {self.frames} frames agree, {place}"
        return (
            f"looks like a {self.kind} average ({figures})"
            if self.kind
            else f"cannot be told from the pixels ({figures})"
        )


def guess_kind(pairs: Iterable[tuple[Frame8, Frame8]]) -> Guess:
    """Guess from pairs of (blurry, sharp) frames, 8-bit RGB (H, W, 3), spread over a clip.

    A heuristic: it takes for granted that the sharp frame's brightness is that of the frames averaged, which holds on
    the mean over a clip, not for each frame. On frames 47 to 70 of GOPR0372_07_00 `place` is -1.00 for the released
    linear average; 3-frame averages made of their sharp frames give -1.04 (linear) and +0.96 (gamma).
    """
    scores, spans = [], []
    for blurry, sharp in pairs:
        encoded = (float(blurry.mean()) - float(sharp.mean())) / 255.0
        light = float(_LIGHT[blurry].mean()) - float(_LIGHT[sharp].mean())
        light /= max(float(_SLOPE[sharp].mean()), 1e-6)
        scores.append(encoded + light)
        spans.append(encoded - light)
    if not scores:
        return Guess(None, 0.0, 0.0, 0)
    mean, span = float(np.mean(scores)), float(np.mean(spans))
    place = mean / span if span > 1e-4 else 0.0
    agreement = float(np.mean(np.sign(scores) == np.sign(mean)))
    sure = len(scores) >= MIN_FRAMES and agreement >= MIN_AGREEMENT and NEAR[0] <= abs(place) <= NEAR[1]
    return Guess(("gamma" if place > 0 else "linear") if sure else None, place, agreement, len(scores))


def brighter_by(gamma: Frame8, linear: Frame8) -> float:
    """How much brighter the gamma average is than the linear one, in 8-bit steps; below 0 the two are swapped."""
    return float(gamma.mean()) - float(linear.mean())
