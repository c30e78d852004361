"""How like real blur the synthesised clips are, from docs/evidence/blur.json, which benchmarks/synthesis.py writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from docs.generate.training import stored
from docs.generate.training.markdown import NONE, table

_HEAD = """## How like real blur it is

What trainings on `synth` by recipes as the cards have them now see, and validate on, beside the clips that are scored.
*PSNR* is of the blurry frames, in dB: the mean over frames, its 5th, 50th and 95th percentile, and how far the frames
of one clip scatter about their mean. *Gradients* are the energy of the blurry frames' gradients as a share of the sharp
ones', along x and y. *Sharpness* is of the sharp frames: the energy of differences between neighbours, over that
between pixels two apart. *Motion* is the median length of the optical flow from one sharp frame to the next in pixels,
as a mean over frames with percentiles; where a recipe's clips have one frame, one more was made. Training clips are
crops of one place each, which scatter more than whole frames do. Of `mini` and the real clips those frames count that
are scored. PSNR depends on the scene, too: equal motion need not give equal PSNR.
"""


def likeness(folder: Path) -> str:
    """The page's section; empty where nothing was measured."""
    kept = stored.read_json(folder / stored.BLUR, [])
    return "\n".join([_HEAD, table(columns(), [row(one) for one in kept], right=2)]) if kept else ""


def columns() -> tuple[str, ...]:
    """The table's head."""
    return (
        "clips", "size", "frames", "PSNR", "5 %", "50 %", "95 %", "within a clip", "gradients x / y", "sharpness",
        "motion (5 to 95 %)",
    )  # fmt: skip


def row(one: Mapping[str, Any]) -> tuple[str, ...]:
    """One set of clips as a row of the table."""
    psnr, flow = one["psnr"], one["flow"]
    within = f"{one['within']:.1f}" if one["frames"] > one["clips"] else NONE
    return (
        str(one["name"]), str(one["size"]), str(one["frames"]),
        *(f"{psnr[key]:.1f}" for key in ("mean", "5", "50", "95")),
        within, f"{one['across']:.2f} / {one['down']:.2f}", f"{one['sharpness']:.2f}",
        f"{flow['mean']:.1f} ({flow['5']:.1f} to {flow['95']:.1f})",
    )  # fmt: skip
