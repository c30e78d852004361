"""A command as a method: what it is given, what it may give back, and how it ends."""

import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from deblurbench.backends import command
from deblurbench.backends.base import FailedElsewhere
from deblurbench.backends.load import MethodJob, load_method
from deblurbench.checks.method import clip8
from deblurbench.errors import CardError, ContractError, MissingError, UsageError
from deblurbench.evaluation import runner
from deblurbench.evaluation.plan import make_plan, plan_method
from deblurbench.evaluation.restore import restored_frames
from deblurbench.evaluation.settings import Settings
from deblurbench.registry import discovery
from deblurbench.registry.discovery import plugin, plugins
from deblurbench.results.manifest import Request
from tests.conftest import ROOT
from tests.unit.test_supervisor import gone

USUAL = 'command: [python, tool.py, "{input}", "{output}"]\n'
BEGIN = """
import os, shutil, sys, time
import cv2
given, out = sys.argv[1:3]
names = sorted(os.listdir(given))
"""
LIGHT = BEGIN.replace("import cv2\n", "")  # begins at once on a busy machine, too
INVERT = "for name in names: cv2.imwrite(os.path.join(out, name), 255 - cv2.imread(os.path.join(given, name)))\n"


@pytest.fixture
def tool(plugin_folder, monkeypatch, tmp_path):
    """Writes a command's card and tool.py; temporary folders go into `temporary`."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(command, "LOOK_EVERY", 0.1)

    def write(code=INVERT, card=USUAL, begin=BEGIN) -> Path:
        folder = plugin_folder / "methods" / "tool"
        folder.mkdir(exist_ok=True)
        (folder / "card.yaml").write_text(f"name: tool\ntitle: a tool\n{card}")
        (folder / "tool.py").write_text(begin + code)
        discovery._scan.cache_clear()
        return folder

    yield write
    assert not list((tmp_path / "temporary").iterdir()), "a temporary folder stayed behind"


def restore(frames, timeout=60.0, alive=lambda: None, **more):
    given = {"variant": "default", "precision": "fp32", "tile": None} | more
    job = MethodJob(
        id="tool", name="tool", weights=None, output="", dataset="", data_root=None, split="", metrics=[],
        device="cpu", seed=0, timeout=timeout, **given,
    )  # fmt: skip
    method, _ = load_method(job, "cpu", alive)
    return [(r.rounded.frame, r.seconds) for r in restored_frames(method, frames, Settings(device="cpu"))]


def test_frames_go_through_a_folder_and_back(tool):
    tool(INVERT + "time.sleep(0.5)\nassert names[:2] == ['00000000.png', '00000001.png'], names\n")
    frames = clip8(12, 20, 31)
    beats = []
    found = restore(frames, alive=lambda: beats.append(1))
    assert all(np.array_equal(restored, 255 - frame) for (restored, _), frame in zip(found, frames, strict=True))
    assert len({seconds for _, seconds in found}) == 1 and 0.5 / 12 < found[0][1] < 5
    assert len(beats) >= 12 + 4


def test_a_full_folder_for_temporary_files_costs_the_clip_only(tool, tmp_path, monkeypatch):
    tool()
    replace = Path.replace

    def full(self, target):
        if tmp_path / "temporary" in self.parents:
            raise OSError(errno.ENOSPC, "No space left on device", str(self))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    plan = make_plan(Request(methods=["tool", "unsharp"], dataset="mini", limit=1, frames_per_clip=6, metrics=["psnr"]))
    result = runner.run(plan, tmp_path / "run", in_process=True)
    assert [(o.method, o.status) for o in result.manifest.outcomes] == [
        ("identity", "ok"),
        ("tool", "failed"),
        ("unsharp:mild", "ok"),
    ]
    (failed,) = result.failed
    assert failed.kind == "no room" and "00000000 cannot be written" in failed.reason
    assert "(No space left on device)" in failed.reason and "TMPDIR" in failed.reason


def test_a_card_is_all_it_takes(tool):
    tool()
    planned = plan_method("tool")
    record = planned.record()
    assert record.includes_startup and record.environment == {} and not planned.card.needs_weights
    with pytest.raises(UsageError, match="has no class"):
        plugin("methods", "tool").load()


def test_a_changed_tool_makes_results_stale(tool):
    folder = tool(card='command: ["./tool.sh", "{input}", "{output}"]\n')
    (folder / "tool.sh").write_text("#!/bin/sh\ncp $1/* $2")
    plan = make_plan(Request(methods=["tool"], dataset="mini", limit=1))
    before = plan.key(plan.methods[1], plan.clips[0])
    assert plan.key(plan.methods[1], plan.clips[0]) == before
    (folder / "tool.sh").write_text("#!/bin/sh\ncp $1/* $2 # changed")
    assert plan.key(plan.methods[1], plan.clips[0])["command"] != before["command"]


def test_a_changed_program_in_path_makes_results_stale(tool, tmp_path, monkeypatch):
    program = tmp_path / "bin" / "sharpen"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\ncp $1/* $2")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    tool(card='command: [sharpen, "{input}", "{output}"]\n')
    found = plugin("methods", "tool")
    before = command.command_key(found)
    program.write_text("#!/bin/sh\ncp $1/* $2 # a newer release")
    assert command.command_key(found)[:-1] == before[:-1] and command.command_key(found) != before
    program.unlink()
    assert command.command_key(found) == before[:-1]


def test_parameters_and_options_reach_the_command(tool):
    more = """, "-s={strength}", "{device}/{tile}/{precision}", '{"a": 1}']"""
    words = USUAL.replace("]", more)
    tool(
        INVERT + """assert sys.argv[3:] == ['-s=2', 'cpu/64/bf16', '{"a": 1}'], sys.argv\n""",
        words + "variants: {strong: {parameters: {strength: 2}}, weak: {parameters: {strength: 1}}}\n",
    )
    assert len(restore(clip8(2, 8, 8), variant="strong", tile=64, precision="bf16")) == 2
    tool()
    with pytest.raises(UsageError, match=r"--tile 64 means nothing to the command of 'tool': it has no \{tile\}"):
        restore(clip8(2, 8, 8), tile=64)
    with pytest.raises(UsageError, match="--precision bf16 means nothing"):
        restore(clip8(2, 8, 8), precision="bf16")


@pytest.mark.parametrize(
    ("code", "error", "told"),
    [
        ("", ContractError, r"wrote no frame into \{output\}"),
        ("os.mkdir(out + '/deep')\nfor n in names: shutil.copy(given + '/' + n, out + '/deep')", ContractError,
         "into its folder 'deep'"),
        ("for n in names: shutil.copy(given + '/' + n, out + '/x' + n)", ContractError,
         r"missing: 00000000, 00000001, 00000002, 00000003, \.\.\. \(5 in all\); "
         r"with other names: x00000000.png.*in-order"),
        ("for n in names[:3]: shutil.copy(given + '/' + n, out)", ContractError,
         "wrote 3 frames for 5; missing: 00000003, 00000004"),
        (INVERT + "shutil.copy(given + '/' + names[0], out + '/more.png')", ContractError,
         "wrote 6 frames for 5; with other names: more.png"),
        ("for n in names: cv2.imwrite(out + '/' + n, cv2.imread(given + '/' + n)[:-1])", ContractError,
         "00000000.png is 24x15, the blurry one 24x16"),
        ("for n in names: open(out + '/' + n, 'w').write('<html>')", ContractError, "not an image"),
        (INVERT + "print('no GPU', file=sys.stderr)\nsys.exit(3)", FailedElsewhere,
         r"ended with exit code 3. It said last:\n  no GPU"),
        ("os.abort()", FailedElsewhere, "SIGABRT"),
    ],
)  # fmt: skip
def test_what_a_command_may_not_do(tool, code, error, told):
    tool(code)
    with pytest.raises(error, match=told):
        restore(clip8(5, 16, 24))


def test_other_names_in_order_where_the_card_says_so(tool):
    rename = "for i, n in enumerate(names): shutil.copy(given + '/' + n, f'{out}/deblurred_{i + 1}.png')\n"
    tool(rename, USUAL + "command_results: in-order\n")
    frames = clip8(11, 8, 8)  # 10 sorts behind 2
    assert all(np.array_equal(a, b) for (a, _), b in zip(restore(frames), frames, strict=True))
    tool("names = names[1:]\n" + rename, USUAL + "command_results: in-order\n")
    with pytest.raises(ContractError, match="wrote 10 frames for 11 of the clip"):
        restore(frames)


def test_a_hang_is_ended_with_all_that_it_started(tool, tmp_path):
    tool(f"import subprocess\np = subprocess.Popen(['sleep', '600'])\nopen({str(tmp_path / 'pids')!r}, 'w')"
         ".write(f'{os.getpid()} {p.pid}')\ntime.sleep(600)", begin=LIGHT)  # fmt: skip
    began = time.monotonic()
    with pytest.raises(FailedElsewhere, match=r"wrote nothing new for 5 s.*--timeout") as failed:
        restore(clip8(2, 8, 8), timeout=5.0)
    assert failed.value.kind == "timeout" and time.monotonic() - began < 40
    assert all(gone(int(pid)) for pid in (tmp_path / "pids").read_text().split())


def test_a_slow_command_that_goes_on_writing_does_not_hang(tool):
    tool("for n in names:\n    time.sleep(0.8)\n    shutil.copy(given + '/' + n, out)\n", begin=LIGHT)
    assert len(restore(clip8(7, 8, 8), timeout=5.0)) == 7


def test_what_it_leaves_running_in_the_background_is_ended(tool, tmp_path):
    tool(INVERT + f"import subprocess\np = subprocess.Popen(['sleep', '600'])\nopen({str(tmp_path / 'pid')!r}, 'w')"
         ".write(str(p.pid))")  # fmt: skip
    assert len(restore(clip8(2, 8, 8))) == 2
    assert gone(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_when_we_are_killed(tool, tmp_path, plugin_folder, blow):
    tool(f"open({str(tmp_path / 'pid.new')!r}, 'w').write(str(os.getpid()))\n"
         f"os.rename({str(tmp_path / 'pid.new')!r}, {str(tmp_path / 'pid')!r})\ntime.sleep(600)")  # fmt: skip
    temporary = tmp_path / "temporary"
    code = "from tests.unit.test_commanding import *\nrestore(clip8(3, 8, 8), timeout=600)"
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)}
    process = subprocess.Popen([sys.executable, "-c", code], env=variables, stderr=subprocess.DEVNULL, cwd=ROOT)
    until = time.monotonic() + 120
    while not (tmp_path / "pid").exists():
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    assert len(list(temporary.iterdir())) == 1
    process.send_signal(blow)
    process.wait(timeout=30)
    assert gone(int((tmp_path / "pid").read_text()))
    while list(temporary.iterdir()) and time.monotonic() < until:
        time.sleep(0.05)


def test_a_program_that_is_not_there(tool):
    tool(card='command: [no-such-tool, "{input}", "{output}"]\n')
    with pytest.raises(MissingError, match=r"'no-such-tool' is neither in .*tool nor a program in PATH"):
        plan_method("tool")
    folder = tool(card='command: ["./tool.py", "{input}", "{output}"]\n')
    (folder / "tool.py").chmod(0o644)
    with pytest.raises(FailedElsewhere, match="cannot be started: Permission denied"):
        restore(clip8(1, 8, 8))


@pytest.mark.parametrize(
    ("card", "told"),
    [
        ('command: [python, tool.py, "{input}"]\n', r"needs the word \{output\}"),
        (USUAL.replace("{input}", "{inputs}"), r"Did you mean 'input'|needs the word \{input\}"),
        (
            USUAL.replace("]", ', "{strenth}"]') + "variants: {a: {parameters: {strength: 1}}}\n",
            "Did you mean 'strength'",
        ),
        (USUAL + "entry: method:Plugin\n", "either `entry`, a class, or `command`"),
        (USUAL + "trainable: true\n", "has no weights here"),
        ("summary: nothing to run\n", "entry"),
    ],
)
def test_faults_of_the_card(tool, card, told):
    tool(card=card)
    assert "tool" in plugins("methods")
    with pytest.raises(CardError, match=told):
        plugin("methods", "tool")
