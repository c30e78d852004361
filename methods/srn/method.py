"""SRN as a method of the harness: each frame by itself."""

from __future__ import annotations

import torch
from torch import Tensor

from deblurbench.methods.base import FrameMethod, Renamed

from .ablations import Ablation
from .initialise import copy_input, xavier
from .names import from_tensorflow
from .network import SRNNetwork
from .resize import Conventions, resize


class SRN(FrameMethod):
    """SRN for `colours` channels: 3, or 1, where the grey-scale network restores each colour channel by itself.

    `ablation` names a baseline of the paper's Table 1, which stands in for the whole network (see `ablations.py`).
    `width`, `skip`, `kernel` and `fold` are of the variants that are not the paper's (see `network.py`).
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
    ) -> None:
        self.colours = colours
        self.network: SRNNetwork | Ablation = (
            Ablation(ablation, colours)
            if ablation
            else SRNNetwork(colours, lstm, conventions, width, skip, kernel, fold)
        )

    def restore_frame(self, frame: Tensor) -> Tensor:
        """(3, H, W) in [0, 1] to the prediction at full size (3, H, W)."""
        return self.network(self._as_batch(frame[None]))[-1].float().reshape(frame.shape)

    def loss(self, blurry: Tensor, sharp: Tensor) -> dict[str, Tensor]:
        """Sum over the three scales of the mean squared error; every frame of (B, T, 3, H, W) is a sample.

        The ground truth of a scale is the sharp frame resized as the input is. "fine" is the full size's share.
        """
        sharp = self._as_batch(sharp.flatten(0, 1))
        errors = []
        for prediction in self.network(self._as_batch(blurry.flatten(0, 1))):
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

    def _as_batch(self, frames: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, 3, H, W), or to (3 B, 1, H, W) for the grey-scale network."""
        return frames if self.colours == 3 else frames.reshape(-1, 1, *frames.shape[-2:])
