"""The pool of rendered clips: what a drawn clip is made of, that batches follow from the step, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from deblurbench.datasets.synthesis import pool as module
from deblurbench.datasets.synthesis.dice import Dice
from deblurbench.datasets.synthesis.photos import Photo
from deblurbench.datasets.synthesis.pool import GAMMA, LINEAR, SHARP, PooledSource, turned
from deblurbench.datasets.synthesis.recipe import Recipe
from deblurbench.datasets.synthesis.scene import draw_scene
from deblurbench.errors import UsageError

SIDE = 48


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("DEBLURBENCH_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def photos() -> list[Photo]:
    rng = np.random.default_rng(3)
    return [Photo.of(f"p{n}", rng.integers(0, 256, (300, 300, 3)).astype(np.uint8)) for n in range(2)]


def source(photos, recipe=None, batch=2, seed=5, **pool) -> PooledSource:
    pool = {"clips": 3, "frames": 4, "side": SIDE, "first": 3, "fresh": 0.5, **pool}
    return PooledSource(photos, Recipe().changed(recipe or {}), batch=batch, frames=2, crop=32, seed=seed, pool=pool)


def places(clip: np.ndarray, piece: torch.Tensor) -> list[tuple[int, int, int]]:
    """Where (T, 3, h, w) in [0, 1] stands in a clip's side (T, 3, H, W), in any direction and symmetry."""
    found = []
    wanted = piece.mul(255).round().byte()
    for whole in (clip, clip[::-1]):
        for mirrored in (whole, whole[..., ::-1]):
            for turns in range(4):
                view = torch.from_numpy(np.rot90(mirrored, turns, (-2, -1)).copy())
                windows = view.unfold(0, 2, 1).unfold(2, 32, 1).unfold(3, 32, 1)
                near = (windows[..., 0, 0, 0] == wanted[0, :, 0, 0].view(1, 3, 1, 1)).all(1).nonzero()
                found += [
                    tuple(at) for at in near.tolist()
                    if torch.equal(view[at[0] : at[0] + 2, :, at[1] : at[1] + 32, at[2] : at[2] + 32], wanted)
                ]  # fmt: skip
    return found


@pytest.mark.parametrize(("kind", "side"), [("linear", LINEAR), ("gamma", GAMMA)])
def test_a_drawn_clip_is_a_crop_of_a_rendered_one_turned_alike_on_both_sides(photos, kind, side):
    made = source(photos, {"noise": 0, "kinds": [kind]})
    batch = made.batch(0)
    for item in range(2):
        number = int(batch.origin[item].split()[1])
        clip = made.pool.clip(number, 0)
        sharp, blurry = (places(clip[:, s], part[item]) for s, part in ((SHARP, batch.sharp), (side, batch.blurry)))
        assert sharp and sharp == blurry


def test_a_pooled_clip_holds_what_its_scene_exposes(photos):
    made = source(photos, {"shutter": [0.5, 0.6], "windows": [9]})
    clip = made.pool.clip(1, 0)
    scene = draw_scene(Dice(0, module.STREAM, 1), photos, made.recipe, 4, SIDE, SIDE)
    assert scene.opened == 5
    inside = scene.render(2 * 9 + 2, 5).mul(255).round()
    assert np.array_equal(clip[2, SHARP], inside[2].byte().numpy())
    assert np.abs(clip[2, LINEAR] - inside.mean(0).numpy()).max() <= 0.5 + 1e-3
    light = (inside / 255).pow(2.2).mean(0).pow(1 / 2.2).mul(255).numpy()
    assert np.abs(clip[2, GAMMA] - light).max() <= 0.5 + 1e-3


def test_batches_follow_from_the_step_and_old_clips_are_replaced(photos):
    one = source(photos)
    late = [one.batch(step) for step in (0, 8, 9)]
    numbers = {int(origin.split()[1]) for origin in late[1].origin}
    assert numbers <= {4, 5, 6}  # 3 + 8 / 2 made, of which the pool holds three
    again = source(photos)  # finds the files of the first
    for step, batch in ((9, late[2]), (0, late[0]), (8, late[1])):
        other = again.batch(step)
        assert torch.equal(other.blurry, batch.blurry) and torch.equal(other.sharp, batch.sharp)
    assert not torch.equal(late[0].blurry, source(photos, seed=6).batch(0).blurry)


def test_a_clip_is_rendered_once_and_damaged_slots_are_rendered_again(photos, monkeypatch):
    made, rendered = source(photos), []
    render = made.pool._render
    monkeypatch.setattr(made.pool, "_render", lambda dice: rendered.append(dice.key) or render(dice))
    first = made.pool.clip(2, 0).copy()
    assert np.array_equal(made.pool.clip(2, 0), first) and len(rendered) == 1
    made.pool._held[2] = module.NONE  # as where a process ended while it wrote
    assert np.array_equal(made.pool.clip(2, 0), first) and len(rendered) == 2


def test_all_symmetries_and_both_directions_of_time_are_drawn():
    piece = torch.arange(2 * 9).view(2, 3, 3)
    seen = {tuple(turned(Dice(n), piece).flatten().tolist()) for n in range(300)}
    assert len(seen) == 16


@pytest.mark.parametrize(
    ("pool", "message"),
    [({"frames": 1}, "smaller than a step's"), ({"side": 31}, "smaller than a step's"), ({"clip": 3}, "pool.clip"),
     ({"clips": 0}, "pool.clips")],
)  # fmt: skip
def test_pools_that_cannot_be_are_refused(photos, pool, message):
    with pytest.raises(UsageError, match=message):
        source(photos, **pool)


def test_a_still_camera_leaves_the_background_and_moves_the_objects(photos):
    recipe = Recipe(still=1.0, speed=(20.0, 20.0), objects=(1, 1), object_speed=(1.0, 1.0), twist=(0, 0))
    scene = draw_scene(Dice(1), photos, recipe, 3, SIDE, SIDE)
    behind, front = (np.ptp(layer.maps[:, :, 2], axis=0).max() for layer in (scene.background, scene.objects[0]))
    assert behind < 1 < 10 < front
