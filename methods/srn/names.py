"""Names of the official TensorFlow variables, and their layout.

Source: jiangsutx/SRN-Deblur, models/model.py (scopes enc1_1 to dec1_0 below g_net), util/util.py (conv1 and conv2 of a
ResBlock) and util/BasicConvLSTMCell.py (convLSTM/LSTM_conv); tf_slim calls a layer's tensors `weights` and `biases`.
"""

from __future__ import annotations

from torch import Tensor

from deblurbench.errors import UsageError
from deblurbench.methods.base import Renamed

from .resize import Conventions

SCOPE = "g_net/"
KINDS = {"weights": "weight", "biases": "bias"}
NOTE = (
    "from the authors' TensorFlow checkpoint (jiangsutx/SRN-Deblur), computed with TensorFlow's padding and resizing. "
    "The authors' script pads by repeating edges and cuts off to 8 bits; the harness pads and rounds as everywhere"
)


def layers() -> dict[str, str]:
    """TensorFlow's scope of every layer to our module."""
    found = {
        "enc1_1": "encoder.enter32", "enc2_1": "encoder.down64", "enc3_1": "encoder.down128",
        "convLSTM/LSTM_conv": "lstm.gates",
        "dec2_4": "decoder.up64", "dec1_4": "decoder.up32", "dec1_0": "decoder.leave",
    }  # fmt: skip
    for level, channels in ((1, 32), (2, 64), (3, 128)):
        for place in range(3):
            for conv, ours in (("conv1", "first"), ("conv2", "second")):
                found[f"enc{level}_{place + 2}/{conv}"] = f"encoder.blocks{channels}.{place}.{ours}"
                found[f"dec{level}_{3 - place}/{conv}"] = f"decoder.blocks{channels}.{place}.{ours}"
    return found


def from_tensorflow(foreign: dict[str, Tensor], conventions: Conventions) -> Renamed:
    """Official variables under our names; anything else, such as our own names, as it is.

    One permutation serves both kinds of kernel: convolutions are (h, w, in, out) there and (out, in, h, w) here,
    transposed ones (h, w, out, in) there and (in, out, h, w) here.
    """
    known, found = layers(), dict(foreign)
    for name, tensor in foreign.items():
        layer, _, kind = name.removeprefix(SCOPE).rpartition("/")
        if layer in known and kind in KINDS:
            del found[name]
            found[f"{known[layer]}.{KINDS[kind]}"] = tensor.permute(3, 2, 0, 1) if tensor.ndim == 4 else tensor
    if found.keys() == foreign.keys():
        return Renamed(foreign)
    if conventions != "tf":
        raise UsageError(
            "TensorFlow's SRN pads and resizes otherwise than this variant; use one with 'conventions: tf' in its card"
        )
    return Renamed(found, "official", NOTE)
