"""The synthesiser: exposure formulas, trajectories, scenes, shares, and that a batch follows from its seed and step."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from deblurbench.datasets.base import absolute_roots
from deblurbench.datasets.opening import open_dataset
from deblurbench.datasets.synthesis.dice import Dice
from deblurbench.datasets.synthesis.exposure import Exposure, average
from deblurbench.datasets.synthesis.photos import Photo, find_photos, load_photos, share_of, shares
from deblurbench.datasets.synthesis.recipe import Recipe
from deblurbench.datasets.synthesis.rendered import PlannedClip, is_whole, make_once, shoot
from deblurbench.datasets.synthesis.scene import draw_scene
from deblurbench.datasets.synthesis.source import TrainingSource
from deblurbench.datasets.synthesis.trajectory import shake
from deblurbench.errors import MissingError, UsageError
from deblurbench.frames.images import write_png
from deblurbench.registry import discovery


def picture(seed: int = 0, height: int = 300, width: int = 400) -> np.ndarray:
    """A busy picture: smooth noise at two scales."""
    rng = np.random.default_rng(seed)
    coarse = np.kron(rng.integers(0, 256, (height // 20, width // 20, 3)), np.ones((20, 20, 1)))
    return ((coarse + rng.integers(0, 256, (height, width, 3))) / 2).astype(np.uint8)


@pytest.fixture(scope="module")
def photos() -> list[Photo]:
    return [Photo.of(f"p{seed}", picture(seed)) for seed in range(3)]


def source(photos: list[Photo], **changed) -> TrainingSource:
    return TrainingSource(photos, Recipe().changed(changed), batch=2, frames=2, crop=32, seed=5)


@pytest.mark.parametrize("kind", ["gamma", "linear"])
def test_exposure_equals_a_direct_transcription(kind):
    frames = np.random.default_rng(1).integers(0, 256, (7, 5, 6, 3)).astype(np.uint8)
    x = frames / 255.0
    expected = x.mean(0) if kind == "linear" else np.power(np.power(x, 2.2).mean(0), 1 / 2.2)
    shutter = Exposure(kind)
    for frame in frames:
        shutter.add(frame)
    assert shutter.result().dtype == np.uint8
    assert np.array_equal(shutter.result(), np.rint(expected * 255).astype(np.uint8))
    assert torch.allclose(average(torch.from_numpy(x), kind, dim=0), torch.from_numpy(expected), atol=1e-12)


def test_an_exposure_of_equal_frames_is_that_frame():
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    for kind in ("gamma", "linear"):
        shutter = Exposure(kind)
        for _ in range(11):
            shutter.add(ramp)
        assert np.array_equal(shutter.result(), ramp)


def test_an_exposure_refuses_nothing_and_unknown_kinds():
    with pytest.raises(UsageError, match="at least one frame"):
        Exposure("linear").result()
    with pytest.raises(UsageError, match="'gamma', 'linear'"):
        Exposure("median")  # type: ignore[arg-type]


def test_dice_are_pinned_for_ever():
    dice = Dice(1, 2, 3)
    assert [round(dice.uniform(), 9) for _ in range(3)] == [0.670472263, 0.111014637, 0.511509082]
    assert {Dice(0, i).integer(2, 4) for i in range(60)} == {2, 3, 4}


def test_a_trajectory_is_smooth_and_as_fast_as_asked():
    for seed in range(20):
        path = shake(Dice(seed), count=12 * 11, window=11, speed=8.0, radius=180.0)
        velocity = np.stack([np.diff(path.x), np.diff(path.y)])
        steps = np.hypot(*velocity)
        assert abs(steps.mean() * 11 - 8.0) < 0.8
        # 12 Hz at 240 fps turns by 18 degrees a sub-frame: the velocity cannot jump by more than about a third
        assert np.hypot(*np.diff(velocity)).max() < 0.45 * steps.max()


def test_sharp_is_the_middle_subframe_and_blur_the_mean(photos):
    scene = draw_scene(Dice(4), photos, Recipe(windows=(9,)), 3, 40, 56, torch.float64)
    subframes = scene.render(0, len(scene)).mul(255).round().byte().permute(0, 2, 3, 1).numpy()
    for number, shot in enumerate(shoot(scene)):
        window = subframes[number * 9 : number * 9 + 9]
        assert np.array_equal(shot.sharp, window[4])
        assert np.array_equal(shot.blur, np.rint(window.astype(np.float64).sum(0) / 9).astype(np.uint8))
    assert number == 2


def test_a_still_camera_shows_the_photograph_itself(photos):
    recipe = Recipe(speed=(1e-9, 1e-9), windows=(7,), objects=(0, 0), shrink=(1, 1), oversample=1, gained=0)
    scene = draw_scene(Dice(0), photos[:1], recipe, 1, 40, 60, torch.float64)
    frame = scene.render(0, 1)[0].mul(255).round()
    pixels = photos[0].pixels.double()
    both = (pixels, pixels.flip(-1))
    corner = frame[:, 0, 0, None, None]
    places = [
        (side, y, x) for side in both for y, x in ((side[:, :-39, :-59] - corner).abs().amax(0) <= 1).nonzero().tolist()
    ]
    assert any(float((side[:, y : y + 40, x : x + 60] - frame).abs().max()) <= 1 for side, y, x in places)


def test_there_are_no_holes_even_where_the_photograph_is_too_small(photos):
    bright = [Photo.of("bright", np.maximum(picture(9, 100, 100), 90))]
    for seed in range(6):
        scene = draw_scene(Dice(seed), bright, Recipe(speed=(60.0, 60.0), objects=(2, 2), gained=0), 4, 96, 96)
        assert float(scene.render(0, len(scene)).min()) > 60 / 255


def test_objects_have_soft_edges(photos):
    recipe = Recipe(objects=(1, 1), object_size=(0.3, 0.3), edge=(3.0, 3.0))
    scene = draw_scene(Dice(2), photos, recipe, 1, 64, 64)
    alpha = scene.objects[0].picture[3]
    steps = torch.maximum(alpha.diff(dim=0).abs().max(), alpha.diff(dim=1).abs().max())
    assert alpha.max() == 1 and alpha[0].max() == alpha[:, 0].max() == 0
    assert steps < 0.6


def test_a_batch_follows_from_seed_and_step_alone(photos):
    first, again = source(photos), source(photos)
    again.batch(3)
    one, two = first.batch(7), again.batch(7)
    assert torch.equal(one.blurry, two.blurry) and torch.equal(one.sharp, two.sharp) and one.origin == two.origin
    assert not torch.equal(one.blurry, first.batch(8).blurry)
    other = TrainingSource(photos, Recipe(), batch=2, frames=2, crop=32, seed=6)
    assert not torch.equal(one.sharp, other.batch(7).sharp)


def test_exposures_rendered_together_are_those_rendered_singly(photos):
    """On a GPU all exposures of a clip are rendered at once."""
    singly, together = (source(photos, objects=(2, 2), noise=0.0) for _ in range(2))
    singly.frames = together.frames = 5
    together.together = 3  # the last two are fewer
    one, two = singly.batch(4), together.batch(4)
    for first, second in ((one.blurry, two.blurry), (one.sharp, two.sharp)):
        assert first.shape == second.shape == (2, 5, 3, 32, 32)
        assert (first - second).abs().max() <= 1.001 / 255  # rounding
        assert (first != second).float().mean() < 0.01
    assert not torch.allclose(one.blurry[:, 0], one.blurry[:, 4], atol=0.05)


def test_held_out_clips_are_spread_over_photographs_and_speeds(photos):
    held = TrainingSource(photos, Recipe().changed({"speed": [2, 32]}), batch=2, frames=1, crop=32, seed=5, spread=True)
    origins = [origin for step in range(4) for origin in held.batch(step).origin]
    assert [origin.split()[0] for origin in origins] == ["p0", "p1", "p2", "p0", "p1", "p2", "p0", "p1"]
    speeds = sorted(float(origin.split("speed ")[1].split()[0]) for origin in origins)
    assert speeds == pytest.approx([2 * 16 ** (k / 8) for k in range(8)], abs=0.06)


def test_a_batch_holds_8_bit_values_of_the_right_shape(photos):
    batch = source(photos).batch(0)
    for side in (batch.blurry, batch.sharp):
        assert side.shape == (2, 2, 3, 32, 32) and side.dtype == torch.float32
        assert torch.equal(side.mul(255).round() / 255, side)
        assert side.min() >= 0 and side.max() <= 1
    assert len(batch.origin) == 2 and "seed 5/0/1" in batch.origin[1]


def test_more_speed_is_more_blur(photos):
    errors = []
    for speed in (1.0, 5.0, 25.0):
        batch = source(photos, speed=(speed, speed), noise=0.0, objects=(0, 0)).batch(0)
        errors.append(float((batch.blurry - batch.sharp).square().mean()))
    assert errors[0] < errors[1] < errors[2]


def test_fast_clips_take_the_longer_windows():
    assert Recipe().windows_for(3.0) == (7, 9, 11, 13)
    assert Recipe().windows_for(26.0) == (11, 13)
    assert Recipe().windows_for(99.0) == (13,)


def test_an_unknown_setting_is_refused_with_the_nearest_name():
    with pytest.raises(UsageError, match="Did you mean 'shrink'"):
        Recipe().changed({"shrnk": [1, 2]})


@pytest.mark.parametrize(
    "bad",
    [
        {"speed": 3},
        {"speed": [5, 2]},
        {"speed": [0, 2]},
        {"windows": []},
        {"looks": 0},
        {"kinds": ["foo"]},
        {"noise": -1},
    ],
)
def test_values_that_the_synthesiser_cannot_have_are_named(bad):
    with pytest.raises(UsageError, match=f"setting '{next(iter(bad))}"):
        Recipe().changed(bad)


def test_shares_are_disjoint_and_stable():
    names = [f"photo-{number}" for number in range(200)]
    dealt = shares(names)
    assert sorted(name for members in dealt.values() for name in members) == sorted(names)
    assert all(share_of(name) == share for share, members in dealt.items() for name in members)
    assert 130 < len(dealt["train"]) < 190
    few = shares(["a", "b", "c"])
    assert sorted(len(members) for members in few.values()) == [1, 1, 1]


def test_sizes_of_one_picture_are_one_photograph(tmp_path):
    for name, size in (("sea/images/400x300", 300), ("sea/images/640x480", 480), ("hill_800x600", 320), ("hill", 300)):
        file = tmp_path / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_png(file, picture(1, size, size))
    found = find_photos([tmp_path])
    assert {name: path.name for name, path in found.items()} == {
        "hill": "hill_800x600.png",
        "sea/images": "640x480.png",
    }


def test_unfit_photographs_are_passed_over(tmp_path):
    write_png(tmp_path / "good.png", picture())
    write_png(tmp_path / "small.png", picture(0, 100, 100))
    write_png(tmp_path / "flat.png", np.full((300, 300, 3), 90, np.uint8))
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "empty.jpg").write_bytes(b"")
    assert [photo.name for photo in load_photos(find_photos([tmp_path]))] == ["good"]
    (tmp_path / "good.png").unlink()
    with pytest.raises(MissingError, match="at least 280 pixels"):
        load_photos(find_photos([tmp_path]))


def test_clips_are_made_once_and_again_when_damaged(tmp_path, photos):
    drawn = []

    def draw():
        drawn.append(1)
        return draw_scene(Dice(1), photos, Recipe(windows=(7,)), 2, 24, 32, torch.float64)

    folder, plan = tmp_path / "cache" / "v1", [PlannedClip("test", "one", 2, draw)]
    make_once(folder, plan)
    make_once(folder, plan)
    assert len(drawn) == 1 and is_whole(folder)
    frame = folder / "test" / "one" / "blur" / "000001.png"
    before = frame.read_bytes()
    frame.write_bytes(before[:-9])
    assert not is_whole(folder)
    make_once(folder, plan)
    assert len(drawn) == 2 and frame.read_bytes() == before
    assert [entry.name for entry in folder.parent.iterdir() if entry.is_dir()] == ["v1"]


def test_a_refused_rendering_leaves_nothing(tmp_path, photos):
    def refuse(folder):
        raise MissingError("no")

    plan = [PlannedClip("test", "one", 1, lambda: draw_scene(Dice(1), photos, Recipe(), 1, 24, 32))]
    with pytest.raises(MissingError):
        make_once(tmp_path / "v1", plan, refuse)
    assert [entry for entry in tmp_path.iterdir() if entry.is_dir()] == []


def test_the_synth_dataset_renders_test_clips_from_photographs_that_training_never_sees(tmp_path, monkeypatch):
    monkeypatch.setenv("DEBLURBENCH_CACHE", str(tmp_path / "cache"))
    for seed in range(6):
        write_png(tmp_path / "photos" / f"{seed}.png", picture(seed))
    plugin = discovery.plugin("datasets", "synth")
    dataset = plugin.load()(plugin.card, tmp_path / "photos", clips=2, frames=2, width=48, height=32)
    protocol = plugin.card.protocol("all")
    clips = dataset.clips(protocol)
    assert [(clip.name, len(clip)) for clip in clips] == [("test-001", 2), ("test-002", 2)]
    assert next(iter(clips[0].blurry)).shape == (32, 48, 3)
    assert len(dataset.clips(protocol, "valid")) == 2
    seen = {photo.name for photo in dataset.training_source(protocol, batch=1, frames=1, crop=32, seed=0).photos}
    assert seen and not seen & (set(dataset.photographs("test")) | set(dataset.photographs("valid")))


def test_synth_needs_three_photographs(tmp_path):
    write_png(tmp_path / "one.png", picture())
    plugin = discovery.plugin("datasets", "synth")
    with pytest.raises(MissingError, match="1 photograph"):
        plugin.load()(plugin.card, tmp_path).find(plugin.card.protocol(None))


def test_photographs_may_lie_in_several_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for seed, folder in enumerate(("one", "one", "two", "two")):
        write_png(tmp_path / folder / f"{seed}.png", picture(seed))
    joined = absolute_roots(f"one{os.pathsep}two")
    assert joined == f"{tmp_path / 'one'}{os.pathsep}{tmp_path / 'two'}"
    dataset, _ = open_dataset("synth", joined)
    shared = [dataset.photographs(share) for share in ("train", "valid", "test")]
    assert sorted(file.stem for share in shared for file in share.values()) == ["0", "1", "2", "3"]
    with pytest.raises(MissingError, match=r"three does not exist"):
        open_dataset("synth", f"one{os.pathsep}three")
    with pytest.raises(MissingError, match=r"one:.*two does not exist"):
        open_dataset("gopro", joined)
