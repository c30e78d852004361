"""Writes plausible run folders without running anything: for tests of statistics, tables and reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from deblurbench.frames.images import write_png
from deblurbench.registry.protocol import Protocol
from deblurbench.results import digests
from deblurbench.results.manifest import ClipRecord, Manifest, MethodRecord, MetricRecord, Outcome, Request
from deblurbench.results.run import Run
from deblurbench.results.store import GROUND_TRUTH, Part, Store, walk_parts

METRICS = (
    MetricRecord(
        id="psnr", version=1, unit="dB", higher_is_better=True, decimals=2, title="Peak signal-to-noise ratio"
    ),
    MetricRecord(id="ssim", version=1, unit="", higher_is_better=True, decimals=4, title="Structural similarity"),
)
TRACEBACK = (
    'Traceback (most recent call last):\n  File "method.py", line 57, in restore_frame\n    raise ValueError("boom")\n'
    "ValueError: boom <b>on frame 57</b>\n"
)


@dataclass
class Fake:
    """What to fake. `methods` maps ids to the share of the blur that is left (0 to 1); identity is 1."""

    methods: Mapping[str, float] = field(default_factory=lambda: {"identity": 1.0, "ifirnn:C2H3": 0.55, "srn:rgb": 0.5})
    clips: Sequence[str] = tuple(f"clip-{n:02d}" for n in range(1, 9))
    frames: int = 12
    size: tuple[int, int] = (320, 180)
    failed: Mapping[str, str] = field(default_factory=dict)  # method -> clip
    pending: Mapping[str, str] = field(default_factory=dict)
    leaks: Mapping[str, int] = field(default_factory=dict)  # method -> frames with infinite PSNR in the first clip
    pictures: bool = False
    every: bool = False  # pictures of every frame, as --save-frames all keeps them
    ground_truth: bool = True
    protocol: Protocol = field(default_factory=lambda: Protocol(name="mini", blur="gamma", leave_out=(4, 1)))
    changes: Mapping[str, object] = field(default_factory=dict)  # fields of the manifest
    method_changes: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)  # metric -> reason
    seed: int = 0


def reseal(folder: Path) -> None:
    """Note the digests of a run's files as they are now, as if the run had written what a test put there."""
    names = ("run.json", "scores.csv", "timings.csv")
    digests.record(folder, {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()})


def write(folder: Path, fake: Fake | None = None) -> Run:
    """Write the run folder and open it."""
    fake = fake or Fake()
    store = Store(folder)
    manifest = _manifest(fake)
    for method in manifest.methods:
        for clip in manifest.clips:
            part = _part(fake, method, clip)
            if part:
                store.write_part(part)
                manifest.outcomes.append(part.outcome)
    if fake.pictures:
        _pictures(fake, store, manifest)
    store.write_manifest(manifest)
    store.write_tables(manifest, walk_parts(store, manifest))
    return Run.open(folder)


def _manifest(fake: Fake) -> Manifest:
    stems = [f"{n:06d}" for n in range(1, fake.frames + 1)]
    scored = [stems[p] for p in fake.protocol.scored(fake.frames)]
    width, height = fake.size
    clips = [
        ClipRecord(name=n, frames=stems, scored=scored, width=width, height=height, ground_truth=fake.ground_truth)
        for n in fake.clips
    ]
    count = len(clips)
    absent = [
        MetricRecord(id=name, version=1, unit="", higher_is_better=False, absent=why)
        for name, why in fake.absent.items()
    ]
    values = {
        "deblurbench": "0.1.0",
        "command": "deblurbench run --methods ifirnn,srn --dataset mini --output runs/demo",
        "created": "2026-01-02T03:04:05+00:00",
        "finished": "2026-01-02T03:06:05+00:00",
        "request": Request(methods=list(fake.methods), dataset=fake.protocol.name),
        "dataset": fake.protocol.name,
        "dataset_title": "mini: virtual camera over photographs",
        "protocol": fake.protocol,
        "protocol_digest": fake.protocol.digest(),
        "split": "test",
        "data_root": "data",
        "coverage": f"{count} of {count} clips, {count * fake.frames} of {count * fake.frames} frames, "
        f"{count * len(scored)} scored",
        "clips": clips,
        "methods": [_method(fake, name) for name in fake.methods],
        "metrics": [*METRICS, *absent],
        "device": "CPU: AMD EPYC 9354, 2 threads",
        "precision": "fp32",
        "environment": {"python": "3.11.7", "packages": {"torch": "2.13.0", "numpy": "2.4.6"}},
    }
    return Manifest.model_validate(values | dict(fake.changes))


def _method(fake: Fake, identifier: str) -> MethodRecord:
    name, _, variant = identifier.partition(":")
    known = name != "identity"
    values = {
        "id": identifier,
        "name": name,
        "variant": variant or "default",
        "title": {"identity": "Blurry input", "ifirnn": "IFI-RNN", "srn": "SRN"}.get(name, name),
        "weights": "first" if known else None,
        "weights_sha256": "ab" * 32 if known else None,
        "parameters": 1_635_683 if known else 0,
        "trained_on": ["synth"] if known else [],
    }
    return MethodRecord.model_validate(values | dict(fake.method_changes.get(identifier, {})))


def _part(fake: Fake, method: MethodRecord, clip: ClipRecord) -> Part | None:
    if fake.pending.get(method.id) == clip.name:
        return None
    if fake.failed.get(method.id) == clip.name:
        outcome = Outcome(
            method=method.id, clip=clip.name, status="failed", kind="raised",
            reason="ValueError: boom on frame 000007", traceback=TRACEBACK,
        )  # fmt: skip
        return Part({}, outcome)
    left = fake.methods[method.id]
    seed = [fake.seed, list(fake.clips).index(clip.name)]
    scene = np.random.default_rng(seed)
    base = scene.uniform(23, 28)
    drift = np.cumsum(scene.normal(0, 0.4, len(clip.frames)))
    own = np.random.default_rng([*seed, list(fake.methods).index(method.id) + 1])
    psnr = base + drift - 8 * np.log10(left) + (left < 1) * own.normal(0, 0.15, len(clip.frames))
    psnr = dict(zip(clip.frames, psnr, strict=True))
    leaks = clip.scored[: fake.leaks.get(method.id, 0)] if clip.name == fake.clips[0] else []
    scores = []
    if clip.ground_truth:
        for stem in clip.scored:
            value = float("inf") if stem in leaks else float(psnr[stem])
            ssim = 1.0 if stem in leaks else float(1 - 10 ** (-psnr[stem] / 34))
            scores += [(stem, "psnr", value), (stem, "ssim", ssim)]
    speed = 0.0001 if left == 1 else 0.02 + 0.1 * (1 - left)
    timings = [(stem, float(speed * own.uniform(0.95, 1.1)), i < 2) for i, stem in enumerate(clip.frames)]
    return Part({}, Outcome(method=method.id, clip=clip.name, status="ok"), scores, timings)


def _pictures(fake: Fake, store: Store, manifest: Manifest) -> None:
    """Real-looking frames for the sampled positions (1/6, 1/2, 5/6 of the scored frames) of every clip."""
    from skimage import data

    photographs = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket()]
    width, height = fake.size
    for number, clip in enumerate(manifest.clips):
        photograph = _at_least(photographs[number % 4], width + 64, height + 64)
        stems = clip.frames if fake.every else [clip.scored[place] for place in sampled(len(clip.scored))]
        for position, stem in enumerate(stems):
            x = (number * 37 + position * 4) % max(1, photograph.shape[1] - width)
            y = (number * 23) % max(1, photograph.shape[0] - height)
            sharp = np.ascontiguousarray(photograph[y : y + height, x : x + width])
            if fake.ground_truth:
                write_png(store.frames_folder(GROUND_TRUTH, clip.name) / f"{stem}.png", sharp)
            for method in manifest.methods:
                if manifest.outcome(method.id, clip.name).status == "ok":
                    frame = _blur(sharp, fake.methods[method.id], 20 + 25 * number)
                    write_png(store.frames_folder(method.id, clip.name) / f"{stem}.png", frame)


def _at_least(photograph: np.ndarray, width: int, height: int) -> np.ndarray:
    """A photograph, mirrored at its edges until it is that large."""
    more = (max(0, height - photograph.shape[0]), max(0, width - photograph.shape[1]))
    return np.pad(photograph, ((0, more[0]), (0, more[1]), (0, 0)), mode="symmetric") if any(more) else photograph


def sampled(count: int) -> list[int]:
    """Positions at 1/6, 1/2 and 5/6 of `count` frames."""
    return sorted({count * part // 6 for part in (1, 3, 5)}) if count else []


def _blur(frame: np.ndarray, share: float, angle: float) -> np.ndarray:
    size = max(1, round(15 * share)) | 1
    kernel = np.zeros((size, size), np.float32)
    half = size // 2
    step = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))]) * half
    centre = np.array([half, half])
    start, end = (np.round(centre - step).astype(int), np.round(centre + step).astype(int))
    cv2.line(kernel, tuple(map(int, start)), tuple(map(int, end)), 1.0, 1)
    return cv2.filter2D(frame, -1, kernel / kernel.sum())
