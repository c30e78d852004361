"""Cuts between scenes: where they are, where there are none, and what a method remembers over them."""

import itertools

import numpy as np
import pytest
import torch

from deblurbench.datasets.opening import open_dataset
from deblurbench.evaluation.restore import restored_frames, restored_scenes
from deblurbench.evaluation.settings import Settings
from deblurbench.frames.cuts import blocks, is_cut, scenes
from deblurbench.methods.base import Method, RecurrentMethod, WindowMethod
from tests.e2e.inprocess import deblurbench
from tests.videos import write

CPU = Settings(device="cpu")


@pytest.fixture(scope="module")
def clips():
    """The photograph and the frames of each clip of mini."""
    dataset, protocol = open_dataset("mini:all", None)
    return [(clip.name.split("-")[0], list(clip.blurry)) for clip in dataset.clips(protocol)]


class Mean(RecurrentMethod):
    """The mean of all frames so far."""

    def step(self, frame, state):
        total, count = (frame, 1) if state is None else (state[0] + frame, state[1] + 1)
        return total / count, (total, count)


class Window(WindowMethod):
    radius = 2

    def restore_window(self, frames):
        return frames.mean(0)


class Whole(Method):
    def restore(self, frames):
        held = list(frames)
        mean = torch.stack(held).mean(0)
        yield from (mean for _ in held)


def positions(frames):
    cuts = []
    for scene in scenes(frames, cuts.append):
        for _ in scene:
            pass
    return cuts


def test_a_clip_has_no_cut_and_joined_ones_have_theirs(clips):
    for _, frames in clips:
        assert positions(frames) == [] and positions(frames[::2]) == []
    for (one, a), (two, b) in itertools.permutations(clips, 2):
        if one != two:
            assert positions([*a[-2:], *b[:2]]) == [2], (one, two)


def test_fades_exposure_and_noise_are_no_cuts(clips):
    frame, other = clips[0][1][0].astype(float), clips[2][1][0].astype(float)
    rng = np.random.default_rng(0)
    for changed in (frame * 0.4, frame * 1.6, frame + rng.normal(0, 30, frame.shape), frame[:, ::-1][:, ::-1]):
        assert not is_cut(blocks(frame.astype(np.uint8)), blocks(changed.clip(0, 255).astype(np.uint8)))
    fade = [(frame * k / 24).astype(np.uint8) for k in range(25)]
    dissolve = [(frame * (1 - k / 24) + other * k / 24).astype(np.uint8) for k in range(25)]
    assert positions(fade) == positions(fade[::-1]) == positions(dissolve) == []


@pytest.mark.parametrize("method", [Mean(), Window(), Whole()], ids=lambda m: type(m).__name__)
def test_a_method_starts_afresh_at_a_cut(clips, method):
    a, b = clips[0][1][:5], clips[4][1][:6]
    apart = [r.rounded.frame for part in (a, b) for r in restored_frames(method, part, CPU)]
    cuts = []
    joined = [r.rounded.frame for r in restored_scenes(method, [*a, *b], CPU, cuts.append)]
    assert cuts == [5]
    assert all(np.array_equal(x, y) for x, y in zip(joined, apart, strict=True))
    over = [r.rounded.frame for r in restored_frames(method, [*a, *b], CPU)]
    assert not np.array_equal(over[5], apart[5])


def test_restore_says_where_a_scene_begins(clips, tmp_path, capsys):
    source = write(tmp_path / "a.mkv", [*clips[0][1][:3], *clips[4][1][:3]], "ffv1", "bgr0")
    words = ("restore", source, "--device", "cpu", "--method")
    deblurbench(*words, "ifirnn", "--output", tmp_path / "out")
    assert "1 cut between scenes: the method starts afresh at 000003" in capsys.readouterr().err
    deblurbench(*words, "ifirnn", "--output", tmp_path / "one", "--one-scene")
    deblurbench(*words, "identity", "--output", tmp_path / "same")
    assert "cut" not in capsys.readouterr().err
