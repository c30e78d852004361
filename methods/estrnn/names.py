"""Names of the authors' release, and its order of colours.

Source: zzh-tech/ESTRNN, model/ESTRNN.py (RDBCell, GSA, Reconstructor; a dense layer's convolution is `conv`, a block's
fusion `conv1x1`), train/test.py (frames are read by OpenCV, so in the order blue, green, red).
"""

from __future__ import annotations

import re

from torch import Tensor

from deblurbench.methods.base import Renamed

PLACES = {
    r"^cell\.F_B0\.": "cell.F_B.0.",
    r"^cell\.F_B([12])\.rdb\.": lambda match: f"cell.F_B.{2 * int(match[1]) - 1}.",
    r"^cell\.F_B([12])\.down_sampling\.": lambda match: f"cell.F_B.{2 * int(match[1])}.",
    r"^cell\.F_R\.conv1x1\.": "cell.F_R.fuse.0.",
    r"^cell\.F_R\.conv3x3\.": "cell.F_R.fuse.1.",
    r"^cell\.F_R\.RDBs\.": "cell.F_R.blocks.",
    r"\.dense_layers\.(\d+)\.conv\.": r".dense.\1.",
    r"\.conv1x1\.": ".fuse.",
    r"^fusion\.F_f\.": "fusion.attend.",
    r"^fusion\.F_p\.": "fusion.project.",
    r"^fusion\.fusion\.": "fusion.fuse.",
    r"^recons\.model\.": "reconstruct.",
}
"""Our places by patterns of theirs, applied one after the other."""
COLOURS = (("cell.F_B.0.weight", 1), ("reconstruct.2.weight", 0), ("reconstruct.2.bias", 0))
"""Where red and blue change places: a tensor and its axis of colours."""
NOTE = (
    "from a checkpoint of the authors' release (zzh-tech/ESTRNN). The release works on BGR frames: the colours of the "
    "first and last layers were turned round. Its test script cuts a clip into pieces of 20 frames, starts the hidden "
    "state anew in each, restores neither the first two nor the last two frames, and cuts off to 8 bits; here the "
    "state runs through the whole clip, all frames are restored, and values are rounded"
)


def from_release(foreign: dict[str, Tensor]) -> Renamed:
    """The release's weights under our names, for RGB; anything else, such as our own names, as it is."""
    if not any(name.startswith("recons.model.") for name in foreign):
        return Renamed(foreign)
    weights = {our_name(name): tensor for name, tensor in foreign.items()}
    for name, axis in COLOURS:
        if name in weights and weights[name].ndim > axis:
            weights[name] = weights[name].flip(axis)
    return Renamed(weights, "official", NOTE)


def our_name(name: str) -> str:
    """`cell.F_R.RDBs.3.dense_layers.0.conv.weight` is `cell.F_R.blocks.3.dense.0.weight`."""
    for pattern, place in PLACES.items():
        name = re.sub(pattern, place, name)
    return name
