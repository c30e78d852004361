"""`deblurbench reproduce`: a paper's table beside ours, and when the two may be compared."""

import hashlib
import json
import shutil

import pytest
import torch
from safetensors.torch import save_file

from deblurbench.analysis.reproduce import (
    NO_WEIGHTS,
    OTHER_METHOD,
    OTHER_PROTOCOL,
    beside,
    choose_table,
    paper_tables,
)
from deblurbench.errors import UsageError
from deblurbench.registry.cards import MethodCard
from deblurbench.registry.protocol import Protocol
from tests.conftest import write_plugin
from tests.e2e.inprocess import deblurbench, interrupt
from tests.e2e.test_verify import TINY
from tests.fake_run import Fake, write
from tests.fakes import write_folder

PAPER = [
    ("Rival", "gopro", "psnr", 27.0, "A paper, Table 1"),
    ("C2H3", "gopro", "psnr", 29.8, "A paper, Table 1"),
    ("C2H3", "gopro", "fps", 28.8, "A paper, Table 1"),
    ("C1H1", "gopro", "psnr", 28.79, "A paper, Table 1"),
    ("C2H3", "dvd", "psnr", 30.8, "A paper, Table 12"),
]


@pytest.fixture
def card():
    keys = ("variant", "protocol", "metric", "value", "source")
    return MethodCard(
        name="ifirnn", entry="method:Net", title="t", variants={"C2H3": {}, "C1H1": {}}, trainable=True,
        paper=[dict(zip(keys, row, strict=True)) for row in PAPER],
    )  # fmt: skip


def test_a_table_is_a_source_under_a_protocol(card):
    assert [t.title for t in paper_tables(card)] == ["A paper, Table 1 (gopro)", "A paper, Table 12 (dvd)"]
    assert choose_table(card, None, None).protocol == choose_table(card, None, "mini").protocol == "gopro"
    assert choose_table(card, 12, None).protocol == choose_table(card, None, "dvd").protocol == "dvd"
    with pytest.raises(UsageError, match=r"no published Table 2.*Table 1 .gopro"):
        choose_table(card, 2, None)


@pytest.mark.parametrize(
    ("protocol", "partial", "mark"), [("gopro", False, ""), ("gopro", True, "partial"), ("mini", False, OTHER_PROTOCOL)]
)
def test_a_difference_is_given_only_where_the_numbers_are_comparable(card, tmp_path, protocol, partial, mark):
    run = write(tmp_path, Fake(protocol=Protocol(name=protocol, leave_out=(4, 1)), changes={"partial": partial}))
    missing = {"Rival": OTHER_METHOD, "C1H1": NO_WEIGHTS}
    found = beside(choose_table(card, 1, None), card, run, missing)
    assert [name for name, _, _ in found.rows] == ["identity", "Rival", "C2H3", "C1H1"]
    assert {name: weights for name, weights, _ in found.rows} == {
        "identity": "", "Rival": OTHER_METHOD, "C2H3": "first", "C1H1": NO_WEIGHTS,
    }  # fmt: skip
    numbers = {name: row for name, _, row in found.rows}
    mean = run.scores.query("method == 'ifirnn:C2H3' and metric == 'psnr'").value.mean()
    ours = numbers["C2H3"]["psnr"]
    assert (ours.paper, ours.ours) == (29.8, pytest.approx(mean))
    assert found.mark.startswith(mark) and bool(found.mark) == bool(mark)
    assert (ours.difference is None) if mark else ours.difference == pytest.approx(mean - 29.8)
    assert numbers["C1H1"]["psnr"].ours is None and numbers["C1H1"]["psnr"].paper == 28.79
    assert numbers["C2H3"]["fps"].difference is None and numbers["C2H3"]["fps"].ours > 1
    assert numbers["identity"]["fps"].ours is None and numbers["identity"]["psnr"].ours


def test_without_the_data_it_says_what_is_missing(capsys):
    deblurbench("reproduce", "ifirnn", code=3)
    told = capsys.readouterr().err
    assert "Table 1" in told and "gopro:nah2019" in told and "GOPRO_Large_all" in told and "--dataset mini" in told
    deblurbench("reproduce", "identity", code=2)
    deblurbench("reproduce", "ifirnn", "--table", "99", code=2)


def test_the_runnable_variants_are_run_and_the_others_listed(plugin_folder, tmp_path, monkeypatch, capsys):
    torch.manual_seed(0)
    save_file(torch.nn.Conv2d(3, 3, 3, padding=1).state_dict(), str(tmp_path / "w.safetensors"))
    digest = hashlib.sha256((tmp_path / "w.safetensors").read_bytes()).hexdigest()
    paper = "".join(f"  - {{variant: {v}, protocol: folder, metric: psnr, value: 20.5, source: 'Ours, Table 3'}}\n"
                    for v in ("small", "large"))  # fmt: skip
    card = (
        f"trainable: true\nvariants: {{small: {{}}, large: {{}}}}\npaper:\n{paper}"
        f"weights: [{{tag: w, variant: small, file: w.safetensors, sha256: '{digest}'}}]\n"
    )
    shutil.copy(tmp_path / "w.safetensors", write_plugin(plugin_folder, "tinyconv", TINY, card))
    data = write_folder(tmp_path / "data", frames=3)
    words = ("reproduce", "tinyconv", "--table", "3", "--data-root", data, "--output", tmp_path / "run")
    deblurbench(*words, "--json")
    found = json.loads(capsys.readouterr().out)
    rows = {row["method"]: row for row in found["rows"]}
    assert found["comparable"] and rows["large"]["weights"] == NO_WEIGHTS and rows["large"]["psnr"]["ours"] is None
    small = rows["small"]["psnr"]
    assert rows["small"]["weights"] == "w" and small["difference"] == pytest.approx(small["ours"] - 20.5)
    assert (tmp_path / "run" / "report" / "index.html").is_file()
    deblurbench(*words, "--clips", "", code=2)
    assert "--clips '' names nothing" in capsys.readouterr().err
    deblurbench(*words)
    told = capsys.readouterr()
    assert "no weights yet" in told.out and "20.50" in told.out and "frames are there already" in told.err
    monkeypatch.setattr("deblurbench.cli.support.output.write_reports", interrupt)
    deblurbench(*words, code=130)
    assert "Resume with" in capsys.readouterr().err
