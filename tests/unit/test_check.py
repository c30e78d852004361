"""`check all`: one line a method, and the exit code."""

import json

import pytest
from click.testing import CliRunner

from deblurbench.commands import catalogue
from deblurbench.contract import check_method
from tests.conftest import write_plugin

CODE = """
from deblurbench.methods.base import FrameMethod

class Plugin(FrameMethod):
    def restore_frame(self, frame):
        return frame[:, :-1] if {crops} else frame
"""


@pytest.fixture
def three(plugin_folder, monkeypatch):
    """Only a good, a wrong and a broken method are registered."""
    write_plugin(plugin_folder, "good", CODE.format(crops=False))
    write_plugin(plugin_folder, "wrong", CODE.format(crops=True))
    write_plugin(plugin_folder, "torn", CODE, card="nonsense: 1\n")
    known = catalogue.plugins("methods")
    monkeypatch.setattr(catalogue, "plugins", lambda _: {k: known[k] for k in ("good", "torn", "wrong")})


def check(*words):
    return CliRunner().invoke(catalogue.check, words, standalone_mode=False)


def test_all_prints_a_line_a_method(three):
    done = check("all")
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert list(lines) == ["good", "torn", "wrong"] and done.return_value == 1
    assert lines["good"].startswith("ok") and "skipped" in lines["good"]
    assert lines["torn"].startswith("FAILED") and "card and import" in lines["torn"]
    assert lines["wrong"].startswith("FAILED") and "shape and range" in lines["wrong"]


def test_red_and_blue_changed_over_are_noticed(plugin_folder):
    write_plugin(plugin_folder, "bgr", CODE.replace("frame[:, :-1] if {crops} else frame", "frame.flip(0)"))
    findings = {label: (state, detail) for label, state, detail in check_method("bgr")}
    state, detail = findings["colours in order"]
    assert state == "FAILED" and "came back as [40, 120, 200]: BGR instead of RGB?" in detail


def test_what_is_not_written_yet_is_named(plugin_folder):
    code = "from deblurbench.methods.base import FrameMethod\nclass Plugin(FrameMethod):\n    pass\n"
    write_plugin(plugin_folder, "empty", code)
    findings = {label: detail for label, _, detail in check_method("empty")}
    assert "Plugin has no restore_frame: write it" in findings["shape and range"]


def test_all_in_json_has_every_check(three):
    rows = json.loads(check("all", "--json").stdout)
    assert {row["method"] for row in rows} == {"good", "torn", "wrong"} and len(rows) > 20


def test_all_passes_where_every_method_does(three, monkeypatch):
    good = catalogue.plugins("methods")["good"]
    monkeypatch.setattr(catalogue, "plugins", lambda _: {"good": good})
    assert check("all").return_value == 0
