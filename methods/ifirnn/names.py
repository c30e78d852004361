"""Names of the public port of the two-cell network, and its order of colours.

Source: zzh-tech/ESTRNN, model/IFIRNN.py (rnncell0, rnncell1), model/arches.py (main_branch of a ResBlock: 0 and 2 are
its convolutions), data/ and train/test.py (frames are read by OpenCV, so in the order blue, green, red).
"""

from __future__ import annotations

import re

from torch import Tensor

from deblurbench.errors import UsageError
from deblurbench.methods.base import Renamed

ITERATIONS = 3
"""The port's number of iterations, which its weights do not tell."""
RESBLOCK = {"0": "first", "2": "second"}
NOTE = (
    "from a checkpoint of the public port zzh-tech/ESTRNN model/IFIRNN.py (two cells, three iterations, no stochastic "
    "regularisation), not the authors'. The port works on BGR frames: the colours of the first and last layers were "
    "turned round. Its test script starts the hidden state anew in every window of frames (20 by default); here it "
    "runs through the whole clip: figures differ from the port's on longer clips"
)


def from_public_port(foreign: dict[str, Tensor], iterations: int, regularised: bool) -> Renamed:
    """The port's weights under our names, for RGB; anything else, such as our own names, as it is."""
    if not any(name.startswith("rnncell") for name in foreign):
        return Renamed(foreign)
    if regularised:
        raise UsageError("the public port trains no stochastic regularisation; import into a variant without '-reg'")
    found = {our_name(name): tensor for name, tensor in foreign.items()}
    for name, channel in (
        ("cells.0.F_B.0.weight", 1), ("cells.1.F_B.0.weight", 1), ("F_L.2.weight", 0), ("F_L.2.bias", 0),
    ):  # fmt: skip
        if name in found and found[name].ndim > channel:
            found[name] = found[name].flip(channel)
    other = f". The port iterates {ITERATIONS} times, this variant {iterations}" if iterations != ITERATIONS else ""
    return Renamed(found, "public", NOTE + other)


def our_name(name: str) -> str:
    """`rnncell1.F_R.0.main_branch.2.weight` is `cells.1.F_R.0.second.weight`; F_L belongs to no cell."""
    name = re.sub(r"\.main_branch\.([02])\.", lambda place: f".{RESBLOCK[place[1]]}.", name)
    name = re.sub(r"^rnncell([01])\.", r"cells.\1.", name)
    return name.removeprefix("cells.1.") if name.startswith("cells.1.F_L.") else name
