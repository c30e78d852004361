"""The 960x540 version of GOPRO, made from the 240 fps frames: its pixels, its alignment, its resumption, its recipe."""

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from deblurbench.datasets.base import Dataset
from deblurbench.datasets.opening import open_dataset
from deblurbench.errors import FrameError, MissingError, UsageError
from deblurbench.frames.images import read_frame
from deblurbench.registry.protocol import Protocol
from tests import fakes

FINE, SIZE = (128, 72), (96, 54)
CLIPS = {"GOPR0384_11_05": 951, "GOPR0385_11_01": 3011}


def opened(root: Path, name: str = "gopro:nah2019") -> tuple[Dataset, Protocol]:
    dataset, protocol = open_dataset(name, str(root))
    return dataset, protocol.model_copy(update={"size": SIZE})


def recipe(root: Path) -> dict:
    return json.loads((root / "GOPRO_nah2019" / "recipe.json").read_text())


def write_all(root: Path, **options) -> Path:
    return fakes.write_gopro_all(root / "GOPRO_Large_all", CLIPS, size=FINE, **options)


def write_released(root: Path) -> None:
    for name, first in CLIPS.items():
        made = fakes.make_clip(name, 3, FINE, 11)
        fakes.write_frames(root / "GOPRO_Large" / "test" / name / "sharp", made.sharp, first)
        fakes.write_frames(root / "GOPRO_Large" / "test" / name / "blur", made.linear, first)


def direct(name: str, frame: int) -> tuple[np.ndarray, np.ndarray]:
    """The recipe written out: resize, mean of light, middle frame."""
    fine = fakes.make_clip(name, 3, FINE, 11).fine[11 * frame : 11 * (frame + 1)]
    small = [cv2.resize(f, SIZE, interpolation=cv2.INTER_AREA) for f in fine]
    light = np.mean([(f / 255.0) ** 2.2 for f in small], 0)
    return np.rint(255 * light ** (1 / 2.2)).astype(np.uint8), small[5]


def test_frames_are_the_recipe_and_are_found(tmp_path: Path):
    write_all(tmp_path)
    dataset, protocol = opened(tmp_path)
    with pytest.raises(MissingError, match="data prepare gopro:nah2019"):
        dataset.find(protocol)
    steps: list[tuple[int, int]] = []
    dataset.prepare(protocol, lambda done, total: steps.append((done, total)))
    assert steps == [(k, 6) for k in range(1, 7)]
    found = dataset.find(protocol)
    assert {c.name: list(c.stems) for c in found.splits["test"]} == {
        name: [f"{first + k:06d}" for k in range(3)] for name, first in CLIPS.items()
    }
    for clip in found.splits["test"]:
        for position, (blurry, sharp) in enumerate(zip(clip.blurry, clip.sharp, strict=True)):
            expected = direct(clip.name, position)
            assert np.array_equal(blurry, expected[0]) and np.array_equal(sharp, expected[1])
    assert opened(tmp_path, "gopro:estrnn")[0].find(opened(tmp_path, "gopro:estrnn")[1]).splits.keys() == {"test"}


def test_the_recipe_records_digests_and_how_windows_were_found(tmp_path: Path):
    write_all(tmp_path)
    dataset, protocol = opened(tmp_path)
    dataset.prepare(protocol)
    written = recipe(tmp_path)
    assert written["recipe"]["size"] == list(SIZE) and "INTER_AREA" in written["recipe"]["resize"]
    clip = written["clips"]["test/GOPR0384_11_05"]
    assert clip["plan"]["averaged"] == 11 and clip["plan"]["alignment"].startswith("rule")
    file = tmp_path / "GOPRO_nah2019" / "test" / "GOPR0384_11_05" / "sharp" / "000952.png"
    assert clip["sha256"]["000952"]["sharp"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert any("by rule" in note for note in dataset.find(protocol).notes)


def test_shifted_clips_are_aligned_by_content(tmp_path: Path):
    write_all(tmp_path, shift=3)
    write_released(tmp_path)
    dataset, protocol = opened(tmp_path)
    dataset.prepare(protocol)
    assert "shift +3" in recipe(tmp_path)["clips"]["test/GOPR0384_11_05"]["plan"]["alignment"]
    assert dataset.find(protocol).notes == ()
    clip = dataset.find(protocol).splits["test"][0]
    assert np.array_equal(next(iter(clip.blurry)), direct(clip.name, 0)[0])


def test_frames_made_by_another_plan_are_made_again(tmp_path: Path):
    write_all(tmp_path, shift=3)
    dataset, protocol = opened(tmp_path)
    dataset.prepare(protocol)
    clip = dataset.find(protocol).splits["test"][0]
    assert not np.array_equal(next(iter(clip.blurry)), direct(clip.name, 0)[0]), "the rule is wrong for a shifted clip"
    write_released(tmp_path)
    dataset.prepare(protocol)
    assert np.array_equal(next(iter(clip.blurry)), direct(clip.name, 0)[0])


class Interrupted(Exception):
    pass


def test_interrupted_it_goes_on_and_ends_the_same(tmp_path: Path):
    write_all(tmp_path)
    dataset, protocol = opened(tmp_path)

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        dataset.prepare(protocol, stop)
    made = tmp_path / "GOPRO_nah2019" / "test" / "GOPR0384_11_05" / "blur_gamma"
    first = (made / "000951.png").stat().st_mtime_ns
    assert len(list(made.iterdir())) == 2
    dataset.prepare(protocol)
    assert (made / "000951.png").stat().st_mtime_ns == first
    resumed = recipe(tmp_path)
    dataset.prepare(protocol, output=tmp_path / "other")
    assert json.loads((tmp_path / "other" / "recipe.json").read_text()) == resumed


def test_a_damaged_output_is_made_again(tmp_path: Path):
    write_all(tmp_path)
    dataset, protocol = opened(tmp_path)
    dataset.prepare(protocol)
    file = tmp_path / "GOPRO_nah2019" / "test" / "GOPR0384_11_05" / "sharp" / "000951.png"
    before = file.read_bytes()
    file.write_bytes(before[:100])
    dataset.prepare(protocol)
    assert file.read_bytes() == before


def test_another_recipes_folder_is_refused(tmp_path: Path):
    write_all(tmp_path)
    dataset, protocol = opened(tmp_path)
    dataset.prepare(protocol)
    with pytest.raises(UsageError, match="another recipe"):
        dataset.prepare(protocol.model_copy(update={"size": (48, 27)}))


def test_missing_high_speed_frames(tmp_path: Path):
    dataset, protocol = opened(tmp_path)
    with pytest.raises(MissingError, match="GOPRO_Large_all"):
        dataset.prepare(protocol)
    write_all(tmp_path)
    (tmp_path / "GOPRO_Large_all" / "test" / "GOPR0384_11_05" / "010460.png").unlink()
    with pytest.raises(FrameError, match=r"GOPR0384_11_05.*010460"):
        dataset.prepare(protocol)


def test_an_incomplete_window_at_the_end_makes_no_frame(tmp_path: Path):
    write_all(tmp_path)
    folder = tmp_path / "GOPRO_Large_all" / "test" / "GOPR0384_11_05"
    sorted(folder.iterdir())[-1].unlink()
    dataset, protocol = opened(tmp_path)
    dataset.prepare(protocol)
    assert len(dataset.find(protocol).splits["test"][0]) == 2


def test_the_root_may_be_gopro_large_itself_or_the_made_folder(tmp_path: Path):
    write_all(tmp_path)
    write_released(tmp_path)
    dataset, protocol = opened(tmp_path / "GOPRO_Large")
    dataset.prepare(protocol)
    made = tmp_path / "GOPRO_Large" / "GOPRO_nah2019"
    assert dataset.find(protocol).root == made
    again, protocol = opened(made)
    assert again.find(protocol).root == made
    assert read_frame(made / "test" / "GOPR0384_11_05" / "sharp" / "000951.png").shape == (54, 96, 3)


def test_other_protocols_have_nothing_to_prepare(tmp_path: Path):
    dataset, protocol = open_dataset("gopro", str(tmp_path))
    dataset.prepare(protocol)
    assert list(tmp_path.iterdir()) == []
