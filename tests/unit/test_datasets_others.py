"""DVD, REDS, BSD and folders of frames or videos, each in its real layout."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from deblurbench.datasets.base import Found
from deblurbench.datasets.headers import check_clip, clip_size
from deblurbench.datasets.opening import open_dataset
from deblurbench.errors import MissingError
from deblurbench.evaluation.plan import make_plan
from deblurbench.registry.discovery import plugin
from deblurbench.results.manifest import Request
from tests import fakes


def find(root: Path, name: str) -> Found:
    dataset, protocol = open_dataset(name, str(root))
    return dataset.find(protocol)


def names(found: Found) -> dict[str, list[str]]:
    return {split: [clip.name for clip in clips] for split, clips in found.splits.items()}


def sound(found: Found) -> bool:
    return not any(clip.problems or check_clip(clip) for clips in found.splits.values() for clip in clips)


@pytest.mark.parametrize("layout", ["archive", "flat"])
def test_dvd_takes_its_split_from_the_card(tmp_path: Path, layout):
    found = find(fakes.write_dvd(tmp_path, layout=layout), "dvd")
    assert names(found) == {"test": ["720p_240fps_2", "IMG_0030"], "train": ["IMG_0009"]}
    assert found.splits["train"][0].stems[0] == "00030"
    assert found.notes == ("ground truth is JPEG, as released",)
    assert sound(found)


def test_dvd_sorted_into_splits(tmp_path: Path):
    found = find(fakes.write_dvd(tmp_path, clips=["IMG_0030", "IMG_0003"], layout="split"), "dvd:su30")
    assert names(found) == {"test": ["IMG_0003", "IMG_0030"]}


def test_dvd_passes_over_clips_without_ground_truth(tmp_path: Path):
    root = fakes.write_dvd(tmp_path, clips=["IMG_0030", "bicycle"], layout="flat")
    shutil.rmtree(root / "bicycle" / "GT")
    assert names(find(root, "dvd")) == {"test": ["IMG_0030"]}
    shutil.rmtree(root / "IMG_0030" / "GT")
    assert "no folder 'GT'" in find(root, "dvd").splits["test"][0].problems[0]
    shutil.rmtree(root / "IMG_0030")
    with pytest.raises(MissingError, match="no clip with ground truth"):
        find(root, "dvd")


def test_dvd_renumbered(tmp_path: Path):
    root = tmp_path / "IMG_0009"
    made = fakes.make_clip("x", 3)
    for side, frames in (("input", made.linear), ("GT", made.sharp)):
        fakes.write_frames(root / side, frames, 0, digits=5, suffix=".jpg")
    assert any("renumbered" in note for note in find(tmp_path, "dvd").notes)


def test_the_cards_are_the_releases():
    counts = {}
    for name in ("dvd", "reds"):
        for split, clips in plugin("datasets", name).card.splits.items():
            counts[name, split] = (len(clips), sum(c.frames for c in clips))
    assert counts == {
        ("dvd", "train"): (61, 5708), ("dvd", "test"): (10, 1000),
        ("reds", "train"): (240, 24000), ("reds", "val"): (30, 3000),
    }  # fmt: skip
    card = plugin("datasets", "dvd").card
    scored = {p.name: sum(len(p.scored(c.frames)) for c in card.splits["test"]) for p in card.protocols}
    assert scored == {"dvd": 950, "dvd:all": 1000, "dvd:su30": 300}
    assert {p.name: p.alignment for p in card.protocols}["dvd:su30"] == "koehler"


@pytest.mark.parametrize("inner", [True, False])
@pytest.mark.parametrize("x4", [True, False])
@pytest.mark.parametrize("holder", [True, False])
def test_reds(tmp_path: Path, inner, x4, holder):
    root = fakes.write_reds(tmp_path / "REDS", x4=x4, inner=inner)
    found = find(tmp_path if holder else root, "reds:x4" if x4 else "reds")
    assert names(found) == {"val": ["000", "001"]}
    assert found.splits["val"][0].stems[0] == "00000000"
    assert found.splits["val"][0].released == 100
    assert sound(found)


def test_reds_of_the_other_size_is_named(tmp_path: Path):
    with pytest.raises(MissingError, match="run --dataset reds:x4"):
        find(fakes.write_reds(tmp_path / "a", x4=True), "reds")
    with pytest.raises(MissingError, match=r"run --dataset reds\."):
        find(fakes.write_reds(tmp_path / "b"), "reds:x4")


def test_reds4_is_four_clips_of_train():
    protocol = plugin("datasets", "reds").card.protocol("reds4")
    assert (protocol.split, protocol.clips) == ("train", ("000", "011", "015", "020"))


def test_reds_without_sharp_frames_is_a_problem_but_for_test(tmp_path: Path):
    root = fakes.write_reds(tmp_path, clips=["000"])
    shutil.rmtree(root / "val" / "val_sharp")
    assert "no sharp frames" in find(root, "reds").splits["val"][0].problems[0]
    fakes.write_reds(root, "test", clips=["000"])
    shutil.rmtree(root / "test" / "test_sharp")
    (clip,) = find(root, "reds").splits["test"]
    assert (clip.sharp, clip.problems) == (None, ())


@pytest.mark.parametrize("root", [".", "BSD_3ms24ms"])
def test_bsd(tmp_path: Path, root):
    fakes.write_bsd(tmp_path, "3ms24ms")
    found = find(tmp_path / root, "bsd:3ms24ms")
    assert names(found) == {"test": ["001", "002"]}
    assert sound(found)
    with pytest.raises(MissingError, match="BSD_1ms8ms"):
        find(tmp_path / root, "bsd:1ms8ms")


def test_bsd_names_the_exposures_that_are_there_and_reads_no_raw(tmp_path: Path):
    root = fakes.write_bsd(tmp_path, "2ms16ms", clips=["001"])
    with pytest.raises(MissingError, match="There: BSD_2ms16ms"):
        find(root, "bsd:1ms8ms")
    clip = root / "BSD_2ms16ms" / "test" / "001" / "Blur"
    (clip / "RGB").rename(clip / "RAW")
    assert "Blur/RGB" in find(root, "bsd").splits["test"][0].problems[0]


def test_bsd_of_the_older_archive_is_noted(tmp_path: Path):
    root = fakes.write_bsd(tmp_path, "2ms16ms", clips=["001"], frames=100, size=(16, 12))
    assert any("older archive" in note for note in find(root, "bsd").notes)


@pytest.mark.parametrize(
    ("sides", "clips", "expected"),
    [
        (("blur", "sharp"), ("one", "two"), ["one", "two"]),
        (("Input", "GT"), ("clip 1", "clip 10", "clip 2"), ["clip 1", "clip 2", "clip 10"]),
        (("blurry", "target"), (), ["data"]),
    ],
)
@pytest.mark.parametrize("video", [False, True])
def test_folder_pairs(tmp_path: Path, sides, clips, expected, video):
    if video and not clips:
        pytest.skip("a video is always named")
    root = fakes.write_folder(tmp_path / "data", *sides, clips=clips, frames=3, video=video)
    found = find(root, "folder")
    assert names(found) == {"all": expected}
    clip = found.splits["all"][0]
    made = fakes.make_clip(clips[0] if clips else "", 3)
    assert all(np.array_equal(a, b) for a, b in zip(clip.blurry, made.linear, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(clip.sharp, made.sharp, strict=True))
    assert sound(found) and clip_size(clip) == (64, 48)


@pytest.mark.parametrize("video", [False, True])
def test_clips_named_in_composed_and_decomposed_unicode_are_one(tmp_path: Path, video):
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    root = fakes.write_folder(tmp_path / "data", "blur", "sharp", clips=(composed, "two"), frames=2, video=video)
    (theirs,) = (root / "sharp").glob(f"{composed}*")
    theirs.rename(theirs.with_name(theirs.name.replace(composed, decomposed)))
    found = find(root, "folder")
    assert names(found) == {"all": [composed, "two"]} and sound(found)
    clip = found.splits["all"][0]
    made = fakes.make_clip(composed, 2)
    assert all(np.array_equal(a, b) for a, b in zip(clip.sharp, made.sharp, strict=True))
    for asked in (composed, decomposed):
        plan = make_plan(Request(methods=["identity"], dataset="folder", data_root=str(root), clips=[asked]))
        assert [planned.clip.name for planned in plan.clips] == [composed]


def test_clips_that_differ_in_their_unicode_alone_are_two(tmp_path: Path):
    both = ["cafe\u0301", "caf\u00e9"]
    assert names(find(fakes.write_folder(tmp_path, clips=both, frames=2), "folder")) == {"all": both}


def test_decomposed_clips_with_their_sides_inside(tmp_path: Path):
    fakes.write_gopro(tmp_path, "one-split", ["cafe\u0301"], frames=2, blur=["blur"])
    found = find(tmp_path, "folder")
    assert names(found) == {"all": ["caf\u00e9"]} and sound(found)


def test_folder_with_sides_inside_the_clips(tmp_path: Path):
    root = fakes.write_gopro(tmp_path, "one-split", blur=["blur"])
    found = find(root, "folder")
    assert names(found) == {"all": sorted(fakes.GOPRO_CLIPS)}
    assert sound(found) and all(clip.sharp for clip in found.splits["all"])


@pytest.mark.parametrize("video", [False, True])
@pytest.mark.parametrize("blurry", [None, "blur"])
def test_folder_of_blurry_frames_alone(tmp_path: Path, video, blurry):
    root = fakes.write_folder(tmp_path, blurry, None, frames=2, video=video)
    found = find(root, "folder")
    assert (found.layout, names(found)) == ("blurry alone", {"all": ["one", "two"]})
    assert all(clip.sharp is None and not clip.problems for clip in found.splits["all"])
    assert "not scored" in found.notes[0]


def test_folder_of_frames_directly_and_a_video_as_root(tmp_path: Path):
    fakes.write_frames(tmp_path / "shots", fakes.make_clip("x", 2).linear)
    assert names(find(tmp_path / "shots", "folder")) == {"all": ["shots"]}
    fakes.write_folder(tmp_path / "v", None, None, clips=["one"], frames=2, video=True)
    assert names(find(tmp_path / "v" / "one.mkv", "folder")) == {"all": ["one"]}


def test_folder_of_one_video_a_side(tmp_path: Path):
    root = fakes.write_folder(tmp_path, None, None, clips=["blurry", "sharp"], frames=2, video=True)
    (clip,) = find(root, "folder").splits["all"]
    assert clip.sharp is not None and len(clip) == 2


def test_folder_faults_are_per_clip(tmp_path: Path):
    root = fakes.write_folder(tmp_path, clips=["one", "two"], frames=3, video=True)
    fakes.write_folder(root, sharp=None, clips=["three"], frames=2)
    (root / "sharp" / "two.mkv").unlink()
    fakes.write_folder(root, clips=["four"], frames=2, video=True)
    shutil.copy(root / "blur" / "one.mkv", root / "blur" / "four.mkv")
    (root / "blur" / "five.mp4").write_bytes(b"no video")
    shutil.copy(root / "blur" / "five.mp4", root / "sharp" / "five.mp4")
    problems = {clip.name: " ".join(clip.problems) for clip in find(root, "folder").splits["all"]}
    assert problems.pop("one") == ""
    assert "no clip 'two'" in problems["two"] and "no clip 'three'" in problems["three"]
    assert "has 3 frames and its sharp twin 2" in problems["four"]
    assert "not a video" in problems["five"]


def test_sides_that_share_no_clip_are_told_once(tmp_path: Path):
    root = fakes.write_folder(tmp_path, clips=["one", "two"], frames=2)
    for name in ("one", "two"):
        (root / "blur" / name).rename(root / "blur" / f"b-{name}")
    with pytest.raises(MissingError, match=r"blur \(b-one, b-two\) has a namesake in .*sharp \(one, two\)\. Clips are"):
        find(root, "folder")


def test_frames_of_other_names_are_no_gap_in_the_numbering(tmp_path: Path):
    root = fakes.write_folder(tmp_path, clips=["one"], frames=3)
    for side in ("blur", "sharp"):
        for file in sorted((root / side / "one").iterdir()):
            file.rename(file.with_name(f"{side}_{file.name}"))
    (problem,) = find(root, "folder").splits["all"][0].problems
    assert "no blurry frame has a sharp namesake" in problem
    for side in ("blur", "sharp"):
        (root / side / "one" / f"{side}_000001.png").rename(root / side / "one" / f"{side}_000007.png")
    assert len(find(root, "folder").splits["all"][0].problems) == 3  # each side's own gap is told


def test_an_empty_folder(tmp_path: Path):
    with pytest.raises(MissingError, match="no frame and no video"):
        find(tmp_path, "folder")


def test_frames_of_a_folder_may_skip_numbers_evenly_but_not_once(tmp_path: Path):
    frames = fakes.make_clip("x", 5).linear
    for position, frame in enumerate(frames):
        fakes.write_frames(tmp_path / "even" / "c", [frame], position * 5)
    assert find(tmp_path / "even", "folder").splits["all"][0].problems == ()
    fakes.write_frames(tmp_path / "gap" / "c", frames[:3], 0)
    fakes.write_frames(tmp_path / "gap" / "c", frames[3:], 4)
    assert "gap in the numbering: 000003" in find(tmp_path / "gap", "folder").splits["all"][0].problems[0]
