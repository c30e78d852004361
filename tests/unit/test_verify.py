"""`data verify` and `data info`: each fault of a copy is named, and a whole copy has none."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from deblurbench.datasets.base import Dataset
from deblurbench.datasets.blurkind import guess_kind
from deblurbench.datasets.colours import look_swapped
from deblurbench.datasets.opening import open_dataset
from deblurbench.datasets.verify import VerifyReport, info, verify
from deblurbench.errors import MissingError
from deblurbench.frames.convert import swap_red_blue
from deblurbench.frames.images import read_frame, write_png
from deblurbench.registry.cards import ExpectedClip
from deblurbench.registry.protocol import Protocol
from tests import fakes


def whole(root: Path, name: str = "gopro", frames: int = 7) -> tuple[Dataset, Protocol]:
    """The dataset with a card as small as the fakes, so that a fake copy is a whole one."""
    dataset, protocol = open_dataset(name, str(root))
    released = {
        "gopro": {"test": fakes.GOPRO_CLIPS, "train": fakes.GOPRO_TRAIN_CLIPS},
        "dvd": {"test": {"IMG_0030": 0, "720p_240fps_2": 0}},
    }[name.partition(":")[0]]
    splits = {
        split: tuple(ExpectedClip(name=c, frames=frames, first=f"{first:06d}") for c, first in clips.items())
        for split, clips in released.items()
    }
    protocols = tuple(p.model_copy(update={"size": (64, 48)}) for p in dataset.card.protocols)
    dataset.card = dataset.card.model_copy(update={"splits": splits, "protocols": protocols})
    return dataset, protocol.model_copy(update={"size": (64, 48)})


def report(root: Path, name: str = "gopro", deep: bool = False) -> VerifyReport:
    return verify(*whole(root, name), deep=deep)


def only(found: VerifyReport, severity: str) -> str:
    messages = [str(f) for f in found.findings if f.severity == severity]
    assert len(messages) == 1, found.as_text()
    return messages[0]


def copy(tmp_path: Path, layout: str = "original", **options) -> Path:
    root = fakes.write_gopro(tmp_path, layout, **options)
    return fakes.write_gopro(root, layout, split="train", **options)


def clip(root: Path) -> Path:
    return root / "test" / "GOPR0384_11_00"


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("name", ["gopro", "gopro:linear"])
def test_a_whole_copy_has_nothing_to_find(tmp_path: Path, name, deep):
    found = report(copy(tmp_path), name, deep)
    assert found.ok and found.findings == []
    assert "as released" in found.as_text()
    assert found.coverage == {"test": "3 of 3 clips, 21 of 21 frames", "train": "2 of 2 clips, 14 of 14 frames"}


def test_missing_and_extra_clips_and_frames(tmp_path: Path):
    root = copy(tmp_path)
    shutil.rmtree(clip(root))
    shutil.rmtree(root / "train" / "GOPR0372_07_00")
    fakes.write_gopro(root, clips=["GOPR9999_11_00"])
    for side in ("blur_gamma", "sharp"):
        (root / "test" / "GOPR0385_11_01" / side / "003017.png").unlink()
    found = report(root)
    assert "1 of 3 clips missing: GOPR0384_11_00" in only(found, "error")
    assert "1 of 2 clips missing: GOPR0372_07_00" in only(found, "note")
    warnings = " | ".join(str(f) for f in found.findings if f.severity == "warning")
    assert "not released: GOPR9999_11_00" in warnings and "GOPR0385_11_01: 6 of 7 frames" in warnings


def test_a_clip_in_the_wrong_split(tmp_path: Path):
    root = copy(tmp_path)
    shutil.copytree(clip(root), root / "train" / "GOPR0384_11_00")
    assert "clips of split 'test' lie in split 'train': GOPR0384_11_00" in only(report(root), "error")


def test_a_longer_and_a_renumbered_clip(tmp_path: Path):
    root = copy(tmp_path)
    for side in ("blur_gamma", "sharp"):
        shutil.copy(clip(root) / side / "000001.png", clip(root) / side / "000000.png")
    warnings = " | ".join(str(f) for f in report(root).findings if f.severity == "warning")
    assert "8 frames, 7 were released" in warnings
    assert "renumbered: begins at 000000, released from 000001" in warnings


def test_every_unreadable_file_is_named(tmp_path: Path):
    root = copy(tmp_path)
    for number in (2, 5):
        (clip(root) / "sharp" / f"{number:06d}.png").write_bytes(b"<html>")
    errors = [str(f) for f in report(root).findings if f.severity == "error"]
    assert len(errors) == 2 and "000002.png" in errors[0] and "000005.png: a web page, not an image" in errors[1]


def test_damage_inside_a_file_is_found_by_deep_alone(tmp_path: Path):
    root = fakes.write_gopro(tmp_path, frames=20)
    file = clip(root) / "sharp" / "000002.png"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    dataset, protocol = whole(root, frames=20)
    assert not any("000002" in str(f) for f in verify(dataset, protocol).findings), "not among the frames looked at"
    assert any("000002.png: cannot be decoded" in str(f) for f in verify(dataset, protocol, deep=True).findings)


def test_wrong_size(tmp_path: Path):
    found = report(copy(tmp_path, size=(60, 48)))
    assert any("frames are 60x48; gopro has 64x48" in str(f) for f in found.findings)


@pytest.mark.parametrize("name", ["gopro", "gopro:linear"])
def test_swapped_blur_folders(tmp_path: Path, name):
    root = copy(tmp_path)
    linear, gamma, other = (clip(root) / n for n in ("blur", "blur_gamma", "other"))
    linear.rename(other)
    gamma.rename(linear)
    other.rename(gamma)
    assert "GOPR0384_11_00: linear and gamma folders are swapped" in only(report(root, name), "error")


def test_one_blur_folder_copied_onto_the_other(tmp_path: Path):
    root = copy(tmp_path)
    shutil.rmtree(clip(root) / "blur")
    shutil.copytree(clip(root) / "blur_gamma", clip(root) / "blur")
    assert "hold the same frames" in only(report(root), "error")


def test_part_of_a_clip_swapped(tmp_path: Path):
    root = copy(tmp_path)
    one, two = (clip(root) / side / "000004.png" for side in ("blur", "blur_gamma"))
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    assert "mixed up" in only(report(root), "warning")


@pytest.mark.parametrize(("kind", "wrong"), [("blur", "gopro"), ("blur_gamma", "gopro:linear")])
def test_the_blur_kind_of_a_single_folder_is_told_from_the_pixels(tmp_path: Path, kind, wrong):
    root = copy(tmp_path, "split-gt", blur=[kind])
    right = {"gopro": "gopro:linear", "gopro:linear": "gopro"}[wrong]
    assert report(root, right).ok
    errors = [str(f) for f in report(root, wrong).findings if f.severity == "error"]
    assert len(errors) == 5 and all("looks like a" in e for e in errors)


def test_a_mislabelled_folder_of_the_original_tree_is_found_without_its_twin(tmp_path: Path):
    root = copy(tmp_path, blur=["blur"])
    for folder in root.glob("*/*/blur"):
        folder.rename(folder.with_name("blur_gamma"))
    assert not report(root).ok


def test_a_blur_kind_that_cannot_be_told_is_a_note():
    frame = fakes.make_clip("x", 1).sharp[0]
    assert guess_kind([(frame, frame)] * 8).kind is None
    made = fakes.make_clip("x", 3)
    assert guess_kind(zip(made.linear, made.sharp, strict=True)).kind is None, "too few frames"
    brighter = [np.minimum(f.astype(int) + 20, 255).astype(np.uint8) for f in fakes.make_clip("x", 8).sharp]
    assert guess_kind(zip(brighter, fakes.make_clip("x", 8).sharp, strict=True)).kind is None, "another brightness"


def test_ground_truth_equal_to_the_input(tmp_path: Path):
    root = copy(tmp_path)
    for side in ("blur_gamma", "blur"):
        shutil.copy(clip(root) / "sharp" / "000003.png", clip(root) / side / "000003.png")
    assert any("equals the input in 1 of 7 frames" in str(f) for f in report(root).findings)


@pytest.mark.parametrize("side", ["sharp", "blur_gamma"])
def test_red_and_blue_swapped_on_one_side(tmp_path: Path, side):
    root = copy(tmp_path)
    for file in (clip(root) / side).glob("*.png"):
        write_png(file, swap_red_blue(read_frame(file)))
    found = report(root)
    told = [str(f) for f in found.findings if "red and blue swapped" in f.message]
    assert len(told) == 1 and told[0].startswith("warning GOPR0384_11_00: ")


def test_grey_frames_are_not_taken_for_swapped():
    blurry = np.repeat(np.random.default_rng(0).integers(0, 256, (16, 16, 1), np.uint8), 3, axis=2)
    assert not look_swapped([(blurry, blurry[::-1].copy())]) and not look_swapped([])


def test_a_jpeg_that_the_decoder_warns_of(tmp_path: Path, capfd):
    root = fakes.write_folder(tmp_path)
    for side in ("blur", "sharp"):
        for png in (root / side / "one").glob("*.png"):
            cv2.imwrite(str(png.with_suffix(".jpg")), cv2.imread(str(png)))
            png.unlink()
    file = root / "blur" / "one" / "000003.jpg"
    whole = file.read_bytes()
    middle = len(whole) - len(whole) // 4
    file.write_bytes(whole[:middle] + b"\xff\xd9\xff\xd5" + whole[middle + 4 :])  # the end, where no end is
    dataset, protocol = open_dataset("folder", str(root))
    told = [str(f) for f in verify(dataset, protocol).findings if f.severity == "error"]
    assert len(told) == 1 and "000003.jpg: decodes, but the decoder says: " in told[0], told
    assert "JPEG" not in capfd.readouterr().err


def test_doubled_frames(tmp_path: Path):
    root = copy(tmp_path)
    shutil.copy(clip(root) / "sharp" / "000003.png", clip(root) / "sharp" / "000004.png")
    assert "sharp frames equal to the one before them: 000004" in only(report(root), "warning")


def test_problems_of_a_clip_are_errors(tmp_path: Path):
    root = copy(tmp_path)
    (clip(root) / "sharp" / "000003.png").unlink()
    assert "7 blurry and 6 sharp" in only(report(root), "error")


def test_jpeg_ground_truth_is_noted(tmp_path: Path):
    found = report(fakes.write_dvd(tmp_path, clips=["IMG_0030", "720p_240fps_2"]), "dvd", deep=True)
    assert found.ok and "ground truth is JPEG" in only(found, "note")


def test_jpeg_ground_truth_of_other_datasets_is_noted_too(tmp_path: Path):
    root = copy(tmp_path)
    for side in ("blur", "blur_gamma", "sharp"):
        shutil.rmtree(clip(root) / side)
    made = fakes.make_clip("GOPR0384_11_00", 7)
    for side, frames in (("blur", made.linear), ("blur_gamma", made.gamma), ("sharp", made.sharp)):
        fakes.write_frames(clip(root) / side, frames, 1, suffix=".jpg")
    assert "JPEG in 1 of 5 clips" in only(report(root), "note")


def test_a_video_folder_is_decoded_by_deep(tmp_path: Path):
    root = fakes.write_folder(tmp_path, frames=3, video=True)
    dataset, protocol = open_dataset("folder", str(root))
    assert verify(dataset, protocol, deep=True).ok
    file = root / "blur" / "one.mkv"
    data = bytearray(file.read_bytes())
    for place in range(len(data) // 2, len(data) // 2 + 3000):
        data[place] ^= 0x5A
    file.write_bytes(bytes(data))
    assert not verify(dataset, protocol, deep=True).ok


def test_the_report_is_json_and_text_with_the_worst_first(tmp_path: Path):
    root = copy(tmp_path)
    shutil.rmtree(clip(root) / "sharp")
    (root / "train" / "GOPR0372_07_00" / "blur_gamma" / "000053.png").unlink()
    (root / "train" / "GOPR0372_07_00" / "sharp" / "000053.png").unlink()
    found = report(root)
    plain = json.loads(json.dumps(found.as_dict()))
    assert plain["ok"] is False and plain["protocol"] == "gopro" and plain["findings"]
    lines = found.as_text().splitlines()
    severities = [line.split()[0] for line in lines if line.split()[0] in ("error", "warning", "note")]
    assert severities == sorted(severities, key=["error", "warning", "note"].index)
    assert lines[-1].startswith("1 error")


def test_info_shows_layout_clips_and_protocols(tmp_path: Path):
    root = copy(tmp_path, blur=["blur"])
    found = info(*whole(root))
    assert found.layout.startswith("original") and found.coverage["test"] == "3 of 3 clips, 21 of 21 frames"
    assert found.protocols["gopro:linear"] == "" and "blur_gamma" in found.protocols["gopro"]
    text = found.as_text()
    assert "GOPR0385_11_01  7 of 7 frames  003011 .. 003017" in text
    assert "protocols that fit: gopro:linear, gopro:linear-all" in text
    assert json.loads(json.dumps(found.as_dict()))["clips"][0]["clip"] == "GOPR0372_07_00"


def test_where_no_clip_can_run_no_protocol_fits(tmp_path: Path):
    root = fakes.write_folder(tmp_path, clips=["one", "two"], frames=2)
    (root / "blur" / "one" / "000001.png").unlink()
    assert "protocols that fit: folder" in info(*open_dataset("folder", str(root))).as_text()
    (root / "sharp" / "two" / "000000.png").unlink()
    text = info(*open_dataset("folder", str(root))).as_text()
    assert "protocols that fit: folder:images\n" in text
    assert "not folder: none of 2 clips can be run; each says why" in text


def test_a_folder_of_ones_own_was_not_released(tmp_path: Path):
    found = verify(*open_dataset("folder", str(fakes.write_folder(tmp_path, clips=["one"], frames=2))))
    assert found.ok and "complete and readable" in found.as_text() and "released" not in found.as_text()


def test_info_of_nothing(tmp_path: Path):
    with pytest.raises(MissingError, match="no clip found"):
        info(*whole(tmp_path))
