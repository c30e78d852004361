"""The real clips: 24 pairs of GOPRO_Large's GOPR0372_07_00 (linear average only), and REDS train 027 reduced by 4."""

from pathlib import Path

import pytest

from deblurbench.datasets.base import ImageFiles
from deblurbench.datasets.blurkind import guess_kind
from deblurbench.datasets.headers import check_clip, clip_size
from deblurbench.datasets.opening import open_dataset
from deblurbench.datasets.verify import info, verify
from deblurbench.errors import MissingError
from deblurbench.frames.images import read_frame

pytestmark = pytest.mark.real_data


@pytest.mark.parametrize("below", ["GOPRO_Large", "."])
def test_gopro(real_data: Path, below):
    dataset, protocol = open_dataset("gopro:linear", str(real_data / below))
    (clip,) = dataset.clips(protocol, "train")
    assert (clip.name, len(clip), clip.released) == ("GOPR0372_07_00", 24, 100)
    assert (clip.stems[0], clip.stems[-1]) == ("000047", "000070")
    assert (clip.problems, clip.notes, check_clip(clip), clip_size(clip)) == ((), (), [], (1280, 720))
    assert [clip.stems[p] for p in protocol.scored(24)] == [f"{k:06d}" for k in range(51, 70)]


def test_gopro_without_blur_gamma_names_the_protocol_that_fits(real_data: Path):
    dataset, protocol = open_dataset("gopro", str(real_data))
    with pytest.raises(MissingError, match="--dataset gopro:linear, which uses it"):
        dataset.find(protocol)
    text = info(dataset, protocol).as_text()
    assert "not gopro: " in text and "not gopro:linear: no clips of split 'test' (found: train (1 clip))" in text


def test_gopro_is_a_linear_average_by_its_pixels(real_data: Path):
    dataset, protocol = open_dataset("gopro:linear", str(real_data))
    (clip,) = dataset.clips(protocol, "train")
    assert isinstance(clip.blurry, ImageFiles) and isinstance(clip.sharp, ImageFiles)
    pairs = list(zip(clip.blurry.paths, clip.sharp.paths, strict=True))[::4]
    guess = guess_kind((read_frame(blurry), read_frame(sharp)) for blurry, sharp in pairs)
    assert guess.kind == "linear" and guess.agreement == 1.0
    assert guess.place == pytest.approx(-1.0, abs=0.15)


@pytest.mark.parametrize("below", ["REDS", "."])
def test_reds(real_data: Path, below):
    dataset, protocol = open_dataset("reds:x4", str(real_data / below))
    (clip,) = dataset.clips(protocol, "train")
    assert (clip.name, len(clip), clip.released, clip.stems[0]) == ("027", 100, 100, "00000000")
    assert (clip.problems, check_clip(clip), clip_size(clip)) == ((), [], (320, 180))
    with pytest.raises(MissingError, match=r"found: train \(1 clip\)"):
        dataset.clips(protocol)


@pytest.mark.parametrize("name", ["gopro:linear", "reds:x4"])
def test_verify_finds_the_missing_clips_and_nothing_else_wrong(real_data: Path, name):
    report = verify(*open_dataset(name, str(real_data)))
    errors = [f.message for f in report.findings if f.severity == "error"]
    assert len(errors) == 1 and "clips missing" in errors[0]
    assert {f.message for f in report.findings if f.severity == "warning"} <= {"24 of 100 frames"}
