"""LPIPS v0.1 (Zhang, Isola, Efros, Shechtman, Wang, CVPR 2018), as the package `lpips` 0.1.4 defines it.

Frames go to [-1, 1], are shifted and scaled per channel, and run through a fixed trunk. At each tap both activations
are divided by their length over the channels (+ 1e-10); the squared difference is weighted by a learned 1x1 head
without bias and averaged over positions; the taps' values are added. 0 is best; there is no upper bound.

The package itself is not used: it imports torchvision, and opens weights without weights_only.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

from deblurbench.frames.convert import Frame8
from deblurbench.metrics import lpips_weights
from deblurbench.metrics.base import FrameFunction
from deblurbench.metrics.checks import check_pair
from deblurbench.metrics.lpips_trunks import TRUNKS
from deblurbench.metrics.lpips_weights import in_words, load_state

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)


class LPIPS:
    """The distance with one trunk's weights on one device. `implementation` says which weights."""

    def __init__(self, name: str, device: str = "cpu") -> None:
        import torch

        self.trunk = TRUNKS[name]
        self.device = torch.device(device)
        state = load_state(name)
        self.implementation = in_words(state)
        self.state = {key: value.to(self.device) for key, value in state.items()}
        self.shift = torch.tensor(SHIFT, device=self.device).view(1, 3, 1, 1)
        self.scale = torch.tensor(SCALE, device=self.device).view(1, 3, 1, 1)

    def distance(self, one: Tensor, two: Tensor) -> Tensor:
        """(B,) distances of float32 (B, 3, H, W) RGB in [-1, 1]."""
        import torch
        import torch.nn.functional as F

        with torch.inference_mode(), full_precision(self.device):
            both = (torch.cat([one, two]).to(self.device) - self.shift) / self.scale
            total = torch.zeros(len(one), device=self.device)
            for i, tap in enumerate(self.trunk.taps(both, self.state)):
                unit = tap / (torch.linalg.vector_norm(tap, dim=1, keepdim=True) + 1e-10)
                difference = (unit[: len(one)] - unit[len(one) :]).square_()
                head = self.state[f"lin{i}.model.1.weight"]
                total += F.conv2d(difference, head).mean((1, 2, 3))
            return total

    def __call__(self, restored: Frame8, sharp: Frame8) -> float:
        """The distance of two 8-bit RGB frames (H, W, 3)."""
        import torch

        one, two = check_pair(restored, sharp, self.trunk.smallest)
        scaled = [torch.from_numpy(f).to(self.device).permute(2, 0, 1)[None].float() / 127.5 - 1 for f in (one, two)]
        return float(self.distance(*scaled))


def full_precision(device: torch.device) -> AbstractContextManager[None]:
    """On a GPU, convolutions in float32 even where the run allows TF32, so that CPU and GPU agree."""
    import torch

    if device.type != "cuda" or not torch.backends.cudnn.allow_tf32:
        return nullcontext()
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)


def _load(name: str, device: str) -> FrameFunction:
    return LPIPS(name, device)


load_alex = partial(_load, "alex")
load_vgg = partial(_load, "vgg")
load_squeeze = partial(_load, "squeeze")


def is_here(metric: str) -> bool:
    """Whether the trunk of `lpips-NAME` seems to be on this machine."""
    return lpips_weights.is_here(metric.partition("-")[2])
