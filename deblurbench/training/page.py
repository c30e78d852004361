"""Write docs/training.md and the curves beside it: `python -m deblurbench.training.page`.

The page is made from the cards' weights and from docs/evidence/ (see `stored.py`), and from nothing else. To feed it:

1. Ship weights. `deblurbench export runs/train-C2H3 --tag ours` prints the entry for the method's card; put the file
   into the method's weights/ folder and the entry into its card.
2. Keep their logs: `python -m deblurbench.training.evidence log runs/train-C2H3 runs/train-C1H1 --tag ours`.
3. Score all that ships (`deblurbench list methods` names it), and keep the clip means:
   `deblurbench run --methods M --dataset mini --output runs/mini`
   `deblurbench run --methods M --dataset gopro --split train --clips GOPR0372_07_00 --data-root D --output runs/gopro`
   `deblurbench run --methods M --dataset reds --split train --clips 027 --data-root D --output runs/reds`
   `python -m deblurbench.training.evidence results runs/mini runs/gopro runs/reds`
   The last command replaces what it kept before: name all runs.
4. Test claims: train the variants of docs/evidence/claims.yaml by as many steps from the same start, with two seeds,
   `deblurbench train ifirnn:C2H1 --seed 0 --set steps=1000 --start-from S --dataset synth --output runs/claims/C2H1-0`
   and so on; score them all, and keep both:
   `deblurbench run --methods ifirnn:C2H1@runs/claims/C2H1-0,... --dataset mini --output runs/claims-mini`
   `python -m deblurbench.training.evidence comparison runs/claims-mini runs/claims/*`
5. `python -m deblurbench.training.page`, and commit docs/training.md with docs/evidence/.

A test fails where the page is not what its sources give.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from deblurbench.cards import IDENTITY, MethodCard, Weights
from deblurbench.errors import UsageError
from deblurbench.figures.style import render
from deblurbench.imagefiles import write_atomically
from deblurbench.rooms import plugins
from deblurbench.statistics import MIN_CLIPS, Interval, Paired, decide, holm, sign_flip, t_interval
from deblurbench.training import stored
from deblurbench.training.claims import FREE, Finding, budget, findings
from deblurbench.training.figure import curves
from deblurbench.training.recipe import Recipe, read_recipe
from deblurbench.training.stored import Comparison, Scored, weights_name

FILE = stored.FOLDER.parent / "training.md"
NONE = "-"

_HEAD = """# Training

<!-- Written by `python -m deblurbench.training.page` from the cards and docs/evidence/; the source says how. -->

How the weights that ship were trained, how far they carry, and whether the papers' claims about variants show in them.
"""
_WEIGHTS = """## The weights

One row a weight file that we trained; `deblurbench run --methods` takes the names. *Validation* is on held-out clips
that the recipe synthesises, whole frames, beside the blurry input's: PSNR as a mean over frames, and of the pooled
squared error, by which the weights were chosen.
"""
_RESULTS = """## Figures

PSNR in dB and the further metrics are means over the scored frames. An interval is a 95 % one (Student's t) of the
gain in PSNR over the blurry input, paired over clips; *verdict* is that of the exact sign-flip test over clips with
Holm's correction over the table. One clip has no interval: its values stand as they are.
"""
_CLAIMS = """## The papers' claims on equal budgets

Each pair was trained by the same recipe, on the same data, from the same first weights, for the same number of steps
or minutes. *Difference* is the first variant's clip mean of PSNR minus the second's, averaged over seeds and clips,
with its 95 % interval over clips. A claim is decided only with two seeds or more that point the same way and a p of
at most 5 % after Holm's correction over the table; everything else is "undecided".
"""
_CURVES = """## Curves

From the trainings' logs, thinned to at most about {lines} lines. The loss is drawn beside the blurry input's on the
same batches, both smoothed as the title says; a thin line is the log's own.
"""
_DIFFERENCES = """## Where ours differ from the papers', and why figures may

Keys of the recipes in which the trainings whose story was kept differ from the method's `paper` recipe:
"""


def page(folder: Path = stored.FOLDER) -> str:
    """The whole document as Markdown, with figures as links into `folder`'s name.

    Raises:
        UsageError: the folder holds evidence of weights that no card ships, or is damaged.
    """
    weights = _weights()
    _check_names(folder, weights)
    parts = [_HEAD, _shipped(weights), _figures(folder, weights), _claims(folder), _all_curves(folder, weights)]
    parts.append(_differences(folder, weights))
    return "\n".join(parts)


def write(file: Path = FILE, folder: Path = stored.FOLDER) -> None:
    """Write the page, and the curves of every log kept."""
    for log in sorted(folder.glob("*.csv")):
        write_atomically(log.with_suffix(".svg"), draw(log))
    write_atomically(file, page(folder).encode())


def draw(log: Path) -> bytes:
    """The curves of a kept log as SVG."""
    rows = stored.read_curve(log)
    return render(lambda: curves(rows), ".svg").data


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: int = 1) -> str:
    """A Markdown table; columns from the `right`-th on are aligned to the right."""
    marks = ["---" if column < right else "---:" for column in range(len(head))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, marks, *rows)) + "\n"


def _weights() -> dict[str, tuple[MethodCard, Weights]]:
    """All weights of ours that the cards ship, by the name of their evidence."""
    return {
        weights_name(card.name, w.variant, w.tag): (card, w)
        for card in (p.card for p in plugins("methods").values())
        if isinstance(card, MethodCard)
        for w in card.weights
        if w.origin == "ours"
    }


def _check_names(folder: Path, weights: dict[str, tuple[MethodCard, Weights]]) -> None:
    stories = stored.read_json(folder / stored.TRAININGS, {})
    for name in sorted(({file.stem for file in folder.glob("*.csv")} | set(stories)) - set(weights)):
        raise UsageError(
            f"{folder}: evidence of {name!r}, but no card ships such weights (there are: {', '.join(weights)}). "
            f"Delete {name}.* and its entry in {stored.TRAININGS}, or add the weights to their card."
        )
    for name in stories:
        steps = weights[name][1].training.get("steps")
        if stories[name].get("steps") != steps:
            raise UsageError(
                f"{folder / stored.TRAININGS}: {name} is told to have taken {stories[name].get('steps')} steps, its "
                f"card says {steps}: it is of another training. Keep the log of the one that ships."
            )


def label(card: MethodCard, weights: Weights) -> str:
    """Weights as `--methods` takes them."""
    name = f"{card.name}:{weights.variant}" if len(card.variants) > 1 else card.name
    return f"`{name}@{weights.tag}`"


def _shipped(weights: dict[str, tuple[MethodCard, Weights]]) -> str:
    head = ("weights", "recipe", "data", "device", "seed", "steps", "hours", "validation", "pooled")
    rows = [_shipped_row(card, w) for card, w in weights.values()]
    notes = [f"* {label(card, w)}: {_flat(w.note)}" for card, w in weights.values() if w.note]
    return "\n".join([_WEIGHTS, table(head, rows, right=4), *notes, ""])


def _shipped_row(card: MethodCard, w: Weights) -> list[str]:
    told, checked = w.training, w.training.get("validation") or {}
    settings = "".join(f", {setting}" for setting in told.get("settings", ()))
    start = f", from {told['started_from']['name']}" if told.get("started_from") else ""
    count = told.get("threads")
    threads = f", {count} thread{'s' if count != 1 else ''}" if count else ""
    mark = "" if card.variants[w.variant].of_the_paper else " (not the paper's)"
    return [
        label(card, w) + mark,
        f"{w.recipe}{settings}{start}",
        ", ".join(w.trained_on) or str(told.get("data", NONE)),
        f"{told.get('device', NONE)}{threads}",
        *(str(told.get(key, NONE)) for key in ("seed", "steps", "hours")),
        *(_beside(checked, *keys) for keys in (("psnr", "identity"), ("pooled", "pooled_identity"))),
    ]


def _beside(checked: dict[str, Any], ours: str, blurry: str) -> str:
    return f"{checked[ours]:.2f} ({checked[blurry]:.2f})" if ours in checked else NONE


def _figures(folder: Path, weights: dict[str, tuple[MethodCard, Weights]]) -> str:
    parts = [_RESULTS]
    results = [_of_today(run, weights) for run in stored.read_results(folder)]
    for run in results:
        several = len(run.frames) >= MIN_CLIPS
        parts += [f"### {run.dataset}", "", f"{run.coverage}; {run.device}, {run.precision}.", ""]
        parts += [_with_intervals(run, weights) if several else _clip_by_clip(run, weights)]
        missing = [label(*weights[name]) for name in weights if name not in run.values]
        parts += [f"Not scored here: {', '.join(missing)}.\n"] if missing else []
    return "\n".join(parts if results else [*parts, "No scores were kept yet.\n"])


def _of_today(run: Scored, weights: dict[str, tuple[MethodCard, Weights]]) -> Scored:
    """A run without the weights that have been replaced or dropped since."""
    ships = {name for name, (_, w) in weights.items() if run.weights.get(name) == w.sha256}
    order = sorted(run.values, key=lambda name: name != IDENTITY)  # the input first
    return replace(run, values={name: run.values[name] for name in order if name == IDENTITY or name in ships})


def _with_intervals(run: Scored, weights: dict[str, tuple[MethodCard, Weights]]) -> str:
    paired = _paired(run)
    rows = [[_name(n, weights), *_means(run, n), *_gain(paired.get(n))] for n in run.values]
    return table(("weights", *run.metrics, "gain (dB)", "95 % interval", "clips better", "verdict"), rows)


def _paired(run: Scored) -> dict[str, Paired]:
    """Every method's gain in PSNR over the input, by clips, with Holm's correction over the run's methods."""
    base = run.values[IDENTITY]["psnr"]
    found = {}
    for name in [n for n in run.values if n != IDENTITY]:
        gains = [value - base[clip] for clip, value in run.values[name]["psnr"].items()]
        mean = math.fsum(gains) / len(gains)
        wins = sum(gain > 0 for gain in gains)
        found[name] = Paired(IDENTITY, mean, t_interval(gains), len(gains), wins, sign_flip(gains))
    adjusted = holm([p.p or 0.0 for p in found.values()])
    return {n: decide(p, a, len(found), True) for (n, p), a in zip(found.items(), adjusted, strict=True)}


def _means(run: Scored, name: str) -> list[str]:
    """Means over frames: clip means weighed by the clips' scored frames."""
    total = sum(run.frames.values())
    return [
        f"{math.fsum(v * run.frames[c] for c, v in run.values[name][m].items()) / total:.{told['decimals']}f}"
        for m, told in run.metrics.items()
    ]


def _gain(paired: Paired | None) -> list[str]:
    if paired is None:
        return [NONE] * 4
    return [
        f"{paired.difference:+.2f}", _interval(paired.interval), f"{paired.wins} of {paired.clips}", paired.verdict
    ]  # fmt: skip


def _interval(interval: Interval | None) -> str:
    return f"{interval.low:+.2f} to {interval.high:+.2f}" if interval else NONE


def _clip_by_clip(run: Scored, weights: dict[str, tuple[MethodCard, Weights]]) -> str:
    rows = []
    for name, values in run.values.items():
        for clip, frames in run.frames.items():
            cells = [f"{values[m][clip]:.{told['decimals']}f}" for m, told in run.metrics.items()]
            gain = f"{values['psnr'][clip] - run.values[IDENTITY]['psnr'][clip]:+.2f}"
            rows.append([_name(name, weights), clip, str(frames), *cells, NONE if name == IDENTITY else gain])
    return table(("weights", "clip", "frames", *run.metrics, "gain (dB)"), rows, right=2)


def _name(name: str, weights: dict[str, tuple[MethodCard, Weights]]) -> str:
    return "blurry input" if name == IDENTITY else label(*weights[name]) if name in weights else name


def _claims(folder: Path) -> str:
    found, claims = stored.read_comparison(folder), stored.read_claims(folder)
    parts = [_CLAIMS]
    for run in found.runs:
        parts += [f"### On {run.dataset}: {run.coverage}", "", _findings(findings(claims, found.trainings, run))]
    if not found.runs:
        parts += ["No trainings on equal budgets were kept yet; every claim is undecided.\n"]
        parts += ["\n".join(f"* {claim.claim}: undecided ({claim.source})" for claim in claims), ""]
    else:
        parts += [_trainings(found)]
    return "\n".join(parts)


def _findings(rows: Sequence[Finding]) -> str:
    head = ("claim", "pair", "verdict", "difference (dB)", "95 % interval", "by seed", "p (Holm)", "in the paper (dB)")
    return table(head, [_finding(row) for row in rows], right=3)


def _finding(found: Finding) -> list[str]:
    paired = found.paired
    seeds = ", ".join(f"{seed}: {difference:+.2f}" for seed, difference in found.seeds.items())
    return [
        found.claim,
        f"`{found.better}` over `{found.than}`",
        found.verdict,
        f"{paired.difference:+.2f}" if paired else NONE,
        _interval(paired.interval if paired else None),
        seeds or NONE,
        f"{paired.p_holm:.3f}" if paired and paired.p_holm is not None else NONE,
        _published(found.better, found.than),
    ]


def _published(better: str, than: str) -> str:
    """The paper's own difference of PSNR, under the first protocol that it reports both for."""
    name, _, variant = better.partition(":")
    card = plugins("methods")[name].card
    assert isinstance(card, MethodCard)
    psnr = {(p.protocol, p.variant): p.value for p in card.paper if p.metric == "psnr"}
    other = than.partition(":")[2]
    both = [
        (value, psnr[place, other]) for (place, v), value in psnr.items() if v == variant and (place, other) in psnr
    ]
    return f"{both[0][0] - both[0][1]:+.2f}" if both else NONE


def _trainings(found: Comparison) -> str:
    head = ("training", "budget", "steps", "best at step", "hours", *(run.dataset for run in found.runs))
    rows = [
        [
            f"`{t.method}:{t.variant}`, seed {t.seed}", budget(t), str(t.steps), str(t.chosen), f"{t.hours:.2f}",
            *(_means(run, t.name)[list(run.metrics).index("psnr")] if t.name in run.values else NONE
              for run in found.runs),
        ]
        for t in sorted(found.trainings, key=lambda t: (t.method, t.variant, t.seed))
    ]  # fmt: skip
    blurry = [_means(run, IDENTITY)[list(run.metrics).index("psnr")] if IDENTITY in run.values else NONE
              for run in found.runs]  # fmt: skip
    return "The trainings, and their mean PSNR:\n\n" + table(head, [["blurry input", *[NONE] * 4, *blurry], *rows])


def _all_curves(folder: Path, weights: dict[str, tuple[MethodCard, Weights]]) -> str:
    parts = [_CURVES.format(lines=stored.LINES)]
    stories = stored.read_json(folder / stored.TRAININGS, {})
    for name, (card, w) in weights.items():
        if (folder / f"{name}.csv").is_file():
            parts += [f"### {label(card, w)}", "", f"![Curves of {name}]({folder.name}/{name}.svg)", ""]
            parts += [_time(stories[name])] if "compute_share" in stories.get(name, {}) else []
    missing = [label(card, w) for name, (card, w) in weights.items() if not (folder / f"{name}.csv").is_file()]
    parts += [f"No log was kept of {', '.join(missing)}.\n"] if missing else []
    return "\n".join(parts)


def _time(story: dict[str, Any]) -> str:
    return (
        f"Until these weights were chosen, the model computed for {story['compute_share']:.0%} of the time, and waited "
        f"for data for {story.get('data_share', 0):.0%}; the rest went to other threads and programs.\n"
    )


def _differences(folder: Path, weights: dict[str, tuple[MethodCard, Weights]]) -> str:
    stories = stored.read_json(folder / stored.TRAININGS, {})
    rows = [row for name, (card, w) in weights.items() for row in _recipe_rows(card, w, stories.get(name, {}))]
    prose = folder / stored.DIFFERENCES
    text = prose.read_text(encoding="utf-8") if prose.is_file() else ""
    differing = table(("weights", "key", "paper", "ours"), rows, right=4) if rows else "No story was kept yet.\n"
    return "\n".join([_DIFFERENCES, differing, text])


def _recipe_rows(card: MethodCard, w: Weights, story: dict[str, Any]) -> list[list[str]]:
    """Where a training's recipe, as it was then, differs from the paper's; nothing where it was not kept."""
    if "paper" not in card.recipes or "resolved" not in story:
        return []
    paper = read_recipe(card, "paper").model_dump(mode="json")
    ours = {**Recipe().model_dump(mode="json"), **story["resolved"]}
    keys = [key for key in paper if key not in FREE and paper[key] != ours[key]]
    return [[label(card, w) if key == keys[0] else "", key, _plain(paper[key]), _plain(ours[key])] for key in keys]


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_plain(inner)}" for key, inner in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _flat(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    write()
