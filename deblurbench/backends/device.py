"""The device that a method runs on: choosing it, its precision and seeds, and what its errors mean.

A separate Python environment imports this module without the package's dependencies: the syntax is Python 3.9's, and
what is not in the standard library is imported inside functions.
"""

from __future__ import annotations

import contextlib
import random
from typing import Any

from deblurbench.errors import UsageError
from deblurbench.text import counted

OUT_OF_MEMORY = ("out of memory", "DefaultCPUAllocator", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


UNSUPPORTED = (
    "not implemented for 'Half'", "not implemented for 'BFloat16'", "not implemented for 'ComplexHalf'",
    "Could not run 'aten::", "not currently implemented for", "Unsupported dtype Half", "Unsupported dtype BFloat16",
    "Low precision dtypes not supported", "powers of two when computing in half precision",
)  # fmt: skip


def cuda_devices() -> int:
    """How many CUDA devices this torch can use."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def find_device(device: str) -> str | None:
    """`auto`, `cpu`, `cuda` or `cuda:N` as the name of a device that torch can use; None where it is not there."""
    count = cuda_devices()
    if device == "auto":
        return "cuda:0" if count else "cpu"
    if device == "cpu":
        return "cpu"
    kind, _, index = device.partition(":")
    if kind != "cuda" or (index and not index.isdigit()) or int(index or 0) >= count:
        return None
    return f"cuda:{int(index or 0)}"


def autocast(precision: str, device: str) -> contextlib.AbstractContextManager[Any]:
    """The context in which a method computes under `bf16` or `fp16`; nothing for `fp32` and `tf32`."""
    import torch

    kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
    if precision in kinds:
        return torch.autocast(device.split(":")[0], dtype=kinds[precision])
    return contextlib.nullcontext()


def peak_memory(device: str) -> int | None:
    """Peak bytes of device memory of this process, or of resident memory on a CPU."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource
    except ImportError:  # not a POSIX system
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def set_precision_flags(precision: str) -> None:
    """Float32 products exactly, or through tf32 where asked; convolutions chosen deterministically."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True


def prefer_channels_last(network: Any) -> None:
    """Lay out pictures' kernels as GPUs like them best; tensors of other ranks (Conv3d has five) stay as they are."""
    import torch

    for tensor in [*network.parameters(), *network.buffers()]:
        if tensor.ndim == 4 and tensor.is_floating_point():
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)


def seed_everything(seed: int) -> None:
    """Seed Python, torch, and numpy where it is there."""
    import torch

    random.seed(seed)
    torch.manual_seed(seed)
    with contextlib.suppress(ImportError):
        import numpy as np

        np.random.seed(seed % 2**32)


def reason_of(error: BaseException) -> str:
    """An exception in one sentence: its class and text, or that the method wanted to end the whole process."""
    if isinstance(error, SystemExit):
        return f"the method called sys.exit({'' if error.code is None else repr(error.code)})"
    return f"{type(error).__name__}: {error}"


def kind_of(error: BaseException) -> str:
    """`out of memory`, of a device or the host, `unsupported` by a device or a precision, or else `raised`.

    By what Python, torch and CUDA's libraries raise.
    """
    if type(error).__name__ in ("OutOfMemoryError", "MemoryError") or isinstance(error, MemoryError):
        return "out of memory"
    text = str(error) if isinstance(error, RuntimeError) else ""
    if any(words in text for words in OUT_OF_MEMORY):
        return "out of memory"
    return "unsupported" if any(words in text for words in UNSUPPORTED) else "raised"


def resolve_device(name: str, environment: str = "") -> str:
    """`auto`, `cpu`, `cuda` or `cuda:N` to the name of a device that this Python's torch can use.

    `environment` names this Python in the error, where it is not the one of the user's command.

    Raises:
        UsageError: no such device.
    """
    device = find_device(name)
    if device is None:
        where = f" for {environment}" if environment else ""
        advice = "Install a torch with CUDA there, or use --device cpu" if environment else "Use auto, cpu or cuda:N"
        raise UsageError(f"--device {name!r} is not available{where}: {cuda_devices()} CUDA device(s) found. {advice}.")
    return device


def describe_device(device: str) -> str:
    """The device in words, with the number of threads for a CPU."""
    import torch

    from deblurbench import provenance

    if device.startswith("cuda"):
        return f"{torch.cuda.get_device_name(device)} ({device}), CUDA {torch.version.cuda}"
    return f"CPU: {provenance.cpu_name()}, {counted(torch.get_num_threads(), 'thread')}"


def describe_runtime(device: str, seed: int) -> dict[str, Any]:
    """What torch computes with, beside the packages: threads, seed, precision flags, CUDA, cuDNN and the driver."""
    import torch

    from deblurbench import provenance

    cudnn = torch.backends.cudnn
    runtime: dict[str, Any] = {
        "seed": seed,
        "threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "tf32_matmul": torch.backends.cuda.matmul.allow_tf32,
        "tf32_cudnn": cudnn.allow_tf32,
        "cudnn_deterministic": cudnn.deterministic,
        "cudnn_benchmark": cudnn.benchmark,
    }
    if device.startswith("cuda"):
        runtime |= {"cuda": torch.version.cuda, "cudnn": cudnn.version(), "driver": provenance.driver_version()}
    return runtime
