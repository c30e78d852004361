"""What a worker process is told, and the work itself: one method over the clips it is handed.

Used by the worker process (deblurbench.worker) and, with --in-process, by the runner directly.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from deblurbench import provenance
from deblurbench.cards import IDENTITY, MethodCard
from deblurbench.commanding import CommandMethod
from deblurbench.datasets.base import Clip
from deblurbench.datasets.headers import clip_size
from deblurbench.elsewhere import Elsewhere
from deblurbench.errors import CardError, DiskError, FrameError, MissingError, UsageError, counted
from deblurbench.failures import describe_failure, smaller_tile
from deblurbench.importing import load_checkpoint
from deblurbench.isolated import (
    cuda_devices,
    find_device,
    peak_memory,
    prefer_channels_last,
    seed_everything,
    set_precision_flags,
)
from deblurbench.isolating import IsolatedMethod, environment_of
from deblurbench.manifest import Outcome
from deblurbench.methods.base import WindowMethod
from deblurbench.methods.foreign import Foreign
from deblurbench.methods.parameters import (
    count,
    differ,
    how_to_store,
    in_training,
    parameters_outside,
    put_into_evaluation,
    random_places,
)
from deblurbench.metrics import metric
from deblurbench.outside import find_method
from deblurbench.planning import PlannedMethod, open_dataset
from deblurbench.restoring import ClipResult, Settings, restore_clip
from deblurbench.rooms import Plugin
from deblurbench.selection import fingerprint, first_frames
from deblurbench.store import GROUND_TRUTH, Part, Store
from deblurbench.weights import load_weights

if TYPE_CHECKING:
    from deblurbench.methods.base import Method

SWAPPED = "its frames fit the ground truth better with red and blue changed over: is one side BGR?"
IDENTICAL = "some of its frames are identical to the ground truth: suspected leak"
SHARP = "some of its frames are identical to the ground truth: the data hold sharp frames as blurry ones"
TRAINING = "it put its network into training mode while restoring, in which dropout and batch statistics are active"


class MethodJob(BaseModel):
    """One method of a run, told to a worker: plain values only, since it crosses a pipe."""

    model_config = ConfigDict(extra="forbid")

    id: str
    name: str
    variant: str
    weights: str | None
    output: str
    dataset: str
    data_root: str | None
    split: str
    metrics: list[str]
    device: str
    precision: str
    tile: int | None
    again: bool = False  # after running out of memory without these tiles
    seed: int
    timeout: float = 900.0
    random_weights: bool = False

    @classmethod
    def alone(cls, planned: PlannedMethod, device: str, precision: str = "fp32", **more: Any) -> MethodJob:
        """A method outside a run: it has neither a dataset nor a place to write to."""
        told: dict[str, Any] = {
            "id": planned.id, "name": planned.plugin.reference, "variant": planned.variant, "output": "",
            "weights": str(planned.weights.file) if planned.weights else None, "dataset": "", "data_root": None,
            "split": "", "metrics": [], "device": device, "precision": precision, "tile": None, "seed": 0,
        }  # fmt: skip
        return cls(**{**told, **more})


class ClipJob(BaseModel):
    """One clip of a run: how many frames, which are scored, which are saved, and the key of the part to write."""

    model_config = ConfigDict(extra="forbid")

    clip: str
    frames: int
    scored: list[str]
    saved: list[str]
    key: dict[str, Any]


class Bench:
    """A method made ready on a device, with its metrics: restores, scores and records clip after clip.

    Raises (when made):
        UsageError, CardError, MissingError: the method cannot be made ready; nothing was restored.
    """

    def __init__(self, job: MethodJob, alive: Callable[[], None] = lambda: None) -> None:
        self.job = job
        self.device = resolve_device(job.device)
        set_precision_flags(job.precision)
        self.store = Store(Path(job.output))
        self.dataset, self.protocol = open_dataset(job.dataset, job.data_root)
        self.caption, before = describe_device(self.device), describe_runtime(self.device, job.seed)  # then a plugin
        self.method, self.card = ready_method(job, self.device, alive)
        self.needs = self.card.needs_of(job.variant)
        self.random = job.random_weights and bool(is_random(job, self.method) or random_outside(job, self.method))
        self.settings = self._settings()
        told = {"device": self.caption, **before, **self.implementations}
        self.environment = provenance.environment_digest(json.dumps(told, sort_keys=True))
        self.changed = {k: v for k, v in describe_runtime(self.device, job.seed).items() if v != before[k]}
        self.warm = False

    @cached_property
    def clips(self) -> dict[str, Clip]:
        """The dataset's clips by name."""
        return {clip.name: clip for clip in self.dataset.clips(self.protocol, self.job.split)}

    def hello(self) -> dict[str, Any]:
        """What the worker tells once, before its first clip."""
        count = count_parameters(self.method)
        return {
            "device": self.caption,
            "runtime": describe_runtime(self.device, self.job.seed),
            "parameters": None if self.card.opens and not count else count,
            "random": self.random,
            "caveat": "; ".join(filter(None, [self.method.caveat, self._precision_caveat(), self._settings_caveat()])),
            "absent": self.absent,
            "environment": self.method.told if isinstance(self.method, Elsewhere) else {},
            "implementations": self.implementations,
        }

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
        outcome = Outcome(method=self.job.id, clip=job.clip, status="failed", tile=tile)
        result, caveat, before = ClipResult(), "", in_training(self.method)
        try:
            result = self._restore(job, on_frame)
            outcome = outcome.model_copy(update=self._success(result))
            caveat = self._caveat(result, before)
        except DiskError:
            raise
        except (Exception, SystemExit) as error:  # whatever a plugin raises is this clip's failure, told in full
            outcome = outcome.model_copy(update=describe_failure(error, self._less(job.clip)))
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
            self.settings,
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

    def _less(self, clip: str) -> int:
        """Tiles worth a try when memory runs out on a clip."""
        sides: tuple[int, ...] = ()
        with contextlib.suppress(FrameError, KeyError):  # a damaged file may be the very failure
            sides = clip_size(self.clips[clip]) or ()
        return smaller_tile(self.job.tile, sides)

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


def ready_method(job: MethodJob, device: str, alive: Callable[[], None] = lambda: None) -> tuple[Method, MethodCard]:
    """Import a method, make its network, load its weights strictly, and move it to the device, for inference.

    A method with a Python of its own, or a command, is made ready there; `alive` is called while a command works.

    Raises:
        UsageError, CardError, MissingError: it cannot be made, or its weights do not fit or would be random.
    """
    found = find_method(job.name)
    card = found.card
    assert isinstance(card, MethodCard)
    environment = environment_of(found)
    if environment or card.command:
        elsewhere = method_elsewhere(found, environment, job, alive)
        refuse_other_window(card, job.variant, elsewhere)
        _refuse_random(job, elsewhere)
        return elsewhere, card
    seed_everything(job.seed)
    method: Method = found.load()(**card.variants[job.variant].parameters)
    refuse_other_window(card, job.variant, method)
    if job.weights:
        give_weights(found, method, Path(job.weights))
    _refuse_random(job, method)
    put_into_evaluation(method)
    if method.network is not None:
        for parameter in method.network.parameters():  # one by one: a TorchScript module has no requires_grad_
            parameter.requires_grad_(False)
        prefer_channels_last(method.network.to(device))
    method.place(device, job.precision)
    return method, card


def refuse_other_window(card: MethodCard, variant: str, method: Method) -> None:
    """See that the class reads the window that its card tells of the variant.

    Raises:
        CardError: it reads another one.
    """
    if isinstance(method, Elsewhere):
        radius = method.radius
    else:  # a network from outside has its window from the card or from its file
        radius = method.radius if isinstance(method, WindowMethod) and not isinstance(method, Foreign) else None
    told = card.needs_of(variant).window
    if radius is None or radius == told:
        return
    raise CardError(
        f"card of {card.name!r}: needs.window of variant {variant!r} is {told}, but the class has radius = {radius}: "
        "both are the frames that it reads on either side. Make them equal; a variant may have `needs` of its own."
    )


def _refuse_random(job: MethodJob, method: Method) -> None:
    if job.random_weights:
        return
    outside = random_outside(job, method)
    if outside:
        raise UsageError(
            f"{job.id}: {how_to_store(outside)} (--random-weights runs it all the same, and marks the row.)"
        )
    if is_random(job, method):
        raise MissingError(
            f"{job.id}: its network has random weights, and these are not scored. Name a file, {job.name}@FILE, or "
            "load them where the class makes its network. (--random-weights runs it all the same, and marks the row.)"
        )


def is_random(job: MethodJob, method: Method) -> bool:
    """Whether a method that was given no weights has random ones: made from another seed, they are others."""
    if isinstance(method, Elsewhere):
        return method.random
    if method.network is None or job.weights:
        return False
    other = _made_again(job)
    return other.network is None or differ(method.network.state_dict(), other.network.state_dict())


def random_outside(job: MethodJob, method: Method) -> list[str]:
    """Where a method holds random parameters that no weights reach, since they are not in `self.network`."""
    if isinstance(method, Elsewhere):
        return list(method.outside)
    return random_places(method, _made_again(job)) if parameters_outside(method) else []


def _made_again(job: MethodJob) -> Method:
    """The same method made once more, from another seed."""
    found = find_method(job.name)
    assert isinstance(found.card, MethodCard)
    seed_everything(job.seed + 1)
    other: Method = found.load()(**found.card.variants[job.variant].parameters)
    seed_everything(job.seed)
    return other


def give_weights(found: Plugin, method: Method, file: Path) -> None:
    """Load a weight file into a method strictly, unless the method was made of that very file.

    Raises:
        UsageError: the file does not fit, or the method has no network to load it into.
    """
    if found.opened:
        return
    if method.network is None:
        raise UsageError(
            f"method {found.name!r} sets no self.network, so {file} cannot be loaded. Leave the weights out."
        )
    if found.is_adapted:
        load_checkpoint(method.network, file)
    else:
        load_weights(method.network, file)


def method_elsewhere(
    found: Plugin, environment: Mapping[str, str], job: MethodJob, alive: Callable[[], None]
) -> Elsewhere:
    """A command, or a method made ready under its own Python."""
    assert isinstance(found.card, MethodCard)
    if found.card.command:
        return CommandMethod(
            found, environment, parameters=found.card.variants[job.variant].parameters, device=job.device,
            precision=job.precision, tile=job.tile, timeout=job.timeout, alive=alive,
        )  # fmt: skip
    return IsolatedMethod(
        found, environment, variant=job.variant, weights=job.weights,
        device=job.device, precision=job.precision, tile=job.tile, seed=job.seed,
    )  # fmt: skip


def count_parameters(method: Method) -> int | None:
    """Parameters that a method restores with, 0 without any, None where nobody can tell."""
    return method.parameters if isinstance(method, Elsewhere) else count(method)


def load_metrics(ids: Iterable[str], device: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    """Frame-level metrics, clip-level metrics, and for those that cannot be loaded here the reason, all by id."""
    frame_level: dict[str, Any] = {}
    clip_level: dict[str, Any] = {}
    absent: dict[str, str] = {}
    for name in ids:
        entry = metric(name)
        try:
            loaded = entry.load(device if entry.uses_network else "cpu")
        except MissingError as error:
            absent[name] = str(error)
            continue
        (frame_level if entry.level == "frame" else clip_level)[name] = loaded
    return frame_level, clip_level, absent


def resolve_device(wanted: str) -> str:
    """`auto`, `cpu`, `cuda` or `cuda:N` to a device that is there.

    Raises:
        UsageError: no such device.
    """
    found = find_device(wanted)
    if found is None:
        raise UsageError(
            f"--device {wanted!r} is not there: {cuda_devices()} CUDA device(s) found. Use auto, cpu or cuda:N."
        )
    return found


def describe_device(device: str) -> str:
    """The device in words, with the number of threads for a CPU."""
    import torch

    if device.startswith("cuda"):
        return f"{torch.cuda.get_device_name(device)} ({device}), CUDA {torch.version.cuda}"
    return f"CPU: {provenance.cpu_name()}, {counted(torch.get_num_threads(), 'thread')}"


def describe_runtime(device: str, seed: int) -> dict[str, Any]:
    """What torch computes with, beside the packages: threads, seed, precision flags, CUDA, cuDNN and the driver."""
    import torch

    cudnn = torch.backends.cudnn
    told: dict[str, Any] = {
        "seed": seed,
        "threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "tf32_matmul": torch.backends.cuda.matmul.allow_tf32,
        "tf32_cudnn": cudnn.allow_tf32,
        "cudnn_deterministic": cudnn.deterministic,
        "cudnn_benchmark": cudnn.benchmark,
    }
    if device.startswith("cuda"):
        told |= {"cuda": torch.version.cuda, "cudnn": cudnn.version(), "driver": provenance.driver_version()}
    return told
