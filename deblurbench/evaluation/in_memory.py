"""A method made ready to restore clips that lie in memory, as numpy arrays or torch tensors."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from deblurbench.errors import ContractError, UsageError
from deblurbench.evaluation.plan import plan_method
from deblurbench.registry.cards import MethodCard

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from deblurbench.methods.base import Method

Frames = TypeVar("Frames")


class LoadedMethod:
    """A method with its weights on a device, for restoring clips that lie in memory."""

    def __init__(
        self, method: Method, card: MethodCard, variant: str, device: str, precision: str, tile: int | None
    ) -> None:
        self.method, self.card, self.device, self.precision, self.tile = method, card, device, precision, tile
        self.needs = card.needs_of(variant)

    def __call__(self, clip: NDArray[np.uint8] | torch.Tensor) -> Any:
        """Restore a whole clip.

        Args:
            clip: uint8 (T, H, W, 3) RGB as numpy, or floating point (T, 3, H, W) RGB in [0, 1] as a torch tensor.

        Returns:
            The restored clip in the same form; a tensor is float32, not clipped, and on the CPU.

        Raises:
            UsageError: another form.
            ContractError: the method returned another shape, another number of frames, or NaN.
        """
        import numpy as np
        import torch

        frames = list(self.stream(clip))
        if not frames:
            return clip
        return torch.stack(frames) if isinstance(frames[0], torch.Tensor) else np.stack(frames)

    def stream(self, frames: Iterable[Frames]) -> Iterator[Frames]:
        """Yield one restored frame for every frame, in order, holding no more of them than the method needs.

        Args:
            frames: uint8 (H, W, 3) RGB as numpy, or floating point (3, H, W) RGB in [0, 1] as torch tensors. They
                form one clip: a recurrent state begins with the first and ends with the last.

        Raises:
            As `__call__`.
        """
        import torch

        from deblurbench.frames.convert import to_8bit

        walk = iter(frames)
        first = next(walk, None)
        if first is None:
            return
        whole: Iterable[Any] = itertools.chain([first], walk)
        if isinstance(first, torch.Tensor):
            yield from self._restored(whole)  # type: ignore[misc]
            return
        for restored in self._restored(whole):
            yield to_8bit(restored).frame  # type: ignore[misc]

    def close(self) -> None:
        """End the process of a method that runs in a separate one; others have none."""
        close = getattr(self.method, "close", None)
        if close:
            close()

    def _restored(self, frames: Iterable[Any]) -> Iterator[torch.Tensor]:
        """float32 (3, H, W) frames on the CPU; gradients are off while the method computes, and only then."""
        import torch

        from deblurbench.backends.device import autocast
        from deblurbench.frames.convert import crop_to
        from deblurbench.methods.base import check_restored
        from deblurbench.methods.tiling import restore_tiled

        shapes: deque[tuple[int, ...]] = deque()
        padded = self._padded(frames, shapes)
        restore = self.method.restore
        walk = iter(restore_tiled(restore, padded, self.tile, self.needs.multiple_of) if self.tile else restore(padded))
        for position in itertools.count(1):
            with torch.no_grad(), autocast(self.precision, self.device):
                restored = next(walk, None)
            if restored is None:
                break
            if not shapes:
                raise ContractError(f"the method yields a frame {position}, before it was given that many")
            height, width, *shape = shapes.popleft()
            check_restored(restored, (3, *shape), position)
            yield crop_to(restored, height, width).float().cpu()
        if shapes:
            raise ContractError(f"the method restored {position - 1} of {position - 1 + len(shapes)} frames")

    def _padded(self, frames: Iterable[Any], shapes: deque[tuple[int, ...]]) -> Iterator[torch.Tensor]:
        from deblurbench.backends.base import Elsewhere
        from deblurbench.frames.convert import pad_to_multiple

        device = "cpu" if isinstance(self.method, Elsewhere) else self.device
        for frame in frames:
            tensor = _as_tensor(frame, device)
            padded = pad_to_multiple(tensor, self.needs.multiple_of)
            shapes.append((*tensor.shape[1:], *padded.shape[1:]))
            yield padded


def _as_tensor(frame: Any, device: str) -> torch.Tensor:
    import numpy as np
    import torch

    from deblurbench.frames.convert import to_float

    if isinstance(frame, torch.Tensor) and frame.is_floating_point() and frame.ndim == 3 and frame.shape[0] == 3:
        return frame.detach().to(device, torch.float32)
    if isinstance(frame, np.ndarray) and frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[2] == 3:
        return to_float(frame, device)
    raise UsageError(
        f"a frame is a {type(frame).__name__} {getattr(frame, 'dtype', '')} {tuple(getattr(frame, 'shape', ()))}; "
        "give numpy uint8 (H, W, 3), or a floating-point torch tensor (3, H, W) in [0, 1], both RGB"
    )


def load_method(
    text: str | Path, *, device: str = "auto", precision: str = "fp32", tile: int | None = None, seed: int = 0
) -> LoadedMethod:
    """A method with its weights, ready to restore clips in memory.

    Args:
        text: `name[:variant][@weights]`, or a path (docs/outside.md).
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        precision: `fp32`, `tf32`, `bf16` or `fp16`. Sets torch's flags for tf32 and deterministic convolutions.
        tile: side in pixels of the blended tiles to restore in; None for whole frames.
        seed: seeds Python, numpy and torch before the method is made.

    Raises:
        UsageError: an unknown name or device. MissingError: weights or packages are missing.
    """
    from deblurbench.backends import load
    from deblurbench.backends.device import resolve_device, set_precision_flags
    from deblurbench.evaluation.execution.jobs import job_outside_run

    planned = plan_method(str(text))
    place = resolve_device(device)
    set_precision_flags(precision)
    method, card = load.load_method(job_outside_run(planned, place, precision, tile=tile, seed=seed), place)
    return LoadedMethod(method, card, planned.variant, place, precision, tile)
