"""Metrics from plugin folders: found, held to their cards, recorded, and computed again when their code changes."""

import numpy as np
import pytest

import deblurbench
from deblurbench.checks.metric import check_metric
from deblurbench.errors import CardError, UsageError
from deblurbench.metrics import METRICS, load_metrics
from deblurbench.registry import discovery
from deblurbench.registry.scaffold import write_plugin
from tests.e2e.inprocess import deblurbench as command
from tests.fakes import write_folder

CARD = """name: {name}
entry: metric:score
title: {name}
better: lower
best: 0
citation: here
"""
ABSOLUTE = (
    "import numpy as np\n\n\ndef score(restored, sharp):\n    return np.abs(restored.astype(int) - sharp).mean()\n"
)


def write_metric(folder, name, code=ABSOLUTE, card=""):
    place = folder / "metrics" / name
    place.mkdir(parents=True, exist_ok=True)
    (place / "card.yaml").write_text(CARD.format(name=name) + card)
    (place / "metric.py").write_text(code)
    return place


def results(name):
    return {check: (result, detail) for check, result, detail in check_metric(name)}


def test_a_metric_is_found_described_and_called(plugin_folder):
    write_metric(plugin_folder, "mae")
    assert "mae" in METRICS and "psnr" in METRICS and list(METRICS)[-1] == "mae"
    metric = deblurbench.metric("mae")
    frame = np.zeros((8, 8, 3), np.uint8)
    assert metric(frame + 3, frame) == 3.0 and metric.card.best == 0
    command("list", "metrics")
    command("show", "mae")


def test_a_metric_over_clips(plugin_folder):
    code = (
        "class score:\n    def __init__(self):\n        self.count = 0\n"
        "    def add(self, restored, sharp):\n        self.count += int((restored != sharp).any())\n"
        "    def result(self):\n        return self.count\n"
    )
    write_metric(plugin_folder, "changed", code, "level: clip\n")
    clip = np.zeros((3, 8, 8, 3), np.uint8)
    assert deblurbench.metric("changed")(clip + 1, clip) == 3
    assert set(load_metrics(["changed"], "cpu")[1]) == {"changed"}


@pytest.mark.parametrize(
    ("check", "code", "card"),
    [
        ("card and import", "raise RuntimeError('no')", ""),
        ("card and import", "score = 3", ""),
        ("a number", "def score(restored, sharp):\n    return float('nan')", ""),
        ("identical frames", "def score(restored, sharp):\n    return 1.0 + abs(restored - 0.0 - sharp).mean()", ""),
        ("direction", "def score(restored, sharp):\n    return -abs(restored - 0.0 - sharp).mean()", ""),
        ("bounds", ABSOLUTE, "bounds: [0, 1]\n"),
        ("symmetric", "def score(restored, sharp):\n    return (abs(restored - 0.0 - sharp) * sharp).mean()",
         "symmetric: true\n"),
        ("deterministic", "import random\ndef score(restored, sharp):\n    return random.random()", ""),
        ("leaves its frames as they are", "def score(restored, sharp):\n    value = restored.mean()\n"
         "    restored[:] = 0\n    return value", ""),
    ],
)  # fmt: skip
def test_check_finds_what_breaks_the_contract(plugin_folder, check, code, card):
    write_metric(plugin_folder, "odd", code, card)
    assert results("odd")[check][0] == "FAILED", results("odd")


def test_check_passes_what_keeps_it(plugin_folder, capsys):
    write_metric(plugin_folder, "mae", card="bounds: [0, 255]\nsymmetric: true\n")
    assert {result for result, _ in results("mae").values()} == {"ok"}
    assert {result for result, _ in results("ssim").values()} == {"ok", "skipped"}
    command("check", "mae")
    assert "720" in capsys.readouterr().out


def test_the_written_metric_keeps_its_contract(plugin_folder):
    write_plugin("metrics", "written")
    assert {result for result, _ in results("written").values()} == {"ok"}
    for name, reason in (("written", "already"), ("Bad", "small letters")):
        with pytest.raises(UsageError, match=reason):
            write_plugin("metrics", name)


def test_other_code_is_computed_again_and_not_mixed(plugin_folder, tmp_path):
    write_folder(tmp_path / "data", clips=("one",), frames=2)

    def run(output):
        return deblurbench.evaluate(["identity"], "folder", data_root=tmp_path / "data", metrics=["mae"],
                                    output=tmp_path / output)  # fmt: skip

    place = write_metric(plugin_folder, "mae")
    before = run("a")
    first = before.values("identity", "mae").mean()
    (place / "metric.py").write_text(ABSOLUTE.replace(".mean()", ".mean() * 2"))
    assert run("b").values("identity", "mae").mean() == pytest.approx(2 * first)
    command("report", tmp_path / "a", tmp_path / "b", "--gallery", "none", code=2)
    assert run("a").values("identity", "mae").mean() == pytest.approx(2 * first)


def test_a_broken_card_is_listed_and_a_taken_name_refused(plugin_folder, capsys):
    place = write_metric(plugin_folder, "mae")
    (place / "card.yaml").write_text("name: mae\nbetter: sideways\n")
    command("list", "metrics")
    assert "mae" in capsys.readouterr().out and "mae" not in METRICS
    discovery._scan.cache_clear()
    place = write_metric(plugin_folder, "other")
    (place / "card.yaml").write_text(CARD.format(name="psnr"))
    with pytest.raises(CardError, match="two metrics are called 'psnr'"):
        list(METRICS)
