"""Scores computed again from the frames that a run kept."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from deblurbench.checks.finding import Check, _same
from deblurbench.datasets.base import Clip, ImageFiles
from deblurbench.datasets.opening import open_dataset
from deblurbench.errors import DeblurbenchError, FrameError, MissingError
from deblurbench.frames.convert import Frame8
from deblurbench.frames.images import read_frame
from deblurbench.metrics import METRICS, fits
from deblurbench.registry.cards import DatasetCard
from deblurbench.registry.discovery import plugin
from deblurbench.results.manifest import ClipRecord, Manifest
from deblurbench.results.run import Run
from deblurbench.results.store import Part

NO_TRUTH = "no ground truth: none was saved, and the data root is not here"


TOLERANCE, NETWORK_TOLERANCE = 1e-6, 1e-4


SAMPLE = 24


def dataset_clips(manifest: Manifest) -> dict[str, Clip]:
    """The clips under the recorded data root by name; none where it is gone."""
    root = manifest.request.data_root  # None where DEBLURBENCH_DATA named it
    try:
        card = plugin("datasets", manifest.request.dataset.partition(":")[0]).card
        if root is None and isinstance(card, DatasetCard) and card.needs_root:
            root = manifest.data_root
        dataset, protocol = open_dataset(manifest.request.dataset, root)
        return {clip.name: clip for clip in dataset.clips(protocol, manifest.split)}
    except DeblurbenchError:
        return {}


def _clip(manifest: Manifest, name: str) -> ClipRecord:
    return next(clip for clip in manifest.clips if clip.name == name)


@dataclass
class _Rescoring:
    """Saved frames scored anew against the ground truth that was saved, or that the data root holds."""

    run: Run
    parts: dict[tuple[str, str], Part]
    every: bool

    def checks(self) -> Iterator[Check]:
        """One check a method, over its clips, and one for the digests of clips that are saved whole."""
        wanted = self._chosen()
        if not wanted:
            yield Check("saved frames", "not checked", "the run kept no scored frames (--save-frames none)")
            return
        _, _, absent = self.metrics
        for name, why in absent.items():
            yield Check(f"saved frames: {name}", "not checked", why.splitlines()[0])
        for method in self.run.manifest.methods:
            mine = [(clip, stem) for m, clip, stem in wanted if m == method.id]
            if mine:
                yield self._check_method(method.id, mine)
        yield from self._check_clip_level()
        yield from self._check_digests()

    @cached_property
    def metrics(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
        """The run's metrics that can be computed here."""
        from deblurbench.metrics import load_metrics

        return load_metrics([m.id for m in self.run.manifest.metrics if not m.absent], "cpu")

    @cached_property
    def dataset_clips(self) -> dict[str, Clip]:
        """The clips under the recorded data root; none where it is gone."""
        return dataset_clips(self.run.manifest)

    def _chosen(self) -> list[tuple[str, str, str]]:
        """(method, clip, frame) of the saved frames to score: all, or every n-th of them so that 24 are left."""
        saved = [
            (method, clip, stem)
            for (method, clip), part in self.parts.items()
            for stem in part.saved
            if stem in set(_clip(self.run.manifest, clip).scored)
        ]
        step = 1 if self.every else max(1, math.ceil(len(saved) / SAMPLE))
        return saved[::step]

    def _check_method(self, method: str, wanted: list[tuple[str, str]]) -> Check:
        what, faults, values, frames = f"saved frames of {method}", [], 0, 0
        for clip, stem in wanted:
            recorded = {m: v for frame, m, v in self.parts[method, clip].scores if frame == stem}
            try:
                frame, truth = self._restored(method, clip, stem), self._truth(clip, stem)
                if truth is None:
                    continue
                frames, values = frames + 1, values + len(recorded)
                faults += [f"{clip}/{stem}: {fault}" for fault in self._rescore(recorded, frame, truth)]
            except (FrameError, ValueError) as error:
                faults.append(str(error))
        if faults:
            return Check(
                what, "DIFFERS", "; ".join(faults[:5]) + (f" (and {len(faults) - 5} more)" * (len(faults) > 5))
            )
        if not frames:
            return Check(what, "not checked", NO_TRUTH)
        unknown = len(wanted) - frames
        without = f", {unknown} more have no ground truth here" if unknown else ""
        return Check(what, "ok", f"{values} values of {frames} frames recomputed{without}")

    def _rescore(self, recorded: dict[str, float], frame: Frame8, truth: Frame8) -> Iterator[str]:
        """What differs between a frame's recorded scores and those computed now."""
        for name, metric in self.metrics[0].items():
            if not fits(name, frame.shape[1], frame.shape[0]):
                continue
            tolerance = NETWORK_TOLERANCE if METRICS[name].uses_network else TOLERANCE
            yield from _difference(name, recorded.get(name), float(metric(frame, truth)), tolerance)

    def _check_clip_level(self) -> Iterator[Check]:
        """Metrics of whole clips, where every scored frame was saved and `every` one is asked for."""
        for (method, clip), part in self.parts.items() if self.metrics[1] else ():
            what, scored = f"metrics of whole clips, {method}/{clip}", _clip(self.run.manifest, clip).scored
            if not self.every or not set(scored) <= set(part.saved):
                yield Check(what, "not checked", "needs --all, and every scored frame saved")
                continue
            try:
                faults = list(self._rescore_clip(part, scored))
            except MissingError as error:
                yield Check(what, "not checked", str(error))
                continue
            except (FrameError, ValueError) as error:
                faults = [str(error)]
            yield Check(what, "DIFFERS" if faults else "ok", "; ".join(faults) or f"{len(self.metrics[1])} values")

    def _rescore_clip(self, part: Part, scored: list[str]) -> Iterator[str]:
        """What differs between a clip's recorded clip-level scores and those computed now.

        Raises:
            MissingError: a scored frame has no ground truth here.
        """
        recorded = {metric: value for frame, metric, value in part.scores if not frame}
        record = _clip(self.run.manifest, part.outcome.clip)
        metrics = {n: factory() for n, factory in self.metrics[1].items() if fits(n, record.width, record.height)}
        for stem in scored:
            truth = self._truth(part.outcome.clip, stem)
            if truth is None:
                raise MissingError(NO_TRUTH)
            frame = self._restored(part.outcome.method, part.outcome.clip, stem)
            for metric in metrics.values():
                metric.add(frame, truth)
        for name, metric in metrics.items():
            yield from _difference(name, recorded.get(name), float(metric.result()), NETWORK_TOLERANCE)

    def _restored(self, method: str, clip: str, stem: str) -> Frame8:
        return read_frame(self.run.store.frames_folder(method, clip) / f"{stem}.png")

    def _truth(self, clip: str, stem: str) -> Frame8 | None:
        """The ground truth of a frame: the PNG that was saved, else from the dataset."""
        file = self.run.ground_truth_frames(clip).get(stem)
        if file:
            return read_frame(file)
        found = self.dataset_clips.get(clip)
        if found is None or found.sharp is None or stem not in found.stems:
            return None
        position = list(found.stems).index(stem)
        if isinstance(found.sharp, ImageFiles):
            return read_frame(found.sharp.paths[position])
        *_, frame = found.sharp.first(position + 1)
        return frame

    def _check_digests(self) -> Iterator[Check]:
        """The digest of all restored frames, where all of them were saved."""
        for (method, clip), part in self.parts.items():
            stems = _clip(self.run.manifest, clip).frames
            if not self.every or part.saved != stems or not part.outcome.frames_sha256:
                continue
            digest = hashlib.sha256()
            what = f"frames of {method}/{clip}"
            try:
                for stem in stems:
                    digest.update(self._restored(method, clip, stem).data)
            except FrameError as error:
                yield Check(what, "DIFFERS", str(error))
                continue
            yield _same(what, part.outcome.frames_sha256, digest.hexdigest())


def _difference(name: str, before: float | None, now: float, tolerance: float) -> Iterator[str]:
    """What to say where a value is not the recorded one; a value that both times there is none of agrees."""
    if before is None and math.isnan(now):
        return
    if before is None or not (before == now or abs(before - now) <= tolerance):
        yield f"{name} is {now!r} now, {before!r} in the run"
