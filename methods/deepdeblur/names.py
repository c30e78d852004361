"""Names of the authors' PyTorch release, its order of scales, and its range of values.

Source: SeungjunNah/DeepDeblur-PyTorch, src/model/MSResNet.py (scale 0 is the finest; conv_end_models[s] leads from
scale s to s - 1), ResNet.py and common.py (`body` of a ResBlock: 0 and 2 are its convolutions), option.py (rgb_range).
"""

from __future__ import annotations

import re

from torch import Tensor

from deblurbench.methods.base import Renamed

from .network import SCALES

RANGE = 255
"""The release's frames span 0 to 255. Its layers are convolutions, ReLUs and sums, so that scaling all biases by
1 / 255 makes it the same network on frames that span 1."""
RESBLOCK = {"0": "first", "2": "second"}
NOTE = (
    "from a checkpoint of the authors' release (SeungjunNah/DeepDeblur-PyTorch). It works on values from 0 to 255; all "
    "biases were divided by 255, which is the same network on values from 0 to 1. The release makes its pyramid by "
    "scikit-image, whose Gaussian reaches three pixels to each side instead of two"
)


def from_release(foreign: dict[str, Tensor]) -> Renamed:
    """The release's weights under our names and for our range; anything else, such as our own names, as it is."""
    if not any(name.startswith("body_models.") for name in foreign):
        return Renamed(foreign)
    weights = {}
    for name, tensor in foreign.items():
        place = our_name(name)
        weights[place] = tensor / RANGE if place != name and place.endswith(".bias") else tensor
    return Renamed(weights, "official", NOTE)


def our_name(name: str) -> str:
    """`body_models.2.body.4.body.2.weight`, of the coarsest scale, is `scales.0.4.second.weight`."""
    coarsest = SCALES - 1
    name = re.sub(r"^body_models\.(\d)\.body\.", lambda match: f"scales.{coarsest - int(match[1])}.", name)
    name = re.sub(r"^conv_end_models\.(\d)\.uppath\.", lambda match: f"ups.{coarsest - int(match[1])}.", name)
    return re.sub(r"^(scales\.\d\.\d+)\.body\.([02])\.", lambda match: f"{match[1]}.{RESBLOCK[match[2]]}.", name)
