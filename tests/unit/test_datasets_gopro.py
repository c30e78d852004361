"""GOPRO in each layout that users have, what is said about partial and damaged copies, and its blur kinds."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from deblurbench.datasets.base import Clip, Found
from deblurbench.datasets.headers import check_clip
from deblurbench.datasets.opening import open_dataset
from deblurbench.errors import MissingError
from deblurbench.frames.images import read_frame
from tests import fakes

LAYOUTS = ["original", "one-split", "input-target", "split-gt", "blur-gt", "split-blur-gt", "renumbered"]


def find(root: Path, name: str = "gopro") -> Found:
    dataset, protocol = open_dataset(name, str(root))
    return dataset.find(protocol)


def clip_of(root: Path, name: str = "gopro") -> Clip:
    return find(root, name).splits["test"][0]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("holder", [False, True], ids=["its own folder", "the folder that holds it"])
def test_each_layout_is_recognised(tmp_path: Path, layout, holder):
    root = fakes.write_gopro(tmp_path / "GOPRO_Large", layout)
    found = find(tmp_path if holder else root)
    clips = found.splits["test"]
    assert [clip.name for clip in clips] == sorted(fakes.GOPRO_CLIPS)
    assert found.root == root
    for clip in clips:
        assert (len(clip), clip.problems, check_clip(clip)) == (7, (), [])
        made = fakes.make_clip(clip.name, 7)
        assert all(np.array_equal(a, b) for a, b in zip(clip.blurry, made.gamma, strict=True))
        assert all(np.array_equal(a, b) for a, b in zip(clip.sharp, made.sharp, strict=True))


def test_the_protocol_chooses_the_blur_folder(tmp_path: Path):
    root = fakes.write_gopro(tmp_path)
    made = fakes.make_clip("GOPR0384_11_00", 7)
    assert np.array_equal(next(iter(clip_of(root, "gopro:linear").blurry)), made.linear[0])
    assert np.array_equal(next(iter(clip_of(root, "gopro:all").blurry)), made.gamma[0])


@pytest.mark.parametrize(
    ("asked", "there", "advice"),
    [
        ("gopro", "blur", "--dataset gopro:linear,"),
        ("gopro:all", "blur", "--dataset gopro:linear-all,"),
        ("gopro:linear", "blur_gamma", "--dataset gopro,"),
    ],
)
def test_only_the_other_blur_kind_names_the_protocol_that_fits(tmp_path: Path, asked, there, advice):
    root = fakes.write_gopro(tmp_path, blur=[there])
    with pytest.raises(MissingError) as caught:
        find(root, asked)
    assert advice in str(caught.value) and f"only '{there}'" in str(caught.value)


def test_one_clip_without_the_blur_kind_is_that_clips_problem(tmp_path: Path):
    root = fakes.write_gopro(tmp_path)
    shutil.rmtree(root / "test" / "GOPR0384_11_00" / "blur_gamma")
    first, *others = find(root).splits["test"]
    assert "no folder 'blur_gamma'" in first.problems[0]
    assert [clip.problems for clip in others] == [(), ()]


def test_a_layout_of_unknown_blur_kind_says_so(tmp_path: Path):
    notes = find(fakes.write_gopro(tmp_path, "input-target")).notes
    assert any("blur kind unknown" in note and "gamma" in note for note in notes)
    assert not any("unknown" in note for note in find(fakes.write_gopro(tmp_path / "two")).notes)


def test_renumbered_frames_are_noted(tmp_path: Path):
    assert any("renumbered" in note for note in find(fakes.write_gopro(tmp_path, "renumbered")).notes)
    original = fakes.write_gopro(tmp_path / "two", split="train")
    assert find(original).notes == ()


def test_train_and_test_are_told_apart_by_the_card_where_no_folder_does(tmp_path: Path):
    fakes.write_gopro(tmp_path, "blur-gt", split="train")
    fakes.write_gopro(tmp_path, "blur-gt", clips=["GOPR0384_11_00", "GOPR9999_11_00"])
    splits = find(tmp_path).splits
    assert {split: len(clips) for split, clips in splits.items()} == {"train": 2, "test": 1, "other": 1}


def test_released_counts_and_partial_clips(tmp_path: Path):
    clips = find(fakes.write_gopro(tmp_path)).splits["test"]
    assert {clip.name: clip.released for clip in clips}["GOPR0862_11_00"] == 77
    assert all(clip.problems == () for clip in clips), "fewer frames than released is partial, not a problem"


def blurry(root: Path) -> Path:
    return root / "test" / "GOPR0384_11_00" / "blur_gamma"


def sharp(root: Path) -> Path:
    return root / "test" / "GOPR0384_11_00" / "sharp"


def test_unmatched_frames_are_listed(tmp_path: Path):
    root = fakes.write_gopro(tmp_path)
    for number in (6, 7):
        (sharp(root) / f"{number:06d}.png").unlink()
    clip = clip_of(root)
    assert "7 blurry and 5 sharp" in clip.problems[0] and "000006, 000007" in clip.problems[0]
    assert len(clip) == len(clip.sharp.stems) == 5


def test_many_unmatched_frames_are_counted(tmp_path: Path):
    root = fakes.write_gopro(tmp_path)
    for number in range(1, 7):
        (sharp(root) / f"{number:06d}.png").unlink()
    assert "(6 in all)" in clip_of(root).problems[0]


def test_no_common_names(tmp_path: Path):
    root = fakes.write_gopro(tmp_path)
    for file in sharp(root).iterdir():
        file.rename(file.with_name(f"s{file.name}"))
    assert "no blurry frame has a sharp namesake" in clip_of(root).problems[0]


def test_a_missing_middle_frame_is_a_gap_told_once(tmp_path: Path):
    root = fakes.write_gopro(tmp_path)
    for side in (blurry, sharp):
        (side(root) / "000004.png").unlink()
    (problem,) = clip_of(root).problems
    assert "gap in the numbering: 000004" in problem


def test_a_missing_last_frame_is_partial(tmp_path: Path):
    root = fakes.write_gopro(tmp_path)
    for side in (blurry, sharp):
        (side(root) / "000007.png").unlink()
    assert clip_of(root).problems == ()


def test_an_empty_folder_and_a_missing_side(tmp_path: Path):
    root = fakes.write_gopro(tmp_path)
    shutil.rmtree(sharp(root))
    assert "no folder of sharp frames" in clip_of(root).problems[0]
    sharp(root).mkdir()
    assert "no frames there" in clip_of(root).problems[0]


def test_two_files_of_one_stem(tmp_path: Path):
    root = fakes.write_gopro(tmp_path)
    (blurry(root) / "000002.jpg").write_bytes(b"x")
    assert "both 000002.jpg and 000002.png" in clip_of(root).problems[0]


def test_mixed_and_different_sizes_are_found_in_the_headers(tmp_path: Path):
    root = fakes.write_gopro(tmp_path)
    odd = fakes.make_clip("x", 1, (60, 48)).sharp
    fakes.write_frames(blurry(root), odd, 3)
    (problem,) = check_clip(clip_of(root))
    assert "000003.png: 60x48 pixels, but the clip began with 64x48" in problem
    for number in range(1, 8):
        fakes.write_frames(blurry(root), odd, number)
    (problem,) = check_clip(clip_of(root))
    assert "blurry frames are 60x48 and sharp ones 64x48" in problem


def test_unreadable_headers_are_counted(tmp_path: Path):
    root = fakes.write_gopro(tmp_path)
    for number in (2, 3, 5):
        (blurry(root) / f"{number:06d}.png").write_bytes(b"")
    (problem,) = check_clip(clip_of(root))
    assert "000002.png: the file is empty" in problem and "2 more" in problem


def test_the_same_frames_in_sharp_of_another_format(tmp_path: Path):
    root = fakes.write_gopro(tmp_path)
    for file in list(sharp(root).iterdir()):
        file.unlink()
    fakes.write_frames(sharp(root), fakes.make_clip("GOPR0384_11_00", 7).sharp, 1, suffix=".bmp")
    assert clip_of(root).problems == ()


def test_unicode_names_spaces_and_link_loops(tmp_path: Path):
    root = fakes.write_gopro(tmp_path / "mein Ordner é", "blur-gt", clips=["clip ü 1"])
    (root / "blur" / "loop").symlink_to(root)
    (root / "itself").symlink_to(root / "itself")
    (root / "blur" / "clip ü 1" / "000008.png").symlink_to(root / "nowhere.png")
    (clip,) = find(root).splits["other"]
    assert clip.name == "clip ü 1"
    assert "only in" in clip.problems[0], "a broken link is a frame without a sharp twin"


def test_names_composed_and_decomposed_are_one(tmp_path: Path):
    root = tmp_path / "test" / "GOPR0384_11_00"
    made = fakes.make_clip("x", 2)
    fakes.write_frames(root / "blur_gamma", made.gamma, prefix="caf\u00e9")
    fakes.write_frames(root / "sharp", made.sharp, prefix="cafe\u0301")
    assert clip_of(tmp_path).problems == ()
    assert read_frame(clip_of(tmp_path).sharp.paths[0]).shape == (48, 64, 3)


def test_nothing_there_says_where_it_comes_from(tmp_path: Path):
    with pytest.raises(MissingError) as caught:
        find(tmp_path)
    text = str(caught.value)
    assert str(tmp_path) in text and "seungjunnah" in text and "blur_gamma" in text


def test_the_card_is_the_release():
    from deblurbench.registry.discovery import plugin

    card = plugin("datasets", "gopro").card
    counts = {split: (len(clips), sum(c.frames for c in clips)) for split, clips in card.splits.items()}
    assert counts == {"train": (22, 2103), "test": (11, 1111)}
    scored = {p.name: sum(len(p.scored(c.frames)) for c in card.splits["test"]) for p in card.protocols}
    assert scored == {
        "gopro": 1056, "gopro:linear": 1056, "gopro:all": 1111, "gopro:linear-all": 1111,
        "gopro:nah2019": 1056, "gopro:estrnn": 1067,
    }  # fmt: skip
