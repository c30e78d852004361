"""Networks that are not written for this harness: called as the card's `needs` say.

`needs.form`    how it is called: (1, 3, H, W) -> (1, 3, H, W) for `frame`; a window of 2 * radius + 1 frames for
                `window`, as (1, T, 3, H, W) or, with `stack: channels`, (1, 3T, H, W); for `recurrent`
                network(frame, state) -> (restored, state), the first state being None
`needs.range`   what black and white are to it; `needs.colours` the order of its channels
`needs.size`    the one (width, height) that it takes: frames are cut into blended tiles of that size, or padded to it
`needs.output`  which of several outputs is the restored frame: a position or a key

This file also runs under Python 3.9, in a method's own environment (deblurbench.backends.own_python_main).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from deblurbench.errors import ContractError
from deblurbench.frames.convert import crop_to, from_network, pad_to_size, to_network
from deblurbench.methods.base import FrameMethod, RecurrentMethod, WindowMethod
from deblurbench.methods.tiling import restore_tiled

if TYPE_CHECKING:
    from torch import Tensor

    from deblurbench.registry.cards import Needs

FORMS = {"frame": FrameMethod, "window": WindowMethod, "recurrent": RecurrentMethod}


class Foreign(FrameMethod, WindowMethod, RecurrentMethod):
    """A network from outside; a subclass says how it is called (`call`)."""

    def __init__(self, needs: Needs) -> None:
        self.needs = needs
        self.form = needs.form or ("window" if needs.window else "frame")
        self.radius = needs.window
        self.stack = needs.stack
        self.size = needs.size

    def call(self, *tensors: Any) -> Any:
        """Run the network on one batched input, and for the recurrent form its state."""
        raise NotImplementedError

    def restore(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """Restore a clip in the network's form, in tiles where it takes one size only."""
        return self._tiled(frames, *self.size) if self.size else self._whole(frames)

    def restore_frame(self, frame: Tensor) -> Tensor:
        """(3, H, W) in [0, 1] to the same."""
        return self._frame(self._pick(self.call(self._given(frame[None]))), frame)

    def restore_window(self, frames: Tensor) -> Tensor:
        """(T, 3, H, W) in [0, 1] to the restored centre frame (3, H, W)."""
        given = self._given(frames)
        given = given.reshape(1, -1, *given.shape[-2:]) if self.stack == "channels" else given[None]
        return self._frame(self._pick(self.call(given)), frames[self.radius])

    def step(self, frame: Tensor, state: Any) -> tuple[Tensor, Any]:
        """(3, H, W) in [0, 1] and the network's last state to the restored frame and the new state."""
        found = self.call(self._given(frame[None]), state)
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise ContractError(
                f"needs.form is recurrent: network(frame, state) returns (restored, state); found {_describe(found)}"
            )
        return self._frame(found[0], frame), found[1]

    def _whole(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        return FORMS[self.form].restore(self, frames)

    def _tiled(self, frames: Iterable[Tensor], width: int, height: int) -> Iterator[Tensor]:
        walk = iter(frames)
        for first in walk:
            padded = (pad_to_size(frame, height, width) for frame in itertools.chain([first], walk))
            for restored in restore_tiled(self._whole, padded, (height, width), 1):
                yield crop_to(restored, *first.shape[-2:])

    def _given(self, frames: Tensor) -> Tensor:
        return to_network(frames, self.needs.range, self.needs.colours)

    def _pick(self, found: Any) -> Any:
        """The restored frame among a network's outputs."""
        wanted = self.needs.output
        if isinstance(found, (Sequence, Mapping)) and wanted is None and len(found) == 1:
            return next(iter(found.values() if isinstance(found, Mapping) else found))
        if not isinstance(found, (Sequence, Mapping)):
            return found
        try:
            return found[wanted]  # type: ignore[index,call-overload]
        except (LookupError, TypeError):
            raise ContractError(
                f"the network returns {_describe(found)}; needs.output is {wanted!r}. Say which is the restored frame: "
                f"needs: {{output: {next(iter(found)) if isinstance(found, Mapping) else 0}}}"
            ) from None

    def _frame(self, found: Any, like: Tensor) -> Tensor:
        """(1, 3, H, W), or (1, T, 3, H, W) of a whole window, to the one frame (3, H, W) in [0, 1]."""
        shape = tuple(getattr(found, "shape", ()))
        if len(shape) == 5 and shape[0] == 1 and shape[1] in (1, 2 * self.radius + 1):
            found, shape = found[:, shape[1] // 2], (1, *shape[2:])
        if shape != (1, *like.shape):
            raise ContractError(
                f"the network returns {_describe(found)} for frames of {like.shape[-1]}x{like.shape[-2]}, "
                f"expected {(1, *like.shape)}: the restored frame in the input's size"
            )
        return from_network(found[0], self.needs.range, self.needs.colours)


class GivenNetwork(Foreign):
    """A torch module that the user holds already."""

    def __init__(self, network: Any, needs: Needs) -> None:
        super().__init__(needs)
        self.network = network

    def call(self, *tensors: Any) -> Any:
        """network(frames), or network(frame, state)."""
        assert self.network is not None
        return self.network(*tensors)


def _describe(found: Any) -> str:
    """A network's output in words: its shape, or those of its parts."""
    if isinstance(found, Mapping):
        return f"{len(found)} outputs, {', '.join(f'{key!r}: {_describe(part)}' for key, part in found.items())}"
    if isinstance(found, (tuple, list)):
        return f"{len(found)} outputs, {', '.join(f'{i}: {_describe(part)}' for i, part in enumerate(found))}"
    shape = getattr(found, "shape", None)
    return str(tuple(shape)) if shape is not None else type(found).__name__
