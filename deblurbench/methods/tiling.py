"""Restoring in overlapping tiles, for frames that do not fit the device's memory.

Each tile is a small clip of its own: the method's `restore` runs once per tile over all frames, so that a recurrent
state belongs to its tile. Tiles overlap by 32 pixels or a quarter of their side, whichever is less, and are blended
with linear ramps. The result differs from an untiled one near seams; tables mark tiled runs.

This file also runs under Python 3.9, in a method's own environment (deblurbench.backends.own_python_main).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

OVERLAP = 32
Restore = Callable[["Iterable[Tensor]"], "Iterator[Tensor]"]


def tile_starts(length: int, tile: int, multiple: int) -> list[int]:
    """Where tiles of `tile` pixels begin along a side of `length`: multiples of `multiple`; the last ends with it."""
    if tile >= length:
        return [0]
    overlap = min(OVERLAP, tile // 4)
    stride = max(multiple, (tile - overlap) // multiple * multiple)
    starts = list(range(0, length - tile, stride))
    last = length - tile
    return [*starts, last]


def restore_tiled(
    restore: Restore, frames: Iterable[Tensor], tile: int | tuple[int, int], multiple: int
) -> Iterator[Tensor]:
    """Yield restored frames (3, H, W), each blended from tiles of at most `tile` pixels a side, or (height, width).

    `tile` is rounded up to `multiple`; H and W must be multiples of it already.
    """
    walk = iter(frames)
    first = next(walk, None)
    if first is None:
        return
    height, width = first.shape[-2:]
    high, wide = (-(-side // multiple) * multiple for side in ((tile, tile) if isinstance(tile, int) else tile))
    boxes = [
        (top, left, min(high, height), min(wide, width))
        for top in tile_starts(height, high, multiple)
        for left in tile_starts(width, wide, multiple)
    ]
    copies = itertools.tee(itertools.chain([first], walk), len(boxes))
    pieces = [restore(_cut(copy, box)) for copy, box in zip(copies, boxes)]
    weights = [_weight(first, box, height, width) for box in boxes]
    for restored in zip(*pieces):
        yield _blend(restored, boxes, weights, first)


def _cut(frames: Iterable[Tensor], box: tuple[int, int, int, int]) -> Iterator[Tensor]:
    top, left, height, width = box
    for frame in frames:
        yield frame[:, top : top + height, left : left + width].contiguous()


def _ramp(length: int, grows: bool, falls: bool, like: Tensor) -> Tensor:
    import torch

    ramp = torch.ones(length, device=like.device)
    width = min(OVERLAP, length // 4)
    slope = (torch.arange(width, device=like.device) + 1) / (width + 1)
    if grows:
        ramp[:width] = slope
    if falls:
        ramp[length - width :] = slope.flip(0)
    return ramp


def _weight(like: Tensor, box: tuple[int, int, int, int], height: int, width: int) -> Tensor:
    top, left, h, w = box
    down = _ramp(h, top > 0, top + h < height, like)
    across = _ramp(w, left > 0, left + w < width, like)
    return down[:, None] * across[None, :]


def _blend(
    pieces: Iterable[Tensor], boxes: list[tuple[int, int, int, int]], weights: list[Tensor], like: Tensor
) -> torch.Tensor:
    import torch

    total = torch.zeros_like(like, dtype=torch.float32)
    norm = torch.zeros(like.shape[-2:], device=like.device)
    for piece, (top, left, h, w), weight in zip(pieces, boxes, weights):
        total[:, top : top + h, left : left + w] += piece.to(torch.float32) * weight
        norm[top : top + h, left : left + w] += weight
    return total / norm
