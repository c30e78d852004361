"""Names of the authors' release with the MobileNet backbone, and what of its checkpoint takes part.

Source: VITA-Group/DeblurGANv2, models/fpn_mobilenet.py (FPN: td1 to td3 from coarse to fine, enc0 to enc4 name the
blocks of `features` once more; FPNMobileNet: heads are joined coarse to fine), models/mobilenet_v2.py (`conv` of an
inverted residual), predict.py (normalisation layers stay in training mode).
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

from deblurbench.errors import UsageError
from deblurbench.methods.base import Renamed

from .network import HEAD

BLOCKS = {1: "0.0", 2: "1.0", 3: "1.1", 4: "2.0", 5: "2.1", 6: "2.2", 7: "3.0", 8: "3.1", 9: "3.2", 10: "3.3",
          11: "4.0", 12: "4.1", 13: "4.2", 14: "4.3", 15: "4.4"}  # fmt: skip
"""Stage and block of the inverted residuals that the release runs; it stops before the last ones of its backbone."""
PLACES = {
    r"^fpn\.features\.0\.": "backbone.enter.",
    r"^fpn\.lateral0\.": "lateral_finest.",
    r"^fpn\.lateral([1-4])\.": lambda match: f"laterals.{int(match[1]) - 1}.",
    r"^fpn\.td([1-3])\.": lambda match: f"top_down.{3 - int(match[1])}.",
    r"^head([1-4])\.block([01])\.": lambda match: f"heads.{int(match[1]) - 1}.{2 * int(match[2])}.",
    r"^smooth\.": "merge.",
    r"^smooth2\.": "merge_half.",
    r"^final\.": "leave.",
}
UNUSED = re.compile(r"^fpn\.enc\d|^fpn\.features\.1[678]\.|^(fpn\.td\d|smooth2?)\.(0\.bias|1\.)")
"""Blocks by a second name, blocks that are not run, and what instance normalisation undoes: biases before it, and
statistics that it does not use in training mode."""
NOTE = (
    "from a checkpoint of the authors' release (VITA-Group/DeblurGANv2, FPNMobileNet). Its script pads to a multiple "
    "of 32 by grey, the harness by repeating edges, which moves the statistics that a frame is normalised by; it cuts "
    "off to 8 bits, the harness rounds"
)


def from_release(foreign: dict[str, Tensor], as_released: bool) -> Renamed:
    """The release's weights under our names; anything else, such as our own names, as it is."""
    if not any(name.startswith("fpn.features.") for name in foreign):
        return Renamed(foreign)
    if not as_released:
        raise UsageError(
            "the release normalises by each frame's own statistics and runs two of three blocks of 160 channels; "
            "import into a variant with 'conventions: release' in its card"
        )
    weights = {our_name(name): tensor for name, tensor in foreign.items() if not UNUSED.match(name)}
    merge = weights.get("merge.0.weight")
    if merge is not None and merge.ndim == 4:
        weights["merge.0.weight"] = torch.cat(list(merge.split(HEAD, dim=1))[::-1], dim=1)
    for name in [name for name in weights if name.endswith(".running_var")]:
        weights.setdefault(name.replace("running_var", "num_batches_tracked"), torch.tensor(0))
    return Renamed(weights, "official", NOTE)


def our_name(name: str) -> str:
    """`fpn.features.4.conv.0.weight` is `backbone.stages.2.0.layers.0.weight`."""
    block = re.match(r"^fpn\.features\.(\d+)\.conv\.", name)
    if block and int(block[1]) in BLOCKS:
        return f"backbone.stages.{BLOCKS[int(block[1])]}.layers.{name[block.end() :]}"
    for pattern, place in PLACES.items():
        name = re.sub(pattern, place, name)
    return name
