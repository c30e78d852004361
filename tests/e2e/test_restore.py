"""`restore` when the method, the frames or the disk are not as they should be, in this process."""

import re

import pytest
import torch

from deblurbench.cli import restore
from deblurbench.errors import DiskError
from tests.conftest import write_plugin
from tests.e2e.inprocess import deblurbench
from tests.fakes import write_folder

FAILS = """
from deblurbench.methods.base import FrameMethod
class Plugin(FrameMethod):
    def __init__(self, **given):
        super().__init__()
        self.done = 0
    def restore_frame(self, frame):
        if self.done == 3:
            {}
        self.done += 1
        return frame
"""
CANNOT_BE_MADE = """
from deblurbench.methods.base import FrameMethod
class Plugin(FrameMethod):
    def __init__(self, depth):
        super().__init__()
"""


def restored(source, output, method="identity", code=0):
    deblurbench("restore", source, "--method", method, "--device", "cpu", "--output", output, code=code)


@pytest.fixture
def clip(tmp_path):
    return write_folder(tmp_path / "data", clips=["one"], frames=6) / "blur" / "one"


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [
        ("restore-lacks", "raise KeyError('weights_4')", "frame 000003: KeyError: 'weights_4' (method.py:9)"),
        ("restore-tells", "raise ValueError('one line\\nand another')", "frame 000003: ValueError: one line"),
        ("restore-leaves", "raise SystemExit(0)", "frame 000003: the method called sys.exit(0)"),
        (
            "restore-hungry",
            "raise MemoryError()",
            "frame 000003: MemoryError:  (method.py:9). Try --tile 512, or --precision bf16.",
        ),
        ("restore-crops", "return frame[:, 1:]", "frame 4: the method yields"),
    ],
)
def test_what_a_method_raises_is_one_line_and_leaves_nothing_behind(
    plugin_folder, tmp_path, clip, capsys, name, line, said
):  # fmt: skip
    write_plugin(plugin_folder, name, FAILS.format(line))
    restored(clip, tmp_path / "out", name, code=1)
    err = capsys.readouterr().err
    assert f"deblurbench: {name}: {said}" in err and "Traceback" not in err and len(err.strip().splitlines()) == 1
    assert sorted(f.name for f in tmp_path.iterdir()) == ["data", "plugins"]
    restored(clip, tmp_path / "out")
    assert len(list((tmp_path / "out").glob("*.png"))) == 6


@pytest.mark.parametrize("output", ["out", "out.mp4", "empty"])
def test_an_interruption_keeps_nothing_and_says_so(plugin_folder, tmp_path, clip, capsys, output):
    write_plugin(plugin_folder, "restore-stopped", FAILS.format("raise KeyboardInterrupt"))
    (tmp_path / "empty").mkdir()
    restored(clip, tmp_path / output, "restore-stopped", code=130)
    assert capsys.readouterr().err == "\ninterrupted; nothing was kept, run it again\n"
    assert sorted(f.name for f in tmp_path.iterdir()) == ["data", "empty", "plugins"]
    assert not list((tmp_path / "empty").iterdir())
    restored(clip, tmp_path / output)
    assert "restored 6 frames" in capsys.readouterr().err


def test_without_output_nothing_is_written_into_the_dataset(tmp_path, clip, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dotted = clip.rename(clip.with_name("one.v2"))
    deblurbench("restore", dotted, "--method", "identity")
    assert "into runs/one.v2-restored" in capsys.readouterr().err
    assert len(list((tmp_path / "runs" / "one.v2-restored").glob("*.png"))) == 6
    assert [f.name for f in dotted.parent.iterdir()] == ["one.v2"]


def test_a_method_that_cannot_be_made_is_one_line(plugin_folder, tmp_path, clip, capsys):
    write_plugin(plugin_folder, "unmade", CANNOT_BE_MADE)
    restored(clip, tmp_path / "out", "unmade", code=1)
    assert re.fullmatch(r"deblurbench: unmade: TypeError: .*missing 1 .* 'depth'\n", capsys.readouterr().err)


def test_a_gap_in_the_numbering_is_told(tmp_path, clip, capsys):
    (clip / "000003.png").unlink()
    restored(clip, tmp_path / "out")
    err = capsys.readouterr().err
    assert "! " in err and "gap in the numbering: 000003 missing between '000000' and '000005'" in err
    assert "restored 5 frames" in err
    deblurbench("restore", clip, "--method", "identity", "--limit", 1, "--output", tmp_path / "whole")
    err = capsys.readouterr().err
    assert "gap in" not in err and "restored 1 frame with" in err


def test_after_a_damaged_frame_the_same_command_runs_again(tmp_path, clip, capsys):
    fourth = clip / "000003.png"
    whole = fourth.read_bytes()
    fourth.write_bytes(whole[:-40])
    empty = tmp_path / "empty"
    empty.mkdir()
    for target in (tmp_path / "out", empty):
        restored(clip, target, code=1)
        assert "000003.png: a PNG cut short" in capsys.readouterr().err
    assert not (tmp_path / "out").exists() and not list(empty.iterdir())
    fourth.write_bytes(whole)
    for target in (tmp_path / "out", empty):
        restored(clip, target)
        assert [f.name for f in sorted(target.iterdir())] == [f"{n:06d}.png" for n in range(6)]
    restored(clip, empty, code=2)
    assert "exists already" in capsys.readouterr().err


def test_a_full_disk_is_told_without_a_promise(tmp_path, clip, capsys, monkeypatch):
    def full(path, frame):
        raise DiskError("x; the same command resumes.") from OSError(28, "No space left on device")

    monkeypatch.setattr(restore, "write_png", full)
    restored(clip, tmp_path / "out", code=1)
    err = capsys.readouterr().err
    assert f"{tmp_path / 'out'}: cannot be written (No space left on device)" in err and "resumes" not in err
    assert not (tmp_path / "out").exists()
    assert not torch.is_inference_mode_enabled()
