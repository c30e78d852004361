"""ONNX files: the network and its weights in one file, run by onnxruntime.

The file's one input says what it takes: (1, 3, H, W) single frames; (1, 3T, H, W) or (1, T, 3, H, W) windows of an odd
number of frames. A fixed H and W are kept to: frames are cut into blended tiles of that size, or padded to it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from deblurbench.errors import MissingError, UsageError
from deblurbench.methods.adapter import Foreign
from deblurbench.registry.cards import MethodCard, Needs
from deblurbench.registry.discovery import Plugin

TYPES = {"tensor(float)": torch.float32, "tensor(float16)": torch.float16}
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
ALLOWED = (
    "Allowed is one input of float32 or float16: (1, 3, H, W), (1, 3*T, H, W) or (1, T, 3, H, W), T frames, an odd "
    "number; any side may be dynamic"
)


class Onnx(Foreign):
    """A network from an ONNX file.

    Raises:
        MissingError: onnxruntime is not installed, or no file was named.
        UsageError: no ONNX file, or one whose input is no frame and no window.
    """

    def __init__(self, found: Plugin) -> None:
        card = found.card
        assert isinstance(card, MethodCard)
        assert found.opened is not None
        self.file = found.opened
        self.session = _open(self.file)
        super().__init__(self._looked_into(card.needs))
        self.caveat = self._caveat()

    def place(self, device: str, precision: str) -> None:
        """Open the file anew for a GPU; without one it stays on the CPU, where it was opened to look into it."""
        if device != "cpu":
            self.session = _open(self.file, device, precision)
            self.caveat = self._caveat(device)

    def call(self, *tensors: Any) -> Any:
        """Run the network on (1, ...) float tensors of any device; its outputs by position, or by name if asked so."""
        given = tensors[0].detach().to("cpu", self.dtype).contiguous().numpy()
        found = [self._tensor(array, tensors[0]) for array in self.session.run(None, {self.input: given})]
        names = [output.name for output in self.session.get_outputs()]
        return dict(zip(names, found, strict=True)) if isinstance(self.needs.output, str) else found

    def _tensor(self, array: Any, like: Tensor) -> Tensor:
        return torch.from_numpy(array).to(like.device, torch.float32)

    def _looked_into(self, needs: Needs) -> Needs:
        """The card's needs with what the file's input says; a contradiction is an error."""
        inputs = self.session.get_inputs()
        if len(inputs) != 1:
            self._refuse(f"{len(inputs)} inputs, {', '.join(f'{i.name} {tuple(i.shape)}' for i in inputs)}")
        self.input, shape = inputs[0].name, list(inputs[0].shape)
        if inputs[0].type not in TYPES:
            self._refuse(f"an input of {inputs[0].type}")
        self.dtype = TYPES[inputs[0].type]
        if len(shape) not in (4, 5) or (isinstance(shape[0], int) and shape[0] != 1):
            self._refuse(f"an input of shape {_words(shape)}")
        if needs.form == "recurrent":
            self._refuse("one input, but its card says form: recurrent")
        found = self._window(shape, needs) | self._size(shape[-2:], needs)
        return needs.model_copy(update=found)

    def _window(self, shape: list[Any], needs: Needs) -> dict[str, Any]:
        """Form, window and stack from the input's shape; a dynamic number of frames is the card's to say."""
        stacked = len(shape) == 4
        if needs.form == "clip":
            return self._chunk(shape, needs)
        count = shape[1] if not stacked else shape[1] // 3 if isinstance(shape[1], int) else None
        wrong_colours = shape[1] % 3 if stacked and isinstance(shape[1], int) else not stacked and shape[2] in (1, 2, 4)
        if wrong_colours or (isinstance(count, int) and count % 2 == 0):
            self._refuse(f"an input of shape {_words(shape)}")
        if not isinstance(count, int):
            if not stacked and not needs.window:
                self._refuse(
                    f"an input of shape {_words(shape)} with any number of frames: say how many on either side by "
                    f"needs: {{window: 2}}, or {{form: clip}} for all at once, in {self.file.with_suffix('.yaml').name}"
                )
            count = 2 * needs.window + 1
        if "window" in needs.model_fields_set and count != 2 * needs.window + 1:
            self._refuse(f"an input of shape {_words(shape)}, but its card says window: {needs.window}")
        form = "frame" if stacked and count == 1 else "window"
        return {"form": form, "window": count // 2, "stack": "channels" if stacked else "frames"}

    def _chunk(self, shape: list[Any], needs: Needs) -> dict[str, Any]:
        """How many frames of a clip are restored in one call, where the input's shape says it."""
        if len(shape) == 4:
            self._refuse(f"an input of shape {_words(shape)}, but its card says form: clip, which is (1, T, 3, H, W)")
        chunk = shape[1] - 2 * needs.border if isinstance(shape[1], int) else needs.chunk
        if needs.chunk not in (None, chunk):
            self._refuse(f"an input of shape {_words(shape)}, but its card says chunk: {needs.chunk}")
        return {"chunk": chunk}

    def _size(self, sides: list[Any], needs: Needs) -> dict[str, Any]:
        fixed = [side for side in sides if isinstance(side, int)]
        if len(fixed) == 1:
            self._refuse(f"an input whose sides are {_words(sides)}: one fixed, one not")
        if not fixed:
            return {}
        size = (fixed[1], fixed[0])
        if needs.size and tuple(needs.size) != size:
            self._refuse(f"an input of {size[0]}x{size[1]}, but its card says size: {list(needs.size)}")
        return {"size": size}

    def _refuse(self, found: str) -> NoReturn:
        raise UsageError(f"{self.file}: found {found}. {ALLOWED}.")

    def _caveat(self, device: str = "cpu") -> str:
        lines = []
        if self.size:
            lines.append(f"takes frames of {self.size[0]}x{self.size[1]} alone: restored in blended tiles of that size")
        if device != "cpu" and self.session.get_providers()[0] == CPU:
            lines.append("run on the CPU: onnxruntime here has no CUDA")
        return "; ".join(lines)


def _open(file: Path, device: str = "cpu", precision: str = "fp32") -> Any:
    """An onnxruntime session on the device, with as many threads as torch has; tf32 only where it is asked for."""
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingError(f"{file}: needs onnxruntime ({error}): pip install 'deblurbench[onnx]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        providers = _providers(onnxruntime.get_available_providers(), device, precision)
        return onnxruntime.InferenceSession(str(file), options, providers=providers)
    except Exception as error:  # onnxruntime has an exception of its own for each fault of a file
        told = str(error).strip().splitlines()[0]
        raise UsageError(f"{file}: no ONNX file that onnxruntime can run: {told}") from error


def _providers(there: list[str], device: str, precision: str) -> list[Any]:
    """What onnxruntime shall compute with, best first."""
    if device == "cpu" or CUDA not in there:
        return [CPU]
    exactly = {"device_id": int(device.partition(":")[2] or 0), "use_tf32": int(precision == "tf32")}
    return [(CUDA, exactly), CPU]


def _words(shape: list[Any]) -> str:
    return f"({', '.join(str(side if side is not None else '?') for side in shape)})"
