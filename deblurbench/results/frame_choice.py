"""Which frames of a clip are shown: decided by scores and by position, not by hand.

The rule, printed wherever pictures are shown: of every clip the worst, the median and the best frame by the mean of the
methods' PSNR, and a fixed stride, one frame out of each third of the clip. Of two clips, chosen by their place among
all, consecutive frames are kept for films.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from deblurbench.results.manifest import Choice, MetricRecord

STRIDE = 3
RANKS = ("worst", "median", "best")
STRIDED = "stride"
CANDIDATE_BYTES = 2 * 1024**3
PNG_BYTES_A_PIXEL = 1.7  # measured: 8-bit RGB PNGs of GOPRO and REDS frames
FILM_CLIPS, FILM_SHORTEST, FILM_LONGEST = 2, 12, 100  # a film of fewer frames shows no motion worth its bytes
FILM_BYTES = 512 * 1024**2
RANKING = ("psnr", "psnr-koehler")


def spread(count: int, most: int) -> list[int]:
    """At most `most` positions among `count`, evenly spread: the middles of as many equal stretches."""
    most = min(most, count)
    return sorted({(2 * n + 1) * count // (2 * most) for n in range(most)})


def strided(stems: Sequence[str]) -> list[str]:
    """The fixed stride: the frames at 1/6, 1/2 and 5/6 of those given."""
    return [stems[position] for position in spread(len(stems), STRIDE)]


def affordable(pixels: Iterable[int], folders: int) -> int:
    """How many frames of every clip can wait for the choice, as PNGs of `folders` methods, in `CANDIDATE_BYTES`.

    `pixels` has one number a clip, the pixels of a frame. Never fewer than the stride.
    """
    one_each = sum(pixels) * folders * PNG_BYTES_A_PIXEL
    return max(STRIDE, int(CANDIDATE_BYTES / one_each)) if one_each else STRIDE


def candidates(stems: Sequence[str], allowed: int) -> list[str]:
    """The frames among which the choice is made, in order: `allowed` evenly spread ones, and the stride."""
    chosen = {stems[position] for position in spread(len(stems), allowed)} | set(strided(stems))
    return [stem for stem in stems if stem in chosen]


def films(clips: Sequence[tuple[Sequence[str], int]], folders: int) -> dict[int, list[str]]:
    """The frames to keep for films: position of the clip -> stems around its middle, consecutive and in order.

    `clips` has the stems of each clip and the pixels of a frame, `folders` counts methods and ground truth. The clips
    are those at 1/4 and 3/4 of the list, or the middle one where `FILM_BYTES` hold too few frames of two; none where
    even those of one are too few. The choice follows from the plan alone, before any method ran.
    """
    for count in (FILM_CLIPS, 1):
        places = spread(len(clips), count)
        one_each = sum(clips[place][1] for place in places) * folders * PNG_BYTES_A_PIXEL
        longest = min(FILM_LONGEST, int(FILM_BYTES / one_each)) if one_each else FILM_LONGEST
        if longest >= FILM_SHORTEST:
            return {p: _middle(clips[p][0], longest) for p in places if len(clips[p][0]) >= FILM_SHORTEST}
    return {}


def _middle(stems: Sequence[str], count: int) -> list[str]:
    first = max(0, len(stems) - count) // 2
    return list(stems[first : first + count])


def ranking_metric(metrics: Sequence[MetricRecord]) -> MetricRecord | None:
    """The metric that ranks frames: PSNR as the protocol takes it; None where it was not computed."""
    known = {metric.id: metric for metric in metrics if not metric.absent}
    return next((known[name] for name in RANKING if name in known), None)


def choose(
    stems: Sequence[str],
    among: Sequence[str],
    values: Mapping[str, Mapping[str, float]],
    metric: MetricRecord | None,
) -> Choice:
    """Choose frames out of `among` by rank, and by stride over `stems` (the scored frames, in order).

    `values` maps methods to their values by frame (inf possible). A frame is ranked by the mean over the methods that
    have values; where two are level the earlier one comes first. Of an even number the lower median is taken.
    """
    scored = {method: by_stem for method, by_stem in values.items() if by_stem} if metric else {}
    common = [stem for stem in among if scored and all(stem in by_stem for by_stem in scored.values())]
    means = {stem: math.fsum(by_stem[stem] for by_stem in scored.values()) / len(scored) for stem in common}
    sign = 1 if metric is None or metric.higher_is_better else -1
    ranked = sorted(common, key=lambda stem: sign * means[stem])  # stable: the earlier frame first
    picked = dict(zip(RANKS, (ranked[0], ranked[(len(ranked) - 1) // 2], ranked[-1]), strict=True)) if ranked else {}
    fixed = set(strided(stems))
    frames = {}
    for stem in among:
        why = [rank for rank, chosen in picked.items() if chosen == stem] + [STRIDED] * (stem in fixed)
        if why:
            frames[stem] = why
    return Choice(
        frames=frames,
        ranked_by=list(scored) if ranked else [],
        metric=metric.id if metric and ranked else "",
        candidates=len(common),
        of=len(stems),
    )
