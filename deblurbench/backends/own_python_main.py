"""The other side of a method with a Python environment of its own: run as a script under that environment's Python.

It needs torch and nothing else; deblurbench's own dependencies need not be there. A method may import
`deblurbench.methods` (base, layers) and its siblings; `deblurbench` and its rooms are stand-ins here, so that no card
is read. Syntax and library are those of Python 3.9, and torch's of 1.13; a test holds the first.

Orders come as JSON lines on standard input, answers go out on what was standard output. Frames pass through a memory
file, whose descriptor was inherited: SLOTS slots for blurry frames, then SLOTS for restored ones, each holding one
float32 frame (3, H, W). The process ends when standard input closes.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import json
import mmap
import os
import platform
import queue
import sys
import threading
import time
import traceback
import types
from pathlib import Path
from typing import Any


def stand_in(name: str, path: list[str]) -> None:
    """A package whose `__init__` is not run, with modules from `path`."""
    spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = path
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)


if __name__ == "__main__":  # run as a script: the package is found beside this file, and none of its `__init__` runs
    stand_in("deblurbench", [str(Path(__file__).parents[1])])
    stand_in("deblurbench.backends", [str(Path(__file__).parent)])

from deblurbench.backends.device import (  # noqa: E402  (found only after the lines above)
    autocast,
    kind_of,
    peak_memory,
    prefer_channels_last,
    reason_of,
    resolve_device,
    seed_everything,
    set_precision_flags,
)
from deblurbench.backends.random_weights import network_is_random, random_outside_network  # noqa: E402
from deblurbench.errors import ContractError, UsageError  # noqa: E402
from deblurbench.registry.import_plugin import import_module_of  # noqa: E402

SLOTS = 2
FLOAT32 = 4
KINDS = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip


class Fault(Exception):
    """What is to be told with another kind than `raised`."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


def make_method(order: dict) -> Any:
    """An instance of the class that the card's `entry` names, or of its `network` called as its `needs` say."""
    stand_in("deblurbench.methods", [str(Path(__file__).parents[1] / "methods")])
    sys.path.extend(order["paths"])
    where, _, name = (order["network"] or order["entry"]).partition(":")
    try:
        if order["file"]:
            module = import_file(where, order["file"])
        elif order["network"]:
            module = importlib.import_module(where)
        else:
            module = import_module_of(Path(order["folder"]), where)
    except ImportError as error:
        raise Fault(
            "import",
            f"fails to import under {sys.executable}: {error}. In an environment of its own a method may import "
            "torch, what is installed there, deblurbench.methods.base and .layers, and its siblings",
        ) from error
    made = getattr(module, name)(**order["parameters"])
    return adapted(made, order["needs"]) if order["network"] else made


def import_file(name: str, file: str) -> types.ModuleType:
    """A single file as a module."""
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def adapted(network: Any, needs: dict) -> Any:
    """A torch module from outside as a method."""
    from deblurbench.methods.adapter import Foreign

    needs = {name: tuple(value) if isinstance(value, list) else value for name, value in needs.items()}
    method = Foreign(types.SimpleNamespace(**needs))  # type: ignore[arg-type]
    method.network = network
    method.call = network  # type: ignore[method-assign]
    return method


def read_safetensors(file: Any) -> dict:
    """All tensors of a safetensors file (a path or a descriptor), by name: length, JSON header, raw values."""
    import torch

    with open(file, "rb") as stream:  # noqa: PTH123
        head = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        body = bytearray(stream.read())
    head.pop("__metadata__", None)
    state = {}
    for name, entry in head.items():
        begin, end = entry["data_offsets"]
        kind = getattr(torch, KINDS[entry["dtype"]])
        values = torch.frombuffer(body[begin:end], dtype=kind) if end > begin else torch.empty(0, dtype=kind)
        state[name] = values.reshape(entry["shape"])
    return state


def load(network: Any, file: Any, foreign: bool = False) -> str:
    """Load weights strictly; half precision is widened. Returns what was taken of a `foreign` one, if in doubt."""
    from deblurbench.errors import UsageError
    from deblurbench.methods.weights.choice import choose

    state, caveat = read_safetensors(file), ""
    own = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    try:
        if foreign:
            choice = choose(state, len(own), lambda tensors: own == {n: tuple(t.shape) for n, t in tensors.items()})
            state = choice.tensors if choice else state
            caveat = str(choice) if choice and choice.others else ""
        network.load_state_dict(state, strict=True)
    except UsageError as error:
        raise Fault("refused", str(error)) from error
    except (KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:600]
        raise Fault("refused", f"{file}: these weights are of another architecture or variant: {reason}") from error
    return caveat


class Restorer:
    """The method made ready, and the clips that pass through it."""

    def __init__(self, order: dict, answer: Any) -> None:
        self.order, self.answer = order, answer
        self.random = False
        self.outside: list[str] = []
        self.caveat = ""
        import torch

        self.device = resolve_device(order["device"], f"torch {torch.__version__} of {sys.executable}")
        set_precision_flags(order["precision"])
        seed_everything(order["seed"])
        self.method = self.make()
        self.look_outside()
        if self.method.network is not None:
            if order["weights"]:
                self.caveat = load(self.method.network, order["weights"], bool(order["network"]))
            else:
                self.random = network_is_random(self.method, self.make, order["seed"])
            self.method.network.requires_grad_(False)
            prefer_channels_last(self.method.network.to(self.device))
        self.evaluate()
        self.frames: queue.Queue[dict] = queue.Queue()
        self.free: queue.Queue[int] = queue.Queue()
        self.memory: Any = None
        self.waited = 0.0
        self.given = 0
        self.ended = False

    def evaluate(self) -> None:
        """Switch all modules that the method restores with to evaluation."""
        from deblurbench.methods.parameters import put_into_evaluation

        put_into_evaluation(self.method)

    def look_outside(self) -> None:
        """Count the parameters, and find random ones that no weights reach, since they are not in the network."""
        from deblurbench.methods.parameters import count

        self.parameters = count(self.method)
        self.outside = random_outside_network(self.method, self.make, self.order["seed"])

    def make(self) -> Any:
        """The method, made of its card."""
        return make_method(self.order)

    def radius(self) -> Any:
        """How many frames on either side a window method of its own form reads."""
        from deblurbench.methods.base import WindowMethod

        own = isinstance(self.method, WindowMethod) and not self.order["network"]
        return self.method.radius if own else None

    def ready(self) -> dict:
        """What is reported once, before the first clip."""
        import torch

        versions = {"python": platform.python_version(), "torch": str(torch.__version__), "device": self.device}
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            versions["numpy"] = numpy.__version__
        if self.device.startswith("cuda"):
            versions["device"] = f"{torch.cuda.get_device_name(self.device)} ({self.device}), CUDA {torch.version.cuda}"
        return {
            "versions": versions,
            "random": self.random,
            "outside": self.outside,
            "radius": self.radius(),
            "parameters": self.parameters,
            "caveat": self.caveat or getattr(self.method, "caveat", ""),
        }

    def now(self) -> float:
        """Seconds on the monotonic clock, after the device has finished what was asked of it."""
        if self.device.startswith("cuda"):
            import torch

            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def feed(self) -> Any:
        """The clip's frames on the device. The time that waiting and copying take is counted in `waited`."""
        import torch

        while True:
            begin = self.now()
            order = self.frames.get()
            if order["order"] == "end":
                self.ended = True
                self.waited += self.now() - begin
                return
            frame = torch.frombuffer(
                self.memory, dtype=torch.float32, count=self.values, offset=order["slot"] * self.values * FLOAT32
            )
            frame = frame.clone().reshape(self.shape).to(self.device)
            self.given += 1
            self.answer("free", slot=order["slot"])
            self.waited += self.now() - begin
            yield frame

    def clip(self, order: dict) -> None:
        """Restore one clip whose frames are of shape `order["shape"]`, (3, H, W)."""
        import torch

        seed_everything(self.order["seed"])
        if self.device.startswith("cuda"):
            torch.cuda.reset_peak_memory_stats(self.device)
        self.evaluate()
        self.shape = tuple(order["shape"])
        self.values = self.shape[0] * self.shape[1] * self.shape[2]
        self.memory = mmap.mmap(self.order["memory"], 2 * SLOTS * self.values * FLOAT32)
        self.given, self.ended, self.free = 0, False, queue.Queue()
        for slot in range(SLOTS, 2 * SLOTS):
            self.free.put(slot)
        with torch.inference_mode():
            walk = iter(self.restore(self.feed()))
            for count, (restored, seconds) in enumerate(self.timed(walk), start=1):
                self.hand_over(restored, seconds, count)
        while not self.ended:  # a method may know its last frame without asking for one more
            order = self.frames.get()
            self.ended = order["order"] == "end"
            if not self.ended:
                self.answer("free", slot=order["slot"])
        self.answer("done", peak_memory=peak_memory(self.device))

    def restore(self, frames: Any) -> Any:
        """The method's `restore`, in tiles where they are asked for."""
        if not self.order["tile"]:
            return self.method.restore(frames)
        from deblurbench.methods.tiling import restore_tiled

        return restore_tiled(self.method.restore, frames, self.order["tile"], self.order["multiple_of"])

    def timed(self, walk: Any) -> Any:
        """Each restored frame with the seconds it took, without what handing frames over took."""
        while True:
            self.waited = 0.0
            begin = self.now()
            with autocast(self.order["precision"], self.device):
                restored = next(walk, None)
            seconds = self.now() - begin - self.waited
            if restored is None:
                return
            yield restored, seconds

    def hand_over(self, restored: Any, seconds: float, count: int) -> None:
        """Copy a restored frame into a free slot and announce it."""
        import torch

        from deblurbench.methods.base import check_restored

        check_restored(restored, self.shape, count)
        if count > self.given:
            raise Fault("contract", f"the method yields a frame {count}, before it was given that many")
        slot = self.free.get()
        place = torch.frombuffer(
            self.memory, dtype=torch.float32, count=self.values, offset=slot * self.values * FLOAT32
        )
        place.copy_(restored.detach().to(torch.float32).reshape(-1))
        self.answer("restored", slot=slot, seconds=seconds)


def describe(error: BaseException) -> dict:
    """The cause of a failure: a short kind, one sentence, and the traceback."""
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))[-8000:]
    if isinstance(error, Fault):
        return {"kind": error.kind, "reason": str(error), "traceback": text}
    if isinstance(error, ContractError):
        return {"kind": "contract", "reason": str(error), "traceback": text}
    if isinstance(error, UsageError):
        return {"kind": "refused", "reason": str(error), "traceback": text}
    if isinstance(error, SystemExit):
        return {"kind": "left", "reason": reason_of(error), "traceback": text}
    return {"kind": kind_of(error), "reason": reason_of(error)[:2000], "traceback": text}


def listen(source: Any, clips: queue.Queue, restorers: list) -> None:
    """Hand every order to whom it concerns; leave the process when the parent has closed the pipe."""
    for line in source:
        order = json.loads(line)
        if order["order"] in ("make", "clip"):
            clips.put(order)
        elif order["order"] == "taken":
            restorers[0].free.put(order["slot"])
        else:
            restorers[0].frames.put(order)
    os._exit(0)


def main() -> None:
    """Load the method, report it ready, then restore clip after clip until the pipe closes."""
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    source = os.fdopen(os.dup(0), "r", encoding="utf-8")
    os.dup2(2, 1)  # whatever a method prints goes to the log
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = [sys.executable]
    lock = threading.Lock()
    clips: queue.Queue = queue.Queue()
    restorers: list = []
    threading.Thread(target=listen, args=(source, clips, restorers), daemon=True).start()

    def answer(event: str, **more: Any) -> None:
        with lock:
            answers.write(json.dumps({"event": event, **more}) + "\n")
            answers.flush()

    try:
        restorers.append(Restorer(clips.get(), answer))
        answer("ready", **restorers[0].ready())
        while True:
            restorers[0].clip(clips.get())
    except BaseException as error:  # told in full; the parent starts another process for the next clip
        answer("failed", **describe(error))
        os._exit(1)


if __name__ == "__main__":
    main()
