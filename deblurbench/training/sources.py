"""Batches of clips: from files, or from a dataset's own endless source; made ahead of need in the background."""

from __future__ import annotations

import itertools
import math
import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeAlias
from typing import Protocol as Interface

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor

from deblurbench.datasets.base import Clip, FrameSource, ImageFiles
from deblurbench.datasets.headers import clip_size
from deblurbench.errors import UsageError
from deblurbench.frames.convert import Frame8
from deblurbench.frames.images import read_frame

DECODERS = 8
Symmetry: TypeAlias = tuple[bool, int]
"""Whether a square is mirrored left to right, and by how many quarters it is turned then."""


class Batch(Interface):
    """B clips of T frames: float32 RGB (B, T, 3, h, w) in [0, 1]; `origin` says where each clip came from."""

    @property
    def blurry(self) -> Tensor:
        """What the method is given."""
        ...

    @property
    def sharp(self) -> Tensor:
        """What it should restore."""
        ...

    @property
    def origin(self) -> list[str]:
        """For each clip, the file or photograph and the place in it."""
        ...


class Source(Interface):
    """A pure function from a step's number to its batch, so that a resumed run sees what it would have seen."""

    def batch(self, step: int) -> Batch:
        """The batch of one step (0, 1, 2, ...)."""
        ...


class FileBatch(NamedTuple):
    """See Batch."""

    blurry: Tensor
    sharp: Tensor
    origin: list[str]


class FileSource:
    """Random clips and crops of a dataset's training split, flipped, turned, and with noise on the blurry side.

    Augmentation as in the IFI-RNN paper, section 4.2: flips, rotation by 90 degrees (unless `turned` is false),
    Gaussian noise whose standard deviation is |N(0, noise^2)| on the 8-bit scale, one for each clip. Files are decoded
    by the CPU, once as long as memory allows; 8-bit crops go to the device, and everything after that happens there.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        *,
        batch: int,
        frames: int,
        crop: int,
        noise: float,
        seed: int,
        turned: bool = True,
        device: str = "cpu",
    ) -> None:
        self.clips = [clip for clip in clips if clip.sharp is not None and len(clip) >= frames]
        if not self.clips:
            longest = max((len(clip) for clip in clips), default=0)
            raise UsageError(
                f"no training clip has {frames} frames and ground truth (the longest has {longest}). "
                f"Use shorter sequences: --set frames={max(1, longest)}."
            )
        for clip in self.clips:
            _check_crop(clip, crop)
        starts = np.array([len(clip) - frames + 1 for clip in self.clips], dtype=np.float64)
        self._chances = starts / starts.sum()
        self.size, self.frames, self.crop, self.noise, self.turned = batch, frames, crop, noise, turned
        self.seed, self.device = seed, device
        self.decoded = Decoded(_spare_memory() // 4)
        self.workers = 1 if device == "cpu" else max(1, min(DECODERS, (os.cpu_count() or 2) - 1))
        """Threads that make batches: on the CPU one, which leaves the cores to the model."""

    @property
    def contents(self) -> list[str]:
        """Clips and their lengths."""
        return [f"{clip.name} {len(clip)}" for clip in self.clips]

    @property
    def steps_per_epoch(self) -> int:
        """Steps after which as many frames were shown as the clips hold."""
        return math.ceil(sum(map(len, self.clips)) / (self.size * self.frames))

    def batch(self, step: int) -> FileBatch:
        """The batch of one step, on the source's device. The noise is the same on devices of one kind only.

        Raises:
            FrameError: a file is damaged, or its frames differ in size.
        """
        random = np.random.default_rng((self.seed, step))
        pairs, spreads, symmetries, origin = zip(*(self._clip(random) for _ in range(self.size)), strict=True)
        crops = torch.from_numpy(np.stack(pairs)).to(self.device).permute(0, 1, 2, 5, 3, 4)
        crops = torch.stack([turn(pair, *symmetry) for pair, symmetry in zip(crops, symmetries, strict=True)])
        blurry, sharp = crops.transpose(0, 1).contiguous().float() / 255
        if self.noise:
            dice = torch.Generator(blurry.device).manual_seed(int(random.integers(2**62)))
            drawn = torch.randn(blurry.shape, generator=dice, device=blurry.device)
            spread = torch.tensor(spreads, dtype=torch.float32).view(-1, 1, 1, 1, 1).to(self.device)
            blurry = blurry + drawn * spread
        return FileBatch(blurry, sharp, list(origin))

    def _clip(self, random: np.random.Generator) -> tuple[NDArray[np.uint8], float, Symmetry, str]:
        """A crop (2, T, h, w, 3) of both sides, how it is augmented, and its place.

        Augmentation is the standard deviation of its noise (white is 1), and how it is flipped and turned.
        """
        clip = self.clips[random.choice(len(self.clips), p=self._chances)]
        start = int(random.integers(len(clip) - self.frames + 1))
        assert clip.sharp is not None
        sides = [self.decoded.read(side, start, self.frames) for side in (clip.blurry, clip.sharp)]
        height, width = sides[0][0].shape[:2]
        y, x = (int(random.integers(side - self.crop + 1)) for side in (height, width))
        pair = np.stack([[frame[y : y + self.crop, x : x + self.crop] for frame in side] for side in sides])
        spread = abs(random.normal(0, self.noise)) / 255
        origin = f"{clip.name}[{start}:{start + self.frames}] at ({x}, {y})"
        return pair, spread, draw_symmetry(random) if self.turned else (False, 0), origin


class Decoded:
    """Decoded frames of image files, kept up to so many bytes; the ones used longest ago go first. For threads."""

    def __init__(self, most: int) -> None:
        self.most, self.bytes = most, 0
        self._frames: OrderedDict[Path, Frame8] = OrderedDict()
        self._lock = threading.Lock()

    def read(self, source: FrameSource, start: int, count: int) -> list[Frame8]:
        """`count` frames (H, W, 3) from `start`; of a video, which is walked each time, none is kept."""
        if isinstance(source, ImageFiles):
            return [self._frame(path) for path in source.paths[start : start + count]]
        return list(itertools.islice(source, start, start + count))

    def _frame(self, path: Path) -> Frame8:
        with self._lock:
            if path in self._frames:
                self._frames.move_to_end(path)
                return self._frames[path]
        frame = read_frame(path)
        with self._lock:
            if path not in self._frames:
                self._frames[path] = frame
                self.bytes += frame.nbytes
            while self.bytes > self.most:
                self.bytes -= self._frames.popitem(last=False)[1].nbytes
        return frame


def _spare_memory() -> int:
    """Bytes of memory that are free now, for each of the processes that torchrun started on this machine."""
    return int(psutil.virtual_memory().available) // int(os.environ.get("LOCAL_WORLD_SIZE", 1))


def _check_crop(clip: Clip, crop: int) -> None:
    """Refuse a clip whose frames are smaller than the crop, before anything is trained."""
    width, height = clip_size(clip) or (0, 0)
    if min(width, height) < crop:
        raise UsageError(
            f"clip {clip.name}: its frames are {width}x{height} pixels, smaller than the crop of {crop}. "
            f"Use --set crop={min(height, width) // 16 * 16}."
        )


def draw_symmetry(random: np.random.Generator) -> Symmetry:
    """One of the eight symmetries of the square: whether it is mirrored, and then by how many quarters turned."""
    return bool(random.random() < 0.5), int(random.integers(4))


def turn(frames: Tensor, mirrored: bool, quarters: int) -> Tensor:
    """Mirror square frames (..., h, w) left to right, then turn them by quarters, on their device."""
    return torch.rot90(frames.flip(-1) if mirrored else frames, quarters, dims=(-2, -1))


class Ahead:
    """Walks a source from a step on, with the next batches being made in background threads. Counts waiting time.

    With `world` processes, process `rank` takes every world-th batch.
    """

    def __init__(self, source: Source, first: int, *, workers: int = 1, rank: int = 0, world: int = 1) -> None:
        self._source, self._rank, self._world = source, rank, world
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="batches")
        self._next = first
        self._pending: deque[Future[Batch]] = deque()
        self.waited = 0.0
        for _ in range(workers + 1):
            self._ask()

    def next(self) -> Batch:
        """The next batch in order; errors come out at the step they belong to."""
        start = time.monotonic()
        batch = self._pending.popleft().result()
        self.waited += time.monotonic() - start
        self._ask()
        return batch

    def close(self) -> None:
        """Drop what is not yet made."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _ask(self) -> None:
        self._pending.append(self._pool.submit(self._source.batch, self._next * self._world + self._rank))
        self._next += 1
