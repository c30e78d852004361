"""Tiles cover the frame, blend to one, and keep a state each."""

import pytest
import torch

from deblurbench.methods.base import RecurrentMethod, WindowMethod
from deblurbench.methods.tiling import restore_tiled, tile_starts


@pytest.mark.parametrize(("length", "tile", "multiple"), [(100, 32, 4), (64, 64, 16), (65, 48, 1), (720, 256, 16)])
def test_starts_cover_the_side(length, tile, multiple):
    starts = tile_starts(length, tile, multiple)
    covered = {x for start in starts for x in range(start, start + min(tile, length))}
    assert covered == set(range(length)) and starts[-1] + min(tile, length) == length


class Copy(RecurrentMethod):
    def step(self, frame, state):
        return frame, state


class Count(RecurrentMethod):
    """Adds how many frames it has seen, so that a state shared between tiles would show."""

    def step(self, frame, state):
        seen = (state or 0) + 1
        return frame * 0 + seen, seen


class Mean(WindowMethod):
    radius = 1

    def restore_window(self, frames):
        return frames.mean(dim=0)


def frames(count=3, height=80, width=112):
    torch.manual_seed(0)
    return [torch.rand(3, height, width) for _ in range(count)]


def test_blending_a_copy_gives_the_frame_back():
    source = frames()
    for restored, frame in zip(restore_tiled(Copy().restore, source, 48, 16), source, strict=True):
        assert torch.allclose(restored, frame, atol=1e-6)


def test_every_tile_has_a_state_of_its_own():
    for position, restored in enumerate(restore_tiled(Count().restore, frames(), 48, 16), start=1):
        assert torch.allclose(restored, torch.full_like(restored, float(position)), atol=1e-5)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_lookahead_survives_tiling(count):
    source = frames(count)
    whole = list(Mean().restore(source))
    tiled = list(restore_tiled(Mean().restore, source, 48, 16))
    assert len(tiled) == count
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(whole, tiled, strict=True))


def test_no_frames_no_output():
    assert list(restore_tiled(Copy().restore, [], 48, 16)) == []
