"""Which of the frames that were kept the page shows, of which methods, and how that is said.

A run that kept a sample has chosen already (`results.frame_choice`); where every frame was kept, the choice is made
here by the same rule over all methods of the table. A tight budget takes away, in this order: frames a clip, methods
(the best stay), clips (evenly).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deblurbench.registry.cards import IDENTITY
from deblurbench.reports.base import MEGABYTE, Options
from deblurbench.results import frame_choice
from deblurbench.results.manifest import Choice, ClipRecord
from deblurbench.tables import ResultTable, Row

GROUND_TRUTH = "ground truth"
CROP = 96
WEBP_OF_PNG = 0.75  # measured: a lossless WebP of a frame against the PNG that a run keeps
ORDER = ("median", "worst", "best")


@dataclass(frozen=True)
class ClipFrames:
    """A clip's kept frames: `sources` label -> stem -> PNG, `order` the frames that may be shown, `why` the reasons."""

    name: str
    sources: Mapping[str, Mapping[str, Path]]
    order: tuple[str, ...]
    why: Mapping[str, Sequence[str]]
    choice: Choice | None
    pixels: int

    def cost(self, labels: Sequence[str], stem: str) -> float:
        """Estimated bytes of one frame and its crop by the methods named; 0 for files that are not there."""
        files = [self.sources[label][stem] for label in labels if stem in self.sources.get(label, {})]
        cropped = min(1.0, CROP * CROP / max(self.pixels, 1))
        return WEBP_OF_PNG * (1 + cropped) * sum(file.stat().st_size for file in files if file.is_file())


@dataclass(frozen=True)
class Picked:
    """What is to be shown: waves of (clip, frame), most telling first, and the labels that take part."""

    clips: tuple[ClipFrames, ...]
    labels: tuple[str, ...]
    all_labels: tuple[str, ...]
    waves: tuple[tuple[tuple[str, str], ...], ...]
    sample: bool
    metric: str
    needed: float

    def rule(self, frames: Mapping[str, Sequence[str]]) -> str:
        """How the frames shown were chosen, in one sentence; `frames` are those shown, by clip."""
        if not frames:
            return ""
        why = [reason for clip in self.clips for stem in frames.get(clip.name, ()) for reason in clip.why.get(stem, ())]
        parts = [self._ranked(why), self._strided(why)]
        told = " and ".join(filter(None, parts)) or "every frame that was kept"
        if not self.sample:
            told = f"every frame that was kept, among them {told}" if any(parts) else told
        return f"Not hand-picked: of every clip {told}."

    def _ranked(self, why: Sequence[str]) -> str:
        ranks = [rank for rank in frame_choice.RANKS if rank in why]
        if not ranks:
            return ""
        choices = [clip.choice for clip in self.clips if clip.choice and clip.choice.metric]
        every = all(choice.candidates == choice.of for choice in choices)
        fewest = min(choice.candidates for choice in choices)
        among = "its scored frames" if every else f"{fewest} or more candidates spread evenly over its scored frames"
        by = list(dict.fromkeys(method for choice in choices for method in choice.ranked_by))
        who = f"the {len(by)} methods" if len(by) > 3 else names(by) if by else "methods that were since done again"
        who = "the blurry input" if by == [IDENTITY] else who
        plural = "s" if len(ranks) > 1 else ""
        return f"the {names(ranks)} frame{plural} by the mean {self.metric} of {who}, ranked among {among},"

    def _strided(self, why: Sequence[str]) -> str:
        return "a fixed stride (the frames at 1/6, 1/2 and 5/6 of its length)" if frame_choice.STRIDED in why else ""

    def left_out(self, frames: Mapping[str, Sequence[str]], options: Options) -> str:
        """What the budget keeps off the page, and how to get it; empty where everything is shown."""
        lost = []
        fewer = max((len(clip.order) for clip in self.clips), default=0)
        most = max((len(found) for found in frames.values()), default=0)
        if most < fewer:
            lost.append(f"{most} of {fewer} frames a clip")
        if len(self.labels) < len(self.all_labels):
            methods = len(self.all_labels) - len({GROUND_TRUTH} & set(self.all_labels))
            here = len(self.labels) - len({GROUND_TRUTH} & set(self.labels))
            lost.append(f"the best {here - 1} of {methods - 1} methods")
        if len(frames) < len(self.clips):
            lost.append(f"{len(frames)} of {len(self.clips)} clips")
        if not lost:
            return ""
        budget = math.ceil(self.needed / MEGABYTE / 10) * 10
        return (
            f"To keep pictures and videos under {options.budget / MEGABYTE:.0f} MB they show {names(lost)}; "
            f"the tables and curves show all. 'deblurbench report --budget {budget}' shows everything that was kept."
        )


def input_label(table: ResultTable) -> str:
    """The label of the row that shows the blurry input."""
    return next((row.label for row in table.rows if row.method.name == IDENTITY), IDENTITY)


def pick(table: ResultTable, options: Options, budget: int) -> Picked:
    """Decide what is shown of a table's runs, from the names and sizes of the PNGs alone."""
    metric = frame_choice.ranking_metric(table.runs[0].manifest.metrics)
    values = _values(table, metric.id) if metric else {}
    clips = tuple(_clip(table, clip, values, options) for clip in table.clips)
    clips = tuple(clip for clip in clips if clip.order)
    everything = {label for clip in clips for label in clip.sources}
    labels = tuple(label for label in (*[row.label for row in table.rows], GROUND_TRUTH) if label in everything)
    waves = tuple(_waves(clips))
    needed = sum(clip.cost(labels, stem) for clip in clips for stem in clip.order)
    few, waves = _within(table, clips, labels, waves, budget)
    name = next((c.label for c in table.metrics if metric and c.key == metric.id), "PSNR")
    return Picked(clips, few, labels, waves, options.gallery == "sample", name, needed)


def sources(table: ResultTable, clip: ClipRecord) -> dict[str, dict[str, Path]]:
    """Label -> stem -> PNG: the methods in the table's order (the input first), then the ground truth.

    What a method left on a clip that it failed on is not shown: it is not what was scored.
    """
    found = {}
    for row in table.rows:
        run = table.runs[row.run]
        frames = run.frames(row.method.id, clip.name)
        if frames and run.manifest.outcome(row.method.id, clip.name).status == "ok":
            found[row.label] = frames
    for run in table.runs:
        truth = run.ground_truth_frames(clip.name)
        if truth:
            found[GROUND_TRUTH] = truth
            break
    return found


def _clip(
    table: ResultTable, clip: ClipRecord, values: Mapping[str, Mapping[str, Mapping[str, float]]], options: Options
) -> ClipFrames:
    found = sources(table, clip)
    common = [stem for stem in clip.frames if found and all(stem in frames for frames in found.values())]
    kept = common or [stem for stem in clip.frames if any(stem in frames for frames in found.values())]
    choice = _recorded(table, clip, kept)
    if choice is None and kept:
        metric = frame_choice.ranking_metric(table.runs[0].manifest.metrics)
        scored = [stem for stem in kept if stem in clip.scored] or kept
        choice = frame_choice.choose(list(clip.scored) or list(clip.frames), scored, values.get(clip.name, {}), metric)
        if not choice.frames:
            choice = frame_choice.choose(kept, kept, {}, None)  # kept by hand: their own stride
    why = {stem: choice.frames[stem] for stem in kept if choice and stem in choice.frames} if choice else {}
    order = [stem for stem in kept if stem in why] if options.gallery == "sample" else kept
    return ClipFrames(clip.name, found, tuple(order), why, choice, clip.width * clip.height)


def _recorded(table: ResultTable, clip: ClipRecord, kept: Sequence[str]) -> Choice | None:
    """The choice that the runs made; of several runs what they have in common, ranked by the first."""
    records = [record for run in table.runs for record in run.manifest.clips if record.name == clip.name]
    choices = [record.choice for record in records if record.choice]
    if not choices or not any(stem in choices[0].frames for stem in kept):
        return None
    return choices[0]


def _values(table: ResultTable, metric: str) -> dict[str, dict[str, dict[str, float]]]:
    """Clip -> label -> frame -> value of the rows that rank frames: all but the input, or the input alone."""
    ranking = [row for row in table.rows if row.method.name != IDENTITY and row.ok] or list(table.rows)
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in ranking:
        for clip, values in table.runs[row.run].values_by_clip(row.method.id, metric).items():
            if "" not in values:
                found.setdefault(clip, {})[row.label] = values.to_dict()
    return found


def _waves(clips: Sequence[ClipFrames]) -> Iterator[tuple[tuple[str, str], ...]]:
    """One frame of every clip a wave: the medians, the worst, the best, then the others spread evenly."""
    orders = {clip.name: _telling_first(clip) for clip in clips}
    for number in range(max((len(order) for order in orders.values()), default=0)):
        yield tuple((name, order[number]) for name, order in orders.items() if number < len(order))


def _telling_first(clip: ClipFrames) -> list[str]:
    first = [stem for rank in ORDER for stem in clip.order if rank in clip.why.get(stem, ())]
    strided = [stem for stem in clip.order if frame_choice.STRIDED in clip.why.get(stem, ())]
    middle = strided[1:2] if not first else []
    rest = [stem for stem in clip.order if stem not in {*first, *strided}]
    return list(dict.fromkeys([*first, *middle, *strided, *_halving(rest)]))


def _halving(stems: Sequence[str]) -> list[str]:
    """The same stems in an order that is spread evenly wherever it is cut off: the middle, then those of the halves."""
    order, waiting = [], [(0, len(stems))]
    while waiting:
        low, high = waiting.pop(0)
        if low < high:
            middle = (low + high) // 2
            order.append(stems[middle])
            waiting += [(low, middle), (middle + 1, high)]
    return order


def _within(
    table: ResultTable,
    clips: Sequence[ClipFrames],
    labels: tuple[str, ...],
    waves: tuple[tuple[tuple[str, str], ...], ...],
    budget: int,
) -> tuple[tuple[str, ...], tuple[tuple[tuple[str, str], ...], ...]]:
    """Fewer methods, then fewer clips, until one frame of each fits by estimate."""
    if not waves:
        return labels, waves
    by_name = {clip.name: clip for clip in clips}

    def cost(names: Sequence[str], wave: Sequence[tuple[str, str]]) -> float:
        return sum(by_name[clip].cost(names, stem) for clip, stem in wave)

    few = list(labels)
    for row in reversed(_best_first(table)):
        if cost(few, waves[0]) <= budget or len([label for label in few if label != GROUND_TRUTH]) <= 2:
            break
        if row.label in few:
            few.remove(row.label)
    first, count = waves[0], len(waves[0])
    while count > 1 and cost(few, first) > budget:
        count -= 1
        first = tuple(waves[0][position] for position in frame_choice.spread(len(waves[0]), count))
    if count < len(waves[0]):
        waves = (first,)
    return tuple(few), waves


def _best_first(table: ResultTable) -> list[Row]:
    """Rows but for the input, best mean of the first metric first; those without a mean last."""
    rows = [row for row in table.rows if row.method.name != IDENTITY]
    if not table.metrics:
        return rows
    column = table.metrics[0]
    sign = -1 if column.higher_is_better else 1

    def key(row: Row) -> float:
        value = row.value(column.key)
        return math.inf if value is None else sign * value

    return sorted(rows, key=key)


def names(words: Sequence[str]) -> str:
    """A list in words: 'a', 'a and b', 'a, b and c'."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
