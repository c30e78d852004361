"""Networks that are not written for this harness: called as the card's `needs` say.

`needs.form`    how it is called: (1, 3, H, W) -> (1, 3, H, W) for `frame`; a window of 2 * radius + 1 frames for
                `window`, as (1, T, 3, H, W) or, with `stack: channels`, (1, 3T, H, W); for `recurrent`
                network(frame, state) -> (restored, state), the first state being None; for `clip`
                (1, T, 3, H, W) -> (1, T, 3, H, W) of the whole clip, or of `chunk` frames at a time
`needs.range`   what black and white are to it; `needs.colours` the order of its channels
`needs.size`    the one (width, height) that it takes: frames are cut into blended tiles of that size, or padded to it
`needs.output`  which of several outputs is the restored frame: a position or a key; by default the one of its size

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
MULTIPLES = (2, 4, 8, 16, 32, 64)
"""To whose sides a frame is padded to learn what a network takes that refused it."""


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
        return self._restored(frame[None], frame)

    def restore_window(self, frames: Tensor) -> Tensor:
        """(T, 3, H, W) in [0, 1] to the restored centre frame (3, H, W)."""
        given = frames.reshape(1, -1, *frames.shape[-2:]) if self.stack == "channels" else frames[None]
        return self._restored(given, frames[self.radius])

    def restore_chunk(self, frames: Sequence[Tensor]) -> list[Tensor]:
        """T frames (3, H, W) in [0, 1], in one call, to as many restored ones.

        The first and the last are repeated `border` times for a network that leaves so many frames out at both ends.
        """
        import torch

        border = self.needs.border
        given = torch.stack([*[frames[0]] * border, *frames, *[frames[-1]] * border])[None]
        picked = self._answer(given, (len(frames), *frames[0].shape))
        shape = tuple(getattr(picked, "shape", ()))
        if shape != (1, len(frames), *frames[0].shape):
            raise ContractError(
                f"the network returns {_describe(picked)} for {_describe(given)}, expected "
                f"{(1, len(frames), *frames[0].shape)}: needs.form is clip, as many restored frames as it is given"
                + (f", less needs.border ({border}) at both ends" if border else _border_hint(shape, given))
            )
        return [from_network(frame, self.needs.range, self.needs.colours) for frame in picked[0]]

    def step(self, frame: Tensor, state: Any) -> tuple[Tensor, Any]:
        """(3, H, W) in [0, 1] and the network's last state to the restored frame and the new state."""
        answer = self._called(frame[None], state)
        if not isinstance(answer, (tuple, list)) or len(answer) != 2:
            raise ContractError(
                f"needs.form is recurrent: network(frame, state) returns (restored, state); found {_describe(answer)}"
            )
        return self._frame(answer[0], frame), answer[1]

    def _whole(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        return self._in_chunks(frames) if self.form == "clip" else FORMS[self.form].restore(self, frames)

    def _in_chunks(self, frames: Iterable[Tensor]) -> Iterator[Tensor]:
        """Restore `chunk` frames in one call, each chunk sharing `overlap` frames with the one before.

        Of two chunks that share n frames, the first gives the first n // 2 of them, the second the rest. The last
        chunk begins earlier, so that it is as long as the others; a clip shorter than a chunk is restored in one call.
        """
        chunk, walk, given_before = self.needs.chunk, iter(frames), 0
        held = list(itertools.islice(walk, chunk))
        while held:
            restored = self.restore_chunk(held)
            fresh = list(itertools.islice(walk, chunk - self.needs.overlap)) if chunk else []
            shared = len(held) - len(fresh)
            yield from restored[given_before : len(fresh) + shared // 2 if fresh else None]
            given_before = shared // 2
            held = [*held[len(fresh) :], *fresh] if fresh else []

    def _tiled(self, frames: Iterable[Tensor], width: int, height: int) -> Iterator[Tensor]:
        walk = iter(frames)
        for first in walk:
            padded = (pad_to_size(frame, height, width) for frame in itertools.chain([first], walk))
            for restored in restore_tiled(self._whole, padded, (height, width), 1):
                yield crop_to(restored, *first.shape[-2:])

    def _restored(self, given: Tensor, like: Tensor) -> Tensor:
        """The network's answer to one input in [0, 1] as the restored frame (3, H, W)."""
        return self._frame(self._answer(given, like.shape), like)

    def _answer(self, given: Tensor, size: Sequence[int]) -> Any:
        """What the network returns for a batched input in [0, 1]; of several outputs the one of a frame's `size`."""
        answer = self._called(given)
        picked = self._pick(answer, size)
        sides = tuple(getattr(picked, "shape", size if picked is not None else (0, 0)))[-2:]
        if sides != tuple(given.shape[-2:]) and (multiple := self._fitting_multiple(given)):
            raise ContractError(
                f"the network returns {_describe(answer)} for frames of {_sides(given)}; sides that are multiples of "
                f"{multiple} come back as they are: needs: {{multiple_of: {multiple}}}"
            )
        if picked is None:
            fitting = _fitting(_parts(answer), size)
            raise ContractError(
                f"the network returns {_describe(answer)}; needs.output is {self.needs.output!r}. Say which is the "
                f"restored frame: needs: {{output: {(fitting or list(_parts(answer)) or [0])[0]}}}"
            )
        return picked

    def _called(self, given: Tensor, *state: Any) -> Any:
        """The network's answer to an input in [0, 1]; where it refuses the sides, the error names those it takes."""
        try:
            return self._raw(given, *state)
        except Exception as error:  # networks, and the libraries that run them, refuse a size in ways of their own
            multiple = 0 if "memory" in str(error).lower() else self._fitting_multiple(given, *state)
            if not multiple:
                raise
            said = next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
            raise ContractError(
                f"the network refuses frames of {_sides(given)} ({said}); it takes sides that are multiples of "
                f"{multiple}: needs: {{multiple_of: {multiple}}}"
            ) from error

    def _raw(self, given: Tensor, *state: Any) -> Any:
        """Call the network with frames (1, ..., H, W) in [0, 1], in its range and order of colours."""
        colours = given.reshape(-1, 3, *given.shape[-2:])
        return self.call(to_network(colours, self.needs.range, self.needs.colours).reshape(given.shape), *state)

    def _fitting_multiple(self, given: Tensor, *state: Any) -> int:
        """The least multiple to whose sides an input must be padded to come back in its size; 0 where none helps."""
        height, width = given.shape[-2:]
        for multiple in MULTIPLES:
            rows, columns = height + -height % multiple, width + -width % multiple
            if (rows, columns) == (height, width) or self.size:
                continue
            padded = pad_to_size(given.reshape(-1, height, width), rows, columns).reshape(
                *given.shape[:-2], rows, columns
            )
            try:
                answer = self._raw(padded, *state)
                picked = answer[0] if state else self._pick(answer, (3, rows, columns))
            except Exception:  # refused as well
                continue
            if tuple(getattr(picked, "shape", ()))[-2:] == (rows, columns):
                return multiple
        return 0

    def _pick(self, answer: Any, size: Sequence[int]) -> Any:
        """The restored frame among a network's outputs: the one that the card names, else the only one of its size.

        None where that leaves none, or several.
        """
        if not isinstance(answer, (Sequence, Mapping)):
            return answer
        parts = _parts(answer)
        if self.needs.output is not None:
            return parts.get(self.needs.output)
        fitting = _fitting(parts, size) if len(parts) > 1 else list(parts)
        return parts[fitting[0]] if len(fitting) == 1 else None

    def _frame(self, picked: Any, like: Tensor) -> Tensor:
        """(1, 3, H, W), or (1, T, 3, H, W) of a whole window, to the one frame (3, H, W) in [0, 1]."""
        shape = tuple(getattr(picked, "shape", ()))
        if len(shape) == 5 and shape[0] == 1 and shape[1] in (1, 2 * self.radius + 1):
            picked, shape = picked[:, shape[1] // 2], (1, *shape[2:])
        if shape != (1, *like.shape):
            raise ContractError(
                f"the network returns {_describe(picked)} for frames of {_sides(like)}, "
                f"expected {(1, *like.shape)}: the restored frame in the input's size"
            )
        return from_network(picked[0], self.needs.range, self.needs.colours)


class GivenNetwork(Foreign):
    """A torch module that the user holds already."""

    def __init__(self, network: Any, needs: Needs) -> None:
        super().__init__(needs)
        self.network = network

    def call(self, *tensors: Any) -> Any:
        """network(frames), or network(frame, state)."""
        assert self.network is not None
        return self.network(*tensors)


def _parts(answer: Any) -> dict[Any, Any]:
    """A network's outputs by their keys or positions."""
    return dict(answer) if isinstance(answer, Mapping) else dict(enumerate(answer))


def _fitting(parts: Mapping[Any, Any], size: Sequence[int]) -> list[Any]:
    """The keys of the outputs that have a restored frame's size."""
    return [key for key, part in parts.items() if tuple(getattr(part, "shape", ()))[-len(size) :] == tuple(size)]


def _sides(frames: Tensor) -> str:
    return f"{frames.shape[-1]}x{frames.shape[-2]}"


def _border_hint(shape: Sequence[int], given: Tensor) -> str:
    """What to write where a network gives fewer frames back, the same number less at both ends."""
    lost = given.shape[1] - shape[1] if len(shape) == 5 else 0
    return f"; for one that leaves out {lost // 2} at both ends: needs: {{border: {lost // 2}}}" if lost > 1 else ""


def _describe(found: Any) -> str:
    """A network's output in words: its shape, or those of its parts."""
    if isinstance(found, Mapping):
        return f"{len(found)} outputs, {', '.join(f'{key!r}: {_describe(part)}' for key, part in found.items())}"
    if isinstance(found, (tuple, list)):
        return f"{len(found)} outputs, {', '.join(f'{i}: {_describe(part)}' for i, part in enumerate(found))}"
    shape = getattr(found, "shape", None)
    return str(tuple(shape)) if shape is not None else type(found).__name__
