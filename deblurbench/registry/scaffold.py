"""`deblurbench new`: folders of plugins that run as they are, to be filled with one's own code."""

from __future__ import annotations

import os
import re
from pathlib import Path

from deblurbench.errors import UsageError
from deblurbench.registry.discovery import ENVIRONMENT, Room, mount, plugins

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

TEMPLATES: dict[Room, dict[str, str]] = {
    "metrics": {
        "card.yaml": """\
name: {name}
entry: metric:score
title: {title}
version: 1            # raise it whenever a number could change
unit: ""
better: lower         # or higher
best: 0               # on identical frames; leave it out where there is none
bounds: [0, 255]      # leave out what is not claimed
symmetric: true
decimals: 3
citation: Who defined it, where
""",
        "metric.py": '''\
"""{title}: say here what is measured, and after which source."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def score(restored: NDArray[np.uint8], sharp: NDArray[np.uint8]) -> float:
    """The mean absolute difference of two frames, uint8 (H, W, 3) RGB; put your formula here."""
    return float(np.abs(restored.astype(np.int16) - sharp).mean())
''',
    },
    "datasets": {
        "card.yaml": """\
name: {name}
entry: dataset:{cls}
title: {title}
obtain: Where the data come from, and their licence.
layout: |
  ROOT/<clip>/blurry/000000.png ...   ROOT/<clip>/sharp/000000.png ...
not_for_training: It has one split only.
protocols:
  - name: {name}        # the default protocol; others are called {name}:something
    split: test
    leave_out: [0, 0]   # frames at the beginning and at the end that are restored, not scored
    summary: every frame
""",
        "dataset.py": '''\
"""{title}: say here whose data these are, and how they lie."""

from __future__ import annotations

from deblurbench.datasets.base import Clip, Dataset, Found, ImageFiles
from deblurbench.errors import MissingError
from deblurbench.frames.images import list_frames
from deblurbench.registry.protocol import Protocol


class {cls}(Dataset):
    """One folder a clip, with its blurry and its sharp frames."""

    def find(self, protocol: Protocol) -> Found:
        """List the clips; nothing is decoded yet."""
        clips = []
        for folder in sorted(self.root.iterdir()) if self.root else []:
            blurry, sharp = folder / "blurry", folder / "sharp"
            if blurry.is_dir():
                truth = ImageFiles(tuple(list_frames(sharp))) if sharp.is_dir() else None
                clips.append(Clip(folder.name, ImageFiles(tuple(list_frames(blurry))), truth))
        if not clips:
            raise MissingError(f"{{self.root}}: no clips. {{self.how_to_get()}}")
        return Found("a folder a clip", self.root, {{protocol.split: tuple(clips)}})
''',
    },
    "reports": {
        "card.yaml": """\
name: {name}
entry: report:{cls}
title: {title}
default: false        # true: `run` writes it, too
""",
        "report.py": '''\
"""{title}: say here what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deblurbench import tables
from deblurbench.frames.files import write_atomically
from deblurbench.reports.base import Options, Report
from deblurbench.results.run import Run


class {cls}(Report):
    """One line a method."""

    def write(
        self, runs: Sequence[Run], folder: Path, *, allow_mixed: bool = False, options: Options | None = None
    ) -> list[Path]:
        """Write {name}.txt: each method with its means."""
        table = tables.build(runs, allow_mixed=allow_mixed)
        lines = [f"{{row.label}}: {{ {{key: cell.value for key, cell in row.cells.items()}} }}" for row in table.rows]
        file = folder / "{name}.txt"
        write_atomically(file, ("\\n".join(lines) + "\\n").encode())
        return [file]
''',
    },
}


def write_method(name: str, kind: str, into: Path | None = None) -> Path:
    """Write `methods/<name>/` with card.yaml and method.py, and return it.

    Where: `into`/methods; else the first folder of DEBLURBENCH_PLUGINS; else the repository's own methods/.

    Raises:
        UsageError: a bad or taken name, or no place to write to.
    """
    folder = _new_folder("methods", name, into)
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


def write_plugin(room: Room, name: str, into: Path | None = None) -> Path:
    """Write `<room>/<name>/`, of a metric, a dataset or a report, from templates, and return it.

    Where: as `write_method`; metrics have no folder in the repository.

    Raises:
        UsageError: a bad or taken name, or no place to write to.
    """
    folder = _new_folder(room, name, into)
    words = {"name": name, "title": name.replace("_", " ").capitalize(), "cls": name.title().replace("_", "")}
    folder.mkdir(parents=True)
    for file, text in TEMPLATES[room].items():
        (folder / file).write_text(text.format(**words), encoding="utf-8")
    return folder


def _new_folder(room: Room, name: str, into: Path | None) -> Path:
    kind = room[:-1]
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UsageError(f"{name!r} cannot name a {kind}: small letters, digits and _ only, a letter first")
    if name in plugins(room):
        raise UsageError(f"there is a {kind} {name!r} already, in {plugins(room)[name].folder}")
    folder = _place(room, into) / name
    if folder.exists():
        raise UsageError(f"{folder} exists already; choose another name or remove it")
    return folder


def _place(room: Room, into: Path | None) -> Path:
    if into:
        return into / room
    private = os.environ.get(ENVIRONMENT, "").split(os.pathsep)[0]
    if private:
        return Path(private).expanduser() / room
    for checkout in mount(room):
        return Path(checkout)
    raise UsageError(f"no folder of plugins to write into: set {ENVIRONMENT}=FOLDER or give --into FOLDER")
