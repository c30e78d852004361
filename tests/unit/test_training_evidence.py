"""docs/training.md and its evidence: fake trainings and runs become verdicts; the page that ships is up to date."""

import json
import math
from dataclasses import asdict, replace
from importlib.metadata import version

import pytest

from deblurbench.errors import UsageError
from deblurbench.registry.discovery import plugin
from deblurbench.training import figure
from docs.generate.training import evidence, page, stored
from docs.generate.training.claims import findings, unequal
from docs.generate.training.stored import Claim, Scored, Trained, joined
from tests import fake_run

CARD = plugin("methods", "ifirnn").card
SHIPPED = CARD.weights[0]
NAME = stored.weights_name("ifirnn", SHIPPED.variant, SHIPPED.tag)
CLIPS = tuple(f"clip-{n}" for n in range(8))
CLAIM = Claim(claim="Two cells beat one", source="Table 1", pairs=(("ifirnn:C2H1", "ifirnn:C1H1"),))


def test_the_page_is_up_to_date():
    assert page.FILE.read_text(encoding="utf-8") == page.page(), "run: python -m docs.generate.training.page"


def test_the_curves_are_up_to_date():
    if version("matplotlib") != "3.11.2":
        pytest.skip("the committed curves were drawn by matplotlib 3.11.2, see constraints.txt")
    for log in sorted(stored.FOLDER.glob("*.csv")):
        assert log.with_suffix(".svg").read_bytes() == page.draw(log), "run: python -m docs.generate.training.page"


def test_every_claim_names_variants_that_are_there():
    claims = stored.read_claims(stored.FOLDER)
    assert {claim.claim for claim in claims} >= {"Two cells beat one", "More iterations help"}
    for claim in claims:
        for name in (name for pair in claim.pairs for name in pair):
            method, _, variant = name.partition(":")
            assert variant in plugin("methods", method).card.variants


def trained(name, variant="C1H1", seed=0, **changes):
    values = dict(
        name=name, method="ifirnn", variant=variant, seed=seed, steps=1000, chosen=900, hours=0.5, minutes_asked=None,
        device="CPU", data="synth", commit="abc", started_from={"name": "start", "sha256": "s"},
        resolved={"batch": 2, "validate_every": 300}, sha256=name,
    )  # fmt: skip
    return Trained(**{**values, **changes})


def run_of(values, clips=CLIPS):
    """`values` maps a training to its PSNR above 25 dB, by clip or on all clips alike."""
    psnr = {
        name: {c: 25 + (v[i] if isinstance(v, list) else v + 0.01 * i) for i, c in enumerate(clips)}
        for name, v in values.items()
    }
    metrics = {"psnr": {"unit": "dB", "decimals": 2, "higher_is_better": True}}
    return Scored("mini", "d", "8 of 8 clips", "CPU", "fp32", dict.fromkeys(clips, 7), metrics,
                  {name: {"psnr": v} for name, v in psnr.items()})  # fmt: skip


def verdict(values, trainings=None, clips=CLIPS):
    trainings = trainings or [
        trained(name, "C2H1" if name.startswith("two") else "C1H1", int(name[-1])) for name in values
    ]
    (found,) = findings([CLAIM], trainings, run_of(values, clips))
    return found


def test_a_claim_holds_where_two_seeds_and_the_clips_agree():
    found = verdict({"one-0": 1.0, "one-1": 1.1, "two-0": 1.5, "two-1": 1.4})
    assert found.verdict == "holds"
    assert found.seeds == pytest.approx({0: 0.5, 1: 0.3})
    assert found.paired.difference == pytest.approx(0.4)
    assert found.paired.p_adjusted == pytest.approx(2 / 2**8)


@pytest.mark.parametrize(
    ("values", "clips", "wanted"),
    [
        ({"one-0": 1.0, "two-0": 1.5}, CLIPS, "undecided (one seed)"),
        ({"one-0": 1.0, "one-1": 1.0, "two-0": 1.5, "two-1": 0.9}, CLIPS, "undecided (seeds disagree)"),
        ({"one-0": 1.0, "one-1": 1.0, "two-0": 0.5, "two-1": 0.9}, CLIPS, "the reverse holds"),
        ({"one-0": 1.0, "one-1": 1.0, "two-0": 1.5, "two-1": 1.5}, CLIPS[:1], "undecided (too few clips)"),
        ({"one-0": 1.0}, CLIPS, "undecided (ifirnn:C2H1 not trained or not scored)"),
        ({"one-0": 1.0, "two-1": 1.5}, CLIPS, "undecided (no seed in common)"),
        (
            {"one-0": [0.0] * 8, "one-1": [0.0] * 8, "two-0": [1, -1, 1, -1, 1, -1, 1, 0], "two-1": [0.1] * 8},
            CLIPS,
            "undecided",
        ),
    ],
)
def test_everything_else_is_undecided_or_the_reverse(values, clips, wanted):
    assert verdict(values, clips=clips).verdict == wanted


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"steps": 900}, "1000 steps and 900 steps"),
        ({"minutes_asked": 30.0}, "1000 steps and 30 minutes"),
        ({"started_from": None}, "other first weights"),
        ({"data": "mini"}, "data synth and mini"),
        ({"resolved": {"batch": 4, "validate_every": 300}}, "recipes differ in batch"),
        ({"resolved": {"batch": 2, "validate_every": 5}}, ""),
    ],
)
def test_only_equal_budgets_are_compared(changes, why):
    one, two = trained("one", "C2H1"), trained("two", **changes)
    assert unequal(one, two) == why
    (found,) = findings([CLAIM], [one, two], run_of({"one": 1.0, "two": 1.5}))
    assert found.verdict == (f"undecided (budgets are not equal: {why})" if why else "undecided (one seed)")


def test_equal_minutes_are_an_equal_budget():
    assert not unequal(trained("a", minutes_asked=30.0), trained("b", minutes_asked=30.0, steps=400))


def test_all_pairs_of_a_run_are_tested_together():
    seven = tuple((f"ifirnn:C2H{n}", "ifirnn:C1H1") for n in range(7))
    trainings = [trained(f"one-{s}", "C1H1", s) for s in (0, 1)]
    trainings += [trained(f"{n}-{s}", f"C2H{n}", s) for n in range(7) for s in (0, 1)]
    run = run_of({t.name: 1.0 if t.variant == "C1H1" else 2.0 for t in trainings})
    found = findings([CLAIM.model_copy(update={"pairs": seven})], trainings, run)
    assert {f.verdict for f in found} == {"holds"}
    assert {f.paired.p_adjusted for f in found} == {2 / 2**8}  # the smallest p does not grow with the pairs


def log_rows(steps=4000):
    yield {"step": 0, "psnr": 25.0, "identity": 25.0, "pooled": 24.0, "pooled_identity": 24.0, "frames": 8}
    for step in (1, 2, 3, *range(20, steps + 1, 20)):
        yield {"step": step, "loss": 1 / step, "content": 1.0, "input": 0.01, "lr": 1e-4, "seconds": float(step)}
        if step % 1000 == 0:
            yield {"step": step, "psnr": 26.0, "identity": 25.0, "pooled": 25.0, "pooled_identity": 24.0, "frames": 8}


def training(folder, variant=SHIPPED.variant, seed=0):
    """A trained folder as `train` leaves it, its weights being a few bytes of its name."""
    folder.mkdir(parents=True)
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log_rows()))
    (folder / "weights.safetensors").write_bytes(folder.name.encode())
    resolved = {"batch": 2, "frames": 6, "crop": 96, "epochs": None, "loss": "psnr"}
    told = {
        "method": "ifirnn", "variant": variant, "recipe": "quick", "settings": ["frames=6"], "resolved": resolved,
        "seed": seed, "steps": SHIPPED.training["steps"], "hours": 1.5, "minutes_asked": None, "device": "CPU",
        "threads": 1, "commit": "abc", "data": "synth", "trained_on": ["synth/train"], "started_from": None,
        "compute_share": 0.91, "data_share": 0.02, "validation": {"psnr": 26.0},
    }  # fmt: skip
    (folder / "training.json").write_text(json.dumps(told))
    return folder


def run_command(folder, *words):
    return evidence.main(["--folder", str(folder), *map(str, words)])


def test_a_log_is_thinned_and_read_back(tmp_path):
    rows = stored.thinned(list(log_rows()))
    assert len(rows) <= stored.LINES + 6
    first = next(row for row in rows if "loss" in row)
    assert first["step"] == 40 and first["loss"] == pytest.approx((1 / 20 + 1 / 40) / 2, rel=1e-5)
    assert [row["step"] for row in rows if "psnr" in row] == [0, 1000, 2000, 3000, 4000]
    stored.write_curve(rows, tmp_path / "log.csv")
    back = stored.read_curve(tmp_path / "log.csv")
    assert [row["step"] for row in back] == [row["step"] for row in rows]
    assert back[1]["loss"] == pytest.approx(rows[1]["loss"]) and "psnr" not in back[1]
    assert [row["step"] for row in stored.thinned(list(log_rows())[:4])] == [0, 1, 2, 3]


def gated_rows():
    return [{**row, "gate": 0.5, "regularisation": row["step"]} if "loss" in row else row for row in log_rows()]


def test_gate_and_regularisation_are_kept_where_a_log_has_them(tmp_path):
    stored.write_curve(stored.thinned(list(log_rows())), tmp_path / "plain.csv")
    assert (tmp_path / "plain.csv").read_text().splitlines()[0] == ",".join(stored.COLUMNS)
    stored.write_curve(stored.thinned(gated_rows()), tmp_path / "reg.csv")
    back = [row for row in stored.read_curve(tmp_path / "reg.csv") if "loss" in row]
    assert {row["gate"] for row in back} == {0.5}
    assert back[0]["regularisation"] == pytest.approx((20 + 40) / 2)


def test_the_gate_has_a_panel_of_its_own_with_the_papers_target(tmp_path):
    titles = [axes.get_title() for axes in figure.curves(list(log_rows())).axes]
    drawn = figure.curves(gated_rows())
    assert [axes.get_title() for axes in drawn.axes][:-1] == titles
    assert drawn.axes[-1].get_title().startswith("mean gate activation")
    lines = {line.get_label(): set(line.get_ydata()) for line in drawn.axes[-1].lines}
    assert lines["gate"] == {0.5} and lines["target 0.75"] == {0.75}
    assert plugin("methods", "ifirnn").module("gate").TARGET == figure.GATE_TARGET


def test_a_kept_log_becomes_a_curve_on_the_page(tmp_path):
    assert run_command(tmp_path / "evidence", "log", training(tmp_path / "train"), "--tag", SHIPPED.tag) == 0
    page.write(tmp_path / "training.md", tmp_path / "evidence")
    text = (tmp_path / "training.md").read_text()
    assert f"![Curves of {NAME}](evidence/{NAME}.svg)" in text
    assert (tmp_path / "evidence" / f"{NAME}.svg").read_bytes().startswith(b"<?xml")
    assert "computed for 91% of the time" in text
    assert f"| ifirnn: key | paper | {page.label(CARD, SHIPPED)} |" in text
    assert "| batch | 4 | 2 |" in text and "| crop | 256 | 96 |" in text


def test_evidence_of_weights_that_do_not_ship_is_refused(tmp_path):
    assert run_command(tmp_path / "evidence", "log", training(tmp_path / "train"), "--tag", "other") == 0
    with pytest.raises(UsageError, match=rf"ifirnn-{SHIPPED.variant}-other.*no card ships"):
        page.page(tmp_path / "evidence")


def results_run(folder, **changes):
    methods = {"identity": 1.0, "ifirnn:C1H1": 0.6, "srn:rgb": 0.5}
    known = {"ifirnn:C1H1": {"weights_sha256": SHIPPED.sha256}, "srn:rgb": {"weights_sha256": "cd" * 32}}
    return fake_run.write(folder, fake_run.Fake(methods=methods, method_changes=known, **changes))


def test_results_show_gains_with_intervals_on_several_clips_and_values_of_one(tmp_path, capsys):
    several, single = tmp_path / "mini", tmp_path / "single"
    run = results_run(several)
    results_run(single, clips=("only",))
    assert run_command(tmp_path / "evidence", "results", several, single) == 0
    assert "srn:rgb left out: no card ships these weights" in capsys.readouterr().err
    text = page.page(tmp_path / "evidence")
    name = page.label(CARD, SHIPPED)
    found = text.partition("## Figures")[2].splitlines()
    row, value = [line for line in found if line.startswith(f"| {name} |")]
    cells = [cell.strip() for cell in row.strip("| ").split("|")]
    psnr = run.scores[run.scores["metric"] == "psnr"]
    scores = psnr.pivot_table(index=["clip", "frame"], columns="method", values="value")
    gains = (scores["ifirnn:C1H1"] - scores["identity"]).groupby("clip").mean()
    assert float(cells[1]) == pytest.approx(scores["ifirnn:C1H1"].mean(), abs=0.006)
    assert float(cells[3]) == pytest.approx(gains.mean(), abs=0.006)
    low, high = (float(end) for end in cells[4].split(" to "))
    half = 2.3646 * gains.std() / math.sqrt(8)
    assert (low, high) == pytest.approx((gains.mean() - half, gains.mean() + half), abs=0.006)
    assert cells[5:] == ["8 of 8", "0.008", "better"]
    assert " to " not in value and "| only | 7 |" in value
    assert "| blurry input |" in text


def test_results_can_be_added_to_those_of_weights_that_still_ship(tmp_path):
    folder = tmp_path / "evidence"
    results_run(tmp_path / "one", clips=("one",))
    results_run(tmp_path / "two", clips=("two",))
    run_command(folder, "results", tmp_path / "one")
    (first,) = stored.read_results(folder)
    name = next(iter(first.weights))
    gone = replace(first, weights={**first.weights, name: "ef" * 32}, values={**first.values, "other": {}})
    run_command(folder, "results", tmp_path / "two", "--add")
    assert [list(run.frames) for run in stored.read_results(folder)] == [["one"], ["two"]]
    stored.write_json([asdict(gone)], folder / stored.RESULTS)
    run_command(folder, "results", tmp_path / "one", "--add")
    assert [run.values for run in stored.read_results(folder)] == [first.values]
    run_command(folder, "results", tmp_path / "two")
    assert [list(run.frames) for run in stored.read_results(folder)] == [["two"]]


def test_runs_of_the_same_frames_are_one_table(tmp_path):
    one = Scored("d", "x", "c", "cpu", "fp32", {"a": 2}, {}, {"identity": {"psnr": {"a": 20.0}}, "m": {}}, {"m": "1"})
    two = replace(one, values={"identity": {"psnr": {"a": 20.0}}, "n": {}}, weights={"n": "2"})
    (both,) = joined([one, two])
    assert set(both.values) == {"identity", "m", "n"} and both.weights == {"m": "1", "n": "2"}
    other = replace(two, values={"identity": {"psnr": {"a": 20.1}}})
    assert joined([one, other, replace(one, device="gpu")]) == [replace(one, device="cpu; gpu"), other]


def test_a_metric_that_only_one_of_the_runs_has_does_not_part_them():
    metric = {"unit": "", "decimals": 2, "higher_is_better": True}
    one = Scored("d", "x", "c", "cpu", "fp32", {"a": 2}, {"psnr": metric}, {"identity": {"psnr": {"a": 20.0}}})
    both = {"identity": {"psnr": {"a": 20.0}, "lpips": {"a": 0.5}}, "m": {"psnr": {"a": 21.0}, "lpips": {"a": 0.25}}}
    two = replace(one, metrics={"psnr": metric, "lpips": metric}, values=both)
    (found,) = joined([one, two])
    assert list(found.metrics) == ["psnr", "lpips"] and found.values == both
    assert len(joined([one, replace(two, metrics={"psnr": {**metric, "decimals": 3}})])) == 2


def test_scores_of_weights_that_were_replaced_are_left_out(tmp_path):
    results_run(tmp_path / "run")
    run_command(tmp_path / "evidence", "results", tmp_path / "run")
    kept = tmp_path / "evidence" / stored.RESULTS
    kept.write_text(kept.read_text().replace(SHIPPED.sha256, "ef" * 32))
    figures = page.page(tmp_path / "evidence").partition("\n## Figures")[2].partition("\n## ")[0]
    assert f"| {page.label(CARD, SHIPPED)} |" not in figures
    missing = next(line for line in figures.splitlines() if line.startswith("Not scored here: "))
    assert page.label(CARD, SHIPPED) in missing


def test_the_log_of_another_training_is_refused(tmp_path):
    folder = training(tmp_path / "train")
    story = json.loads((folder / "training.json").read_text())
    (folder / "training.json").write_text(json.dumps({**story, "steps": 1}))
    run_command(tmp_path / "evidence", "log", folder, "--tag", SHIPPED.tag)
    with pytest.raises(UsageError, match=rf"{NAME} is told to have taken 1 steps"):
        page.page(tmp_path / "evidence")


def test_an_unfinished_run_is_no_evidence(tmp_path):
    results_run(tmp_path / "run", failed={"ifirnn:C1H1": "clip-02"})
    assert run_command(tmp_path / "evidence", "results", tmp_path / "run") == 2
    assert not (tmp_path / "evidence" / stored.RESULTS).exists()


def test_a_comparison_of_trainings_reaches_the_page(tmp_path, capsys):
    folders = [training(tmp_path / f"{v}-{s}", v, s) for v in ("C1H1", "C2H1") for s in (0, 1)]
    methods = {"identity": 1.0, **{f"ifirnn:{f.name[:4]}@{f.name}": 0.8 if "C1" in f.name else 0.5 for f in folders}}
    changes = {
        f"ifirnn:{f.name[:4]}@{f.name}": {"weights_sha256": evidence.trained(f).sha256, "variant": f.name[:4]}
        for f in folders
    }
    for seed in "01":  # a run a seed: of the same frames, so one table
        its = {name: value for name, value in methods.items() if name.endswith((seed, "identity"))}
        of = {name: change for name, change in changes.items() if name.endswith(seed)}
        fake_run.write(tmp_path / f"run{seed}", fake_run.Fake(methods=its, method_changes=of))
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / stored.CLAIMS).write_text((stored.FOLDER / stored.CLAIMS).read_text())
    assert run_command(tmp_path / "evidence", "comparison", tmp_path / "run0", tmp_path / "run1", *folders) == 0
    assert "C2H1-1: ifirnn:C2H1, seed 1, 4000 steps, scored on mini" in capsys.readouterr().out
    text = page.page(tmp_path / "evidence")
    assert "| Two cells beat one | `ifirnn:C2H1` over `ifirnn:C1H1` | holds | +1." in text
    assert "| +0.93 |" in text  # Table 1: 29.72 and 28.79
    assert "undecided (ifirnn:C2H3 and ifirnn:C1H3 not trained or not scored)" in text
    assert f"| `ifirnn:C2H1`, seed 1 | 4000 steps | 4000 | {SHIPPED.training['steps']} | 1.50 |" in text


def test_trainings_of_the_same_name_are_refused(tmp_path):
    folders = [training(tmp_path / place / "same") for place in ("a", "b")]
    assert run_command(tmp_path / "evidence", "comparison", *folders) == 2


def test_a_folder_that_holds_no_training_is_named(tmp_path, capsys):
    assert run_command(tmp_path / "evidence", "log", tmp_path) == 3
    assert "no trained folder" in capsys.readouterr().err
    assert run_command(tmp_path / "evidence", "results", tmp_path) == 2
    assert run_command(tmp_path / "evidence", "comparison", tmp_path) == 3
    assert "neither a trained folder" in capsys.readouterr().err


def test_damaged_evidence_is_named(tmp_path):
    (tmp_path / stored.RESULTS).write_text("{")
    with pytest.raises(UsageError, match=r"results\.json: damaged"):
        page.page(tmp_path)
    (tmp_path / stored.RESULTS).unlink()
    (tmp_path / stored.CLAIMS).write_text("- claim: one\n")
    with pytest.raises(UsageError, match="source"):
        page.page(tmp_path)
