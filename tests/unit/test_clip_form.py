"""`form: clip`: networks that take (1, T, 3, H, W), whole or in chunks, and what their cards must say."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError

from deblurbench.backends import own_python_main
from deblurbench.errors import ContractError
from deblurbench.methods.adapter import Foreign
from deblurbench.registry.cards import Needs


class Recording(Foreign):
    """Marks every frame with its place in the chunk; keeps the lengths that it was called with."""

    def __init__(self, border=0, **needs):
        super().__init__(Needs(form="clip", border=border, **needs))
        self.lengths = []

    def call(self, clip):
        self.lengths.append(clip.shape[1])
        border = self.needs.border
        return clip[:, border : clip.shape[1] - border]


def frames(count):
    return [torch.full((3, 8, 12), number / 100) for number in range(count)]


def numbers(restored):
    return [round(float(frame.mean()) * 100) for frame in restored]


@pytest.mark.parametrize("count", [1, 2, 5, 6, 7, 10, 23])
@pytest.mark.parametrize(("chunk", "overlap"), [(None, 0), (1, 0), (5, 0), (6, 2), (5, 4), (7, 3)])
@pytest.mark.parametrize("border", [0, 2])
def test_every_frame_comes_back_once_and_in_order(count, chunk, overlap, border):
    method = Recording(border, chunk=chunk, overlap=overlap)
    assert numbers(method.restore(frames(count))) == list(range(count))
    assert set(method.lengths) == {min(count, chunk or count) + 2 * border}


class Placed(Recording):
    """Returns, for each frame, its place in the chunk."""

    def call(self, clip):
        super().call(clip)
        return (torch.arange(clip.shape[1]) / 100)[None, :, None, None, None].expand(clip.shape)


def test_the_cut_lies_in_the_middle_of_what_chunks_share_and_the_last_begins_earlier():
    # chunks of frames 0 to 5, 4 to 9, and 7 to 12: of the shared 4, 5 the first gives 4; of 7, 8, 9 the second gives 7
    restored = Placed(chunk=6, overlap=2).restore(frames(13))
    assert numbers(restored) == [0, 1, 2, 3, 4, *[1, 2, 3], *[1, 2, 3, 4, 5]]


def test_a_chunk_is_not_read_before_the_one_before_is_given():
    taken = []

    def walk():
        for number, frame in enumerate(frames(20)):
            taken.append(number)
            yield frame

    restored = Recording(chunk=5, overlap=1).restore(walk())
    next(restored)
    assert taken[-1] == 8  # the first chunk, and the four that make the next one


def test_range_and_colours_are_those_of_the_card():
    class Checked(Recording):
        def call(self, clip):
            assert torch.allclose(clip[0, 0, :, 0, 0], torch.tensor([0.5, -0.25, -0.5]))
            return clip

    frame = torch.tensor([0.0, 0.25, 1.0])[:, None, None].expand(3, 8, 12)
    [restored] = Checked(range=(-0.5, 0.5), colours="bgr").restore([frame])
    assert torch.allclose(restored, frame)


def test_a_network_that_leaves_frames_out_is_told_of_border():
    class Shorter(Recording):
        def call(self, clip):
            return clip[:, 2:-2]

    with pytest.raises(ContractError, match=r"needs: \{border: 2\}"):
        list(Shorter().restore(frames(9)))


@pytest.mark.parametrize(
    "needs",
    [
        {"form": "clip", "window": 2},
        {"chunk": 5},
        {"form": "clip", "overlap": 2},
        {"form": "clip", "chunk": 3, "overlap": 3},
    ],
)
def test_what_cannot_be_meant_is_refused(needs):
    with pytest.raises(ValidationError, match=r"chunk|window"):
        Needs(**needs)


def test_a_clip_is_not_causal():
    assert Needs(form="clip").causal is False


def test_the_separate_environment_calls_it_alike():
    code = (
        "import types, sys, torch\n"
        f"sys.path.insert(0, {str(own_python_main.__file__).rpartition('/deblurbench/')[0]!r})\n"
        "from deblurbench.backends.own_python_main import adapted\n"
        "from deblurbench.registry.cards import Needs\n"
        "needs = Needs(form='clip', chunk=4, overlap=1, range=(-1, 1)).model_dump(mode='json')\n"
        "network = torch.nn.Identity()\n"
        "frames = [torch.full((3, 8, 8), n / 10) for n in range(7)]\n"
        "restored = list(adapted(network, needs).restore(frames))\n"
        "assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(frames, restored)) and len(restored) == 7\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
