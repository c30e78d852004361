"""What changed between two runs: circumstances, and numbers paired over the clips and frames that both have.

A change is B minus A. Means are over frames that are finite in both runs, as in tables; the 95 % interval is Student's
t over the differences of clip means, since the clip is the unit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deblurbench.analysis.statistics import Interval, check_whole, compare
from deblurbench.errors import UsageError
from deblurbench.metrics import METRICS
from deblurbench.results.comparable import Comparability, comparability
from deblurbench.results.manifest import Manifest, MethodRecord, MetricRecord
from deblurbench.results.run import Run
from deblurbench.text import counted, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

SECONDS = "seconds"
NOTHING = "\N{EN DASH}"
_LIMIT = re.compile(r"\s*([A-Za-z0-9-]+?)\s*([<>])\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*")


@dataclass(frozen=True)
class Change:
    """A circumstance that is not the same in both runs."""

    what: str
    a: str
    b: str


@dataclass(frozen=True)
class Difference:
    """One metric of one method in both runs, over their common frames; `change` is b minus a.

    `a` and `b` are means over frames. `clip_change` is the mean of the clips' mean changes, which `interval` is of;
    that is None with fewer than three common clips, and for `seconds`, whose values are medians. `infinite_a` and
    `infinite_b` count the frames that are infinite in that run only; they are in no mean. Where no common frame is
    finite in both, `a`, `b` and `change` are None.
    """

    method: str
    metric: str
    a: float | None
    b: float | None
    interval: Interval | None
    clips: int
    frames: int
    infinite_a: int = 0
    infinite_b: int = 0
    mark: str = ""
    clip_change: float | None = None

    @property
    def change(self) -> float | None:
        """How much the mean changed from A to B, in the metric's unit."""
        return None if self.a is None or self.b is None else self.b - self.a


@dataclass(frozen=True)
class Limit:
    """A bound on the change of a metric's mean: `psnr<-0.05` fails where a mean fell by more than 0.05."""

    metric: str
    sign: str
    delta: float

    def broken_by(self, found: Difference) -> bool:
        """Whether the change is beyond the limit; a frame that is infinite in one run only is an infinite change."""
        changes = [] if found.change is None else [found.change]
        changes += [-math.inf] * bool(found.infinite_a) + [math.inf] * bool(found.infinite_b)
        return any(c < self.delta if self.sign == "<" else c > self.delta for c in changes)


@dataclass
class Comparison:
    """Two runs beside each other. `mixed` says why their numbers are not comparable, where they are not."""

    a: Run
    b: Run
    mixed: str = ""
    changes: list[Change] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    pairs: Mapping[str, str] = field(default_factory=dict)  # methods of A to the methods of B that stand for them

    def violations(self, limits: Sequence[Limit]) -> list[str]:
        """What breaks the limits, in words; a method that was whole in A and is not in B breaks any.

        Raises:
            UsageError: a limit names a metric that the runs do not share, so that nothing can be checked.
        """
        shared = {d.metric for d in self.differences}
        for limit in limits:
            if limit.metric not in shared:
                raise UsageError(
                    f"--fail-if {limit.metric}: no method has it in both runs. {did_you_mean(limit.metric, shared)}"
                )
        lines = [_broken(limit, d) for limit in limits for d in self.differences
                 if d.metric == limit.metric and limit.broken_by(d)]  # fmt: skip
        return lines + ([_lost(self, m) for m in _fell(self)] if limits else [])


def parse_limits(texts: Iterable[str]) -> list[Limit]:
    """`METRIC<DELTA` or `METRIC>DELTA`, several separated by commas; the metric may be `seconds`.

    Raises:
        UsageError: another form, or an unknown metric.
    """
    limits = []
    for text in [part for whole in texts for part in whole.split(",") if part.strip()]:
        found = _LIMIT.fullmatch(text)
        if not found:
            raise UsageError(f"--fail-if {text!r} cannot be read. Write METRIC<DELTA or METRIC>DELTA, as 'psnr<-0.05'.")
        metric, sign, delta = found.groups()
        if metric not in METRICS and metric != SECONDS:
            raise UsageError(f"--fail-if {text!r}: unknown metric. {did_you_mean(metric, [*METRICS, SECONDS])}")
        limits.append(Limit(metric, sign, float(delta)))
    return limits


def parse_pairs(texts: Iterable[str], a: Run, b: Run) -> dict[str, str]:
    """`X=Y`, method X of run A beside method Y of run B, several separated by commas.

    Raises:
        UsageError: another form, a method that its run does not hold, or one that is named twice.
    """
    pairs: dict[str, str] = {}
    known = [[m.id for m in run.manifest.methods] for run in (a, b)]
    for text in [part.strip() for whole in texts for part in whole.split(",") if part.strip()]:
        first, equals, second = (part.strip() for part in text.partition("="))
        if not (first and equals and second):
            raise UsageError(f"--pair {text!r} cannot be read. Write X=Y: method X of run A, method Y of run B.")
        for name, names, run in ((first, known[0], a), (second, known[1], b)):
            if name not in names:
                raise UsageError(f"--pair {text!r}: {run.folder} has no method {name!r}. {did_you_mean(name, names)}")
        if first in pairs or second in pairs.values():
            raise UsageError(f"--pair {text!r}: one of the two is in another pair already; name each once.")
        pairs[first] = second
    return pairs


def _partners(a: Run, b: Run, pairs: Mapping[str, str]) -> dict[str, str]:
    """Each method of A that has one of B beside it: as paired, or by its own name."""
    free = {m.id for m in b.manifest.methods} - set(pairs.values())
    named = {m.id: pairs.get(m.id, m.id) for m in a.manifest.methods}
    return {one: two for one, two in named.items() if one in pairs or two in free}


def _label(one: str, two: str) -> str:
    return one if one == two else f"{one}={two}"


def compare_runs(a: Run, b: Run, allow_mixed: bool = False, pairs: Mapping[str, str] | None = None) -> Comparison:
    """Compare two stored runs; `pairs` are methods of A to methods of B under other names.

    Raises:
        UsageError: unlike protocols without `allow_mixed`, no common method, or a damaged scores.csv.
    """
    rule = comparability(a.manifest, b.manifest)
    mixed = rule.pairs
    if mixed and not allow_mixed:
        raise UsageError(
            f"{a.folder} and {b.folder} cannot be compared: {mixed}. --allow-mixed compares the frames that both name, "
            "and marks every number."
        )
    check_whole(a)
    check_whole(b)
    found = Comparison(a, b, mixed, pairs=pairs or {})
    ours, theirs = _facts(a), _facts(b)
    for what in dict.fromkeys([*ours, *theirs]):
        one, two = ours.get(what, NOTHING), theirs.get(what, NOTHING)
        if one == two:
            found.same.append(what)
        else:
            found.changes.append(Change(what, one, two))
    found.differences = list(_differences(a, b, rule, found.pairs))
    found.notes = _notes(found)
    if not found.differences:
        raise UsageError(f"{a.folder} and {b.folder} share no method with common scored frames: nothing to compare.")
    return found


def _differences(a: Run, b: Run, rule: Comparability, pairs: Mapping[str, str]) -> Iterable[Difference]:
    import pandas as pd

    in_a = {m.id for m in a.manifest.metrics if not m.absent}
    metrics = [m for m in b.manifest.metrics if not m.absent and m.id in in_a]
    for first, second in _partners(a, b, pairs).items():
        label = _label(first, second)
        for metric in metrics:
            mark = "; ".join(filter(None, (rule.mark(metric.id), _seen((a, first), (b, second)))))
            one, two = a.values_by_clip(first, metric.id), b.values_by_clip(second, metric.id)
            found = _paired(label, metric, one, two, mark)
            if found:
                yield found
        times = pd.concat([a.seconds(first), b.seconds(second)], axis=1, join="inner", keys=["a", "b"])
        if len(times):
            medians = times.median()
            yield Difference(label, SECONDS, float(medians["a"]), float(medians["b"]), None, 0, len(times))


def _seen(*scored: tuple[Run, str]) -> str:
    """The mark of a method whose weights were trained on clips of the dataset that it is scored on, in either run."""
    records = [(run.manifest, record) for run, name in scored for record in run.manifest.methods if record.id == name]
    return "trained on this dataset" if any(manifest.seen_in_training(r) for manifest, r in records) else ""


def _paired(
    method: str, metric: MetricRecord, a: Mapping[str, pd.Series], b: Mapping[str, pd.Series], mark: str
) -> Difference | None:
    """Means over the frames that are finite in both; None where the runs share no frame."""
    import numpy as np
    import pandas as pd

    common = [pd.concat([a[clip], b[clip]], axis=1, join="inner", keys=["a", "b"]) for clip in a if clip in b]
    common = [rows for rows in common if len(rows)]
    if not common:
        return None
    one, two = (np.concatenate([rows[side].to_numpy(float) for rows in common]) for side in ("a", "b"))
    lost, gained = np.isinf(one) & np.isfinite(two), np.isfinite(one) & np.isinf(two)
    both = np.isfinite(one) & np.isfinite(two)
    paired = compare(b, a, "A", metric.higher_is_better)
    means: tuple[float | None, float | None] = (None, None)
    if both.any():
        means = float(one[both].mean()), float(two[both].mean())
    return Difference(
        method, metric.id, *means, paired.interval if paired else None, paired.clips if paired else 0,
        int(both.sum()), int(lost.sum()), int(gained.sum()), mark, paired.difference if paired else None,
    )  # fmt: skip


def _facts(run: Run) -> dict[str, str]:
    """Everything about a run that may differ, in words, by what it is."""
    m = run.manifest
    facts = {
        "protocol": f"{m.protocol.name} v{m.protocol.version} ({m.protocol_digest[:12]})",
        **{f"protocol: {k}": str(v) for k, v in m.protocol.model_dump(exclude={"name", "version"}).items()},
        "split": m.split,
        "coverage": m.coverage,
        "clips": ", ".join(clip.name for clip in m.clips),
        "ground truth": " ".join(clip.ground_truth_sha256[:8] or NOTHING for clip in m.clips),
        "dataset card": m.dataset_card_sha256[:12] or NOTHING,
        "scored frames": ", ".join(f"{c.name}: {_span(c.scored)}" for c in m.clips),
        "data root": m.data_root,
        "layout": m.layout,
        "invalidated": m.invalidated or NOTHING,
        "methods": ", ".join(method.id for method in m.methods),
    }
    for method in m.methods:
        facts |= {f"{method.id}: {what}": text for what, text in _method_facts(m, method).items()}
    for metric in m.metrics:
        how = ", ".join(filter(None, [f"version {metric.version}", metric.implementation]))
        facts[f"metric {metric.id}"] = f"absent: {metric.absent}" if metric.absent else how
    facts |= {"device": m.device, "precision": m.precision, "tile": str(m.tile), "seed": str(m.request.seed)}
    facts |= {"deblurbench": m.deblurbench, **_environment(m.environment)}
    return facts


def _method_facts(manifest: Manifest, method: MethodRecord) -> dict[str, str]:
    weights = f"{method.weights} ({(method.weights_sha256 or 'no digest')[:12]})" if method.weights else NOTHING
    frames = [manifest.outcome(method.id, clip.name).frames_sha256[:8] or NOTHING for clip in manifest.clips]
    return {
        "state": _state(manifest, method.id),
        "weights": "random" if method.random_weights else weights,
        "trained on": ", ".join(method.trained_on) or NOTHING,
        "code": method.code_sha256[:12] or NOTHING,
        "card": method.card_sha256[:12] or NOTHING,
        "parameters": str(method.parameters),
        "restored frames": " ".join(frames),
    }


def _environment(environment: Mapping[str, Any]) -> dict[str, str]:
    """Nested facts flattened: `packages: torch`, `source: commit`."""
    facts: dict[str, str] = {}
    for key, value in environment.items():
        if isinstance(value, Mapping):
            facts |= {f"{key}: {name}": str(text) for name, text in value.items()}
        else:
            facts[key] = str(value)
    return facts


def _span(stems: Sequence[str]) -> str:
    return f"{stems[0]} to {stems[-1]} ({len(stems)})" if stems else "none"


def _notes(found: Comparison) -> list[str]:
    notes = [f"NOT COMPARABLE: {found.mixed}"] if found.mixed else []
    for name, run, other in (("A", found.a, found.b), ("B", found.b, found.a)):
        if run.manifest.invalidated:
            notes.append(f"{name} was declared INVALID: {run.manifest.invalidated}")
        if run.edited:
            notes.append(f"{name} was EDITED after the run: {', '.join(run.edited)}")
        for kind in ("methods", "clips"):
            there = {_name(item) for item in getattr(other.manifest, kind)} | (
                {*found.pairs, *found.pairs.values()} if kind == "methods" else set()
            )
            alone = [_name(item) for item in getattr(run.manifest, kind) if _name(item) not in there]
            if alone:
                notes.append(f"only in {name}, left out: {kind} {', '.join(alone)}")
    odd = [d for d in found.differences if d.infinite_a or d.infinite_b]
    notes += [
        f"{d.method}, {d.metric}: infinite only in A on {counted(d.infinite_a, 'frame')}, only in B on {d.infinite_b}; "
        "they are in no mean" for d in odd
    ]  # fmt: skip
    if any(d.interval is None and d.metric != SECONDS for d in found.differences):
        notes.append("no interval with fewer than 3 common clips")
    return notes


def _name(item: Any) -> str:
    return str(getattr(item, "id", None) or item.name)


def _fell(found: Comparison) -> list[str]:
    """Methods that were whole in A, and in B are not whole, or not there."""
    partners = _partners(found.a, found.b, found.pairs)
    whole = [m.id for m in found.a.manifest.methods if found.a.manifest.state(m.id)[0] == "ok"]
    return [name for name in whole if name not in partners or found.b.manifest.state(partners[name])[0] != "ok"]


def _lost(found: Comparison, method: str) -> str:
    partner = _partners(found.a, found.b, found.pairs).get(method)
    state = _state(found.b.manifest, partner) if partner else "not there"
    return f"{_label(method, partner or method)}: whole in A, in B {state}"


def _state(manifest: Manifest, method: str) -> str:
    """A method's state in words: `ok`, `failed on 2 of 3 clips: ...`, `pending: 1 of 3 clips done`."""
    state, reason = manifest.state(method)
    return reason if reason.startswith(state) else ": ".join(filter(None, (state, reason)))


def _broken(limit: Limit, found: Difference) -> str:
    odd = found.infinite_a + found.infinite_b
    by = "" if found.change is None else f" by {found.change:+.6g}"
    means = f"{found.a:.6g} to {found.b:.6g}" if by else ""
    infinite = f"infinite on {counted(odd, 'frame')} of one run only" if odd else ""
    why = ", ".join(filter(None, (means, infinite)))
    return f"{found.method}: {found.metric} changed{by} ({why}), beyond {limit.sign} {limit.delta:g}"
