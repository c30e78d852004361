"""The manifest: what the pixels of `mini` are, whatever machine made them and whatever encoder wrote the files.

Three outcomes. The sha256 of all decoded frames agree: the data are `mini` bit for bit. They do not, but every
side's mean error against the other is the published one within TOLERANCE: another processor rounded a few values the
other way; the run goes on and every table carries a note. Otherwise it is not `mini`, and nothing is scored.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TypedDict

import numpy as np

from deblurbench.datasets.base import ImageFiles
from deblurbench.errors import MissingError
from deblurbench.frames.convert import Frame8
from deblurbench.frames.images import list_frames

FILE = Path(__file__).with_name("manifest.json")
SIDES = ("blur", "blur_gamma", "sharp")
TOLERANCE = 0.005  # dB


class Entry(TypedDict):
    """What is known of one clip: size, sha256 of each side's pixels, mean input PSNR of the two blurry sides in dB."""

    frames: int
    width: int
    height: int
    sha256: dict[str, str]
    psnr: dict[str, float]


def read_manifest() -> dict[str, Entry]:
    """The shipped manifest by clip."""
    clips: dict[str, Entry] = json.loads(FILE.read_text(encoding="utf-8"))["clips"]
    return clips


def describe(clip: Path) -> Entry:
    """A clip's entry, worked out from its decoded frames."""
    sides = {side: list(ImageFiles(tuple(list_frames(clip / side)))) for side in SIDES}
    height, width = sides["sharp"][0].shape[:2]
    return {
        "frames": len(sides["sharp"]),
        "width": width,
        "height": height,
        "sha256": {side: _digest(frames) for side, frames in sides.items()},
        "psnr": {side: round(_psnr(sides[side], sides["sharp"]), 4) for side in SIDES[:2]},
    }


def check(folder: Path, manifest: dict[str, Entry]) -> list[str]:
    """Notes on how the clips below `folder` differ from the manifest; none where they are equal.

    Raises:
        MissingError: they are not the published clips.
    """
    differing = []
    for name, published in manifest.items():
        made = describe(folder / name)
        if made["sha256"] == published["sha256"]:
            continue
        differing.append(name)
        for side, value in published["psnr"].items():
            if abs(made["psnr"][side] - value) > TOLERANCE:
                raise MissingError(_refusal(name, side, made["psnr"][side], value))
    if not differing:
        return []
    return [
        f"mini was rendered on this machine with a few pixels rounded differently than published ({len(differing)} of "
        f"{len(manifest)} clips: {', '.join(differing)}); scores can differ from others' by about {TOLERANCE} dB"
    ]


def publish(folder: Path) -> None:
    """Write the manifest from the clips below `folder`: only for a new version of `mini`, under a new name."""
    clips = {clip.name: describe(clip) for clip in sorted(folder.iterdir())}
    FILE.write_text(json.dumps({"name": folder.parent.name, "clips": clips}, indent=1) + "\n", encoding="utf-8")


def _refusal(name: str, side: str, made: float, published: float) -> str:
    return (
        f"mini: clip {name!r} came out as other data than published: input PSNR of {side!r} is {made:.4f} dB, and "
        f"{published:.4f} dB in {FILE.name}. Scores on it would not compare with anyone's. Most likely this version of "
        "scikit-image ships other photographs, or torch samples pictures in another way: install the versions of "
        "constraints.txt (pip install -c constraints.txt ...), or use --dataset folder or synth with your own data."
    )


def _digest(frames: list[Frame8]) -> str:
    digest = hashlib.sha256()
    for frame in frames:
        digest.update(f"{frame.shape}".encode() + np.ascontiguousarray(frame).tobytes())
    return digest.hexdigest()


def _psnr(blurry: list[Frame8], sharp: list[Frame8]) -> float:
    """Mean over the frames, dB."""
    errors = [np.square(a.astype(np.int64) - b).mean() for a, b in zip(blurry, sharp, strict=True)]
    return float(np.mean([10 * np.log10(255.0**2 / error) for error in errors]))
