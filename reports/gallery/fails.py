"""Where the best method gains least: frames with pictures, worst first, and how blur strength bears on the gain."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deblurbench.tables import ResultTable

from .palette import is_reference
from .pictures import GROUND_TRUTH, Gallery
from .strip import address
from .verdict import ranked
from .view import MomentView, ShotView

SHOWN = 6

Values = Mapping[str, Mapping[str, Mapping[str, float]]]  # clip -> label -> frame -> value


@dataclass(frozen=True)
class Failure:
    """A frame with pictures: the gain of the best method there, as printed, and the address that opens it."""

    clip: str
    frame: str
    gain: str
    worse: bool
    shots: tuple[ShotView, ...]
    crop: tuple[int, int, int, int]
    link: str


@dataclass(frozen=True)
class Fails:
    """The frames shown, worst first, and the sentence above them."""

    label: str
    words: str
    shown: tuple[Failure, ...]


def fails(
    table: ResultTable, gallery: Gallery, moments: Mapping[str, Sequence[MomentView]], values: Values
) -> Fails | None:
    """The frames where the best method gains least over the reference; None without scores or pictures."""
    base = next((row.label for row in table.rows if is_reference(table, row)), "")
    best = (
        next((row.label for row in ranked(table, table.metrics[0]) if row.label != base), "") if table.metrics else ""
    )
    if not base or not best:
        return None
    column = table.metrics[0]
    sign = 1 if column.higher_is_better else -1
    gains = _gains(values, best, base)
    pictured = [
        (sign * gains[clip, view.moment.frame], clip, view)
        for clip, views in moments.items()
        for view in views
        if (clip, view.moment.frame) in gains and view.moment.crop
    ]
    if not pictured:
        return None
    shown = []
    for worth, clip, view in sorted(pictured, key=lambda one: one[0])[:SHOWN]:
        shots = tuple(shot for shot in view.shots if shot.shot.label in (base, best, GROUND_TRUTH))
        gain = f"{column.show_difference(sign * worth)} {column.unit}".rstrip()
        link = address(clip, view.moment.frame, show=best, mode="wipe", **{"with": base})
        assert view.moment.crop is not None
        shown.append(Failure(clip, view.moment.frame, gain, worth < 0, shots, view.moment.crop, link))
    lost = sum(1 for gain in gains.values() if sign * gain < 0)
    return Fails(best, f"{best} is worse than the {_name(base)} on {lost} of {len(gains)} scored frames", tuple(shown))


def _name(base: str) -> str:
    return "input" if base == "identity" else base


def _gains(values: Values, best: str, base: str) -> dict[tuple[str, str], float]:
    """(clip, frame) -> difference to the reference, where both are finite."""
    found = {}
    for clip, by_label in values.items():
        for frame, value in by_label.get(best, {}).items():
            other = by_label.get(base, {}).get(frame, math.nan)
            if math.isfinite(value) and math.isfinite(other):
                found[clip, frame] = value - other
    return found
