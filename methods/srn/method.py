"""SRN as a method of the harness: frame by frame, or with its neighbours in a variant that is not the paper's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from deblurbench.methods.base import Renamed, WindowMethod
from deblurbench.methods.layers import clip_windows

from .ablations import Ablation
from .initialise import copy_input, xavier
from .names import from_tensorflow
from .network import SRNNetwork
from .resize import Conventions, resize


class SRN(WindowMethod):
    """SRN for `colours` channels: 3, or 1, where the grey-scale network restores each colour channel by itself.

    `ablation` names a baseline of the paper's Table 1, which stands in for the whole network (see `ablations.py`).
    `width`, `skip`, `kernel`, `fold` and `radius` are of the variants that are not the paper's (see `network.py`). The
    window of all others is the frame alone.
    """

    def __init__(
        self,
        colours: int = 3,
        lstm: bool = True,
        conventions: Conventions = "torch",
        ablation: str = "",
        width: int = 32,
        skip: bool = False,
        kernel: int = 5,
        fold: int = 1,
        radius: int = 0,
    ) -> None:
        self.colours, self.radius = colours, radius
        self.network: SRNNetwork | Ablation = (
            Ablation(ablation, colours)
            if ablation
            else SRNNetwork(colours, lstm, conventions, width, skip, kernel, fold, radius)
        )

    def restore_window(self, frames: Tensor) -> Tensor:
        """(2 * radius + 1, 3, H, W) to the prediction of the centre frame at full size (3, H, W)."""
        return self.network(self._as_batch(frames[None]))[-1].float().reshape(frames.shape[1:])

    def loss(self, blurry: Tensor, sharp: Tensor) -> dict[str, Tensor]:
        """Sum over the three scales of the mean squared error; every frame of (B, T, 3, H, W) is a sample.

        The ground truth of a scale is the sharp frame resized as the input is. "fine" is the full size's share.
        """
        sharp = self._as_batch(sharp.flatten(0, 1)[:, None])
        errors = []
        for prediction in self.network(self._as_batch(clip_windows(blurry, self.radius))):
            target = resize(sharp, prediction.shape[-2], prediction.shape[-1], self.network.conventions)
            errors.append(self.content(prediction, target))
        return {"total": torch.stack(errors).sum(), "fine": errors[-1]}

    def initialise(self, identity: bool = False, xavier_uniform: bool = False, residual: float = 0.0) -> None:
        """`xavier_uniform: true` as in the paper; `identity: true` starts as a copy of the input; both may be given."""
        if xavier_uniform:
            xavier(self.network)
        if identity and isinstance(self.network, Ablation):
            self.network.copy_input()
        elif identity:
            copy_input(self.network, residual)

    def rename(self, foreign: dict[str, Tensor]) -> Renamed:
        """The authors' TensorFlow variables as our weights."""
        return from_tensorflow(foreign, self.network.conventions)

    def adopt(self, weights: dict[str, Tensor], parameters: Mapping[str, Any]) -> dict[str, Tensor]:
        """Weights of the same network for single frames as a start with neighbours, which count for nothing at first.

        A whole network and one of Table 1's baselines never share weights: the harness compares keys and shapes.
        """
        first = "encoder.enter32.weight"
        given = weights.get(first)
        if given is None or not self.radius or parameters.get("radius"):
            return weights
        assert isinstance(self.network, SRNNetwork)
        wanted = self.network.encoder.enter32.weight.shape[1]
        return {**weights, first: F.pad(given, (0, 0, 0, 0, 0, max(0, wanted - given.shape[1])))}

    def _as_batch(self, windows: Tensor) -> Tensor:
        """Windows (B, N, 3, H, W) to (B, 3 N, H, W), the centre first, or to (3 B, N, H, W) for the grey network."""
        centre = windows.shape[1] // 2
        order = [centre, *(n for n in range(windows.shape[1]) if n != centre)]
        windows = windows[:, order]
        if self.colours == 3:
            return windows.flatten(1, 2)
        return windows.transpose(1, 2).flatten(0, 1)
