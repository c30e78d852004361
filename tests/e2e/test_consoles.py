"""Outputs that are closed, full or of a poor encoding, names with control characters, and the umask."""

import json
import os
import stat
import subprocess

import pytest

from deblurbench.cli.main import COMMANDS, SUMMARIES
from deblurbench.text import pictured, printable
from tests.fakes import write_folder

CLIP = "red\x1b[31mclip"


@pytest.fixture
def done(cli):
    """A run of the input alone over two clips, one of them named with an escape sequence."""
    write_folder(cli.folder / "data", clips=("plain", CLIP), frames=3)
    before = os.umask(0o077)
    try:
        cli.printed = cli("run", "--methods", "identity", "--dataset", "folder", "--data-root", "data", "--metrics",
                          "psnr", "--in-process", "--output", "out")  # fmt: skip
    finally:
        os.umask(before)
    return cli


def shell(cli, text, **variables):
    words = " ".join(cli.command())
    return subprocess.run(
        ["bash", "-c", text.replace("deblurbench", words)], cwd=cli.folder, env=cli.environment() | variables,
        capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_names_files_and_closed_outputs(done):
    printed = done.printed.stdout + done.printed.stderr
    assert "\x1b" not in printed and printable(CLIP) in printed
    page = (done.folder / "out/report/index.html").read_text()
    assert "\x1b" not in page and pictured(CLIP) in page
    data = (done.folder / "out/report/data.js").read_text()
    assert pictured(CLIP) in [clip["name"] for clip in json.loads(data.partition(" = ")[2].rstrip(";\n"))["clips"]]
    files = [file for file in (done.folder / "out").rglob("*") if file.is_file()]
    assert files and not [file for file in files if stat.S_IMODE(file.stat().st_mode) & 0o077]

    for encoding, arrow in (("ascii", "PSNR (dB) ^"), ("cp1252", "PSNR (dB) ^"), ("utf-8", "PSNR (dB) ↑")):
        report = shell(done, "deblurbench report out --gallery none", PYTHONIOENCODING=encoding, NO_COLOR="1")
        assert report.returncode == 0 and arrow in report.stdout, report.stderr
    as_json = shell(done, "deblurbench report out --gallery none --json", PYTHONIOENCODING="ascii")
    assert as_json.returncode == 0 and json.loads(as_json.stdout)["title"] == "folder"

    closed = shell(done, "deblurbench report out --gallery none --output again >&-")
    assert closed.returncode == 0 and (done.folder / "again/table.csv").is_file()
    assert "Traceback" not in closed.stderr
    full = shell(done, "deblurbench report out --gallery none > /dev/full")
    assert full.returncode == 1 and "standard output: No space left on device" in full.stderr
    assert "Traceback" not in full.stderr and "Exception ignored" not in full.stderr


def test_closed_standard_error_with_workers(cli):
    write_folder(cli.folder / "data", clips=("one",), frames=2)
    run = shell(cli, "deblurbench run --methods unsharp:mild --dataset folder --data-root data --metrics psnr "
                     "--gallery none --output out 2>&-")  # fmt: skip
    assert run.returncode == 0 and "unsharp:mild" in (cli.folder / "out/scores.csv").read_text()


def test_a_loop_of_links_is_named(cli):
    (cli.folder / "here").symlink_to("there")
    (cli.folder / "there").symlink_to("here")
    words = ("run", "--methods", "identity", "--dataset", "folder")
    assert "here: a loop of symbolic links" in cli(*words, "--data-root", "here", code=2).stderr
    write_folder(cli.folder / "data", clips=("one",), frames=2)
    assert "here" in cli(*words, "--data-root", "data", "--output", "here", code=None).stderr
    cli.variables["DEBLURBENCH_PLUGINS"] = "here"
    listed = cli("list", "methods")
    assert "here" in listed.stderr and "identity" in listed.stdout


def test_control_characters_in_arguments_and_errors_are_escaped(cli):
    for words in (("show", CLIP), ("run", "--methods", CLIP, "--dataset", "mini"), (CLIP,), ("run", f"--{CLIP}")):
        said = cli(*words, code=2).stderr
        assert "\x1b" not in said and "\\x1b[31mclip" in said


def test_help_has_a_summary_of_every_command(cli):
    assert list(SUMMARIES) == list(COMMANDS)
    said = " ".join(cli("--help").stdout.split())
    assert all(f"{name} {summary}" in said for name, summary in SUMMARIES.items())
