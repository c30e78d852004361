"""What the numbers in the names of frames say: frames missing between others. They count frames, or are time stamps."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from statistics import fmean, median_low
from typing import NamedTuple

from deblurbench.text import some

_NUMBER = re.compile(r"(\d+)(?=\D*$)")
_SECONDS = re.compile(r"(\d+)\.(\d{3,})(?=\D*$)")
_CLOCK_DIGITS = 6
"""As many digits before the last number (hours, minutes, seconds) make it a part of a time, which starts over."""


class _Numbers(NamedTuple):
    """The number in each stem, what finds it there, and how many of its digits are decimals."""

    values: list[int]
    pattern: re.Pattern[str]
    decimals: int = 0


def frame_number(stem: str) -> int | None:
    """The last number in a frame's stem, which counts the frames; None where it has none."""
    match = _NUMBER.search(stem)
    return int(match.group(1)) if match else None


def numbering_gaps(stems: Sequence[str], step: int | None = None) -> list[str]:
    """Problems of the numbering: frames missing between the first and the last, or two with one number.

    `step` is what the numbers advance by; None takes the usual difference. Only a difference of at least twice the
    step is a gap, so that time stamps in any unit have none (0, 33, 67, 100 ms); both stamps may be rounded to a unit.
    Names that are not numbered, or whose differences are all unlike, are not judged.
    """
    numbers = _numbers_in(stems)
    if numbers is None or len(stems) < 2:
        return []
    differences = [b - a for a, b in itertools.pairwise(numbers.values)]
    usual = step or _usual(differences)
    if usual is None or (min(differences) < 1 and _is_part_of_a_time(stems, numbers)):
        return []
    if min(differences) < 1:
        twin = stems[differences.index(min(differences)) + 1]
        return [f"frame {twin!r} does not count on from the one before it; number the frames in order"]
    names = [_renumber(stems[0], numbers, number) for number in _missing(numbers.values, usual)]
    if not names:
        return []
    return [f"gap in the numbering: {some(names)} missing between {stems[0]!r} and {stems[-1]!r}; copy the clip again"]


def _numbers_in(stems: Sequence[str]) -> _Numbers | None:
    """The number in each stem: seconds with as many decimals each, or else the last whole one; None where one lacks."""
    seconds = [_SECONDS.search(stem) for stem in stems]
    decimals = {len(match.group(2)) for match in seconds if match}
    if all(seconds) and len(decimals) == 1:
        return _Numbers([int(m.group(1) + m.group(2)) for m in seconds if m], _SECONDS, decimals.pop())
    known = [number for number in map(frame_number, stems) if number is not None]
    return _Numbers(known, _NUMBER) if len(known) == len(stems) else None


def _usual(differences: Sequence[int]) -> float | None:
    """The usual step: the mean of those differences that are near their median, if at least half of all are."""
    rising = [d for d in differences if d > 0]
    if not rising:
        return None
    middle = median_low(rising)
    near = [d for d in rising if middle / 2 < d < 1.5 * middle]
    return fmean(near) if 2 * len(near) >= len(differences) else None


def _missing(values: Sequence[int], usual: float) -> list[int]:
    """The numbers that lie in gaps, as evenly as frames would."""
    missing = []
    for a, b in itertools.pairwise(values):
        if b - a > 2 * usual - max(1, usual / 1000):  # as far as rounding and clocks go
            steps = round((b - a) / usual)
            missing += [a + round(k * (b - a) / steps) for k in range(1, steps)]
    return missing


def _is_part_of_a_time(stems: Sequence[str], numbers: _Numbers) -> bool:
    before = {re.sub(r"\D", "", stem[: match.start()]) for stem in stems if (match := numbers.pattern.search(stem))}
    return len(before) > 1 and min(map(len, before)) >= _CLOCK_DIGITS


def _renumber(stem: str, numbers: _Numbers, number: int) -> str:
    match = numbers.pattern.search(stem)
    assert match is not None
    digits = f"{number:0{sum(len(group) for group in match.groups())}d}"
    if numbers.decimals:
        digits = f"{digits[: -numbers.decimals]}.{digits[-numbers.decimals :]}"
    return f"{stem[: match.start()]}{digits}{stem[match.end() :]}"
