"""TorchScript files: archives of weights and code that torch runs without the Python that they were made from."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from deblurbench.errors import ContractError, UsageError
from deblurbench.methods.adapter import Foreign
from deblurbench.registry.cards import MethodCard
from deblurbench.registry.discovery import Plugin

ALLOWED = (
    "Allowed: (1, 3, H, W) -> (1, 3, H, W), and with a card beside the file, e.g. net.yaml, windows "
    "(needs: {window: 2}: (1, 5, 3, H, W); with stack: channels (1, 15, H, W)), needs: {form: recurrent}, "
    "needs: {form: clip} for (1, T, 3, H, W) -> the same, "
    "{size: [W, H]} for one fixed size, {multiple_of: 8}"
)


class TorchScript(Foreign):
    """A network saved by torch.jit, called as the card beside the file says; by default frame by frame.

    Raises:
        UsageError: no TorchScript, damaged, or a network that does not take what the card says.
    """

    def __init__(self, found: Plugin) -> None:
        card = found.card
        assert isinstance(card, MethodCard)
        assert found.opened is not None
        super().__init__(card.needs)
        self.network = _load(found.opened)
        self.network.eval()
        if self.size:
            self.caveat = f"takes frames of {self.size[0]}x{self.size[1]} alone: restored in blended tiles of that size"
        self._try_out(found.opened, max(32, card.needs.min_size), card.needs.multiple_of)

    def call(self, *tensors: Any) -> Any:
        """Run the network."""
        assert self.network is not None
        return self.network(*tensors)

    def _try_out(self, file: Path, side: int, multiple: int) -> None:
        """Restore one grey frame, so that a network of another form is told before a clip is begun."""
        side = -(-side // multiple) * multiple
        width, height = self.size or (side, side)
        try:
            with torch.inference_mode():
                next(iter(self.restore([torch.full((3, height, width), 0.5)] * (2 * self.radius + 1))))
        except (RuntimeError, ContractError) as error:
            said = str(error).strip().splitlines()[-1]
            raise UsageError(
                f"{file}: does not restore {self._form()}: {said}.{_first_layer(self.network)} {ALLOWED}."
            ) from error

    def _form(self) -> str:
        frames = 2 * self.radius + 1
        window = f"(1, {3 * frames}, H, W)" if self.stack == "channels" else f"(1, {frames}, 3, H, W)"
        inputs = {"window": window, "clip": "(1, T, 3, H, W)"}
        return f"{self.form} input {inputs.get(self.form, '(1, 3, H, W)')}"


def _load(file: Path) -> torch.nn.Module:
    if not zipfile.is_zipfile(file):
        raise UsageError(f"{file}: not a TorchScript archive (torch.jit.save); it was not opened. {_other_ways(file)}")
    with zipfile.ZipFile(file) as archive:
        if not any(name.endswith("/constants.pkl") for name in archive.namelist()):
            raise UsageError(
                f"{file}: a checkpoint, not a TorchScript file: it holds weights, but no network. {_other_ways(file)}"
            )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch.jit is no longer developed, but its files are around
            network = torch.jit.load(str(file), map_location="cpu")  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise UsageError(f"{file}: TorchScript that cannot be loaded: {str(error).splitlines()[0]}") from error
    assert isinstance(network, torch.nn.Module)
    return network


def _other_ways(file: Path) -> str:
    return (
        f"Weights of a known architecture: spandrel@{file}. Of another one: a folder with a card that names `network`."
    )


def _first_layer(network: torch.nn.Module | None) -> str:
    """What the first convolution takes, as a hint."""
    for weight in network.parameters() if network is not None else ():
        if weight.ndim == 4:
            return f" Its first convolution takes {weight.shape[1]} channels."
    return ""
