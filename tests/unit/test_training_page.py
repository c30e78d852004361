"""docs/training.md, section by section: the short answer, families, photographs, recipes, blur, starts."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from benchmarks import synthesis as benchmark
from deblurbench.errors import UsageError
from deblurbench.frames.images import write_png
from deblurbench.registry.discovery import plugin
from docs.generate.training import differing, gains, likeness, shipped, stored
from docs.generate.training.stored import Scored

PSNR = {"unit": "dB", "decimals": 2, "higher_is_better": True}
CLIPS = tuple(f"clip-{n}" for n in range(8))
WEIGHTS = shipped.shipped()
FIRST = [name for name, (card, _) in WEIGHTS.items() if card.name in shipped.ASKED_FIRST]
OTHERS = [name for name in WEIGHTS if name not in FIRST]


def scored(values, clips=CLIPS, dataset="mini", metrics=None):
    """A run in which each of `values` lies so many dB above an input of 25 dB, on every clip a little differently."""
    psnr = {name: {clip: 25 + gain + 0.001 * i for i, clip in enumerate(clips)} for name, gain in values.items()}
    psnr["identity"] = dict.fromkeys(clips, 25.0)
    sha = {name: WEIGHTS[name][1].sha256 for name in values}
    return Scored(dataset, "d", "all", "CPU", "fp32", dict.fromkeys(clips, 7), metrics or {"psnr": PSNR},
                  {name: {"psnr": by_clip} for name, by_clip in psnr.items()}, sha)  # fmt: skip


def everywhere(mini, real):
    """Runs on mini and on two real clips."""
    return [scored(mini), scored(real, ("GOPR",), "gopro:linear"), scored(real, ("027",), "reds:x4")]


def lines_of(text, start):
    return [line for line in text.splitlines() if line.startswith(start)]


def test_methods_of_the_first_question_come_first():
    assert [card.name in shipped.ASKED_FIRST for card, _ in WEIGHTS.values()] == [True] * len(FIRST) + [False] * len(
        OTHERS
    )


@pytest.mark.parametrize(
    ("mini", "real", "answer"),
    [(1.0, 0.3, "yes"), (0.99, 0.3, "no"), (1.5, 0.29, "no"), (1.0, None, "not known"), (0.5, None, "no")],
)
def test_the_short_answer_says_whether_the_aim_is_reached(mini, real, answer):
    name = FIRST[0]
    runs = everywhere({name: mini}, {name: real} if real is not None else {})
    (row,) = lines_of(gains.in_short(runs, WEIGHTS), f"| {shipped.label(*WEIGHTS[name])} |")
    cells = [cell.strip() for cell in row.strip("| ").split("|")]
    assert cells[-1] == answer
    assert cells[1] == f"{mini:+.2f}" and cells[2:4] == [f"{real:+.2f}" if real is not None else "-"] * 2


def test_a_real_clip_that_nobody_scored_leaves_the_aim_open():
    name = FIRST[0]
    text = gains.in_short([scored({name: 2.0})], WEIGHTS)
    assert lines_of(text, f"| {shipped.label(*WEIGHTS[name])} |")[0].endswith("| not known |")
    assert "* Of `ifirnn`, none is known to reach the aim." in text
    assert "No scores were kept yet." in gains.in_short([], WEIGHTS)
    assert "No scores were kept yet." in gains.in_short([scored({name: 2.0}, dataset="synth")], WEIGHTS)


def child_and_parent():
    """Shipped weights as if the second had been started from the first."""
    old, new = FIRST[:2]
    card, weights = WEIGHTS[new]
    told = {"name": Path(WEIGHTS[old][1].file).name, "sha256": WEIGHTS[old][1].sha256}
    ours = weights.model_copy(update={"training": {**weights.training, "started_from": told}})
    return old, new, {**WEIGHTS, new: (card, ours)}


def test_weights_that_lie_below_those_they_began_from_are_named():
    old, new, weights = child_and_parent()
    runs = everywhere({old: 0.5, new: 0.25}, {old: 0.5, new: 0.75})
    text = gains.in_short(runs, weights)
    (line,) = lines_of(text, f"* {shipped.label(*weights[new])} was started from {shipped.label(*weights[old])}")
    assert line.endswith("lies below it: by 0.25 dB on mini.")
    assert "was started from" not in gains.in_short(everywhere({old: 0.5, new: 0.6}, {old: 0.5, new: 0.75}), weights)


def test_a_start_is_told_by_the_weights_or_by_the_sha256_of_what_they_were():
    old, new, weights = child_and_parent()
    assert shipped.start(*weights[new], weights) == f"from {shipped.label(*weights[old])}"
    card, ours = weights[new]

    def told(name):
        started = {"name": name, "sha256": "5eddf347df703c7f"}
        return shipped.start(card, ours.model_copy(update={"training": {"started_from": started}}), weights)

    assert told(Path(ours.file).name) == "from its former weights (sha256 5eddf347df70)"
    theirs = shipped.label(*weights[old])
    assert told(Path(weights[old][1].file).name) == f"from former weights of {theirs} (sha256 5eddf347df70)"
    assert told("other.safetensors") == "from other.safetensors (sha256 5eddf347df70)"
    assert shipped.start(card, ours.model_copy(update={"training": {}}), weights) == ""


def test_a_family_is_a_group_of_methods_and_no_other_row_weighs_on_it():
    six, four = FIRST[:6], OTHERS[:4]
    assert len(six) == 6 and len(four) == 4
    text = gains.figures([scored(dict.fromkeys(six + four, 0.5))], WEIGHTS)
    ours, theirs = text.partition("The other methods:")[::2]
    assert ours.count("| 8 of 8 | 0.008 | better |") == 6 and theirs.count("| 8 of 8 | 0.008 | better |") == 4
    assert ours.count("| blurry input |") == theirs.count("| blurry input |") == 1
    assert "The other methods:" not in gains.figures([scored(dict.fromkeys(six, 0.5))], WEIGHTS)


def test_tables_have_the_metrics_that_the_runs_have():
    name, other = FIRST[:2]
    metrics = {"psnr": PSNR, "lpips": {"unit": "", "decimals": 3, "higher_is_better": False}}
    run = scored({name: 0.5, other: 0.4}, metrics=metrics)
    values = {**run.values, name: {**run.values[name], "lpips": dict.fromkeys(CLIPS, 0.25)}}
    for clips in (CLIPS, CLIPS[:1]):
        frames = dict.fromkeys(clips, 7)
        cut = {n: {m: {c: v[c] for c in clips} for m, v in of.items()} for n, of in values.items()}
        text = gains.figures([replace(run, values=cut, frames=frames)], WEIGHTS)
        assert "| psnr | lpips (lower is better) | gain (dB) |" in text
        assert "| 0.250 |" in lines_of(text, f"| {shipped.marked(*WEIGHTS[name])} |")[0]
        assert "| - |" in lines_of(text, f"| {shipped.marked(*WEIGHTS[other])} |")[0]


def test_photographs_are_told_once_with_their_shares():
    text = " ".join(shipped.weights_section(stored.FOLDER, WEIGHTS).split())
    assert "of these 91, 66 are for training (3 of them" in text
    assert "6 for validation, and 19, the test share" in text
    assert text.count("Photographs") == 1
    assert not [name for name, (_, w) in WEIGHTS.items() if "hotographs:" in w.note]
    folders = yaml.safe_load((stored.FOLDER / stored.PHOTOGRAPHS).read_text())["folders"]
    later = {part.rpartition("/")[2] for _, w in WEIGHTS.values() for part in w.trained_on} - {"debian-wallpapers"}
    assert later <= set(folders)


def test_photographs_of_another_form_are_named(tmp_path):
    assert shipped.photographs(tmp_path) == []
    (tmp_path / stored.PHOTOGRAPHS).write_text("folders: [kodak]\n")
    with pytest.raises(UsageError, match=r"photographs\.yaml: must have folders"):
        shipped.photographs(tmp_path)


def recipe(**changes):
    return {**plugin("methods", "ifirnn").card.recipes["quick"], "noise": 2.0, "final_learning_rate": 0.0, **changes}


def test_keys_that_a_training_does_not_use_are_left_out():
    cosine = differing.of_story({"resolved": recipe(halve_every=7, power=3.0, kernel_rate=5.0), "data": "gopro"})
    assert not {"halve_every", "power", "kernel_rate"} & set(cosine) and cosine["final_learning_rate"] == "0"
    halve = differing.of_story({"resolved": recipe(schedule="halve", halve_every=7), "data": "gopro"})
    assert halve["halve_every"] == "7" and "final_learning_rate" not in halve
    muon = differing.of_story({"resolved": recipe(optimiser="muon", kernel_rate=5.0), "data": "gopro"})
    assert muon["kernel_rate"] == "5"


def test_noise_and_augmentation_are_those_of_the_data_that_was_trained_on():
    files = differing.of_story({"resolved": recipe(), "data": "gopro:linear", "steps": 9})
    assert files["noise"] == r"std \|N(0, 2²)\|" and files["augmentation"] == differing.EIGHT
    plain = differing.of_story({"resolved": recipe(augment="none"), "data": "gopro:linear"})
    assert plain["augmentation"] == "none" and not {"augment", "protocol"} & set(files)
    synth = differing.of_story({"resolved": recipe(synthesis={"noise": 0.02}), "data": "synth", "steps": 9})
    assert synth["noise"] == "std uniform in 0 to 5.1" and synth["augmentation"].startswith("mirrored left to right")
    pooled = differing.of_story({"resolved": recipe(synthesis={"pool": {"clips": 9}}), "data": "synth"})
    assert pooled["augmentation"].startswith(differing.EIGHT + ", forwards and backwards in time")
    assert synth["length"] == "9 steps" and "hold_out" in files and "hold_out" not in synth


def test_the_papers_noise_shows_beside_the_synthesisers():
    text = differing.differences(stored.FOLDER, WEIGHTS)
    table = text.partition("| ifirnn: key |")[2].partition("\n\n")[0]
    (noise,) = lines_of(table, "| noise |")
    assert r"| std \|N(0, 2²)\| | std uniform in 0 to 1.5 |" in noise
    assert lines_of(table, "| length | 500 epochs |")[0].endswith(" steps |")
    assert "halve_every" not in text and "| power |" not in text


def test_a_story_that_was_not_kept_compares_nothing(tmp_path):
    text = differing.differences(tmp_path, WEIGHTS)
    assert "| paper |" not in text
    assert f"No story was kept of {shipped.label(*WEIGHTS[FIRST[0]])}" in text


def photos(folder):
    random = np.random.default_rng(0)
    for number in range(8):
        coarse = np.kron(random.integers(0, 256, (15, 20, 3)), np.ones((20, 20, 1)))
        write_png(folder / f"{number}.png", ((coarse + random.integers(0, 256, coarse.shape)) / 2).astype(np.uint8))
    return folder


def test_the_benchmark_keeps_what_a_recipes_training_sees(tmp_path):
    kept = tmp_path / stored.BLUR
    benchmark.main(["--photos", str(photos(tmp_path / "photos")), "--recipe", "srn:quick", "--clips", "2",
                    "--output", str(kept)])  # fmt: skip
    training, validation = json.loads(kept.read_text())
    assert (training["name"], training["size"], training["clips"]) == ("training, srn:quick", "96x96", 2)
    assert validation["size"] == "320x192" and validation["frames"] == validation["clips"] == 12
    assert training["psnr"]["5"] <= training["psnr"]["50"] <= training["psnr"]["95"]
    head, _, *rows = likeness.likeness(tmp_path).partition("| clips |")[2].strip().splitlines()
    assert "5 % | 50 % | 95 %" in head and len(rows) == 2
    assert f"| {training['psnr']['mean']:.1f} | {training['psnr']['5']:.1f} |" in rows[0]
    assert likeness.likeness(tmp_path / "nothing") == ""


def test_only_scored_frames_count_but_motion_is_between_all():
    still = np.full((32, 32, 3), 100, np.uint8)
    pairs = [(still + 10 * n, still) for n in range(3)]
    seen = benchmark.look(pairs, scored=[1])
    assert seen.psnr == pytest.approx([10 * np.log10(255**2 / 100)]) and len(seen.flow) == 2
