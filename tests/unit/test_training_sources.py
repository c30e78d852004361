"""Batches from files, batches made ahead, and validation."""

import threading
import time

import numpy as np
import pytest
import torch

from deblurbench.datasets.base import Clip, ImageFiles
from deblurbench.errors import UsageError
from deblurbench.frames.images import read_frame, write_png
from deblurbench.methods.base import FrameMethod
from deblurbench.registry.cards import Needs
from deblurbench.training import sources
from deblurbench.training.average import Average
from deblurbench.training.sources import Ahead, FileSource, draw_symmetry, turn
from deblurbench.training.validation import Held, psnr, validate


def clip(folder, name, frames=6, size=(40, 48)):
    random = np.random.default_rng(len(name))
    sides = []
    for side in ("blur", "sharp"):
        paths = []
        for number in range(frames):
            image = random.integers(0, 200, (*size, 3), dtype=np.uint8)
            image[..., 2] = number
            paths.append(folder / name / side / f"{number:03d}.png")
            write_png(paths[-1], image)
        sides.append(ImageFiles(tuple(paths)))
    return Clip(name, *sides)


def source(clips, **more):
    return FileSource(clips, **{"batch": 3, "frames": 4, "crop": 32, "noise": 0.0, "seed": 5, **more})


def test_a_batch_is_consecutive_frames_of_one_place(tmp_path):
    batch = source([clip(tmp_path, "a"), clip(tmp_path, "bb")]).batch(7)
    assert batch.blurry.shape == batch.sharp.shape == (3, 4, 3, 32, 32)
    assert batch.blurry.dtype == torch.float32
    for item, origin in enumerate(batch.origin):
        start = int(origin.split("[")[1].split(":")[0])
        for side in (batch.blurry, batch.sharp):
            numbers = (side[item, :, 2] * 255).round()
            assert torch.equal(numbers, torch.arange(start, start + 4.0)[:, None, None].expand(4, 32, 32))


def test_both_sides_are_cropped_and_turned_alike(tmp_path):
    one = clip(tmp_path, "a")
    batch = source([Clip("a", one.sharp, one.sharp)]).batch(0)
    assert torch.equal(batch.blurry, batch.sharp)


def test_batches_are_a_function_of_seed_and_step(tmp_path):
    clips = [clip(tmp_path, "a")]
    one, two = source(clips, noise=2.0), source(clips, noise=2.0)
    two.batch(0)
    assert torch.equal(one.batch(3).blurry, two.batch(3).blurry)
    assert not torch.equal(one.batch(3).blurry, one.batch(4).blurry)
    assert not torch.equal(one.batch(3).blurry, source(clips, noise=2.0, seed=6).batch(3).blurry)


def test_noise_is_on_the_blurry_side_only_and_as_strong_as_asked(tmp_path):
    one = clip(tmp_path, "a")
    made = source([Clip("a", one.sharp, one.sharp)], noise=2.0, batch=40)
    batch = made.batch(0)
    spread = ((batch.blurry - batch.sharp) * 255).flatten(1).std(1)
    assert (batch.sharp * 255 - (batch.sharp * 255).round()).abs().max() < 1e-4
    assert 1.0 < float(spread.mean()) < 2.3  # E|N(0, 2^2)| = 1.6
    assert float(spread.std()) > 0.5


def test_turn_reaches_all_eight_symmetries():
    image = torch.arange(12, dtype=torch.uint8).reshape(1, 3, 2, 2)
    drawn = {draw_symmetry(np.random.default_rng(n)) for n in range(100)}
    assert len(drawn) == 8 == len({turn(image, *symmetry).numpy().tobytes() for symmetry in drawn})
    assert turn(image, True, 0)[0, 0].tolist() == [[1, 0], [3, 2]]
    assert turn(image, False, 1)[0, 0].tolist() == [[1, 3], [0, 2]]


def test_both_sides_of_a_clip_are_turned_alike(tmp_path):
    one = clip(tmp_path, "a")
    made = source([Clip("a", one.sharp, one.sharp)], batch=16).batch(0)
    assert torch.equal(made.blurry, made.sharp)


def test_without_turns_a_crop_is_as_the_file_has_it(tmp_path):
    one = clip(tmp_path, "a")
    made = source([one], turned=False, batch=8).batch(0)
    for item, origin in enumerate(made.origin):
        start = int(origin.split("[")[1].split(":")[0])
        x, y = (int(n) for n in origin.split("(")[1].rstrip(")").split(", "))
        for side, files in ((made.blurry, one.blurry), (made.sharp, one.sharp)):
            expected = read_frame(files.paths[start])[y : y + 32, x : x + 32]
            assert np.array_equal((side[item, 0] * 255).round().permute(1, 2, 0).numpy(), expected)


def test_frames_are_decoded_once_as_long_as_memory_allows(tmp_path, monkeypatch):
    one, read = clip(tmp_path, "a"), []
    monkeypatch.setattr(sources, "read_frame", lambda path: read.append(path) or read_frame(path))
    made = source([one])
    batches = [made.batch(step) for step in range(6)]
    assert len(read) == len(set(read)) == 12 and made.decoded.bytes == 12 * 40 * 48 * 3
    little = source([one])
    little.decoded.most = 3 * 40 * 48 * 3
    again = [little.batch(step) for step in range(6)]
    assert len(read) > 12 + 24 and little.decoded.bytes == little.decoded.most
    assert all(torch.equal(one.blurry, two.blurry) for one, two in zip(batches, again, strict=True))


def test_crops_larger_than_frames_and_clips_too_short_are_refused(tmp_path):
    clips = [clip(tmp_path, "a")]
    with pytest.raises(UsageError, match=r"48x40 pixels, smaller than the crop of 64.*crop=32"):
        source(clips, crop=64).batch(0)
    with pytest.raises(UsageError, match="the longest has 6"):
        source(clips, frames=7)


def test_an_epoch_shows_as_many_frames_as_there_are(tmp_path):
    assert source([clip(tmp_path, "a"), clip(tmp_path, "bb", frames=7)], batch=1).steps_per_epoch == 4


def test_ahead_keeps_the_order_and_works_in_the_background():
    class Slow:
        threads: set = set()  # noqa: RUF012

        def batch(self, step):
            time.sleep(0.02 if step % 2 else 0.0)
            self.threads.add(threading.current_thread().name)
            return step

    ahead = Ahead(Slow(), 3, workers=2)
    assert [ahead.next() for _ in range(6)] == [3, 4, 5, 6, 7, 8]
    assert all(name.startswith("batches") for name in Slow.threads)
    ahead.close()


def test_processes_share_out_the_batches():
    class Steps:
        def batch(self, step):
            return step

    walks = [Ahead(Steps(), 2, rank=rank, world=2) for rank in (0, 1)]
    assert [[w.next() for _ in range(2)] for w in walks] == [[4, 6], [5, 7]]


class Darker(FrameMethod):
    def restore_frame(self, frame):
        assert frame.shape == (3, 24, 32)
        return frame - 1 / 255


def test_validation_pads_rounds_and_compares_with_the_input():
    frame = np.full((20, 30, 3), 100, np.uint8)
    held = [Held("a", (frame, frame, frame), (frame - 9, frame - 1, frame - 3), scored=(1, 2))]
    found = validate(Darker(), held, needs=Needs(multiple_of=8))
    expected = (99 + psnr(2.0**2)) / 2
    assert found.psnr == pytest.approx(expected)
    assert found.identity == pytest.approx((10 * np.log10(255**2) + 10 * np.log10(255**2 / 9)) / 2)
    assert found.pooled == pytest.approx(psnr((0 + 4) / 2)) and found.pooled_identity == pytest.approx(psnr(5.0))
    assert found.frames == 2


def test_average_forgets_its_start_and_is_taken_out_again():
    network = torch.nn.Linear(1, 1, bias=False)
    average = Average(network, 0.9)
    for step in range(200):
        torch.nn.init.constant_(network.weight, 2.0 if step else 50.0)
        average.update(network, step)
    torch.nn.init.constant_(network.weight, 7.0)
    with average.inside(network):
        assert float(network.weight.detach()) == pytest.approx(2.0, abs=1e-3)
    assert float(network.weight.detach()) == 7.0
