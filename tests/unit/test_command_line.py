"""What the command line makes of its words, without running anything."""

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from deblurbench.cli import main
from deblurbench.cli.options import names, resume_command
from deblurbench.cli.reporting import own_folder
from deblurbench.cli.run import check_device
from deblurbench.errors import UsageError
from deblurbench.results.store import folder_name
from tests import fake_run
from tests.conftest import ROOT
from tests.fakes import write_folder


def test_lists_of_names():
    assert names(None, "--clips") is None
    assert names("a, b ,,c,", "--clips") == ["a", "b", "c"]
    for nothing in ("", ",", " , "):
        with pytest.raises(UsageError, match=r"--clips.*names nothing"):
            names(nothing, "--clips")


def test_the_command_that_resumes_names_the_folder():
    words = ["run", "--methods", "a", "--dataset", "my data", "--fresh"]
    folder = Path("runs/2030-01-01-mini-a")
    assert resume_command(words, folder) == (
        "deblurbench run --methods a --dataset 'my data' --output runs/2030-01-01-mini-a"
    )
    for given in (["--output", "x"], ["--output=x"]):
        assert resume_command([*words, *given], folder).count("--output") == 1


def test_a_device_that_is_not_there_is_told_before_work_begins():
    check_device("auto")
    check_device("cpu")
    with pytest.raises(UsageError, match="'gpu' is not available"):
        check_device("gpu")


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (PermissionError(13, "Permission denied", "/data/locked"), 1, "/data/locked: Permission denied"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (UsageError("no"), 2, "deblurbench: no"),
    ],
)
def test_no_traceback_for_what_a_user_can_mend(monkeypatch, capsys, raised, code, said):
    @click.command()
    def fails():
        raise raised

    monkeypatch.setattr(main.LazyGroup, "get_command", lambda *_: fails)
    with pytest.raises(SystemExit) as left:
        main.main(["env"])
    assert left.value.code == code and said in capsys.readouterr().err


def test_a_report_of_several_runs_leaves_that_of_the_first_alone(tmp_path):
    one, two, three = (tmp_path / name for name in ("one", "two 2", "three"))
    assert own_folder([one]) == own_folder([one, tmp_path / "x" / ".." / "one"]) == one / "report"
    assert own_folder([one, two]) == tmp_path / f"report-one-{folder_name('two 2')}"
    assert own_folder([one, two, three]).name.endswith("-and-1-more")


def test_the_report_of_two_runs_is_written_beside_the_first(tmp_path, capsys):
    for name, methods in (("one", {"identity": 1.0, "a": 0.6}), ("two", {"identity": 1.0, "b": 0.5})):
        fake_run.write(tmp_path / name, fake_run.Fake(methods=methods, clips=("c",)))
    with pytest.raises(SystemExit) as left:
        main.main(["report", str(tmp_path / "one"), str(tmp_path / "two"), "--kind", "tables"])
    assert not left.value.code and not (tmp_path / "one" / "report").exists()
    assert "| b |" in (tmp_path / "report-one-two" / "table.md").read_text()


def test_a_reader_that_has_seen_enough_is_no_failure():
    line = f"set -o pipefail; {sys.executable} -m deblurbench list --json | head -1"
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "{\n", "")


def test_listing_imports_nothing_heavy():
    code = "import sys\nfrom deblurbench.cli import catalogue\nfor k in catalogue.KINDS: catalogue._table(k)\n"
    code += (
        "print(sorted({'numpy', 'torch', 'pandas', 'cv2', 'rich', 'deblurbench.evaluation.runner'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "where"),
    [
        (["reproduce", "ifirnn", "--dataset", "mini"], "deblurbench.evaluation.runner.run"),
        (["score", "FRAMES", "--dataset", "folder", "--data-root", "DATA"], "deblurbench.evaluation.submission.score"),
    ],
)
def test_an_interruption_tells_the_command_that_resumes(tmp_path, monkeypatch, words, where):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    root = write_folder(tmp_path / "data", clips=["one"], frames=2)
    words = [{"FRAMES": str(root / "sharp"), "DATA": str(root)}.get(word, word) for word in words]
    monkeypatch.setattr(where, interrupted)
    monkeypatch.setattr("sys.argv", ["deblurbench", *words, "--fresh"])
    done = CliRunner().invoke(main.cli, [*words, "--fresh"], standalone_mode=False)
    assert done.return_value == 130, done.output
    assert f"Resume with:\n  deblurbench {' '.join(words)} --output runs/" in done.output
