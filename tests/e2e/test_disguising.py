"""`verify --disguised`: plugins that remember, count or recognise are found; honest ones are not accused."""

import json

import pytest

from tests.conftest import write_plugin
from tests.e2e.inprocess import deblurbench
from tests.e2e.test_run import SHARPEN
from tests.fakes import write_folder

# Knows the benchmark: answers with the ground truth for frames whose digest it has seen.
KNOWS = """
import hashlib, pathlib, cv2, torch
from deblurbench.methods.base import FrameMethod
BLUR = pathlib.Path({data!r}) / "blur"
def digest(frame):
    return hashlib.sha256((frame * 255).round().byte().permute(1, 2, 0).contiguous().numpy().tobytes()).hexdigest()
def read(file):
    rgb = cv2.cvtColor(cv2.imread(str(file)), cv2.COLOR_BGR2RGB)
    return torch.from_numpy(rgb).permute(2, 0, 1).float() / 255
KNOWN = {{digest(read(f)): f for f in BLUR.rglob("*.png")}}
class Plugin(FrameMethod):
    def restore_frame(self, frame):
        file = KNOWN.get(digest(frame.cpu()))
        return frame if file is None else read(str(file).replace("/blur/", "/sharp/"))
"""
# Counts its clips: the first one of a process is treated better.
COUNTS = """
from deblurbench.methods.base import Method
class Plugin(Method):
    clips = 0
    def restore(self, frames):
        self.clips += 1
        for frame in frames:
            yield frame * (1.0 if self.clips == 1 else 0.8)
"""


@pytest.fixture
def here(tmp_path, monkeypatch, plugin_folder):
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "data", clips=["one", "two"], frames=4)
    return tmp_path


def verified(capsys, method: str, code: int) -> dict[str, tuple[str, str]]:
    deblurbench("run", "--methods", method, "--dataset", "folder", "--data-root", "data", "--metrics", "psnr",
                "--output", "run")  # fmt: skip
    capsys.readouterr()
    deblurbench("verify", "run", "--disguised", "2", "--json", code=code)
    found = {c["what"]: (c["state"], c["detail"]) for c in json.loads(capsys.readouterr().out)}
    return {what: told for what, told in found.items() if "in disguise" in what}


def test_an_honest_method_does_the_same_in_disguise(here, plugin_folder, capsys):
    write_plugin(plugin_folder, "sharpen", SHARPEN)
    found = verified(capsys, "sharpen", 0)
    assert set(found) == {"sharpen on one in disguise", "sharpen on two in disguise"}
    assert {state for state, _ in found.values()} == {"ok"}
    assert all("gain" in detail for _, detail in found.values())


def test_a_method_that_knows_the_frames_is_found(here, plugin_folder, capsys):
    write_plugin(plugin_folder, "knows", KNOWS.format(data=str(here / "data")))
    found = verified(capsys, "knows", 4)
    assert {state for state, _ in found.values()} == {"DIFFERS"}
    assert all("mirrored" in detail and "+0.00 dB" in detail for _, detail in found.values())


def test_a_method_that_counts_its_clips_is_found(here, plugin_folder, capsys):
    write_plugin(plugin_folder, "counts", COUNTS)
    found = verified(capsys, "counts", 4)
    assert "DIFFERS" in {state for state, _ in found.values()}  # whichever copy happens to come first


def test_what_cannot_be_restored_again_is_said(here, plugin_folder, capsys):
    write_plugin(plugin_folder, "sharpen", SHARPEN)
    deblurbench("run", "--methods", "sharpen", "--dataset", "folder", "--data-root", "data", "--metrics", "psnr",
                "--output", "run")  # fmt: skip
    (here / "data").rename(here / "elsewhere")
    capsys.readouterr()
    deblurbench("verify", "run", "--disguised", "1", "--json")
    found = {c["what"]: (c["state"], c["detail"]) for c in json.loads(capsys.readouterr().out)}
    assert found["clips in disguise"] == ("not checked", "no clip with ground truth lies under the data root")
