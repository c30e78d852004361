"""`deblurbench new method NAME`: a folder that runs as it is, to be filled with one's own network."""

from __future__ import annotations

import os
import re
from pathlib import Path

from deblurbench.errors import UsageError
from deblurbench.registry.discovery import ENVIRONMENT, mount, plugins

CARD = """\
name: {name}
entry: method:{cls}
title: {title}
summary: One sentence on what it does.
authors: Your Name
venue: ""
year:
licence: MIT
kind: {card_kind}
needs:
  multiple_of: 1        # both sides are padded to this multiple, and cropped after
  window: {window}             # frames on either side that one restored frame reads
  causal: {causal}          # a restored frame depends on no later frame
"""

HEAD = '''\
"""{title}: say here which paper this is, and what differs from it."""

from __future__ import annotations

{imports}from torch import Tensor

from deblurbench.methods.base import {base}


class {cls}({base}):
    """Frames are float32 sRGB in [0, 1], (3, H, W), on the run's device."""

'''

BODIES = {
    "frame": '''\
    def restore_frame(self, frame: Tensor) -> Tensor:
        """Sharpen by adding what a small blur takes away; put your network here."""
        blurred = F.avg_pool2d(F.pad(frame[None], (1, 1, 1, 1), mode="replicate"), 3, stride=1)[0]
        return frame + 0.5 * (frame - blurred)
''',
    "window": '''\
    radius = 1

    def restore_window(self, frames: Tensor) -> Tensor:
        """The centre frame plus half its difference from the window's mean; put your network here."""
        centre = frames[self.radius]
        return centre + 0.5 * (centre - frames.mean(dim=0))
''',
    "recurrent": '''\
    def step(self, frame: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Sharpen against a running mean of the clip; put your network here. `state` is None for the first frame."""
        mean = frame if state is None else 0.5 * state + 0.5 * frame
        return frame + 0.5 * (frame - mean), mean
''',
}
BASES = {"frame": "FrameMethod", "window": "WindowMethod", "recurrent": "RecurrentMethod"}
CARD_KINDS = {"frame": "image", "window": "window", "recurrent": "recurrent"}


def write_method(name: str, kind: str, into: Path | None = None) -> Path:
    """Write `methods/<name>/` with card.yaml and method.py, and return it.

    Where: `into`/methods; else the first folder of DEBLURBENCH_PLUGINS; else the repository's own methods/.

    Raises:
        UsageError: a bad or taken name, or no place to write to.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UsageError(f"{name!r} cannot name a method: small letters, digits and _ only, a letter first")
    if name in plugins("methods"):
        raise UsageError(f"there is a method {name!r} already, in {plugins('methods')[name].folder}")
    folder = _place(into) / name
    if folder.exists():
        raise UsageError(f"{folder} exists already; choose another name or remove it")
    cls = "".join(word.capitalize() for word in name.split("_"))
    words = {
        "name": name,
        "cls": cls,
        "title": cls,
        "base": BASES[kind],
        "card_kind": CARD_KINDS[kind],
        "window": 1 if kind == "window" else 0,
        "causal": "false" if kind == "window" else "true",
        "imports": "import torch.nn.functional as F\n" if kind == "frame" else "",
    }
    folder.mkdir(parents=True)
    (folder / "card.yaml").write_text(CARD.format(**words), encoding="utf-8")
    (folder / "method.py").write_text(HEAD.format(**words) + BODIES[kind], encoding="utf-8")
    return folder


def _place(into: Path | None) -> Path:
    if into:
        return into / "methods"
    private = os.environ.get(ENVIRONMENT, "").split(os.pathsep)[0]
    if private:
        return Path(private).expanduser() / "methods"
    for checkout in mount("methods"):
        return Path(checkout)
    raise UsageError(f"deblurbench is installed, not a checkout: set {ENVIRONMENT}=FOLDER or give --into FOLDER")
