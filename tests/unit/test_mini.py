"""The embedded dataset: its manifest, its card, disjoint photographs, and one clip rendered against the manifest."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from deblurbench.datasets.synthesis.rendered import PlannedClip, make_once
from deblurbench.errors import MissingError
from deblurbench.registry import discovery

Mini = discovery.plugin("datasets", "mini").load()
mini = sys.modules[Mini.__module__]
manifest = sys.modules["deblurbench.datasets.mini.manifest"]
CARD = discovery.plugin("datasets", "mini").card


def render(folder, clip):
    make_once(folder, [PlannedClip("test", clip.name, mini.FRAMES, lambda: mini.draw(clip, "test"))])
    return folder / "test"


def test_manifest_and_card_and_recipes_name_the_same_clips():
    published = manifest.read_manifest()
    assert list(published) == [clip.name for clip in CARD.splits["test"]] == [clip.name for clip in mini.TEST]
    assert len(published) == 8
    for entry, released in zip(published.values(), CARD.splits["test"], strict=True):
        assert (entry["frames"], entry["width"], entry["height"]) == (12, 320, 180)
        assert released.frames == 12
        assert sorted(entry["sha256"]) == ["blur", "blur_gamma", "sharp"]


def test_every_clip_is_as_hard_as_gopro():
    for name, entry in manifest.read_manifest().items():
        assert 23 <= entry["psnr"]["blur_gamma"] <= 28, name
        assert entry["psnr"]["blur"] > entry["psnr"]["blur_gamma"], name


def test_photographs_of_the_shares_are_disjoint():
    shares = list(mini.PHOTOGRAPHS.values())
    names = [name for share in shares for name in share]
    assert len(names) == len(set(names))
    assert {clip.photograph for clip in mini.TEST} <= set(mini.PHOTOGRAPHS["test"])
    assert {clip.photograph for clip in mini.VALID} <= set(mini.PHOTOGRAPHS["valid"])
    assert not any("motorcycle" in name for name in (*mini.PHOTOGRAPHS["train"], *mini.PHOTOGRAPHS["valid"]))
    assert all(name.endswith(".png") for name in mini.PHOTOGRAPHS["test"])  # no lossy decoder decides test pixels


def test_protocols_score_what_they_say():
    assert [len(CARD.protocol(name).scored(12)) for name in (None, "linear", "all")] == [7, 7, 12]


def test_one_clip_is_the_manifests_bit_for_bit_with_one_and_two_threads(tmp_path):
    clip = mini.TEST[1]
    published = {clip.name: manifest.read_manifest()[clip.name]}
    notes = manifest.check(render(tmp_path / "a", clip), published)
    if notes:
        pytest.xfail(f"another platform: {notes[0]}")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        scene = mini.draw(clip, "test")
        two = scene.render(0, scene.window)
        torch.set_num_threads(1)
        assert torch.equal(two.mul(255).round(), scene.render(0, scene.window).mul(255).round())
    finally:
        torch.set_num_threads(before)


def test_other_rounding_is_noted_and_other_data_refused(tmp_path):
    clip = mini.TEST[1]
    folder = render(tmp_path / "a", clip)
    made = manifest.describe(folder / clip.name)
    rounded = {clip.name: {**made, "sha256": {**made["sha256"], "sharp": "0" * 64}}}
    assert "1 of 1 clips: astronaut-near" in manifest.check(folder, rounded)[0]
    other = {clip.name: {**rounded[clip.name], "psnr": {"blur": 30.0, "blur_gamma": 30.0}}}
    with pytest.raises(MissingError, match=r"input PSNR of 'blur' is .* constraints\.txt"):
        manifest.check(folder, other)


def test_training_sources_never_show_test_photographs():
    for share in ("train", "valid"):
        source = Mini(CARD, None).training_source(CARD.protocol(None), batch=1, frames=1, crop=32, seed=0, share=share)
        names = {photo.name for photo in source.photos}
        assert names and names <= set(mini.PHOTOGRAPHS[share])


@pytest.mark.slow
def test_the_whole_dataset_is_made_on_first_use_by_two_processes_at_once(tmp_path):
    code = (
        "from deblurbench.evaluation.plan import open_dataset\n"
        "dataset, protocol = open_dataset('mini', None)\n"
        "print(len(dataset.clips(protocol)), len(dataset.clips(protocol, 'valid')))\n"
    )
    environment = {**os.environ, "DEBLURBENCH_CACHE": str(tmp_path), "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [process.communicate(timeout=280)[0].split() for process in started] == [["8", "2"], ["8", "2"]]
