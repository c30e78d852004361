"""Tiny networks from outside, as their users have them: modules, checkpoints, ONNX and TorchScript files."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from deblurbench.evaluation.restore import restored_frames
from deblurbench.evaluation.settings import Settings
from deblurbench.frames.convert import to_8bit

MODULE = '''
import torch


class Net(torch.nn.Module):
    """The mean of what it is given times a learned factor, plus a learned shift."""

    def __init__(self, factor=1.0, frames=1, outputs=1):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(float(factor)))
        self.shift = torch.nn.Parameter(torch.zeros(3))
        self.frames, self.outputs = frames, outputs

    def forward(self, x):
        y = x.unflatten(1, (self.frames, 3)).mean(1) if x.ndim == 4 else x.mean(1)
        y = y * self.factor + self.shift[:, None, None]
        return y if self.outputs == 1 else [y * (i + 1) for i in range(self.outputs)]


class Recurrent(Net):
    def forward(self, x, state):
        mean = x if state is None else (x + state) / 2
        return mean * self.factor, mean


class Twice(Net):
    def forward(self, x):
        return torch.nn.functional.interpolate(x, scale_factor=2)


class Broken(torch.nn.Module):
    def __init__(self):
        raise RuntimeError("no GPU of mine")


def nothing():
    return "no module"
'''


def clip(frames: int = 3, height: int = 40, width: int = 56, seed: int = 0) -> list[np.ndarray]:
    """Frames of (height, width, 3) uint8 noise."""
    return list(np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), np.uint8))


def restore(method: object, frames: list[np.ndarray], multiple_of: int = 1) -> list[np.ndarray]:
    """Frames as a run restores them."""
    return [r.rounded.frame for r in restored_frames(method, frames, Settings(device="cpu", multiple_of=multiple_of))]


def as_8bit(frame: np.ndarray) -> np.ndarray:
    """(H, W, 3) floats in [0, 1] as the harness rounds them."""
    return to_8bit(torch.from_numpy(frame.astype(np.float32)).permute(2, 0, 1)).frame


class Blur(torch.nn.Module):
    """A fixed 3x3 mean of the centre frame of `frames` stacked ones: what it does can be computed otherwise."""

    def __init__(self, frames: int = 1) -> None:
        super().__init__()
        weight = torch.zeros(3, 3 * frames, 3, 3)
        for colour in range(3):
            weight[colour, 3 * (frames // 2) + colour] = 1 / 9
        self.weight = torch.nn.Parameter(weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, self.weight, None, 1, 1)


def write_torchscript(file: Path, network: torch.nn.Module) -> Path:
    """Save a network by torch.jit."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(network.eval()).save(str(file))
    return file


def write_onnx(file: Path, shape: list[int | str], frames: int = 1, element: str = "FLOAT", inputs: int = 1) -> Path:
    """The 3x3 mean of the centre frame as an ONNX file, with an input of `shape` (rank 5: frames on an axis)."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kind = getattr(TensorProto, element)
    constants = [numpy_helper.from_array(Blur(frames).weight.detach().numpy(), "w")]
    given = [
        helper.make_tensor_value_info(name, kind, shape) for name in ["x", *(f"extra{i}" for i in range(1, inputs))]
    ]
    nodes, source = [], "x"
    if len(shape) == 5:
        flat = np.array([1, 3 * frames, *shape[3:]]) if isinstance(shape[3], int) else np.array([1, 3 * frames, 8, 8])
        constants.append(numpy_helper.from_array(flat.astype(np.int64), "flat"))
        nodes.append(helper.make_node("Reshape", ["x", "flat"], ["stacked"]))
        source = "stacked"
    if element != "FLOAT":
        nodes.append(helper.make_node("Cast", [source], ["cast"], to=TensorProto.FLOAT))
        source = "cast"
    work = helper.make_node("Conv", [source, "w"], ["y"], pads=[1, 1, 1, 1])
    nodes.append(work if len(shape) in (4, 5) else helper.make_node("Identity", [source], ["y"]))
    told = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "blur", given, told, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.save(model, str(file))
    return file


def blurred(frame: np.ndarray) -> np.ndarray:
    """The 3x3 mean of a frame (H, W, 3) with zeros around, rounded to 8 bits, by numpy."""
    padded = np.pad(frame / 255.0, ((1, 1), (1, 1), (0, 0)))
    height, width = frame.shape[:2]
    total = sum(padded[i : i + height, j : j + width] for i in range(3) for j in range(3))
    return as_8bit(total / 9)


TORCHVISION = {
    "torchvision/__init__.py": "",
    "torchvision/transforms/__init__.py": "",
    "torchvision/transforms/functional.py": (
        "class InterpolationMode:\n    NEAREST, BILINEAR = 'nearest', 'bilinear'\n"
        "def rotate(*_, **__):\n    raise NotImplementedError\nnormalize = rotate\n"
    ),
}
"""The three names of torchvision that spandrel imports, for networks of no use here."""


PUBLISHED = {
    "NAFNet": (
        "spandrel.architectures.NAFNet.__arch.NAFNet_arch",
        "img_channel=3, width=4, middle_blk_num=1, enc_blk_nums=[1, 1], dec_blk_nums=[1, 1]",
        "params",
    ),
    "Restormer": (
        "spandrel_extra_arches.architectures.Restormer.__arch.restormer_arch",
        "dim=8, num_blocks=[1, 1, 1, 1], num_refinement_blocks=1, heads=[1, 1, 2, 2], bias=False",
        "params",
    ),
    "MPRNet": (
        "spandrel_extra_arches.architectures.MPRNet.__arch.MPRNet",
        "n_feat=8, scale_unetfeats=4, scale_orsnetfeats=4, num_cab=2",
        "state_dict",
    ),
}
"""Single-image networks: module in spandrel or its companion, a tiny one's arguments, the file's key of weights."""


def write_published(name: str, file: str) -> str:
    """Code that makes a tiny network as `net` and saves it as its authors do; spandrel has the architecture."""
    module, arguments, key = PUBLISHED[name]
    return (
        f"import torch\nfrom {module} import {name}\ntorch.manual_seed(0)\nnet = {name}({arguments})\n"
        "for parameter in net.parameters():\n    if not parameter.any():\n"
        "        torch.nn.init.normal_(parameter, std=0.05)\n"  # else a fresh NAFNet's blocks do nothing
        f"torch.save({{{key!r}: net.state_dict()}}, {file!r})\n"
    )
