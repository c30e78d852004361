"""Which method is faster: ratios of times with an interval, between methods measured together, or now and then.

* Together: methods of one bench are interleaved (A B, B A, ...), so a ratio is formed within each round, where both met
  the same clocks and neighbours. The figure is the median of the rounds' ratios, with the distribution-free 95 %
  interval of that median.
* Against a stored bench: the same method now and then. Nothing is paired, so the interval is the wide one that both
  medians' own 97.5 % intervals allow, and it does not hold what changed between the two times: heat, load, clocks.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from deblurbench.analysis.statistics import Interval
from deblurbench.errors import DamagedError, MissingError
from deblurbench.registry.cards import IDENTITY
from deblurbench.results.run import Run
from deblurbench.runtime.benchmark import Measured, Report, median_interval

HALF = 0.0125  # of each tail: two intervals of 97.5 % hold together in at least 95 %


@dataclass(frozen=True)
class Ratio:
    """Seconds of `method` over seconds of `against` per frame: above 1 the method is slower.

    `how` is "interleaved" (paired round by round) or "then and now" (a stored bench of the same method).
    """

    method: str
    against: str
    width: int
    height: int
    ratio: float
    interval: Interval | None
    rounds: int
    how: Literal["interleaved", "then and now"]

    @property
    def verdict(self) -> str:
        """In one word what the interval allows to say."""
        if self.interval is None:
            return "too few rounds"
        if self.interval.low <= 1 <= self.interval.high:
            return "tied"
        return "slower" if self.ratio > 1 else "faster"

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        interval = [self.interval.low, self.interval.high] if self.interval else None
        return {**vars(self), "interval": interval, "verdict": self.verdict}


@dataclass(frozen=True)
class Stored:
    """An earlier bench (`results` as in bench.json) or run (no results): what to measure again."""

    folder: Path
    methods: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    results: tuple[dict[str, Any], ...] = ()
    device: str = ""
    settings: dict[str, Any] | None = None
    environment: dict[str, Any] | None = None


def read_stored(folder: Path) -> Stored:
    """Read the bench.json of an earlier bench, or else the methods of a run.

    Raises:
        MissingError: the folder holds neither.
        DamagedError: bench.json cannot be read.
    """
    file = folder / "bench.json"
    if not file.is_file():
        if not (folder / "run.json").is_file():
            raise MissingError(
                f"--compare {folder}: neither a bench (bench.json) nor a run (run.json) is there. "
                "Name the --output folder of an earlier 'deblurbench bench' or 'run'."
            )
        run = Run.open(folder)
        return Stored(folder, tuple(run.manifest.request.methods), ())
    try:
        bench = json.loads(file.read_text(encoding="utf-8"))
        results = tuple(bench["results"])
        sizes = tuple(dict.fromkeys((int(r["width"]), int(r["height"])) for r in results))
        environment = bench["environment"]
        return Stored(folder, tuple(bench["methods"]), sizes, results, bench["device"], bench["settings"], environment)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{file}: damaged, or no bench ({type(error).__name__}: {error})") from error


def together(results: Sequence[Measured]) -> Iterator[Ratio]:
    """Every other method against the first one that did not fail, size by size; the blurry input takes no part."""
    fit = [m for m in results if m.rounds and not m.error and m.method != IDENTITY]
    for size in dict.fromkeys((m.width, m.height) for m in fit):
        first, *others = [m for m in fit if (m.width, m.height) == size]
        for other in others:
            ratios = [one / two for one, two in zip(other.rounds, first.rounds, strict=False)]
            middle, interval = statistics.median(ratios), median_interval(ratios)
            yield Ratio(other.method, first.method, *size, middle, interval, len(ratios), "interleaved")


def since(report: Report, stored: Stored) -> Iterator[Ratio]:
    """Each method now against itself in a stored bench, where both were measured at the same size."""
    then = {(r["method"], r["weights"], r["width"], r["height"]): r.get("round_medians") for r in stored.results}
    for now in report.results:
        before = then.get((now.method, now.weights, now.width, now.height))
        if before and now.rounds and not now.error and now.method != IDENTITY:
            one, two = median_interval(now.rounds, HALF), median_interval(before, HALF)
            interval = Interval(one.low / two.high, one.high / two.low) if one and two else None
            ratio = statistics.median(now.rounds) / statistics.median(before)
            rounds = min(len(now.rounds), len(before))
            yield Ratio(now.method, "itself then", now.width, now.height, ratio, interval, rounds, "then and now")


def circumstances(report: Report, stored: Stored, environment: dict[str, Any]) -> list[str]:
    """What a reader must know before believing in `since`: what is not as it was."""
    if not stored.results:
        return [f"{stored.folder} is a run: its methods were measured anew, its own times are taken beside other work."]
    lines = [
        f"Now against {stored.folder}: not interleaved, so heat, load and clocks of the two times are in the ratio."
    ]
    before, now = stored.settings or {}, vars(report.settings)
    then = stored.environment or {}
    facts = [("device", stored.device, report.device), ("precision", before.get("precision"), now["precision"])]
    facts += [("frames a round", before.get("frames", now["frames"]), now["frames"])]
    facts += [(name, then.get(name), environment.get(name)) for name in ("cpu", "python")]
    packages = (then.get("packages", {}), environment.get("packages", {}))
    facts += [(name, packages[0].get(name), packages[1].get(name)) for name in sorted({*packages[0], *packages[1]})]
    facts += [("commit", *(e.get("source", {}).get("commit", "") for e in (then, environment)))]
    lines += [f"changed since: {name} was {old}, is {new}" for name, old, new in facts if old != new]
    return lines
