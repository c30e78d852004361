"""The four forms of a method. A user writes one of them, and a card.

Frames are float32 sRGB in [0, 1], (3, H, W), on the run's device; H and W are already multiples of the card's
`needs.multiple_of`. The harness pads, crops, moves, tiles, times, rounds and writes; a method only restores.
State never lives in `self`: it starts anew with every clip (`restore` is called once for each).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from deblurbench.errors import ContractError
from deblurbench.methods.losses import Content, mean_squared_error

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Item = TypeVar("Item")


@dataclass(frozen=True)
class Renamed:
    """Another implementation's weights under our network's names and in its layout.

    `origin` and `note` go into the card's entry: whose weights they are, and what makes outputs differ from theirs.
    """

    weights: dict[str, Tensor]
    origin: Literal["official", "public"] = "public"
    note: str = ""


class Method:
    """Whole control over a clip, e.g. for bidirectional methods.

    A method with learned parameters puts its torch.nn.Module into `self.network`; the harness loads weights into it
    strictly, moves it to the device, and switches it to evaluation. `training_only` holds what is trained along but
    is no part of the weights, such as a gate that is dropped at inference. `content` compares restored with sharp
    frames (..., C, H, W) that span 1; training sets it as the recipe's `loss` says, and `loss` is built of it.
    `caveat` is printed below every table with the method: what is known only once it is made, such as that it works
    in tiles.
    """

    network: torch.nn.Module | None = None
    training_only: torch.nn.Module | None = None
    content: Content = staticmethod(mean_squared_error)
    caveat: str = ""

    def restore(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yield one restored frame (3, H, W) float32 for every frame of the clip, in order.

        Values outside [0, 1] are clipped by the harness, which records how many.
        """
        raise NotImplementedError(f"{type(self).__name__} has no restore: write it")

    def place(self, device: str, precision: str) -> None:
        """Told once, after the weights are loaded and `network` is on `device`: cpu or cuda:N, and the run's precision.

        For methods that compute through another library than torch, which has to be told where, and how exactly.
        """

    def loss(self, blurry: Tensor, sharp: Tensor) -> Tensor | dict[str, Tensor]:
        """Training loss of (B, T, 3, H, W) clips in [0, 1]: a scalar, or named parts with the sum under "total".

        How far a frame is from the sharp one is asked of `self.content`, so that recipes can choose the measure.
        """
        raise NotImplementedError(f"{type(self).__name__} has no training loss")

    def initialise(self, **settings: Any) -> None:
        """Set the network's first weights before training, as the recipe's `initialise` mapping says."""
        if settings:
            raise NotImplementedError(f"{type(self).__name__} has no initialisation {settings}")

    def adopt(self, weights: dict[str, Tensor], parameters: Mapping[str, Any]) -> dict[str, Tensor]:
        """Another variant's weights as a start for training this one (`train --start-from`); by default as they are.

        `parameters` are that variant's, empty where it is not known. The harness compares all keys and shapes
        afterwards, so that weights of another architecture are returned unchanged. Raises UsageError where they fit
        by their shapes, but would compute something else.
        """
        return weights

    def rename(self, foreign: dict[str, Tensor]) -> Renamed:
        """Weights read from another implementation's checkpoint, under the names and in the layout of `network`.

        Keys that are not known stay as they are; the harness compares all keys and shapes afterwards. Overridden where
        an implementation with the same network and other names is known. Raises UsageError where the names are known
        but the network computes something else.
        """
        return Renamed(foreign)


def sliding(items: Iterable[Item], radius: int) -> Iterator[tuple[Item, ...]]:
    """Windows of 2 * radius + 1 items around each item; the first and the last are repeated at the ends.

    Holds one window at a time, so a clip of any length streams.
    """
    window: deque[Item] = deque(maxlen=2 * radius + 1)
    owed = 0
    for item in items:
        window.extend([item] * (1 if window else radius + 1))
        owed += 1
        if len(window) == window.maxlen:
            yield tuple(window)
            owed -= 1
    while owed:
        window.append(window[-1])
        if len(window) == window.maxlen:
            yield tuple(window)
            owed -= 1


class FrameMethod(Method):
    """A method that restores each frame by itself."""

    def restore_frame(self, frame: Tensor) -> Tensor:
        """(3, H, W) blurry to (3, H, W) restored."""
        raise NotImplementedError(f"{type(self).__name__} has no restore_frame: write it")

    def restore(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """Restore frame by frame."""
        for frame in frames:
            yield self.restore_frame(frame)


class WindowMethod(Method):
    """A method that reads `radius` frames on either side. At a clip's ends the first and last frame are repeated."""

    radius: int = 2

    def restore_window(self, frames: Tensor) -> Tensor:
        """(2 * radius + 1, 3, H, W) blurry to the restored centre frame (3, H, W)."""
        raise NotImplementedError(f"{type(self).__name__} has no restore_window: write it")

    def restore(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """Slide the window over the clip, holding 2 * radius + 1 frames and no more."""
        import torch

        for window in sliding(frames, self.radius):
            yield self.restore_window(torch.stack(window))


class RecurrentMethod(Method):
    """A method that carries a state from frame to frame through the whole clip."""

    def step(self, frame: Tensor, state: Any) -> tuple[Tensor, Any]:
        """(3, H, W) blurry and the last frame's state (None for the first) to (3, H, W) restored and the new state."""
        raise NotImplementedError(f"{type(self).__name__} has no step: write it")

    def restore(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """Run `step` over the clip; the state starts as None."""
        state = None
        for frame in frames:
            restored, state = _pair(self.step(frame, state))
            yield restored

    def unroll(self, clips: Tensor) -> Tensor:
        """Clips (B, T, 3, H, W) in [0, 1] restored by `step`, in the same shape, with gradients: for a `loss`.

        One clip after another, the state of each starting as None. A network that takes (B, 3, H, W) trains faster
        where `loss` calls it on the frames of all clips at once (methods/ifirnn/method.py).
        """
        import torch

        return torch.stack([torch.stack(list(self.restore(clip.unbind(0)))) for clip in clips.unbind(0)])


def check_restored(restored: Any, shape: tuple[int, ...], position: int) -> None:
    """See that a method yielded a floating-point tensor of the frame's shape (3, H, W).

    Raises:
        ContractError: it did not; names the position of the frame, counted from 1.
    """
    import torch

    if not isinstance(restored, torch.Tensor):
        raise ContractError(f"frame {position}: the method yields {type(restored).__name__}, expected a torch.Tensor")
    if tuple(restored.shape) != tuple(shape) or not restored.is_floating_point():
        raise ContractError(
            f"frame {position}: the method yields {tuple(restored.shape)} {restored.dtype}, "
            f"expected {tuple(shape)} of floating point"
        )


def _pair(found: Any) -> tuple[Tensor, Any]:
    """What `step` returned, if it is a frame and a state."""
    if isinstance(found, (tuple, list)) and len(found) == 2:
        return found[0], found[1]
    kind = f"{type(found).__name__} of {len(found)}" if isinstance(found, (tuple, list)) else type(found).__name__
    raise ContractError(f"step must return (frame, state), the restored frame and the new state; found {kind}")
