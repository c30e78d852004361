"""One streaming pass: what is timed, what is bounded, what is refused."""

import threading
import time

import numpy as np
import pytest
import torch

from deblurbench.datasets.base import Clip
from deblurbench.errors import ContractError, FrameError
from deblurbench.evaluation.restore import DECODE_AHEAD, PrefetchedFrames, restore_clip, restored_frames
from deblurbench.evaluation.settings import Settings
from deblurbench.methods.base import FrameMethod, Method, WindowMethod


class Frames:
    """A source that counts how far it was read; `slow` seconds a frame, damaged at `bad`."""

    def __init__(self, count=7, size=(18, 30), slow=0.0, bad=None):
        self.count, self.size, self.slow, self.bad, self.read = count, size, slow, bad, 0

    @property
    def stems(self):
        return [f"{i:03d}" for i in range(self.count)]

    def __iter__(self):
        for index in range(self.count):
            time.sleep(self.slow)
            if index == self.bad:
                raise FrameError("frame 3 is damaged")
            self.read += 1
            yield np.full((*self.size, 3), index * 10, np.uint8)

    def first(self, count):
        return self

    def fingerprint(self):
        return []


class Copy(FrameMethod):
    def restore_frame(self, frame):
        return frame


def scored(clip, method=None, **more):
    settings = Settings(device="cpu", metrics={"mean": lambda a, b: float(a.mean()) - float(b.mean())}, **more)
    return restore_clip(method or Copy(), clip, settings, scored=set(clip.stems[4:-1]), save={})


def test_prefetch_is_bounded_ordered_and_ends_its_thread():
    source = Frames(count=50)
    walk = PrefetchedFrames(source)
    assert next(walk)[0, 0, 0] == 0
    time.sleep(0.3)
    assert source.read <= DECODE_AHEAD + 2
    before = threading.active_count()
    walk.close()
    assert threading.active_count() < before
    assert [f[0, 0, 0] for f in PrefetchedFrames(Frames(count=5))] == [0, 10, 20, 30, 40]


def test_errors_come_out_where_they_happened():
    seen = []
    with pytest.raises(FrameError, match="damaged"):
        for frame in PrefetchedFrames(Frames(bad=3)):
            seen.append(frame[0, 0, 0])
    assert seen == [0, 10, 20]


def test_waiting_for_frames_is_not_timed_but_restoring_is():
    class Slow(FrameMethod):
        def restore_frame(self, frame):
            time.sleep(0.02)
            return frame

    clip = Clip("c", Frames(slow=0.25), Frames())
    seconds = [s for _, s, _ in scored(clip, Slow()).timings]
    assert all(0.018 < s < 0.2 for s in seconds), seconds


def test_a_window_is_timed_without_its_lookahead_waiting():
    class Window(WindowMethod):
        radius = 2

        def restore_window(self, frames):
            time.sleep(0.02)
            return frames[2]

    clip = Clip("c", Frames(slow=0.25), Frames())
    seconds = [s for _, s, _ in scored(clip, Window()).timings]
    assert len(seconds) == 7 and all(s < 0.2 for s in seconds), seconds


@pytest.mark.parametrize("piece", [3, 100])
def test_the_time_of_a_method_that_restores_pieces_is_shared_out(piece):
    class Pieces(Method):
        def restore(self, frames):
            waiting = []
            for frame in frames:
                waiting.append(frame)
                if len(waiting) == piece:
                    time.sleep(0.07)
                    yield from waiting
                    waiting = []
            time.sleep(0.07)
            yield from waiting

    timings = scored(Clip("c", Frames(), Frames()), Pieces()).timings
    assert len({seconds for _, seconds, _ in timings}) == 1 and not any(warm for _, _, warm in timings)
    calls = 1 + 7 // piece
    assert 0.07 * calls / 7 <= timings[0][1] < 0.07 * calls / 7 + 0.05


def test_metrics_on_the_restoring_device_take_turns_with_the_restoring():
    busy = []

    class Watch(FrameMethod):
        def restore_frame(self, frame):
            assert not busy
            return frame

    def network(restored, sharp):
        busy.append(threading.current_thread())
        time.sleep(0.01)
        assert busy.pop() is threading.main_thread()
        return 1.0

    result = scored(Clip("c", Frames(), Frames()), Watch(), networks={"net": network})
    assert sorted(result.scores) == [
        (stem, name, value) for stem in ("004", "005") for name, value in (("mean", 0.0), ("net", 1.0))
    ]


def test_only_named_frames_are_scored_and_all_are_restored():
    result = scored(Clip("c", Frames(), Frames()))
    assert [(stem, value) for stem, _, value in result.scores] == [("004", 0.0), ("005", 0.0)]
    assert len(result.timings) == 7 and [w for _, _, w in result.timings] == [True] + [False] * 6


def test_ground_truth_of_another_size_is_never_resized():
    with pytest.raises(ContractError, match="30x18, ground truth 31x18"):
        scored(Clip("c", Frames(), Frames(size=(18, 31))))


def test_padding_is_undone():
    class Halve(FrameMethod):
        def restore_frame(self, frame):
            assert frame.shape[1] % 8 == 0 and frame.shape[2] % 8 == 0
            return frame

    restored = list(restored_frames(Halve(), Frames(), Settings(device="cpu", multiple_of=8)))
    assert {r.rounded.frame.shape for r in restored} == {(18, 30, 3)}


@pytest.mark.parametrize(
    ("yields", "said"),
    [
        (lambda f: f[:5], "5 of 7 frames"),
        (lambda f: [*f, f[0]], "frame 8"),
        (lambda f: [x[:2] for x in f], "expected"),
        (lambda f: [None for _ in f], "frame 1: the method yields NoneType, expected a torch.Tensor"),
        (lambda f: [(x * 255).to(torch.uint8) for x in f], "floating point"),
        (lambda f: [x * torch.inf for x in f], "NaN or infinite"),
    ],
)
def test_the_contract(yields, said):
    class Bad(Method):
        def restore(self, frames):
            yield from yields(list(frames))

    with pytest.raises(ContractError, match=said):
        scored(Clip("c", Frames(), Frames()), Bad())


def test_no_gradients_and_lazy_pull():
    pulled = []

    class Watch(Method):
        def restore(self, frames):
            for frame in frames:
                assert not torch.is_grad_enabled()
                pulled.append(1)
                yield frame

    walk = restored_frames(Watch(), Frames(count=1000), Settings(device="cpu"))
    next(walk)
    assert len(pulled) == 1
    walk.close()


def test_tiling_reaches_the_method():
    sizes = set()

    class Watch(FrameMethod):
        def restore_frame(self, frame):
            sizes.add(tuple(frame.shape[1:]))
            return frame

    clip = Clip("c", Frames(size=(96, 160)), Frames(size=(96, 160)))
    result = scored(clip, Watch(), tile=64, multiple_of=16)
    assert sizes == {(64, 64)} and result.scores[0][2] == 0.0


def test_without_ground_truth_only_metrics_without_a_reference_are_taken():
    settings = Settings(
        device="cpu", metrics={"psnr": lambda a, b: 1.0}, no_reference={"sharpness": lambda a, b: float(a.mean())}
    )
    clip = Clip("c", Frames(), None)
    result = restore_clip(Copy(), clip, settings, scored={"002"}, save={})
    assert result.scores == [("002", "sharpness", 20.0)]


def test_a_clip_metric_without_a_value_is_left_out():
    class Nothing:
        def add(self, restored, sharp):
            pass

        def result(self):
            return float("nan")

    settings = Settings(device="cpu", clip_metrics={"tof": Nothing})
    assert restore_clip(Copy(), Clip("c", Frames(1), Frames(1)), settings, scored={"000"}, save={}).scores == []
