"""The four forms: windows at a clip's ends, states that start anew."""

import pytest
import torch

from deblurbench.errors import ContractError
from deblurbench.methods.base import FrameMethod, RecurrentMethod, WindowMethod


class Windows(WindowMethod):
    radius = 2

    def restore_window(self, frames):
        self.seen.append([int(f[0, 0, 0]) for f in frames])
        return frames[self.radius]


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_windows_repeat_the_ends(count):
    method = Windows()
    method.seen = []
    source = [torch.full((3, 2, 2), float(t)) for t in range(count)]
    restored = [int(f[0, 0, 0]) for f in method.restore(iter(source))]
    expected = [[min(max(t + d, 0), count - 1) for d in range(-2, 3)] for t in range(count)]
    assert restored == list(range(count))
    assert method.seen == expected


def test_recurrent_state_starts_as_none_in_every_clip():
    class Sum(RecurrentMethod):
        def step(self, frame, state):
            total = frame if state is None else state + frame
            return total, total

    ones = [torch.ones(3, 1, 1)] * 3
    method = Sum()
    for _ in range(2):
        assert [float(f[0, 0, 0]) for f in method.restore(ones)] == [1, 2, 3]


def test_frame_method_keeps_order_and_is_lazy():
    class Twice(FrameMethod):
        def restore_frame(self, frame):
            return 2 * frame

    def endless():
        value = 0
        while True:
            yield torch.full((3, 1, 1), float(value))
            value += 1

    walk = Twice().restore(endless())
    assert [float(next(walk)[0, 0, 0]) for _ in range(3)] == [0, 2, 4]


class Half(RecurrentMethod):
    """Half of the frame and half of the last restored one."""

    def __init__(self):
        self.network = torch.nn.Conv2d(3, 3, 1)

    def step(self, frame, state):
        restored = frame if state is None else 0.5 * (self.network(frame[None])[0] + state)
        return restored, restored


def test_unrolling_restores_each_clip_with_gradients():
    method, clips = Half(), torch.rand(2, 3, 3, 4, 5)
    restored = method.unroll(clips)
    assert restored.shape == clips.shape
    assert torch.equal(restored[1], torch.stack(list(method.restore(clips[1]))))
    restored.mean().backward()
    assert float(method.network.weight.grad.abs().sum()) > 0


@pytest.mark.parametrize(
    ("found", "kind"),
    [(torch.ones(3, 4, 4), "Tensor"), (torch.ones(2, 4), "Tensor"), (None, "NoneType"), ((1, 2, 3), "tuple of 3")],
)
def test_a_step_returns_a_frame_and_a_state(found, kind):
    class Wrong(RecurrentMethod):
        def step(self, frame, state):
            return found

    with pytest.raises(ContractError, match=rf"step must return \(frame, state\).*found {kind}"):
        list(Wrong().restore([torch.ones(3, 4, 4)]))
