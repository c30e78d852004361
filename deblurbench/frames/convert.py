"""Frames between the disk's 8 bits and a network's floats.

The only module that rounds, clamps, pads or reorders colours. Two forms of a frame exist:

* **8-bit**: numpy uint8, (H, W, 3), RGB, sRGB-encoded. What files hold, what metrics see.
* **float**: torch float32, (3, H, W), RGB, sRGB-encoded, [0, 1]. What methods see.

torch and numpy are imported inside the functions that need them, so that reading a frame does not cost seconds and
`list` none at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from deblurbench.errors import ContractError

if TYPE_CHECKING:
    from typing import TypeAlias  # of Python 3.10; this file also runs under 3.9 (deblurbench.backends.own_python_main)

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

Frame8: TypeAlias = "NDArray[np.uint8]"
HALF_LEVEL = 0.5 / 255


class Rounded(NamedTuple):
    """An 8-bit frame, and the share of its values that clipping to [0, 1] moved by more than half a grey level."""

    frame: Frame8
    clipped: float


def swap_red_blue(frame: Frame8) -> Frame8:
    """RGB to BGR or back, (H, W, 3) uint8, contiguous. OpenCV's files are BGR."""
    import numpy as np

    return np.ascontiguousarray(frame[:, :, ::-1])


def to_float(frame: Frame8, device: str = "cpu") -> Tensor:
    """8-bit (H, W, 3) to float32 (3, H, W) in [0, 1] on `device`."""
    import numpy as np
    import torch

    tensor = torch.from_numpy(np.ascontiguousarray(frame)).to(device)
    return tensor.permute(2, 0, 1).to(torch.float32).div_(255.0).contiguous()


def to_8bit(frame: Tensor) -> Rounded:
    """Float (3, H, W) to 8-bit (H, W, 3): clamp to [0, 1], times 255, round half to even.

    Raises:
        ContractError: the frame holds NaN or infinite values. They are never written as black.
    """
    import torch

    frame = frame.detach().to(torch.float32)
    if not bool(torch.isfinite(frame).all()):
        bad = int((~torch.isfinite(frame)).sum())
        raise ContractError(f"the restored frame holds {bad} NaN or infinite values of {frame.numel()}")
    clipped = float(((frame < -HALF_LEVEL) | (frame > 1 + HALF_LEVEL)).float().mean())
    rounded = frame.clamp(0, 1).mul(255.0).round().to(torch.uint8)
    return Rounded(rounded.permute(1, 2, 0).contiguous().cpu().numpy(), clipped)


def pad_to_multiple(frame: Tensor, multiple: int) -> Tensor:
    """Pad a float frame (3, H, W) at the bottom and right by replication until `multiple` divides both sides."""
    import torch.nn.functional as F

    height, width = frame.shape[-2:]
    down, right = -height % multiple, -width % multiple
    if not down and not right:
        return frame
    return F.pad(frame[None], (0, right, 0, down), mode="replicate")[0]


def pad_to_size(frame: Tensor, height: int, width: int) -> Tensor:
    """Pad a float frame (3, H, W) at the bottom and right by replication until it has at least (height, width)."""
    import torch.nn.functional as F

    down, right = max(height - frame.shape[-2], 0), max(width - frame.shape[-1], 0)
    return F.pad(frame[None], (0, right, 0, down), mode="replicate")[0] if down or right else frame


def to_network(frames: Tensor, scale: tuple[float, float], colours: str) -> Tensor:
    """Float RGB frames (..., 3, H, W) in [0, 1] as a network from outside takes them: in `scale`, `rgb` or `bgr`."""
    low, high = scale
    ordered = frames.flip(-3) if colours == "bgr" else frames
    return ordered if scale == (0.0, 1.0) else ordered * (high - low) + low


def from_network(frame: Tensor, scale: tuple[float, float], colours: str) -> Tensor:
    """Undo `to_network` on a restored frame (3, H, W)."""
    low, high = scale
    plain = frame if scale == (0.0, 1.0) else (frame - low) / (high - low)
    return plain.flip(-3) if colours == "bgr" else plain


def crop_to(frame: Tensor, height: int, width: int) -> Tensor:
    """Undo `pad_to_multiple`: the top left (height, width) of a float frame (3, H, W)."""
    return frame[..., :height, :width]
