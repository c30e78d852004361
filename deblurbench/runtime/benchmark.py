"""Runtime as a measurement: methods on synthetic frames that already lie on the device, interleaved in rounds.

* What is timed: the method's own work on one frame, synchronised on both sides. Reading, decoding, transfer to and from
  the device, padding, rounding and writing are left out.
* All methods share one process. A round restores a few frames with each method in turn, every second round in the
  opposite order, so that drift (heat, clocks, neighbours) hits all alike.
* A recurrent or window method runs on one endless clip, so that its frames are those of the steady state. A method that
  needs the whole clip (not causal, without a window) restores a clip a round; its samples are means over that clip.
* The interval of the median is distribution-free (order statistics), over the medians of rounds, since frames of a
  round resemble each other. There is none with fewer than six rounds.
* Multiply-adds are half of torch's FLOP count for one frame of the steady state; operations torch does not count
  (normalisation, resizing, additions) are not in it.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deblurbench.analysis.statistics import Interval
from deblurbench.backends.device import autocast, describe_device, resolve_device, seed_everything, set_precision_flags
from deblurbench.backends.failures import describe_failure
from deblurbench.backends.load import load_method
from deblurbench.errors import ContractError, UsageError
from deblurbench.evaluation.execution.jobs import job_outside_run
from deblurbench.evaluation.plan import PlannedMethod
from deblurbench.frames.convert import pad_to_multiple
from deblurbench.methods.base import check_restored
from deblurbench.registry.cards import IDENTITY
from deblurbench.runtime.machine import Memory, machine_state

if TYPE_CHECKING:
    from torch import Tensor

    from deblurbench.methods.base import Method

ENOUGH = 0.02
MIN_ROUNDS = 6
DISTINCT = 8
DOUBT = 0.05
CLOCK = 1e-5


@dataclass(frozen=True)
class Settings:
    """How to measure: `frames` a round, `seconds` at most for each size (a round that has begun is finished)."""

    device: str = "auto"
    precision: str = "fp32"
    frames: int = 4
    seconds: float = 60.0
    seed: int = 0


@dataclass
class Measured:
    """One method at one size. Seconds are per frame, memory is in bytes, `macs` are multiply-adds per frame.

    `peak_memory` is the method's weights and what restoring adds at its peak: device memory on a GPU, otherwise the
    process's resident memory. `peak_host_memory` is what restoring on a GPU adds to the latter (None on a CPU).
    `macs` are None where torch counts none. `event_seconds` is the median by CUDA events, which checks the wall clock.
    """

    method: str
    weights: str | None
    random_weights: bool
    width: int
    height: int
    parameters: int | None
    samples: list[float] = field(default_factory=list, repr=False)
    rounds: list[float] = field(default_factory=list, repr=False)
    events: list[float] = field(default_factory=list, repr=False)
    macs: int | None = None
    peak_memory: int | None = None
    peak_host_memory: int | None = None
    error: str = ""

    @property
    def median(self) -> float:
        """Median over rounds of a round's median seconds per frame: what the interval is of."""
        return statistics.median(self.rounds)

    @property
    def p95(self) -> float:
        """95th percentile of seconds per frame (nearest rank), over all frames."""
        return sorted(self.samples)[math.ceil(0.95 * len(self.samples)) - 1]

    @property
    def interval(self) -> Interval | None:
        """95 % interval of the median, over the medians of rounds; None with fewer than six rounds."""
        return median_interval(self.rounds)

    @property
    def settled(self) -> bool:
        """Whether the interval is narrower than 2 % of the median, or than the clock can tell."""
        interval = self.interval
        wanted = max(ENOUGH * self.median, CLOCK) if interval else 0.0
        return interval is not None and interval.high - interval.low < wanted

    def as_dict(self) -> dict[str, Any]:
        """Plain values; without samples where measuring failed."""
        told = (
            "method", "weights", "random_weights", "width", "height", "parameters", "macs", "peak_memory",
            "peak_host_memory",
        )  # fmt: skip
        plain: dict[str, Any] = {name: getattr(self, name) for name in told}
        if self.error or not self.samples:
            return plain | {"error": self.error}
        interval = [self.interval.low, self.interval.high] if self.interval else None
        return plain | {
            "median_seconds": self.median, "interval": interval, "p95_seconds": self.p95, "fps": 1 / self.median,
            "rounds": len(self.rounds), "frames": len(self.samples), "settled": self.settled,
            "event_seconds": statistics.median(self.events) if self.events else None, "round_medians": self.rounds,
        }  # fmt: skip


@dataclass
class Report:
    """A whole measurement."""

    device: str
    settings: Settings
    results: list[Measured]
    machine: list[dict[str, Any]]

    @property
    def notes(self) -> list[str]:
        """What a reader of the figures must know."""
        lines = [
            "Synthetic frames on the device; reading, transfer, padding, rounding and writing are not timed.",
            f"One process, methods interleaved in rounds of {self.settings.frames} frames. Intervals: 95 %, of the "
            "median over rounds. p95: over all frames.",
            "GMAC: half of torch's FLOP count; what torch does not count (normalisation, resizing, additions, other "
            "libraries) is not in it.",
        ]
        lines += [f"{m.method} ran with RANDOM weights: its time counts, its frames do not"
                  for m in {r.method: r for r in self.results if r.random_weights}.values()]  # fmt: skip
        whole = [r for r in self.results if r.samples and not r.error]
        open_ = [f"{r.method} at {r.width}x{r.height}" for r in whole if not r.settled]
        if open_:
            lines.append(f"time was up before the interval was narrower than 2 %: {', '.join(open_)}")
        busy = max((state["load"][0] for state in self.machine if state["load"]), default=0.0)
        if busy > (os.cpu_count() or 1) + 0.5:
            lines.append(f"the machine was busy: load {busy:.1f} on {os.cpu_count()} cores; times are too long")
        lines += [f"{r.method} at {r.width}x{r.height}: CUDA events and wall clock differ by more than 5 %"
                  for r in whole if _doubtful(r)]  # fmt: skip
        return lines


def _doubtful(found: Measured) -> bool:
    return bool(found.events) and abs(statistics.median(found.events) / found.median - 1) > DOUBT


def parse_sizes(text: str) -> list[tuple[int, int]]:
    """`WxH,...` as (width, height) in pixels.

    Raises:
        UsageError: another form.
    """
    sizes = []
    for word in filter(None, (w.strip() for w in text.split(","))):
        width, cross, height = word.lower().partition("x")
        if not (cross and width.isdigit() and height.isdigit() and int(width) and int(height)):
            raise UsageError(f"--size {word!r} is no size. Write WIDTHxHEIGHT, e.g. 1280x720,640x360.")
        sizes.append((int(width), int(height)))
    if not sizes:
        raise UsageError("--size names no size. Write WIDTHxHEIGHT, e.g. 1280x720.")
    return sizes


def median_interval(values: Sequence[float], each_tail: float = 0.025) -> Interval | None:
    """Distribution-free interval of the median of independent values, by order statistics; 95 % by default.

    [x_(k), x_(n+1-k)] with the largest k for which P(Binomial(n, 1/2) < k) <= `each_tail`; None where there is no such
    k: at 2.5 % with fewer than six values, at 1.25 % with fewer than seven.
    """
    count = len(values)
    tail, k = 0.0, 0
    while k < count and tail + math.comb(count, k) / 2**count <= each_tail:
        tail += math.comb(count, k) / 2**count
        k += 1
    if not k:
        return None
    ordered = sorted(values)
    return Interval(ordered[k - 1], ordered[count - k])


def measure(
    methods: Sequence[PlannedMethod], sizes: Sequence[tuple[int, int]], settings: Settings,
    say: Callable[[str], None] = lambda text: None,
) -> Report:  # fmt: skip
    """Measure methods at sizes; one that fails (out of memory, say) is a row with its reason, the others go on.

    Raises:
        UsageError: no such device.
        CardError, MissingError: the only method cannot be made ready.
    """
    for planned in methods:
        if planned.environment or planned.card.python or planned.card.command:
            raise UsageError(
                f"{planned.id} runs in a process of its own, but bench measures all methods in one process. Leave it "
                "out; 'run' times it (timings.csv), and its report says what that time holds."
            )
    device = resolve_device(settings.device)
    set_precision_flags(settings.precision)
    ready, broken = _made_ready(methods, device, settings)
    for planned, why in broken:
        say(f"{planned.id}: {why}")
    machine = [machine_state(device)]
    results: list[Measured] = []
    for size in sizes:
        streams = [_Stream(planned, method, size, device, settings) for planned, method in ready]
        results += [stream.found for stream in streams]
        results += [Measured(planned.id, _tag(planned), False, *size, None, error=why) for planned, why in broken]
        _rounds(streams, settings, say)
        machine.append(machine_state(device))
    return Report(describe_device(device), settings, results, machine)


def _made_ready(
    methods: Sequence[PlannedMethod], device: str, settings: Settings
) -> tuple[list[tuple[PlannedMethod, Method]], list[tuple[PlannedMethod, str]]]:
    """The methods made ready, and those that cannot be, each with the reason; the only one may fail."""
    ready, broken = [], []
    for planned in methods:
        more = {"seed": settings.seed, "random_weights": True}
        try:
            job = job_outside_run(planned, device, settings.precision, **more)
            ready.append((planned, load_method(job, device)[0]))
        except (Exception, SystemExit) as error:  # as in a run it costs its own row
            if len(methods) == 1:
                raise
            broken.append((planned, describe_failure(error)["reason"]))
    return ready, broken


def _tag(planned: PlannedMethod) -> str | None:
    return planned.weights.tag if planned.weights else None


def _rounds(streams: list[_Stream], settings: Settings, say: Callable[[str], None]) -> None:
    """Rounds over all streams until every interval is narrow enough or the time is up."""
    for stream in streams:
        stream.attempt(stream.warm_up)
        say(f"{stream.found.method} at {stream.found.width}x{stream.found.height}: {stream.found.error or 'warm'}")
    until = time.monotonic() + settings.seconds
    for number in itertools.count():
        running = [stream for stream in streams if not stream.found.error]
        for stream in running if number % 2 == 0 else reversed(running):
            stream.attempt(stream.round)
        if time.monotonic() > until or all(stream.found.settled for stream in running):
            return


class _Stream:
    """A method on an endless clip of synthetic frames (or on one clip a round, where it needs the whole clip)."""

    def __init__(
        self, planned: PlannedMethod, method: Method, size: tuple[int, int], device: str, settings: Settings
    ) -> None:
        needs, network = planned.needs, method.network
        self.method, self.device, self.settings, self.size = method, device, settings, size
        self.idle = planned.plugin.name == IDENTITY
        self.hidden = bool(planned.card.opens) and network is None  # what another library runs cannot be counted
        self.whole_clip = not needs.causal and not needs.window
        self.lead, self.multiple_of = 2 + needs.window, needs.multiple_of
        self.tensors = [*network.parameters(), *network.buffers()] if network is not None else []
        self.found = Measured(
            planned.id, _tag(planned), planned.random, *size,
            None if self.hidden else sum(p.numel() for p in network.parameters()) if network is not None else 0,
        )  # fmt: skip

    def attempt(self, work: Callable[[], None]) -> None:
        """Do a piece of work; a failure is written down and ends this stream only."""
        import torch

        try:
            place = torch.cuda.device(self.device) if self.device.startswith("cuda") else contextlib.nullcontext()
            with place, torch.inference_mode(), autocast(self.settings.precision, self.device):
                work()
        except (Exception, SystemExit) as error:  # whatever a method raises costs its own row
            self.found.error = describe_failure(error)["reason"]

    def warm_up(self) -> None:
        """The first frames: their peak memory, then the multiply-adds of a frame of the steady state."""
        seed_everything(self.settings.seed)
        self.frames = synthetic_frames(self.size, self.multiple_of, self.device)
        self.walk = iter(self.method.restore(itertools.cycle(self.frames)))
        with Memory(self.device) as memory:
            for _ in range(self.lead):
                self.timed()
        self.check()
        weights = sum(t.numel() * t.element_size() for t in self.tensors)
        self.found.peak_memory = None if memory.added is None else memory.added + weights
        self.found.peak_host_memory = memory.host_added
        self.found.macs = None if self.hidden else self._count() or (0 if self.idle else None)
        for _ in range(3 if self.device.startswith("cuda") else 0):
            self.timed()

    def round(self) -> None:
        """One round: `frames` frames, each timed (of a whole-clip method: their mean)."""
        times = [self.timed() for _ in range(1 if self.whole_clip else self.settings.frames)]
        self.found.samples += [wall for wall, _ in times]
        self.found.events += [event for _, event in times if event is not None]
        self.found.rounds.append(statistics.median(wall for wall, _ in times))

    def step(self) -> int:
        """Restore the next frame, or the next whole clip; returns how many frames that were."""
        if not self.whole_clip:
            self.last = next(self.walk)
            return 1
        clip = list(itertools.islice(itertools.cycle(self.frames), self.settings.frames))
        count = 0
        for self.last in self.method.restore(iter(clip)):  # noqa: B020  (kept for `check`)
            count += 1
        if count != len(clip):
            raise ContractError(f"the method restored {count} of {len(clip)} frames")
        return count

    def check(self) -> None:
        """See that what is timed is a restored frame."""
        check_restored(self.last, tuple(self.frames[0].shape), self.lead)
        if not bool(self.last.isfinite().all()):
            raise ContractError(f"frame {self.lead}: NaN or infinite values")

    def timed(self) -> tuple[float, float | None]:
        """Seconds per frame by the wall clock, synchronised, and by CUDA events (None on a CPU)."""
        if not self.device.startswith("cuda"):
            begin = time.perf_counter()
            count = self.step()
            return (time.perf_counter() - begin) / count, None
        import torch

        first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize(self.device)
        begin = time.perf_counter()
        first.record()
        count = self.step()
        last.record()
        torch.cuda.synchronize(self.device)
        return (time.perf_counter() - begin) / count, first.elapsed_time(last) / 1000 / count

    def _count(self) -> int:
        from torch.utils.flop_counter import FlopCounterMode

        with FlopCounterMode(display=False) as counter:
            frames = self.step()
        return round(counter.get_total_flops() / 2 / frames)


def synthetic_frames(size: tuple[int, int], multiple_of: int, device: str) -> list[Tensor]:
    """Eight float frames (3, H, W) of uniform noise in [0, 1], padded as a run pads them, on the device."""
    import torch

    generator = torch.Generator().manual_seed(0)
    frames = [torch.rand(3, size[1], size[0], generator=generator) for _ in range(DISTINCT)]
    return [pad_to_multiple(frame, multiple_of).to(device) for frame in frames]
