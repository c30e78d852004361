"""One streaming pass of one method over one clip: decode, pad, restore, crop, round, score, write.

Decoding runs ahead in threads, scoring and writing follow behind in threads, all queues are bounded: memory does not
grow with the clip. Only the restoring itself is timed, synchronised, with decoding and transfers taken out.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from deblurbench.backends.base import Elsewhere
from deblurbench.backends.device import autocast
from deblurbench.datasets.base import Clip
from deblurbench.errors import ContractError, DeblurbenchError
from deblurbench.evaluation.score import BackgroundScorer, next_sharp
from deblurbench.evaluation.settings import ClipResult, Settings, Timing
from deblurbench.frames.convert import Frame8, Rounded, crop_to, pad_to_multiple, to_8bit, to_float
from deblurbench.frames.cuts import scenes
from deblurbench.methods.base import Method, check_restored
from deblurbench.methods.tiling import restore_tiled

if TYPE_CHECKING:
    import torch
    from torch import Tensor

DECODE_AHEAD = 4
PIPELINE = 4
"""Frames that may be on their way to and from a method in another process."""
Item = TypeVar("Item")


class PrefetchedFrames(Iterator[Item]):
    """Walks `items` in a background thread, at most `depth` ahead; errors are raised at the item that caused them."""

    def __init__(self, items: Iterable[Item], depth: int = DECODE_AHEAD) -> None:
        self._slots: queue.Queue[tuple[bool, Any]] = queue.Queue(maxsize=depth)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._walk, args=(items,), daemon=True, name="decode")
        self._thread.start()

    def __next__(self) -> Item:
        """The next item."""
        if self._stop.is_set():
            raise StopIteration
        more, value = self._slots.get()
        if more:
            return value  # type: ignore[no-any-return]
        self.close()
        if value is not None:
            raise value
        raise StopIteration

    def close(self) -> None:
        """End the thread, which may be in the middle of an item."""
        self._stop.set()
        self._thread.join(timeout=5)

    def _walk(self, items: Iterable[Item]) -> None:
        try:
            for item in items:
                if not self._offer((True, item)):
                    return
            self._offer((False, None))
        except BaseException as error:  # handed to the consumer, which raises it
            self._offer((False, error))

    def _offer(self, entry: tuple[bool, Any]) -> bool:
        while not self._stop.is_set():
            with contextlib.suppress(queue.Full):
                self._slots.put(entry, timeout=0.1)
                return True
        return False


class _Clock:
    """Hands frames to a method and subtracts the time that handing over takes from the method's own.

    `peak` is the most of a GPU's memory that was allocated while the method worked, in bytes; what metrics take between
    its frames is not in it, unless it stays allocated.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.waited = 0.0
        self.peak = 0

    def now(self) -> float:
        """Seconds on the monotonic clock, after the device has finished what was asked of it."""
        if self.device.startswith("cuda"):
            import torch

            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def begin(self) -> float:
        """The method works from here on."""
        if self.device.startswith("cuda"):
            import torch

            torch.cuda.reset_peak_memory_stats(self.device)
        self.waited = 0.0
        return self.now()

    def end(self) -> float:
        """The method has worked until here."""
        if self.device.startswith("cuda"):
            import torch

            self.peak = max(self.peak, torch.cuda.max_memory_allocated(self.device))
        return self.now()

    def feed(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        walk = iter(frames)
        while True:
            begin = self.now()
            frame = next(walk, None)
            self.waited += self.now() - begin
            if frame is None:
                return
            yield frame


EXHAUSTED = object()
"""What a walk gives after its last frame; a method may yield None by mistake."""


class Restored(NamedTuple):
    """A restored frame, the seconds that the method took for it, and how many frames it had read beyond it.

    `peak`: see _Clock; 0 on a CPU, and for methods in another process.
    """

    rounded: Rounded
    seconds: float
    ahead: int
    peak: int = 0


def restored_scenes(
    method: Method, frames: Iterable[Frame8], settings: Settings, on_cut: Callable[[int], None]
) -> Iterator[Restored]:
    """`restored_frames` of each scene by itself: at a cut (deblurbench.frames.cuts) a method starts afresh.

    The state of a recurrent method, the window of a window method and the whole clip of others end there. `on_cut` is
    called with the position of each frame that begins another scene.
    """
    done = 0
    for scene in scenes(frames, on_cut):
        for restored in restored_frames(method, scene, settings, done):
            done += 1
            yield restored


def restored_frames(
    method: Method, frames: Iterable[Frame8], settings: Settings, before: int = 0
) -> Iterator[Restored]:
    """Restore 8-bit frames one by one. `before` is how many frames came before, for the positions in messages.

    Raises:
        ContractError: wrong shape, type or frame count, NaN or infinite values; names the position of the frame.
    """
    import torch

    elsewhere = method if isinstance(method, Elsewhere) else None  # moves, casts, tiles and times there
    device = settings.device if elsewhere is None else "cpu"
    clock = _Clock(device)
    shapes: deque[tuple[int, int, int, int]] = deque()

    def moved() -> Iterator[Tensor]:
        for frame in frames:
            padded = pad_to_multiple(to_float(frame, device), settings.multiple_of)
            shapes.append((frame.shape[0], frame.shape[1], padded.shape[1], padded.shape[2]))
            yield padded

    feed = clock.feed(moved())
    if settings.tile and elsewhere is None:
        walk = iter(restore_tiled(method.restore, feed, settings.tile, settings.multiple_of))
    else:
        walk = iter(method.restore(feed))
    position = before
    no_gradients = torch.no_grad() if settings.trains_on else torch.inference_mode()
    with no_gradients, contextlib.ExitStack() as stack:
        stack.callback(_close, walk)
        while True:
            begin = clock.begin()
            with autocast(settings.precision, settings.device):
                restored: Any = next(walk, EXHAUSTED)
            seconds = elsewhere.seconds if elsewhere else clock.end() - begin - clock.waited
            if restored is EXHAUSTED:
                break
            position += 1
            if not shapes:
                raise ContractError(f"the method yields a frame {position}, before it was given that many")
            height, width, *padded = shapes.popleft()
            check_restored(restored, (3, *padded), position)
            ahead = len(shapes) - (PIPELINE if elsewhere else 0)
            yield Restored(_round(crop_to(restored, height, width), position), seconds, ahead, clock.peak)
    if shapes:
        done = position - before
        raise ContractError(f"the method restored {done} of {done + len(shapes)} frames")


def _close(walk: Iterator[Any]) -> None:
    """End a generator; other iterators may have nothing to close."""
    close = getattr(walk, "close", None)
    if close:
        close()


def _round(restored: torch.Tensor, position: int) -> Rounded:
    try:
        return to_8bit(restored)
    except ContractError as error:
        raise ContractError(f"frame {position}: {error}") from None


def restore_clip(
    method: Method,
    clip: Clip,
    settings: Settings,
    *,
    scored: set[str],
    save: dict[str, Path],
    save_sharp: dict[str, Path] | None = None,
    hash_sharp: bool = False,
    warm: bool = False,
    on_frame: Callable[[str], None] = lambda stem: None,
) -> ClipResult:
    """Restore a whole clip, score the frames named in `scored`, and write those named in `save` to their files.

    `hash_sharp` takes the sha256 over the ground truth's pixels in the thread that decodes them (1.8 ms a 720p frame).
    `warm` says that this process has restored frames before, so that no frame counts as warm-up.

    Raises:
        FrameError: a file of the clip is damaged.
        ContractError: the method broke the contract.
        DiskError: a frame could not be written.
    """
    result = ClipResult()
    digest, truths = hashlib.sha256(), hashlib.sha256()
    shares: list[float] = []
    blurry = PrefetchedFrames(clip.blurry)
    sharp = None
    if clip.sharp is not None:
        sharp = PrefetchedFrames(hashed(clip.sharp, truths) if hash_sharp else clip.sharp)
    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="score") as pool, contextlib.ExitStack() as stack:
        for stream in filter(None, (blurry, sharp)):
            stack.callback(stream.close)
        scorer = BackgroundScorer(pool, settings, result, clip, stack)
        walk = restored_frames(method, blurry, settings)
        stack.callback(_close, walk)
        furthest = 0
        for position, (stem, (rounded, seconds, ahead, peak)) in enumerate(with_stems(clip.stems, walk)):
            result.timings.append((stem, seconds, not warm and position < settings.warmup))
            furthest, result.peak = max(furthest, ahead), peak
            digest.update(rounded.frame.data)
            shares.append(rounded.clipped)
            truth = next_sharp(sharp, rounded.frame, stem)
            scorer.add_frame(stem, rounded.frame, truth, stem in scored, save.get(stem), (save_sharp or {}).get(stem))
            on_frame(stem)
        scorer.finish()
    if furthest > max(settings.window, 1):
        result.timings = shared_out(result.timings)
    result.clipped = sum(shares) / max(len(shares), 1)
    result.frames_sha256 = digest.hexdigest()
    result.sharp_sha256 = truths.hexdigest() if sharp is not None and hash_sharp else ""
    result.saved = [stem for stem in clip.stems if stem in save]
    return result


def shared_out(timings: list[Timing]) -> list[Timing]:
    """Times of a method that works on the whole clip, or on pieces of it, shared out evenly over the frames.

    Frame by frame one call takes all the time and the others none, of which a median would tell nothing. None counts as
    warm-up, since the first call may be the only one that works.
    """
    each = math.fsum(seconds for _, seconds, _ in timings) / max(len(timings), 1)
    return [(stem, each, False) for stem, _, _ in timings]


def hashed(frames: Iterable[Frame8], digest: hashlib._Hash) -> Iterator[Frame8]:
    """Pass frames on and take their pixels, uint8 (H, W, 3) RGB in row order, into `digest`."""
    for frame in frames:
        digest.update(np.ascontiguousarray(frame).data)
        yield frame


def with_stems(stems: Sequence[str], walk: Iterator[Item]) -> Iterator[tuple[str, Item]]:
    """The frames of a walk by their stems; what a method raises gets a note that names the frame whose turn it was.

    Raises:
        ContractError: there are more or fewer frames than stems.
    """
    done = 0
    try:
        for item in walk:
            if done == len(stems):
                raise ContractError(f"the method yields more than the {done} frames of the clip")
            yield stems[done], item
            done += 1
    except DeblurbenchError:
        raise
    except (Exception, SystemExit) as error:
        if done < len(stems):
            error.add_note(f"frame {stems[done]}")
        raise
    if done < len(stems):
        raise ContractError(f"the method restored {done} of {len(stems)} frames")
