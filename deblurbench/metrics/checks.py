"""What every metric asks of its two frames before it computes anything. Nothing is converted or guessed."""

from __future__ import annotations

import numpy as np

from deblurbench.frames.convert import Frame8


def check_pair(restored: Frame8, sharp: Frame8, smallest: int = 1) -> tuple[Frame8, Frame8]:
    """Both frames as contiguous uint8 (H, W, 3), unchanged in value.

    Args:
        restored: the 8-bit frame that would be written, RGB.
        sharp: the ground truth, RGB.
        smallest: the shortest side that the metric can take, in pixels (its window).

    Raises:
        ValueError: not 8-bit, not (H, W, 3), of different sizes, or smaller than the window.
    """
    one, two = _check_frame(restored, "restored"), _check_frame(sharp, "sharp")
    if one.shape != two.shape:
        raise ValueError(
            f"the frames differ in size: restored is {_size(one)}, sharp is {_size(two)}; "
            "metrics never crop or resize, so bring both to one size first"
        )
    if min(one.shape[:2]) < smallest:
        raise ValueError(
            f"the frames are {_size(one)}; this metric's window needs at least {smallest}x{smallest} pixels"
        )
    return one, two


def _check_frame(frame: Frame8, name: str) -> Frame8:
    if not isinstance(frame, np.ndarray):
        raise ValueError(f"{name} is a {type(frame).__name__}; metrics take numpy uint8 arrays of shape (H, W, 3), RGB")
    if frame.dtype != np.uint8:
        raise ValueError(
            f"{name} is {frame.dtype}; metrics take the 8-bit frames that would be written (uint8), because the data "
            "range and the rounding of other types are unknown. deblurbench.frames.convert.to_8bit converts."
        )
    if frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
        raise ValueError(f"{name} has shape {frame.shape}; metrics take (H, W, 3), RGB")
    return np.ascontiguousarray(frame)


def _size(frame: Frame8) -> str:
    return f"{frame.shape[1]}x{frame.shape[0]}"
