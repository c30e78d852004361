"""Several methods in one `train`: a folder each, what is done is left, a slip is told before anything is trained.

And how `train` ends that is interrupted, of one method or of several.
"""

import os
import shlex
import signal

import pytest
from click.testing import CliRunner

from deblurbench.cli.main import cli
from deblurbench.training import checkpoint, loop
from tests.blurs import TINY, blurs  # noqa: F401
from tests.e2e.inprocess import interrupt

pytestmark = pytest.mark.usefixtures("blurs")
FAST = [word for setting in (*TINY, "ema=0") for word in ("--set", setting)]


def train(folder, methods, *words):
    return CliRunner().invoke(
        cli, ["train", methods, "--dataset", "blurs", "--output", str(folder), "--threads", "1", *FAST, *words]
    )


def steps(folder):
    return {each.name: checkpoint.read(each / "checkpoint.pt").step for each in sorted(folder.iterdir())}


def test_each_has_its_folder_and_the_rest_is_gone_on_with(tmp_path, monkeypatch):
    step = loop.take_step

    def interrupted(run, *words):
        if run.variant == "C2H1" and run.step == 2:
            raise KeyboardInterrupt
        return step(run, *words)

    monkeypatch.setattr(loop, "take_step", interrupted)
    methods = "ifirnn:C1H1,ifirnn:C2H1, ifirnn:C1H2,ifirnn:C1H1"
    train(tmp_path / "out", methods, "--set", "save_minutes=1e-9")
    assert steps(tmp_path / "out") == {"ifirnn-C1H1": 6, "ifirnn-C2H1": 2}
    kept = (tmp_path / "out" / "ifirnn-C1H1" / "weights.safetensors").read_bytes()
    monkeypatch.setattr(loop, "take_step", step)
    done = train(tmp_path / "out", methods, "--set", "save_minutes=1e-9", "--resume")
    assert done.exit_code == 0, done.output
    assert steps(tmp_path / "out") == {"ifirnn-C1H1": 6, "ifirnn-C1H2": 6, "ifirnn-C2H1": 6}
    assert (tmp_path / "out" / "ifirnn-C1H1" / "weights.safetensors").read_bytes() == kept
    assert f"ifirnn@{tmp_path}/out/ifirnn-C1H1,ifirnn@{tmp_path}/out/ifirnn-C2H1" in done.output


def test_all_is_every_variant_of_the_paper(tmp_path):
    done = train(tmp_path / "out", "ifirnn:all", "--limit-steps", "1")
    assert done.exit_code == 0, done.output
    names = [f"ifirnn-C{c}H{h}" for c in (1, 2) for h in (1, 2, 3, 4)]
    regularised = ["ifirnn-C1H4-reg", "ifirnn-C2H3-reg", "ifirnn-C2H4-reg"]
    assert steps(tmp_path / "out") == dict.fromkeys([*names, *regularised], 1)


@pytest.mark.parametrize(
    ("methods", "said"),
    [
        ("ifirnn:C1H1,ifirnn:C9H9", "no variant 'C9H9'"),
        ("ifirnn:C1H1,srn:rgb@x.safetensors", "give --start-from x.safetensors"),
        ("ifirnn:C1H1,identity", "nothing to train"),
        ("cnn:all", "no variant of its paper"),
        (" , ", "no method to train"),
    ],
)
def test_a_slip_is_told_before_the_first_is_trained(tmp_path, methods, said):
    done = train(tmp_path / "out", methods)
    assert done.exit_code and said in str(done.exception)
    assert not (tmp_path / "out").exists()


def typed(monkeypatch, words):
    """`train` with these words, as if they stood in a shell's line."""
    monkeypatch.setattr("sys.argv", ["deblurbench", "train", *words])
    return CliRunner().invoke(cli, ["train", *words], standalone_mode=False)


def told(done):
    """The words of the command that resumes, which is the last line, without the first two."""
    assert done.return_value == 130, done.output
    line = done.output.rstrip().splitlines()[-1]
    assert line.startswith("  deblurbench train ")
    return shlex.split(line)[2:]


@pytest.mark.parametrize("methods", ["ifirnn:C1H1", "ifirnn:C1H1,ifirnn:C2H1"])
def test_stopped_it_tells_the_command_that_resumes(tmp_path, monkeypatch, methods):
    step, at = loop.take_step, {2, 4}

    def stopped(run, *words):
        if run.step in at:
            at.remove(run.step)
            os.kill(os.getpid(), signal.SIGTERM)
        return step(run, *words)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(loop, "take_step", stopped)
    given = [methods, "--dataset", "blurs", "--threads", "1", *FAST]
    first = typed(monkeypatch, given)
    assert "stopped after step 3; saved in runs/train-" in first.output
    words = told(first)
    (folder,) = (tmp_path / "runs").iterdir()  # named after the day: tomorrow's would be another
    assert words == [*given, "--resume", "--output", f"runs/{folder.name}"]
    second = typed(monkeypatch, words)
    assert "stopped after step 5; saved in" in second.output and told(second) == words
    done = typed(monkeypatch, words)
    assert done.return_value == 0, done.output
    files = sorted(folder.rglob("checkpoint.pt"))
    assert [checkpoint.read(file).step for file in files] == [6] * (1 + methods.count(","))


def test_a_second_interruption_tells_what_there_is(tmp_path, monkeypatch):
    step = loop.take_step
    monkeypatch.setattr(loop, "take_step", interrupt)
    words = ["ifirnn:C1H1", "--dataset", "blurs", "--output", str(tmp_path / "out"), "--threads", "1", *FAST]
    done = typed(monkeypatch, words)
    assert (done.return_value, done.output) == (130, "\ninterrupted; nothing was kept, run it again\n")
    monkeypatch.setattr(loop, "take_step", step)
    assert typed(monkeypatch, [*words, "--limit-steps", "2"]).return_value == 0
    monkeypatch.setattr(loop, "take_step", interrupt)
    done = typed(monkeypatch, [*words, "--resume"])
    assert "interrupted; what was saved last is kept. Resume with:\n" in done.output
    assert told(done) == [*words, "--resume"]
    monkeypatch.setenv("RANK", "0")
    assert "Resume with (behind torchrun's own words and -m):\n" in typed(monkeypatch, [*words, "--resume"]).output
    monkeypatch.setenv("RANK", "1")
    second = typed(monkeypatch, [*words, "--resume"])
    assert (second.return_value, "Resume" in second.output) == (130, False)
