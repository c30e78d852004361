"""Whether methods do on frames that they cannot recognise what they did in a run.

A plugin may remember what it returned, count the clips that it is given, or know the benchmark's frames and answer from
memory. So some clips of the run, drawn at random, are restored anew as a folder that tells nothing of the benchmark:
other names, another order, other processes, each clip in two copies.

* The *renamed* copy has the same pixels. Its scores must be the run's.
* The *altered* copy is mirrored, and its blurry frames differ by one level here and there. Nobody sees that, and no
  honest method minds much: what it gains over the blurry input may fall by a tenth and 0.2 dB, not more.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

import numpy as np

from deblurbench.checks.finding import Check
from deblurbench.checks.rescore import dataset_clips
from deblurbench.checks.run import read_parts
from deblurbench.datasets.base import Clip, FrameSource
from deblurbench.errors import FrameError
from deblurbench.evaluation.plan import make_plan
from deblurbench.evaluation.progress import Listener
from deblurbench.evaluation.runner import run as carry_out
from deblurbench.frames.convert import Frame8
from deblurbench.frames.images import write_png
from deblurbench.registry.cards import IDENTITY
from deblurbench.results.manifest import ClipRecord, Request
from deblurbench.results.run import Run
from deblurbench.results.store import Part

AGAIN = 0.01
"""Largest difference in PSNR (dB) of a frame whose pixels are the run's: other devices round otherwise."""
FALL, SHARE = 0.2, 0.1
"""How much (dB, and share of the gain) a method may lose on the altered copy."""
PERFECT = 100.0
"""What counts as the PSNR (dB) of a frame restored without any error."""
SIDES = ("blur", "sharp")


def disguise(run: Run, count: int, listener: Listener) -> Iterator[Check]:
    """Restore `count` clips of a run in disguise, and compare each method's PSNR with the run's.

    The run's own time-out holds, and `listener` hears how far it is.

    Nothing of the run is changed. What cannot be done again (no data, frames of somebody else) is said.

    Raises:
        UsageError, MissingError: a method of the run can no longer be set up.
    """
    manifest = run.manifest
    there = dataset_clips(manifest)
    clips = [clip for clip in manifest.clips if clip.ground_truth and there.get(clip.name) is not None]
    if not clips or any(method.kind == "files" for method in manifest.methods):
        why = "frames of somebody else" if clips else "no clip with ground truth lies under the data root"
        yield Check("clips in disguise", "not checked", why)
        return
    chosen = secrets.SystemRandom().sample(clips, min(count, len(clips)))
    parts, _ = read_parts(run)
    with tempfile.TemporaryDirectory(prefix="clips-") as place:
        names = {clip.name: (secrets.token_hex(4), secrets.token_hex(4)) for clip in chosen}
        for clip in chosen:
            _write_copies(there[clip.name], clip, names[clip.name], Path(place) / "data")
        anew = _restore(run, Path(place), listener)
        for method in manifest.methods:
            if method.id == IDENTITY:
                continue
            for clip in chosen:
                before = parts.get((method.id, clip.name))
                if before is not None:
                    yield _compare(method.id, clip, before, anew, names[clip.name])


def _write_copies(clip: Clip, record: ClipRecord, names: tuple[str, str], data: Path) -> None:
    """PNGs of a clip as it is and altered: <data>/<blur|sharp>/<name>/000001.png and on."""
    assert clip.sharp is not None
    renamed, altered = names
    random = np.random.default_rng(secrets.randbits(64))
    for side, source in zip(SIDES, (clip.blurry, clip.sharp), strict=True):
        for number, frame in enumerate(_frames(source, len(record.frames)), start=1):
            mirrored = np.ascontiguousarray(frame[:, ::-1])
            if side == "blur":
                noise = random.integers(-1, 2, frame.shape) * (random.random(frame.shape) < 0.1)
                mirrored = np.clip(mirrored + noise, 0, 255).astype(np.uint8)
            for name, pixels in ((renamed, frame), (altered, mirrored)):
                folder = data / side / name
                folder.mkdir(parents=True, exist_ok=True)
                write_png(folder / f"{number:06d}.png", pixels)


def _frames(source: FrameSource, count: int) -> Iterator[Frame8]:
    yield from source.first(count)


def _restore(run: Run, place: Path, listener: Listener) -> dict[tuple[str, str], Part]:
    """The run's methods on the copies: parts by method and clip."""
    asked = run.manifest.request
    request = Request(
        methods=asked.methods,
        dataset="folder",
        data_root=str(place / "data"),
        device=asked.device,
        precision=asked.precision,
        tile=asked.tile,
        save_frames="none",
        metrics=["psnr"],
        seed=asked.seed,
        random_weights=asked.random_weights,
    )
    carry_out(
        make_plan(request), place / "run", command="deblurbench verify --disguised", timeout=run.manifest.timeout,
        listener=listener,
    )  # fmt: skip
    return read_parts(Run.open(place / "run"))[0]


def _compare(
    method: str, clip: ClipRecord, before: Part, anew: dict[tuple[str, str], Part], names: tuple[str, str]
) -> Check:
    what = f"{method} on {clip.name} in disguise"
    lost = [name for name in names if (method, name) not in anew]
    if lost:
        return Check(what, "DIFFERS", "it failed on a copy of the clip that it restored in the run")
    try:
        renamed, altered = (_psnr(anew[method, name], clip) for name in names)
        renamed_input, altered_input = (_psnr(anew[IDENTITY, name], clip) for name in names)
    except (KeyError, FrameError) as error:
        return Check(what, "not checked", f"the copy of the input has no score: {error}")
    told = {stem: value for stem, metric, value in before.scores if metric == "psnr" and stem in renamed}
    apart = [abs(min(value, PERFECT) - renamed[stem]) for stem, value in told.items()]
    if apart and max(apart) > AGAIN:
        return Check(what, "DIFFERS", f"under another name, PSNR is up to {max(apart):.3f} dB off the run's")
    first, second = _gain(renamed, renamed_input), _gain(altered, altered_input)
    words = f"gain {first:+.2f} dB; mirrored, with one level of noise, {second:+.2f} dB"
    if first - second > FALL + SHARE * abs(first):
        return Check(what, "DIFFERS", words)
    return Check(what, "ok", words if told else f"{words} (the run has no PSNR to compare with)")


def _psnr(part: Part, clip: ClipRecord) -> dict[str, float]:
    """PSNR, at most PERFECT, by the clip's own frame names, of the frames that its protocol scores."""
    values = [value for stem, metric, value in part.scores if metric == "psnr" and stem]
    return {s: min(v, PERFECT) for s, v in zip(clip.frames, values, strict=True) if s in set(clip.scored)}


def _gain(restored: dict[str, float], blurry: dict[str, float]) -> float:
    return fmean(restored[stem] - blurry[stem] for stem in restored)
