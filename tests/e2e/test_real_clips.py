"""The real GOPRO and REDS clips, where this machine has them: which frames are scored, and equal to scikit-image."""

import cv2
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from tests.e2e.conftest import read_scores

pytestmark = pytest.mark.real_data


def compare(rows, blurry, sharp):
    values = {(row["frame"], row["metric"]): float(row["value"]) for row in rows if row["method"] == "identity"}
    for stem in sorted({frame for frame, _ in values})[::6]:
        a = cv2.imread(str(blurry / f"{stem}.png"))[:, :, ::-1]
        b = cv2.imread(str(sharp / f"{stem}.png"))[:, :, ::-1]
        assert values[stem, "psnr"] == pytest.approx(peak_signal_noise_ratio(b, a, data_range=255), abs=1e-4)
        ssim = structural_similarity(b, a, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
                                     data_range=255, channel_axis=2)  # fmt: skip
        assert values[stem, "ssim"] == pytest.approx(ssim, abs=1e-4)


def test_gopro_clip(cli, real_data):
    root = real_data / "GOPRO_Large"
    words = ["--split", "train", "--clips", "GOPR0372_07_00", "--metrics", "psnr,ssim", "--output", "out"]
    done = cli("run", "--methods", "identity", "--dataset", "gopro:linear", "--data-root", root, *words)
    rows = read_scores(cli.folder / "out")
    frames = sorted({row["frame"] for row in rows})
    assert (frames[0], frames[-1], len(frames)) == ("000051", "000069", 19)
    assert {row["dataset"] for row in rows} == {"gopro:linear"}
    assert "1 of 22 clips, 24 of 100 frames, 19 scored" in done.stdout
    clip = root / "train" / "GOPR0372_07_00"
    compare(rows, clip / "blur", clip / "sharp")


def test_the_gamma_folder_that_is_not_there_is_told(cli, real_data):
    done = cli("run", "--methods", "identity", "--dataset", "gopro", "--split", "train", "--clips", "GOPR0372_07_00",
               "--data-root", real_data / "GOPRO_Large", "--output", "out", code=3)  # fmt: skip
    assert "blur_gamma" in done.stderr and "gopro:linear" in done.stderr


def test_reds_clip(cli, real_data):
    cli("run", "--methods", "identity", "--dataset", "reds:x4", "--split", "train", "--clips", "027", "--data-root",
        real_data, "--frames-per-clip", "30", "--output", "out", "--metrics", "psnr,ssim")  # fmt: skip
    rows = read_scores(cli.folder / "out")
    assert len({row["frame"] for row in rows}) == 30
    base = real_data / "REDS" / "train"
    compare(rows, base / "train_blur_bicubic" / "X4" / "027", base / "train_sharp_bicubic" / "X4" / "027")
