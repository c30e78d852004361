"""How far the shipped weights carry: the page's short answer and its tables of figures, from stored runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from deblurbench.analysis.statistics import MIN_CLIPS, Paired
from deblurbench.registry.cards import IDENTITY
from docs.generate.training import stored
from docs.generate.training.markdown import NONE, in_words, interval, p_value, table
from docs.generate.training.shipped import ASKED_FIRST, Shipped, asked_first, label, marked, parent, synthesised
from docs.generate.training.stored import Scored
from docs.generate.training.tested import compare_together

AIM_MINI, AIM_REAL = 1.0, 0.3  # dB over the input

_SHORT = f"""## In short

Gain in PSNR over the blurry input, in dB: the mean over clips on `mini`, and on each real clip alone. The aim for what
two CPU cores can train in a few hours, without a GPU, is {AIM_MINI} dB on `mini` and {AIM_REAL} dB on each real clip.
"""
_FIGURES = """## Figures

PSNR in dB and the further metrics are means over the scored frames. An interval is a 95 % one (Student's t) of the
gain in PSNR over the blurry input, paired over clips, each for itself; *p* is adjusted for all rows of a table, which
are tested together (max-T over joint sign flips of the clips), and the verdict follows from it at 5 %. The methods that
the project's first question is about ({first}) have a table of their own, and all others another: the method alone
decides where a row stands, never its result. One clip has no interval and no test: its values stand as they are.
"""


@dataclass(frozen=True)
class Place:
    """Where a gain is told: `mini`, or one real clip. `gains` are in dB, by the weights' names."""

    name: str
    aim: float
    gains: dict[str, float]


def results_of_today(folder: Path, weights: Shipped) -> list[Scored]:
    """The stored runs without weights that have been replaced or dropped since; the input first, then as they ship."""
    return [_of_today(run, weights) for run in stored.read_results(folder)]


def _of_today(run: Scored, weights: Shipped) -> Scored:
    names = [n for n, (_, w) in weights.items() if n in run.values and run.weights.get(n) == w.sha256]
    return replace(run, values={name: run.values[name] for name in [IDENTITY, *names] if name in run.values})


def in_short(runs: Sequence[Scored], weights: Shipped) -> str:
    """The short answer: one row a weight file, whether it reaches the aim, and which lie below what they began from."""
    places = [place for run in runs for place in _places(run)]
    if not places:
        return "\n".join([_SHORT, "No scores were kept yet.\n"])
    head = ("weights", *(place.name for place in places), "aim reached")
    rows = [
        [marked(*weights[name]), *(_signed(place.gains.get(name)) for place in places), reached(name, places)]
        for name in weights
    ]
    return "\n".join([_SHORT, table(head, rows), *_whether(weights, places), *_below(weights, places)])


def _places(run: Scored) -> list[Place]:
    """`mini` as one place, each clip of a real dataset as one; nothing of other synthesised clips."""
    gains = {name: _clip_gains(run, name) for name in run.values if name != IDENTITY}
    if run.dataset.partition(":")[0] == "mini":
        means = {name: math.fsum(of.values()) / len(of) for name, of in gains.items()}
        return [Place(run.dataset, AIM_MINI, means)]
    if synthesised(run.dataset):
        return []
    return [
        Place(f"{run.dataset} {clip}", AIM_REAL, {name: of[clip] for name, of in gains.items() if clip in of})
        for clip in run.frames
    ]


def _clip_gains(run: Scored, name: str) -> dict[str, float]:
    base = run.values[IDENTITY]["psnr"]
    return {clip: value - base[clip] for clip, value in run.values[name]["psnr"].items()}


def reached(name: str, places: Sequence[Place]) -> str:
    """`yes` or `no`; `not known` where a place is missing that could turn a yes into a no."""
    found = [place.gains[name] >= place.aim for place in places if name in place.gains]
    everywhere = len(found) == len(places) and {place.aim for place in places} == {AIM_MINI, AIM_REAL}
    return "no" if not all(found) else "yes" if everywhere else "not known"


def _whether(weights: Shipped, places: Sequence[Place]) -> list[str]:
    """One sentence a method of the first question, one of the others together."""
    groups = [(f"`{method}`", [n for n, (card, _) in weights.items() if card.name == method]) for method in ASKED_FIRST]
    groups.append(("the other methods", [n for n, (card, _) in weights.items() if not asked_first(card.name)]))
    return [*(_answer(group, names, weights, places) for group, names in groups), ""]


def _answer(group: str, names: Sequence[str], weights: Shipped, places: Sequence[Place]) -> str:
    answers = {name: reached(name, places) for name in names}
    there = [marked(*weights[name]) for name in names if answers[name] == "yes"]
    if there:
        return f"* Of {group}, {in_words(there)} reach{'' if len(there) > 1 else 'es'} the aim."
    known = "is known to reach" if "not known" in answers.values() else "reaches"
    return f"* Of {group}, none {known} the aim."


def _below(weights: Shipped, places: Sequence[Place]) -> list[str]:
    """Weights that score below shipped weights from which their training was started."""
    told = []
    for name, (_, w) in weights.items():
        old = parent(w, weights)
        where = [f"{loss:.2f} dB on {place}" for place, loss in _lost(name, old, places).items()] if old else []
        if old and where:
            ours, theirs = label(*weights[name]), label(*weights[old])
            told.append(f"* {ours} was started from {theirs} and lies below it: by {in_words(where)}.")
    return ["Trained on from weights that ship, and worse than these:\n", *told, ""] if told else []


def _lost(name: str, old: str, places: Sequence[Place]) -> dict[str, float]:
    """How many dB the first lies below the second, where it does."""
    both = {p.name: p.gains[old] - p.gains[name] for p in places if old in p.gains and name in p.gains}
    return {place: loss for place, loss in both.items() if loss > 0}


def _signed(gain: float | None) -> str:
    return NONE if gain is None else f"{gain:+.2f}"


def figures(runs: Sequence[Scored], weights: Shipped) -> str:
    """The tables of figures: with intervals where there are several clips, clip by clip elsewhere."""
    parts = [_FIGURES.format(first=in_words([f"`{method}`" for method in ASKED_FIRST]))]
    for run in runs:
        several = len(run.frames) >= MIN_CLIPS
        parts += [f"### {run.dataset}", "", f"{run.coverage}; {run.device}, {run.precision}.", ""]
        parts += _families(run, weights) if several else [_clip_by_clip(run, weights)]
        missing = [label(*weights[name]) for name in weights if name not in run.values]
        parts += [f"Not scored here: {', '.join(missing)}.\n"] if missing else []
    return "\n".join(parts if runs else [*parts, "No scores were kept yet.\n"])


def _families(run: Scored, weights: Shipped) -> list[str]:
    names = [name for name in run.values if name != IDENTITY]
    first = [name for name in names if asked_first(weights[name][0].name)]
    others = [name for name in names if name not in first]
    titles = (f"{in_words([f'`{m}`' for m in ASKED_FIRST])}:\n", "The other methods:\n")
    told = [(title, family) for title, family in zip(titles, (first, others), strict=True) if family]
    return [text for title, family in told for text in (title, _with_intervals(run, family, weights))]


def _with_intervals(run: Scored, names: Sequence[str], weights: Shipped) -> str:
    found = paired(run, names)
    rows = [[_name(n, weights), *means(run, n), *_gain(found.get(n))] for n in (IDENTITY, *names)]
    head = ("weights", *_metrics(run), "gain (dB)", "95 % interval", "clips better", "p (adjusted)", "verdict")
    return table(head, rows)


def paired(run: Scored, names: Sequence[str]) -> dict[str, Paired]:
    """Each one's gain in PSNR over the input, by clips; all that are named are tested together."""
    return compare_together({name: _clip_gains(run, name) for name in names}, dict.fromkeys(names, IDENTITY))


def _metrics(run: Scored) -> list[str]:
    """The metrics that the run has, as heads of columns."""
    return [name if told["higher_is_better"] else f"{name} (lower is better)" for name, told in run.metrics.items()]


def means(run: Scored, name: str) -> list[str]:
    """Means over frames: clip means weighed by the clips' scored frames; a metric that lacks a clip has none."""
    return [_mean(run, run.values[name].get(m, {}), told) for m, told in run.metrics.items()]


def _mean(run: Scored, by_clip: dict[str, float], told: dict[str, Any]) -> str:
    if set(by_clip) != set(run.frames):
        return NONE
    total = sum(run.frames.values())
    return f"{math.fsum(value * run.frames[clip] for clip, value in by_clip.items()) / total:.{told['decimals']}f}"


def _gain(found: Paired | None) -> list[str]:
    if found is None:
        return [NONE] * 5
    wins = f"{found.wins} of {found.clips}"
    return [f"{found.difference:+.2f}", interval(found.interval), wins, p_value(found.p_adjusted), found.verdict]


def _clip_by_clip(run: Scored, weights: Shipped) -> str:
    rows = []
    for name, values in run.values.items():
        gains = _clip_gains(run, name)
        for clip, frames in run.frames.items():
            cells = [_cell(values.get(m, {}).get(clip), told) for m, told in run.metrics.items()]
            gain = NONE if name == IDENTITY else _signed(gains.get(clip))
            rows.append([_name(name, weights), clip, str(frames), *cells, gain])
    return table(("weights", "clip", "frames", *_metrics(run), "gain (dB)"), rows, right=2)


def _cell(value: float | None, told: dict[str, Any]) -> str:
    return NONE if value is None else f"{value:.{told['decimals']}f}"


def _name(name: str, weights: Shipped) -> str:
    return "blurry input" if name == IDENTITY else marked(*weights[name])
