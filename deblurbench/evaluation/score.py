"""Scoring in the background, beside the method that restores."""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from deblurbench.datasets.base import Clip
from deblurbench.datasets.colours import SwapProbe
from deblurbench.errors import ContractError
from deblurbench.evaluation.settings import ClipResult, Settings
from deblurbench.frames.convert import Frame8
from deblurbench.frames.images import write_png

SCORE_BEHIND = 6


def next_sharp(sharp: Iterator[Frame8] | None, restored: Frame8, stem: str) -> Frame8 | None:
    """The ground truth of a restored frame, uint8 (H, W, 3); None where the clip has none.

    Raises:
        ContractError: it has fewer frames than the clip, or another size.
    """
    if sharp is None:
        return None
    truth = next(sharp, None)
    if truth is None:
        raise ContractError(f"frame {stem}: the ground truth has fewer frames than the clip")
    if truth.shape != restored.shape:
        raise ContractError(
            f"frame {stem}: restored {restored.shape[1]}x{restored.shape[0]}, "
            f"ground truth {truth.shape[1]}x{truth.shape[0]}; they are never resized to fit"
        )
    return truth


class BackgroundScorer:
    """Scoring and writing, a bounded number of frames behind the restoring.

    Metrics that need no reference are taken of clips without ground truth as well.
    """

    def __init__(
        self,
        pool: ThreadPoolExecutor,
        settings: Settings,
        result: ClipResult,
        clip: Clip,
        stack: contextlib.ExitStack,
    ) -> None:
        self.pool, self.settings, self.result, self.clip = pool, settings, result, clip
        self.waiting: deque[Future[list[tuple[str, str, float]]]] = deque()
        self.clip_metrics = {name: factory() for name, factory in settings.clip_metrics.items()}
        self.in_order = stack.enter_context(ThreadPoolExecutor(max_workers=1, thread_name_prefix="clip metrics"))
        self.adding: deque[Future[None]] = deque()
        self.probe = SwapProbe()
        stack.callback(self._cancel)

    def _cancel(self) -> None:
        for future in self.waiting:
            future.cancel()
        for metric in self.adding:
            metric.cancel()

    def add_frame(
        self, stem: str, frame: Frame8, truth: Frame8 | None, scored: bool, file: Path | None, sharp_file: Path | None
    ) -> None:
        """Score a frame and write it, in the background; waits when too many are pending."""
        if scored and truth is not None:
            self.probe.add(frame, truth)
            self.result.identical = self.result.identical or np.array_equal(frame, truth)
            self.adding += [self.in_order.submit(m.add, frame, truth) for m in self.clip_metrics.values()]
            self.result.scores += [(stem, name, float(m(frame, truth))) for name, m in self.settings.networks.items()]
        self.waiting.append(self.pool.submit(self._work, stem, frame, truth, scored, file, sharp_file))
        while len(self.waiting) > SCORE_BEHIND:
            self.result.scores += self.waiting.popleft().result()
        while len(self.adding) > SCORE_BEHIND * len(self.clip_metrics):
            self.adding.popleft().result()

    def finish(self) -> None:
        """Wait for all frames, then take the clip-level metrics."""
        self.result.swapped = self.probe.found
        while self.waiting:
            self.result.scores += self.waiting.popleft().result()
        while self.adding:
            self.adding.popleft().result()
        values = [("", name, float(metric.result())) for name, metric in self.clip_metrics.items()]
        self.result.scores += [score for score in values if not math.isnan(score[2])]  # a clip of one frame has none

    def _work(
        self, stem: str, frame: Frame8, truth: Frame8 | None, scored: bool, file: Path | None, sharp_file: Path | None
    ) -> list[tuple[str, str, float]]:
        if file is not None:
            write_png(file, frame)
        if sharp_file is not None and truth is not None:
            write_png(sharp_file, truth)
        if not scored:
            return []
        values = [(stem, name, float(score(frame, None))) for name, score in self.settings.no_reference.items()]
        if truth is not None:
            values += [(stem, name, float(score(frame, truth))) for name, score in self.settings.metrics.items()]
        return values
