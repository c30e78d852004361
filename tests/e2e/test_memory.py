"""A clip of any length needs constant memory."""

import json
import os

from tests.fakes import write_folder


def test_peak_memory_does_not_grow_with_the_clip(cli, tmp_path):
    root = write_folder(tmp_path / "data", clips=["short"], frames=40, size=(320, 180))
    for side in ("blur", "sharp"):
        files = sorted((root / side / "short").glob("*.png"))
        longer = root / side / "with-more-frames"
        longer.mkdir()
        for index in range(400):
            os.link(files[index % len(files)], longer / f"{index:06d}.png")
    peaks = {}
    for clip in ("short", "with-more-frames"):
        cli("run", "--methods", "identity", "--dataset", "folder", "--data-root", root, "--clips", clip,
            "--output", clip, "--metrics", "psnr,ssim")  # fmt: skip
        outcomes = json.loads((cli.folder / clip / "run.json").read_text())["outcomes"]
        peaks[clip] = outcomes[0]["peak_memory"]
    assert peaks["with-more-frames"] < 1.05 * peaks["short"], peaks
