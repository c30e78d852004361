"""One method over clips: load it, restore, score, and write a part a clip.

Used by the worker process (deblurbench.evaluation.execution.worker) and, with --in-process, by the run's own process.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from deblurbench import provenance
from deblurbench.backends.base import Elsewhere
from deblurbench.backends.device import (
    describe_device,
    describe_runtime,
    peak_memory,
    resolve_device,
    seed_everything,
    set_precision_flags,
)
from deblurbench.backends.failures import describe_failure, suggest_tile_size
from deblurbench.backends.load import MethodJob, count_parameters, is_random, load_method, random_outside
from deblurbench.datasets.base import Clip
from deblurbench.datasets.headers import clip_size
from deblurbench.datasets.opening import open_dataset
from deblurbench.datasets.selection import fingerprint, first_frames
from deblurbench.errors import DiskError, FrameError, UsageError
from deblurbench.evaluation.execution.events import Ready
from deblurbench.evaluation.execution.jobs import ClipJob
from deblurbench.evaluation.restore import restore_clip
from deblurbench.evaluation.settings import ClipResult, Settings
from deblurbench.methods.parameters import (
    in_training,
    put_into_evaluation,
)
from deblurbench.metrics import load_metrics, metric
from deblurbench.registry.cards import IDENTITY
from deblurbench.results.manifest import Outcome
from deblurbench.results.store import GROUND_TRUTH, Part, Store

SWAPPED = "its frames fit the ground truth better with red and blue changed over: is one side BGR?"
IDENTICAL = "some of its frames are identical to the ground truth: suspected leak"
SHARP = "some of its frames are identical to the ground truth: the data hold sharp frames as blurry ones"
TRAINING = "it put its network into training mode while restoring, in which dropout and batch statistics are active"


class Evaluator:
    """A method loaded on a device, with its metrics: restores, scores and records clip after clip.

    Raises (when made):
        UsageError, CardError, MissingError: the method cannot be loaded; nothing was restored.
    """

    def __init__(self, job: MethodJob, alive: Callable[[], None] = lambda: None) -> None:
        self.job = job
        self.device = resolve_device(job.device)
        set_precision_flags(job.precision)
        self.store = Store(Path(job.output))
        self.dataset, self.protocol = open_dataset(job.dataset, job.data_root)
        self.caption, before = describe_device(self.device), describe_runtime(self.device, job.seed)  # then a plugin
        self.method, self.card = load_method(job, self.device, alive)
        self.needs = self.card.needs_of(job.variant)
        self.random = job.random_weights and bool(is_random(job, self.method) or random_outside(job, self.method))
        self.settings = self._settings()
        kind = self.caption.replace(f" ({self.device})", "")  # cuda:0 and cuda:1 of one kind compute the same
        runtime = {"device": kind, **before, **self.implementations}
        self.environment = provenance.environment_digest(json.dumps(runtime, sort_keys=True))
        self.changed = {k: v for k, v in describe_runtime(self.device, job.seed).items() if v != before[k]}
        self.warm = False

    @cached_property
    def clips(self) -> dict[str, Clip]:
        """The dataset's clips by name."""
        return {clip.name: clip for clip in self.dataset.clips(self.protocol, self.job.split)}

    def ready(self) -> Ready:
        """What is reported once, before the first clip."""
        count = count_parameters(self.method)
        return Ready(
            device=self.caption,
            runtime=describe_runtime(self.device, self.job.seed),
            parameters=None if self.card.opens and not count else count,
            random=self.random,
            caveat="; ".join(filter(None, [self.method.caveat, self._precision_caveat(), self._settings_caveat()])),
            absent=self.absent,
            environment=self.method.versions if isinstance(self.method, Elsewhere) else {},
            implementations=self.implementations,
        )

    def _precision_caveat(self) -> str:
        """What another library computes, torch's precision does not reach."""
        hidden = self.card.opens and self.method.network is None and self.job.precision != "fp32"
        return f"--precision {self.job.precision} does not reach it: as its file says" if hidden else ""

    def _settings_caveat(self) -> str:
        """A plugin that changes what torch is set to for the whole process computes otherwise than the others."""
        words = ", ".join(f"{name} is {value}" for name, value in self.changed.items())
        return f"it changes torch's settings: {words}" if words else ""

    def _settings(self) -> Settings:
        frame_level, clip_level, self.absent = load_metrics(self.job.metrics, self.device)
        loaded = (frame_level | clip_level).items()
        self.implementations = {name: it.implementation for name, it in loaded if hasattr(it, "implementation")}
        networks = [n for n in frame_level if self.device.startswith("cuda") and metric(n).uses_network]
        return Settings(
            device=self.device,
            precision=self.job.precision,
            tile=self.job.tile,
            multiple_of=self.needs.multiple_of,
            window=self.needs.window,
            warmup=3 if self.device.startswith("cuda") else 1,
            metrics={n: score for n, score in frame_level.items() if metric(n).needs_reference and n not in networks},
            networks={name: frame_level[name] for name in networks},
            no_reference={name: score for name, score in frame_level.items() if not metric(name).needs_reference},
            clip_metrics=clip_level,
        )

    def run(self, job: ClipJob, on_frame: Callable[[str], None] = lambda stem: None) -> Outcome:
        """Restore and score one clip, and commit its part; a failure is recorded with its cause.

        Raises:
            DiskError: nothing can be written; the run must stop.
        """
        seed_everything(self.job.seed)
        put_into_evaluation(self.method)  # however the clip before left it
        tile = self.job.tile if self.job.again else None
        outcome = Outcome(method=self.job.id, clip=job.clip, status="failed", tile=tile, beside=self.job.beside)
        result, caveat, before = ClipResult(), "", in_training(self.method)
        try:
            result = self._restore(job, on_frame)
            outcome = outcome.model_copy(update=self._success(result))
            caveat = self._caveat(result, before)
        except DiskError:
            raise
        except (Exception, SystemExit) as error:  # whatever a plugin raises is this clip's failure, told in full
            outcome = outcome.model_copy(update=describe_failure(error, self._suggest_tile_size(job.clip)))
        self.store.write_part(Part(job.key, outcome, result.scores, result.timings, result.saved, caveat=caveat))
        return outcome

    def _caveat(self, result: ClipResult, before: Mapping[str, bool]) -> str:
        """What is told of a restored clip; a module that was made meanwhile was not put into training mode."""
        trains = any(now and not before.get(place, True) for place, now in in_training(self.method).items())
        leaks = result.identical and not self._tells_identical()
        same = SHARP if self.job.name == IDENTITY else IDENTICAL
        return "; ".join([TRAINING] * trains + [SWAPPED] * result.swapped + [same] * leaks)

    def _tells_identical(self) -> bool:
        """Whether a metric of the run is infinite for identical frames, by which tables tell of them."""
        return any(math.isinf(metric(name).best) for name in self.job.metrics if name not in self.absent)

    def _restore(self, job: ClipJob, on_frame: Callable[[str], None]) -> ClipResult:
        clip = first_frames(self.clips[job.clip], job.frames)
        self._check_size(clip)
        folder = self.store.frames_folder(self.job.id, job.clip)
        sharp = self.store.frames_folder(GROUND_TRUTH, job.clip)
        keeps_sharp = self.job.name == IDENTITY  # once a run is enough
        result = restore_clip(
            self.method,
            clip,
            self.settings.for_frames_of(clip_size(clip)),
            scored=set(job.scored if clip.sharp else clip.stems),
            save={stem: folder / f"{stem}.png" for stem in job.saved},
            save_sharp={stem: sharp / f"{stem}.png" for stem in job.saved} if keeps_sharp else None,
            hash_sharp=keeps_sharp,
            warm=self.warm,
            on_frame=on_frame,
        )
        self.warm = True
        if fingerprint(clip) != job.key["data"]:
            raise FrameError("files of this clip changed since the run was planned; ask for the run again", "changed")
        return result

    def _check_size(self, clip: Clip) -> None:
        size, least = clip_size(clip), self.needs.min_size
        if size and min(size) < least:
            raise UsageError(
                f"{self.job.id} takes frames of at least {least} pixels a side (needs.min_size of its card), "
                f"this clip has {size[0]}x{size[1]}"
            )

    def _suggest_tile_size(self, clip: str) -> int:
        """Tile size to suggest after an out-of-memory error."""
        sides: tuple[int, ...] = ()
        with contextlib.suppress(FrameError, KeyError):  # a damaged file may be the very failure
            sides = clip_size(self.clips[clip]) or ()
        return suggest_tile_size(self.job.tile, sides)

    def _peak(self, result: ClipResult) -> int | None:
        """Bytes: of a GPU's memory what the method took at most, on a CPU the resident memory's peak."""
        if isinstance(self.method, Elsewhere):
            return self.method.peak_memory
        return result.peak if self.device.startswith("cuda") else peak_memory(self.device)

    def _success(self, result: ClipResult) -> dict[str, Any]:
        return {
            "status": "ok",
            "clipped": result.clipped,
            "peak_memory": self._peak(result),
            "frames_sha256": result.frames_sha256,
            "ground_truth_sha256": result.sharp_sha256,
            "environment": self.environment,
        }
