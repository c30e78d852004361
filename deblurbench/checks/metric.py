"""The contract tests of a metric, for its author: `deblurbench check NAME`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from deblurbench.backends.device import reason_of
from deblurbench.checks.method import IMPORT, Broken, Finding, Skipped, clip8
from deblurbench.errors import DeblurbenchError
from deblurbench.frames.convert import Frame8
from deblurbench.metrics import metric
from deblurbench.metrics.base import Metric
from deblurbench.metrics.plugins import PluginMetric
from deblurbench.registry.cards import MetricCard

FRAMES, SIZE, LARGE = 4, (96, 128), (720, 1280)
"""Frames of a test clip, their (height, width), and the size at which a metric is timed."""
SAME = 1e-9


def check_metric(name: str) -> list[Finding]:
    """Run the contract tests on a metric: (check, ok|FAILED|skipped, detail).

    Raises:
        UsageError: no such metric; the nearest name is given.
    """
    subject = _Subject(metric(name))
    findings: list[Finding] = []
    for label, check in subject.checks():
        try:
            if findings and findings[0][1] != "ok":
                raise Skipped(f"not tried, since {IMPORT!r} was {findings[0][1]}")
            findings.append((label, "ok", check()))
        except Skipped as reason:
            findings.append((label, "skipped", str(reason)))
        except (Broken, DeblurbenchError) as fault:
            findings.append((label, "FAILED", str(fault)))
        except (Exception, SystemExit) as error:  # a plugin may raise anything; the author is told what
            findings.append((label, "FAILED", reason_of(error)))
    return findings


class _Subject:
    """One metric under test."""

    def __init__(self, card: Metric) -> None:
        self.card = card
        plugin = card.plugin.card if isinstance(card, PluginMetric) else None
        self.bounds = plugin.bounds if isinstance(plugin, MetricCard) else None
        self.symmetric = isinstance(plugin, MetricCard) and plugin.symmetric
        self.sharp = clip8(FRAMES, *SIZE)
        self.mild, self.strong = (_degraded(self.sharp, share) for share in (0.2, 0.6))
        self.loaded: Any = None

    def checks(self) -> Sequence[tuple[str, Callable[[], str]]]:
        """Every check by its label, in order."""
        return (
            (IMPORT, self.imports), ("a number", self.number), ("identical frames", self.perfect),
            ("direction", self.direction), ("bounds", self.within), ("symmetric", self.exchanged),
            ("deterministic", self.repeated), ("leaves its frames as they are", self.unchanged), ("speed", self.speed),
        )  # fmt: skip

    def score(self, restored: Sequence[Frame8], sharp: Sequence[Frame8]) -> float:
        """The value of copies of a clip: the mean over its frames, or the clip-level value."""
        return self._score([frame.copy() for frame in restored], [frame.copy() for frame in sharp])

    def _score(self, restored: Sequence[Frame8], sharp: Sequence[Frame8]) -> float:
        if self.card.level == "clip":
            clip = self.loaded()
            for one, two in zip(restored, sharp, strict=True):
                clip.add(one, two)
            return float(clip.result())
        truths: Sequence[Any] = sharp if self.card.needs_reference else [None] * len(sharp)
        return sum(float(self.loaded(one, two)) for one, two in zip(restored, truths, strict=True)) / len(restored)

    def imports(self) -> str:
        """Its function, or its class, can be made."""
        if not self.card.is_here():
            raise Skipped("what it needs is not on this machine")
        self.loaded = self.card.load("cpu")
        return ""

    def number(self) -> str:
        value = self.score(self.mild, self.sharp)
        if math.isnan(value):
            raise Broken("nan for two unlike clips")
        return f"{value:.{self.card.decimals}f} for a slightly degraded clip"

    def perfect(self) -> str:
        if math.isnan(self.card.best):
            raise Skipped("its card names no `best`")
        value = self.score(self.sharp, self.sharp)
        if not (value == self.card.best or abs(value - self.card.best) <= 1e-6):
            raise Broken(f"{value} for identical frames; its card says best: {self.card.best}")
        return f"{value}"

    def direction(self) -> str:
        if not self.card.needs_reference:
            raise Skipped("without a reference, what is better depends on the content")
        mild, strong = self.score(self.mild, self.sharp), self.score(self.strong, self.sharp)
        if mild == strong or (mild > strong) != self.card.higher_is_better:
            better = "higher" if self.card.higher_is_better else "lower"
            raise Broken(f"{mild} for slight and {strong} for strong degradation; its card says better: {better}")
        return f"{mild:.4g} for slight, {strong:.4g} for strong degradation"

    def within(self) -> str:
        if self.bounds is None:
            raise Skipped("its card claims no `bounds`")
        low, high = self.bounds
        inverted = [255 - frame for frame in self.sharp]
        flat = [np.zeros_like(frame) for frame in self.sharp]
        for restored in (self.sharp, self.mild, self.strong, inverted, flat):
            value = self.score(restored, self.sharp)
            if not low <= value <= high:
                raise Broken(f"{value} lies outside bounds: [{low}, {high}]")
        return f"within [{low}, {high}] on five clips"

    def exchanged(self) -> str:
        if not self.symmetric:
            raise Skipped("its card does not claim `symmetric`")
        one, two = self.score(self.strong, self.sharp), self.score(self.sharp, self.strong)
        if abs(one - two) > SAME * max(1.0, abs(one)):
            raise Broken(f"{one} becomes {two} when restored and sharp are exchanged")
        return ""

    def repeated(self) -> str:
        one, two = self.score(self.mild, self.sharp), self.score(self.mild, self.sharp)
        if one != two:
            raise Broken(f"{one}, then {two} for the same frames")
        return ""

    def unchanged(self) -> str:
        before = [frame.copy() for frame in [*self.mild, *self.sharp]]
        self._score(self.mild, self.sharp)
        if any(not np.array_equal(a, b) for a, b in zip(before, [*self.mild, *self.sharp], strict=True)):
            raise Broken("it writes into the frames that it is given; other metrics read them, too")
        return ""

    def speed(self) -> str:
        frames = clip8(2, *LARGE)
        begin = time.perf_counter()
        self.score(frames, frames[::-1])
        return f"{(time.perf_counter() - begin) / len(frames):.2g} s a frame of {LARGE[1]}x{LARGE[0]}"


def _degraded(frames: Sequence[Frame8], share: float) -> list[Frame8]:
    """Frames mixed with their horizontal means, and noise: a stronger share is a worse frame."""
    noise = np.random.default_rng(1).normal(0, 40 * share, frames[0].shape)
    mixed = [(1 - share) * frame + share * frame.mean(axis=1, keepdims=True) + noise for frame in frames]
    return [np.clip(np.rint(frame), 0, 255).astype(np.uint8) for frame in mixed]
