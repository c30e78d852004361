"""What people's hands do: forgotten commas, completion, quiet and verbose commands, logs without a terminal."""

import json
import logging
import time

import pytest
from click.shell_completion import BashComplete

from deblurbench.cli import terminal
from deblurbench.cli.main import cli as group
from deblurbench.cli.support import console
from deblurbench.results.manifest import Outcome
from tests.conftest import write_plugin
from tests.e2e.inprocess import deblurbench


@pytest.fixture(autouse=True)
def normal():
    yield
    console.set_verbosity("normal")


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        ("run --methods identity unsharp --dataset mini", "--methods identity,unsharp"),
        ("run --methods identity, unsharp, srn --dataset mini", "--methods identity,unsharp,srn"),
        ("run --dataset mini --methods identity --metrics psnr ssim", "--metrics psnr,ssim"),
    ],
)
def test_forgotten_commas_are_recognised(words, advice, capsys):
    deblurbench(*words.split(), code=2)
    assert f"takes one list with commas: {advice}\n" in capsys.readouterr().err


def test_another_superfluous_word_gets_no_such_advice(capsys):
    deblurbench("env", "nonsense", code=2)
    assert "commas" not in capsys.readouterr().err


def complete(*words):
    *args, typed = words
    return [item.value for item in BashComplete(group, {}, "deblurbench", "_X").get_completions(args, typed)]


def test_names_are_completed():
    assert complete("run", "--methods", "identity,srn:narrow-") == ["identity,srn:narrow-window"]
    assert complete("run", "--dataset", "gopro:nah") == ["gopro:nah2019"]
    assert complete("run", "--metrics", "psnr,ssim-m") == ["psnr,ssim-matlab3d"]
    assert "ifirnn:C1H1" in complete("show", "ifirnn")
    assert complete("show", "gall") == ["gallery"]
    assert complete("comple") == ["completion"]
    assert "--save-frames" in complete("run", "--sav")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell(shell, capsys):
    deblurbench("completion", shell)
    script = capsys.readouterr().out
    assert "_DEBLURBENCH_COMPLETE=" + shell in script.replace("env ", "")
    assert (script.startswith("COMP_WORDBREAKS")) == (shell == "bash")


def test_quiet_and_verbose(plugin_folder, tmp_path, capsys):
    write_plugin(plugin_folder, "failing", "def Plugin():\n    raise RuntimeError('out of luck')\n")
    words = ("run", "--methods", "failing", "--dataset", "mini", "--limit", 1, "--metrics", "psnr", "--in-process",
             "--gallery", "none", "--output", tmp_path / "run")  # fmt: skip
    deblurbench(*words, "--quiet", code=1)
    quiet = capsys.readouterr()
    assert "FAILED  failing" in quiet.err and "identity" in quiet.out
    assert "done" not in quiet.err and "scores.csv" not in quiet.err and "Traceback" not in quiet.err
    deblurbench(*words, "--verbose", "--fresh", code=1)
    verbose = capsys.readouterr().err
    assert "done    identity" in verbose and "Traceback" in verbose and "scores.csv" in verbose


def test_without_a_terminal_lines_come_at_a_steady_pace_with_the_time_left(monkeypatch, capsys):
    clock = iter(range(1000))
    monkeypatch.setattr(time, "monotonic", lambda: 10.0 * next(clock))
    with terminal.ProgressBars() as bars:
        bars.begin(10, 0)
        bars.clip("srn", "one", 10)
        for stem in range(9):
            bars.frame("srn", "one", str(stem))
        bars.outcome(Outcome(method="srn", clip="one", status="ok"))
    lines = capsys.readouterr().err.splitlines()
    told = [line for line in lines if "left" in line]
    assert 2 <= len(told) <= 5 and told[0].startswith("srn  one: ") and "of 10 frames, about" in told[0]


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (89, "89 s"), (600, "10 min"), (9000, "2.5 h")])
def test_durations(seconds, text):
    assert terminal.duration(seconds) == text


def test_lists_are_lists_in_json(capsys):
    deblurbench("list", "--json")
    told = json.loads(capsys.readouterr().out)
    methods = {row["method"]: row for row in told["methods"]}
    assert "C1H1" in methods["ifirnn"]["variants"] and methods["identity"]["variants"] == []
    assert any(weights.startswith("C1H1@") for weights in methods["ifirnn"]["weights"])
    assert methods["identity"]["without_weights"] == "needs none"
    assert "gopro:nah2019" in next(row["protocols"] for row in told["datasets"] if row["dataset"] == "gopro")


def test_messages_of_the_library_are_printed(capsys):
    console.set_verbosity("normal")
    logging.getLogger("deblurbench.training").info("step %d", 3)
    logging.getLogger("deblurbench").warning("odd\x1b")
    assert capsys.readouterr().err == "step 3\n! odd\\x1b\n"
