"""Single-image restoration networks (NAFNet, MPRNet, Restormer, ...) from the checkpoints that their authors publish.

spandrel tells the architecture from the names and shapes of the weights. The checkpoint is read by the harness:
tensors only, nothing in it is run.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor

from deblurbench.errors import MissingError, UsageError
from deblurbench.methods.adapter import Foreign
from deblurbench.methods.weights.convert import read_foreign
from deblurbench.registry.cards import MethodCard
from deblurbench.registry.discovery import Plugin
from deblurbench.registry.requirements import about_torchvision

EXTRA = "spandrel_extra_arches"
"""Networks that spandrel keeps apart for their licences: MPRNet, Restormer, MIRNet-v2, M3SNet and others."""
MORE = "MPRNet, Restormer, MIRNet-v2 and M3SNet need also: pip install 'deblurbench[spandrel-extra]'. Else: "


class Spandrel(Foreign):
    """A network that spandrel knows, with the weights of a file.

    Raises:
        MissingError: spandrel, or the torchvision that it imports, is not there or does not fit torch.
        UsageError: the file holds no weights, objects besides tensors, or a network that restores no RGB frames.
    """

    def __init__(self, found: Plugin) -> None:
        card = found.card
        assert isinstance(card, MethodCard)
        assert found.opened is not None
        super().__init__(card.needs)
        self.descriptor = _descriptor(found.opened, _spandrel(found.opened))
        self.network = self.descriptor.model

    def call(self, *tensors: Any) -> Tensor:
        """(1, 3, H, W) in [0, 1] to the same; spandrel pads to what the network needs, crops, and clips to [0, 1]."""
        restored: Tensor = self.descriptor(tensors[0])
        return restored


def _spandrel(file: Path) -> ModuleType:
    try:
        import spandrel

        if importlib.util.find_spec(EXTRA) is not None:
            importlib.import_module(EXTRA).install(ignore_duplicates=True)
    except Exception as error:  # a torchvision built for another torch fails with RuntimeError and others
        advice = about_torchvision(error) or (
            "pip install 'deblurbench[spandrel]'. It needs torchvision, of the release and build (CPU or CUDA) that "
            "match torch's: install both from the same index"
        )
        raise MissingError(
            f"{file}: spandrel cannot be imported ({type(error).__name__}: {str(error).strip().splitlines()[-1]}). "
            f"{advice}"
        ) from error
    return spandrel


def _descriptor(file: Path, spandrel: ModuleType) -> Any:
    """The network that spandrel makes of the weights."""
    tensors = read_foreign(file).tensors
    try:
        found = spandrel.ModelLoader(device="cpu").load_from_state_dict(tensors)
    except spandrel.UnsupportedModelError as error:
        first = ", ".join(list(tensors)[:3])
        raise UsageError(
            f"{file}: weights of a network that spandrel {spandrel.__version__} does not know ({len(tensors)} tensors, "
            f"{first}, ...). {MORE if importlib.util.find_spec(EXTRA) is None else ''}"
            "Write a folder with a card that names its `network` and these `weights`."
        ) from error
    except (RuntimeError, KeyError, ValueError) as error:
        told = str(error).strip().splitlines()[0]
        raise UsageError(f"{file}: like a network that spandrel knows, but it does not load: {told}") from error
    name = found.architecture.name
    if not isinstance(found, spandrel.ImageModelDescriptor):
        raise UsageError(f"{file}: {name} takes more than a frame (a mask?); allowed are networks of one RGB frame")
    if (found.input_channels, found.output_channels, found.scale) != (3, 3, 1):
        raise UsageError(
            f"{file}: {name} with {found.input_channels} to {found.output_channels} channels, scale {found.scale}; "
            "allowed are networks from RGB to RGB in the same size"
        )
    return found
