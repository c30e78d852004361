"""The comparison table: marks, caveats, refusals, and its renderings as small golden strings."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from deblurbench import tables
from deblurbench.errors import UsageError
from deblurbench.registry.cards import Published
from deblurbench.registry.protocol import Protocol
from deblurbench.results.manifest import MetricRecord
from deblurbench.results.run import Run
from deblurbench.tables import papers as papers_module
from tests import fake_run
from tests.fake_run import METRICS, Fake, reseal

DASH = "\N{EN DASH}"
GOLDEN_CSV = """method,psnr,ssim,seconds
identity,25.0,0.75,0.5
a_b:x,27.5,0.875,0.25
"""


def tiny(folder: Path, values: dict[str, dict[str, float]], **changes: object) -> Run:
    """A run of one clip and one scored frame, with exactly these values."""
    fake = Fake(methods=dict.fromkeys(values, 1.0), clips=("c",), frames=6, **changes)
    fake_run.write(folder, fake)
    lines, times = ["method,dataset,clip,frame,metric,value"], ["method,dataset,clip,frame,seconds,warmup"]
    for method, scores in values.items():
        lines += [f"{method},mini,c,000005,{k},{v!r}" for k, v in scores.items() if k != "seconds"]
        times.append(f"{method},mini,c,000005,{scores.get('seconds', 1.0)!r},0")
    (folder / "scores.csv").write_text("\n".join(lines) + "\n")
    (folder / "timings.csv").write_text("\n".join(times) + "\n")
    reseal(folder)
    return Run.open(folder)


def two(folder: Path, **changes: object) -> Run:
    identity = {"psnr": 25.0, "ssim": 0.75, "seconds": 0.5}
    return tiny(folder, {"identity": identity, "a_b:x": {"psnr": 27.5, "ssim": 0.875, "seconds": 0.25}}, **changes)


def test_csv_is_the_contract(tmp_path: Path) -> None:
    assert tables.csv_text(tables.build([two(tmp_path)])) == GOLDEN_CSV


def test_csv_keeps_full_precision_and_leaves_failed_cells_empty(tmp_path: Path) -> None:
    run = fake_run.write(tmp_path, Fake(failed={"srn:rgb": "clip-01"}))
    rows = {r["method"]: r for r in csv.DictReader(io.StringIO(tables.csv_text(tables.build([run]))))}
    scores = run.scores
    mine = scores[(scores["method"] == "identity") & (scores["metric"] == "psnr")]["value"]
    assert float(rows["identity"]["psnr"]) == pytest.approx(mine.mean(), abs=1e-13)
    assert rows["srn:rgb"] == {"method": "srn:rgb", "psnr": "", "ssim": "", "seconds": ""}


def test_markdown(tmp_path: Path) -> None:
    lines = tables.markdown(tables.build([two(tmp_path)])).splitlines()
    assert lines[:4] == [
        "| Method | Weights | Parameters | Rank | PSNR (dB) ↑ | SSIM ↑ | Time (s/frame) ↓ | PSNR gain | SSIM gain |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        f"| identity | {DASH} | {DASH} | 2.00 | <u>25.00</u> | <u>0.7500</u> | 0.500 | {DASH} | {DASH} |",
        "| a\\_b:x | first | 1.64M | 1.00 | **27.50** | **0.8750** | 0.250 | +2.50 | +0.1250 |",
    ]
    assert any("No interval: 1 clip," in line for line in lines)


def test_json_is_json_with_inf_as_text(tmp_path: Path) -> None:
    run = tiny(tmp_path, {"identity": {"psnr": float("inf"), "ssim": 1.0}})
    body = json.loads(tables.as_json(tables.build([run])))
    assert body["methods"][0]["psnr"]["value"] == "inf"


def test_terminal_shows_rows_caption_and_failure(tmp_path: Path) -> None:
    console = Console(width=160, file=io.StringIO(), force_terminal=False)
    run = fake_run.write(tmp_path, Fake(failed={"srn:rgb": "clip-03"}))
    console.print(tables.terminal(tables.build([run])))
    text = console.file.getvalue()
    assert "8 of 8 clips, 96 of 96 frames, 56 scored" in text
    assert "! srn:rgb: failed on 1 of 8 clips: clip-03: ValueError: boom" in text


def test_a_clip_that_failed_everywhere_is_told_with_the_way_out(tmp_path: Path) -> None:
    methods, clips = {"identity": 1.0, "srn:rgb": 0.5}, ("one", "a,b", "three")
    run = fake_run.write(tmp_path, Fake(methods=methods, clips=clips, failed=dict.fromkeys(methods, "a,b")))
    table = tables.build([run])
    text = "\n".join([*table.caption, *table.warnings])
    assert "21 scored; really scored: 2 of 3 clips, 14 frames (every method failed on a,b)." in text
    assert "No interval: no method was scored on every clip" in text and "needs at least" not in text
    assert "no row has a mean, since every method failed on a,b. Mend the files, or run the other 2 clips" in text
    assert "--clips one,three" in text


def test_a_method_that_failed_alone_takes_nothing_from_the_coverage(tmp_path: Path) -> None:
    table = tables.build([fake_run.write(tmp_path, Fake(clips=("one", "two", "three"), failed={"srn:rgb": "two"}))])
    text = "\n".join([*table.caption, *table.warnings])
    assert "really scored" not in text and "--clips" not in text and "means of 3 clips" in text


def test_infinite_clips_are_not_counted_for_intervals(tmp_path: Path) -> None:
    fake = Fake(methods={"identity": 1.0}, clips=("one", "two", "three"), leaks={"identity": 7})
    run = fake_run.write(tmp_path, fake)
    run.manifest.metrics = [m for m in run.manifest.metrics if m.id == "psnr"]
    caption = "\n".join(tables.build([run]).caption)
    assert "No interval: 2 of 3 clips with a finite mean, and an interval needs at least 3" in caption


def test_the_caption_says_where_frame_means_and_clip_means_differ(tmp_path: Path) -> None:
    plain = "\n".join(tables.build([fake_run.write(tmp_path / "plain")]).caption)
    assert "Values are means over frames; intervals and differences are of means over clips. Inter" in plain
    leaky = fake_run.write(tmp_path / "leaky", Fake(leaks={"srn:rgb": 3}))  # so that the first clip has fewer frames
    assert "means over clips, which print other numbers here (PSNR). Inter" in "\n".join(tables.build([leaky]).caption)


def test_values_of_clips_are_not_called_frames(tmp_path: Path) -> None:
    tof = METRICS[0].model_copy(update={"id": "tof", "level": "clip"})
    fake = Fake(methods={"identity": 1.0, "a": 0.5}, clips=("c", "d"), changes={"metrics": [*METRICS, tof]})
    run = fake_run.write(tmp_path, fake)
    lines = [f"{m},mini,{clip},,tof,{v}" for m, v in (("identity", 25.0), ("a", float("inf"))) for clip in "cd"]
    with (run.folder / "scores.csv").open("a") as file:
        file.write("\n".join(lines) + "\n")
    reseal(run.folder)
    table = tables.build([Run.open(run.folder)])
    assert any("Values are means over frames (TOF: over clips); " in line for line in table.caption)
    assert "a: 2 clips identical to the ground truth, left out of the means: suspected leak" in table.warnings
    with (run.folder / "scores.csv").open("w") as file:
        file.write("\n".join(["method,dataset,clip,frame,metric,value", *lines[:3], "a,mini,d,,tof,26.0"]) + "\n")
    run.store.write_manifest(run.manifest.model_copy(update={"metrics": [tof]}))
    reseal(run.folder)
    alone = tables.build([Run.open(run.folder)])
    assert any(line.startswith("Values are means over clips.") for line in alone.caption)
    assert any(line.startswith("tof: means over unlike clips, 1 of a; 2 of identity") for line in alone.warnings)


def test_every_cause_of_failure_is_told(tmp_path: Path) -> None:
    run = fake_run.write(tmp_path, Fake(methods={"identity": 1.0}))
    reasons = ["no clip-01 there", "no clip-02 there", "sizes\ndiffer", "cut short", "not a frame"]
    for outcome, reason in zip(run.manifest.outcomes, reasons, strict=False):
        outcome.status, outcome.reason = "failed", reason
    told = run.manifest.state("identity")[1]
    assert told == (
        "failed on 5 of 8 clips: clip-01: no clip-01 there; clip-03: sizes; clip-04: cut short; and 1 other cause"
    )


def test_ties_share_a_mark_as_printed(tmp_path: Path) -> None:
    values = {"identity": 25.0, "one": 27.501, "two": 27.499, "three": 26.0}
    run = tiny(tmp_path, {name: {"psnr": v, "ssim": 0.5} for name, v in values.items()})
    marks = {row.label: row.cells["psnr"].mark for row in tables.build([run]).rows}
    assert marks == {"identity": "", "one": "best", "two": "best", "three": "second"}


def test_identity_is_marked_best_where_it_is(tmp_path: Path) -> None:
    run = tiny(tmp_path, {"worse": {"psnr": 20.0, "ssim": 0.5}, "identity": {"psnr": 25.0, "ssim": 0.6}})
    table = tables.build([run])
    assert [row.label for row in table.rows] == ["identity", "worse"]
    assert table.rows[0].cells["psnr"].mark == "best"
    assert table.rows[0].cells["seconds"].mark == ""  # copying is no restoring


def test_random_weights_take_no_mark(tmp_path: Path) -> None:
    fake = Fake(method_changes={"srn:rgb": {"random_weights": True}})
    marks = {row.label: row.cells["psnr"].mark for row in tables.build([fake_run.write(tmp_path, fake)]).rows}
    assert marks == {"identity": "second", "ifirnn:C2H3": "best", "srn:rgb": ""}


def test_failed_methods_and_leaks_take_no_mark(tmp_path: Path) -> None:
    fake = Fake(failed={"srn:rgb": "clip-01"}, leaks={"ifirnn:C2H3": 3})
    table = tables.build([fake_run.write(tmp_path, fake)])
    assert table.failed[0].label == "srn:rgb" and table.failed[0].cells == {}
    assert (
        "ifirnn:C2H3: 3 frames identical to the ground truth, left out of the means: suspected leak" in table.warnings
    )


def test_unlike_protocols_are_refused_or_marked(tmp_path: Path) -> None:
    one = fake_run.write(tmp_path / "one")
    other = Protocol(name="mini:linear", blur="linear", leave_out=(4, 1))
    two_ = fake_run.write(tmp_path / "two", Fake(protocol=other, methods={"identity": 1.0, "late": 0.4}))
    with pytest.raises(UsageError, match="cannot share a table: protocol mini v1"):
        tables.build([one, two_])
    table = tables.build([one, two_], allow_mixed=True)
    assert [row.marks for row in table.rows if row.run == 1] == [("†",), ("†",)]
    assert "not comparable" in table.notes["†"]
    assert not any(cell.mark for row in table.rows if row.run == 1 for cell in row.cells.values())
    assert {row.label for row in table.rows if row.method.id == "identity"} == {"identity [one]", "identity [two]"}


def test_unlike_metric_versions_and_frames_are_refused(tmp_path: Path) -> None:
    one = fake_run.write(tmp_path / "one")
    newer = [METRICS[0].model_copy(update={"version": 2}), METRICS[1]]
    with pytest.raises(UsageError, match="metric psnr has version 1 in one and 2"):
        tables.build([one, fake_run.write(tmp_path / "two", Fake(changes={"metrics": newer}))])
    with pytest.raises(UsageError, match="score different frames"):
        tables.build([one, fake_run.write(tmp_path / "three", Fake(clips=("clip-01",)))])


def test_other_pictures_under_the_same_protocol_are_refused(tmp_path: Path) -> None:
    def with_truth(name: str, digest: str, **changes: object) -> Run:
        run = fake_run.write(tmp_path / name, Fake(changes=changes))
        clips = [clip.model_copy(update={"ground_truth_sha256": digest * 32}) for clip in run.manifest.clips]
        run.store.write_manifest(run.manifest.model_copy(update={"clips": clips}))
        return Run.open(run.folder)

    one = with_truth("one", "ab")
    assert tables.build([one, with_truth("same", "ab")]).rows
    with pytest.raises(UsageError, match="ground truth of clip clip-01 has other pixels"):
        tables.build([one, with_truth("two", "cd")])
    with pytest.raises(UsageError, match="split test is not train"):
        tables.build([one, with_truth("three", "ab", split="train")])


def test_other_blurry_input_under_the_same_protocol_is_refused(tmp_path: Path) -> None:
    def with_blurry(name: str, digest: str, method: str = "identity", frames: int | None = None) -> Run:
        run = fake_run.write(tmp_path / name)
        outcomes = [
            outcome.model_copy(update={"frames_sha256": digest * 32 if outcome.method == method else "00" * 32})
            for outcome in run.manifest.outcomes
        ]
        clips = [clip.model_copy(update={"frames": clip.frames[:frames]}) for clip in run.manifest.clips]
        run.store.write_manifest(run.manifest.model_copy(update={"outcomes": outcomes, "clips": clips}))
        return Run.open(run.folder)

    one = with_blurry("one", "ab")
    with pytest.raises(UsageError, match="the blurry input of clip clip-01 has other pixels"):
        tables.build([one, with_blurry("two", "cd")])
    for name, digest in (("same", "ab"), ("unknown", "")):
        assert tables.build([one, with_blurry(name, digest)]).rows
    assert tables.build([one, with_blurry("fewer", "cd", frames=-1)]).rows  # over other frames it is another digest
    theirs = [with_blurry(name, digest, "srn:rgb") for name, digest in (("three", "ab"), ("four", "cd"))]
    assert tables.build(theirs).rows  # what methods restored may differ


def test_runs_are_held_to_all_before_them_not_to_the_first_alone(tmp_path: Path) -> None:
    def run(name: str, metrics: list[MetricRecord], method: str) -> Run:
        fake = Fake(methods={"identity": 1.0, method: 0.5}, changes={"metrics": metrics})
        return fake_run.write(tmp_path / name, fake)

    newer = METRICS[1].model_copy(update={"version": 2})
    one, two_ = run("one", [METRICS[0]], "a"), run("two", list(METRICS), "b")
    three, four = run("three", [METRICS[0], newer], "c"), run("four", list(METRICS), "d")
    with pytest.raises(UsageError, match=r"two and .*three cannot share a table: metric ssim has version 1"):
        tables.build([one, two_, three])
    rows = tables.build([one, two_, three, four], allow_mixed=True).rows
    assert {row.method.id for row in rows if "†" in row.marks} == {"identity", "c"}  # four is like one and two


def test_times_on_different_devices_are_not_ranked(tmp_path: Path) -> None:
    one = fake_run.write(tmp_path / "one", Fake(methods={"identity": 1.0, "a": 0.6, "c": 0.7}))
    two_ = fake_run.write(
        tmp_path / "two", Fake(methods={"identity": 1.0, "b": 0.5}, changes={"device": "NVIDIA H200 (cuda:0)"})
    )
    alone, both = tables.build([one]), tables.build([one, two_])
    assert any(row.cells["seconds"].mark for row in alone.rows if "seconds" in row.cells)
    assert not any(row.cells["seconds"].mark for row in both.rows if "seconds" in row.cells)
    assert any(row.cells["psnr"].mark for row in both.rows)


def test_runs_share_identity_and_keep_both_others(tmp_path: Path) -> None:
    one = fake_run.write(tmp_path / "one", Fake(methods={"identity": 1.0, "a": 0.6}))
    two_ = fake_run.write(tmp_path / "two", Fake(methods={"identity": 1.0, "b": 0.5}))
    assert [row.label for row in tables.build([one, two_]).rows] == ["identity", "b", "a"]


def test_methods_of_several_runs_are_tested_together(tmp_path: Path) -> None:
    def run(name: str, *methods: str) -> Run:
        return fake_run.write(tmp_path / name, Fake(methods={"identity": 1.0} | dict.fromkeys(methods, 0.5)))

    one, two_ = run("one", "b", "a"), run("two", "b", "c", "d")  # b repeats what the first run says
    found = {row.label: row.cells["psnr"].paired for row in tables.build([one, two_]).rows}
    assert set(found) == {"identity", "a", "b", "c", "d"} and found["identity"] is None
    assert {p.p_adjusted for p in found.values() if p} == {2 / 2**8}
    table = tables.build([one, two_])
    assert set(table.pairs["psnr"].labels) == set(found) and len(table.pairs["psnr"].p) == 10


def test_caveats(tmp_path: Path) -> None:
    fake = Fake(
        method_changes={"srn:rgb": {"trained_on": ["mini/test/clip-01"], "random_weights": True}},
        absent={"lpips-alex": "trunk weights missing; run `deblurbench data fetch lpips-alex`"},
        changes={"partial": True, "invalidated": "wrong gamma", "coverage": "1 of 22 clips", "warnings": ["careful"]},
    )
    table = tables.build([fake_run.write(tmp_path, fake)])
    row = next(r for r in table.rows if r.label == "srn:rgb")
    assert row.marks == ("‡", "§") and set(table.notes) == {"‡", "§"}
    assert any("PARTIAL RUN, 1 of 22 clips" in line for line in table.caption)
    assert any(line.startswith("lpips-alex is absent: trunk weights missing") for line in table.caption)
    assert "this run was declared INVALID: wrong gamma" in table.warnings
    assert "partial run: 1 of 22 clips" in table.warnings and "careful" in table.warnings
    assert any("may include the frames scored here" in line for line in table.warnings)
    assert all(column.key != "lpips-alex" for column in table.columns)


@pytest.mark.parametrize(
    ("protocol", "partial", "shown"), [("mini", False, True), ("mini", True, False), ("gopro:nah2019", False, False)]
)
def test_paper_numbers_only_under_the_same_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str, partial: bool, shown: bool
) -> None:
    paper = Published(variant="x", protocol=protocol, metric="psnr", value=29.97, source="Table 1")
    monkeypatch.setattr(papers_module, "_published", lambda method: [paper] if method.name == "a_b" else [])
    table = tables.build([two(tmp_path, changes={"partial": partial})])
    cell = table.rows[1].cells["psnr"]
    assert (cell.paper is not None) == shown
    assert ("29.97" in tables.markdown(table).split("\n\n")[0]) == shown
    assert ("paper values: Table 1" in " ".join(table.paper_notes)) == shown and table.paper_notes
    if not shown:
        assert table.paper_notes[0].startswith(f"a_b:x: paper reports 29.97 dB under {protocol}; this run is ")


def test_no_run_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no run to report on"):
        tables.build([])


def test_tiles_and_clipping_are_told(tmp_path: Path) -> None:
    run = fake_run.write(tmp_path, Fake(changes={"tile": 256}))
    run.manifest.outcomes[-1].clipped = 0.2
    table = tables.build([run])
    assert any("in tiles of 256 px" in line for line in table.warnings)
    assert any("up to 20.0% of a clip's values" in line for line in table.warnings)


@pytest.mark.parametrize(
    ("share", "end"),
    [(0.1, "clipped"), (0.45, "clipped: does it return [-1, 1]?"), (0.9, "does it return [0, 255], or [-1, 1]?")],
)
def test_so_much_clipping_hints_at_another_range(tmp_path: Path, share: float, end: str) -> None:
    run = fake_run.write(tmp_path, Fake())
    run.manifest.outcomes[-1].clipped = share
    assert any(line.endswith(end) for line in tables.build([run]).warnings)


def test_times_of_commands_and_of_other_environments_are_marked(tmp_path: Path) -> None:
    told = {"python": "3.9.18", "torch": "1.12.1", "device": "cpu"}
    changes: dict[str, dict[str, object]] = {
        "srn:rgb": {"includes_startup": True, "environment": told}, "ifirnn:C2H3": {"environment": told},
    }  # fmt: skip
    run = fake_run.write(tmp_path, Fake(method_changes=changes))
    table = tables.build([run])
    row = next(row for row in table.rows if row.label == "srn:rgb")
    assert row.name == "srn:rgb ‖" and row.cells["seconds"].mark == "" and row.cells["psnr"].mark
    text = tables.markdown(table)
    assert "| srn:rgb ‖ |" in text and "- ‖ a command: its time includes starting it and the disk" in text
    assert r"srn:rgb \textsuperscript{$\parallel$}" in tables.latex(table)
    lines = [line for line in table.caption if "a separate Python environment" in line]
    assert lines == [
        "ifirnn:C2H3 ran in a separate Python environment (Python 3.9.18, torch 1.12.1) on cpu: timed there, without "
        "the copies between the processes."
    ]
    from deblurbench.reports.gallery.runtime import plottable  # type: ignore[import-not-found]

    assert [point.label for point in plottable(table, table.columns[0])] == ["ifirnn:C2H3"]


@pytest.mark.parametrize("width", [40, 60, 200])
def test_a_narrow_terminal_gets_several_tables_with_all_names_and_numbers(tmp_path, width):
    values = {"psnr": 25.0, "ssim": 0.75, "seconds": 0.5}
    table = tables.build([tiny(tmp_path, {"identity": values, "a_b:quite-long-a-variant": values})])
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(tables.terminal(table))
    shown = console.export_text()
    blocks = shown.count("Method")
    assert (blocks == 1) == (width == 200) and shown.count("a_b:quite-long-a-variant") >= blocks
    assert shown.count("25.00") == 2 and shown.count("0.7500") == 2 and "…" not in shown


def test_papers_of_one_source_stand_together(tmp_path, monkeypatch):
    def said(metric, value, source):
        return Published(variant="x", protocol="mini", metric=metric, value=value, source=source)

    papers = [said("psnr", 29.0, "first"), said("ssim-y", 0.9, "first"), said("ssim", 0.8, "second")]
    monkeypatch.setattr(papers_module, "_published", lambda method: papers if method.name == "a_b" else [])
    table = tables.build([two(tmp_path)])
    cells = table.rows[1].cells
    assert cells["psnr"].paper is papers[0] and cells["ssim"].paper is None
    assert table.paper_notes == (
        "a_b:x: paper values: first; it also reports ssim-y 0.9, which this run does not have",
    )
    assert "29.00 (here \N{MINUS SIGN}1.50)" in tables.markdown(table)


def test_any_method_can_be_what_the_others_are_compared_with(tmp_path):
    run = fake_run.write(tmp_path, Fake())
    table = tables.build([run], reference="srn:rgb")
    assert [row.label for row in table.rows] == ["srn:rgb", "ifirnn:C2H3", "identity"]
    assert table.rows[0].cells["psnr"].paired is None and table.rows[1].cells["psnr"].paired.reference == "srn:rgb"
    plain = {row.label: row for row in tables.build([run]).rows}
    against = table.rows[2].cells["psnr"].paired.difference
    assert against == pytest.approx(-plain["srn:rgb"].cells["psnr"].paired.difference)
    with pytest.raises(UsageError, match=r"reference 'srn:rgbb': no such method.*Did you mean 'srn:rgb'"):
        tables.build([run], reference="srn:rgbb")
