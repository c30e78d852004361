"""Registration of a neighbour to the centre frame by optical flow, where the flow can be trusted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.float32]
SOFT = 3.0


def register(neighbour: Frame, centre: Frame, tolerance: float = 1.0) -> Frame:
    """Warp a neighbour (H, W, 3) in [0, 1] onto the centre frame; the centre's own pixels where that fails.

    Dense inverse search (DIS, Kroeger 2016; OpenCV's FAST preset) gives the flow from the centre to the neighbour and
    back. Where the two disagree by more than `tolerance` pixels (occlusions, failures) the centre's pixels stand in,
    with a soft edge: these places then gain nothing and lose nothing. Frames need a side of 12 pixels or more.
    """
    import cv2

    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    there, here = _grey(neighbour), _grey(centre)
    still = np.zeros((*here.shape, 2), np.float32)
    forth = np.asarray(search.calc(here, there, still.copy()), np.float32)
    back = np.asarray(search.calc(there, here, still), np.float32)
    warped = _sample(neighbour, forth)
    error = np.linalg.norm(forth + _sample(back, forth), axis=2)
    trust = cv2.GaussianBlur((error < tolerance).astype(np.float32), (0, 0), SOFT)[..., None]
    return trust * warped + (1 - trust) * centre


def _grey(frame: Frame) -> NDArray[np.uint8]:
    import cv2

    return np.rint(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) * 255).clip(0, 255).astype(np.uint8)


def _sample(image: Frame, flow: Frame) -> Frame:
    """`image` (H, W, C) at each pixel's position plus its flow (H, W, 2), x before y; bicubic, borders repeated."""
    import cv2

    y, x = np.mgrid[: flow.shape[0], : flow.shape[1]].astype(np.float32)
    sampled = cv2.remap(image, x + flow[..., 0], y + flow[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(sampled, np.float32)
