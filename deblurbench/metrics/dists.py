"""DISTS (Ding, Ma, Wang, Simoncelli, IEEE TPAMI 44(5), 2022), as the authors' package and torchmetrics define it.

Frames in [0, 1] are standardised and run through VGG-16 whose maximum pooling is replaced by L2 pooling under a Hanning
window. At the frame itself and five taps, the means (texture) and the covariances (structure) of each channel are
compared like SSIM's, and weighted by learned alpha and beta. 0 is best; the distance stays below about 1.

The trunk is `lpips-vgg`'s file; alpha and beta are read from the file that the package torchmetrics ships. Neither
package is imported: they would import torchvision and download the trunk without a word.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deblurbench.errors import MissingError
from deblurbench.frames.convert import Frame8
from deblurbench.metrics import lpips_weights
from deblurbench.metrics.base import FrameFunction
from deblurbench.metrics.checks import check_pair
from deblurbench.metrics.lpips import full_precision
from deblurbench.metrics.lpips_trunks import TRUNKS, Pool
from deblurbench.metrics.lpips_weights import in_words, load_trunk, read_weights

if TYPE_CHECKING:
    import torch
    from torch import Tensor

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CHANNELS = (3, 64, 128, 256, 512, 512)
C = 1e-6
FILE = Path("functional", "image", "dists_models", "weights.pt")


class DISTS:
    """The distance with VGG-16's weights on one device. `implementation` says which weights."""

    def __init__(self, device: str = "cpu") -> None:
        import torch

        self.device = torch.device(device)
        self.trunk = TRUNKS["vgg"]
        state = load_trunk("vgg", "dists")
        self.implementation = in_words(state)
        self.state = {key: value.to(self.device) for key, value in state.items()}
        alpha, beta = (value.to(self.device).reshape(-1) for value in _alpha_beta())
        whole = alpha.sum() + beta.sum()
        self.alpha, self.beta = (torch.split(value / whole, list(CHANNELS)) for value in (alpha, beta))
        self.mean, self.std = (torch.tensor(v, device=self.device).view(1, 3, 1, 1) for v in (MEAN, STD))
        window = torch.from_numpy(np.outer(*[np.hanning(5)[1:-1]] * 2)).float()
        self.window = (window / window.sum())[None, None].to(self.device)

    def distance(self, one: Tensor, two: Tensor) -> Tensor:
        """(B,) distances of float32 (B, 3, H, W) RGB in [0, 1]."""
        import torch

        with torch.inference_mode(), full_precision(self.device):
            total = torch.zeros(len(one), device=self.device)
            taps = self._taps(torch.cat([one, two]).to(self.device))
            for alpha, beta, tap in zip(self.alpha, self.beta, taps, strict=True):
                x, y = tap[: len(one)], tap[len(one) :]
                mx, my = x.mean((2, 3), keepdim=True), y.mean((2, 3), keepdim=True)
                texture = (2 * mx * my + C) / (mx * mx + my * my + C)
                x, y = x - mx, y - my
                vx, vy, cov = (x * x).mean((2, 3)), (y * y).mean((2, 3)), (x * y).mean((2, 3))
                structure = (2 * cov + C) / (vx + vy + C)
                total += (alpha * (1 - texture[..., 0, 0])).sum(1) + (beta * (1 - structure)).sum(1)
            return total

    def __call__(self, restored: Frame8, sharp: Frame8) -> float:
        """The distance of two 8-bit RGB frames (H, W, 3)."""
        import torch

        one, two = check_pair(restored, sharp, self.trunk.smallest)
        scaled = [torch.from_numpy(f).to(self.device).permute(2, 0, 1)[None].float() / 255 for f in (one, two)]
        return float(self.distance(*scaled))

    def _taps(self, frames: Tensor) -> Iterator[Tensor]:
        """The frames themselves, then the activations after each slice."""
        yield frames
        x = (frames - self.mean) / self.std
        for part in self.trunk.slices:
            for layer in part:
                x = self._pool(x) if isinstance(layer, Pool) else layer(x, self.state)
            yield x

    def _pool(self, x: Tensor) -> Tensor:
        """L2 pooling: the root of the windowed mean of squares at every second position."""
        import torch.nn.functional as F

        window = self.window.expand(x.shape[1], 1, 3, 3)
        return (F.conv2d(x * x, window, stride=2, padding=1, groups=x.shape[1]) + 1e-12).sqrt()


def _alpha_beta() -> tuple[torch.Tensor, torch.Tensor]:
    spec = importlib.util.find_spec("torchmetrics")
    folders = spec.submodule_search_locations if spec else None
    file = Path(folders[0]) / FILE if folders else None
    if file is None or not file.is_file():
        raise MissingError(
            "dists needs the weights alpha and beta that the package torchmetrics ships: "
            "pip install 'deblurbench[dists]'"
        )
    state = read_weights(file)
    wanted = (1, sum(CHANNELS), 1, 1)
    if any(tuple(state[name].shape) != wanted if name in state else True for name in ("alpha", "beta")):
        raise MissingError(f"{file}: should hold alpha and beta of {wanted}. Install torchmetrics 1.8 or newer again.")
    return state["alpha"].float(), state["beta"].float()


def load_dists(device: str) -> FrameFunction:
    """DISTS of two 8-bit RGB frames; 0 for identical ones."""
    return DISTS(device)


def is_here(metric: str) -> bool:
    """Whether VGG-16's trunk, and the package whose file holds alpha and beta, seem to be on this machine."""
    return lpips_weights.is_here("vgg") and importlib.util.find_spec("torchmetrics") is not None
