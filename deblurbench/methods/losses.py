"""The content term of a training loss: how far restored frames are from the sharp ones. A recipe's `loss` names it.

* `mse`: mean squared error, as in the papers. A clip's gradient grows with its error: strongly blurred clips rule.
* `psnr`: mean over the frames of log(mse + floor). Its gradient is that of mse divided by the frame's own error, so
  that a frame blurred little and one blurred much weigh alike, as they do in a mean of PSNR values. After PSNRLoss of
  HINet (Chen et al., CVPR Workshops 2021) and NAFNet (Chen et al., ECCV 2022), without their factor 10 / ln 10, which
  Adam's steps do not see. Theirs has a floor of 1e-8, 80 dB. A recipe's `loss_floor` sets ours: frames nearer to their
  ground truth than the floor hardly pull, and a higher one lets strongly blurred frames rule.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

FLOOR = 3e-5
"""The usual floor of `psnr`, a mean squared error on the scale where white is 1: 45 dB."""

Name = Literal["mse", "psnr"]
Content = Callable[["Tensor", "Tensor"], "Tensor"]


def mean_squared_error(restored: Tensor, sharp: Tensor) -> Tensor:
    """Mean of the squared difference in float32, whatever precision the network ran in: a scalar."""
    return (restored.float() - sharp).square().mean()


def log_squared_error(restored: Tensor, sharp: Tensor, floor: float = FLOOR) -> Tensor:
    """Mean over the frames of log(mse + floor), natural logarithm, of frames (..., C, H, W) that span 1: a scalar."""
    errors = (restored.float() - sharp).square().mean(dim=(-3, -2, -1))
    return (errors + floor).log().mean()


def content(name: Name, floor: float = FLOOR) -> Content:
    """The content term of a name; `floor` is of `psnr`."""
    return mean_squared_error if name == "mse" else functools.partial(log_squared_error, floor=floor)
