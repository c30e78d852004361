"""The state of the machine while runtimes are measured: memory, clocks, other work."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass


SMI = ("clocks.sm", "clocks.mem", "power.draw", "temperature.gpu")


class Memory:
    """How far memory rises above where it stood, within a `with` block: `added` bytes, None where nobody can tell.

    On a GPU what torch has allocated, and in `host_added` the host's share; on a CPU the peak resident memory. That is
    what Linux counts (freed memory that the allocator holds is given back first, as far as it can be, so that it does
    not hide a rise).
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.added: int | None = None
        self.host_added: int | None = None
        self._on_gpu = device.startswith("cuda")

    def __enter__(self) -> Memory:
        """Note where memory stands and reset its peak."""
        if self._on_gpu:
            import torch

            torch.cuda.reset_peak_memory_stats(self.device)
            self._before = torch.cuda.memory_allocated(self.device)
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
        self._host_before: int | None = None
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
            self._host_before = _status_bytes("VmRSS")
        return self

    def __exit__(self, *_: object) -> None:
        """Read the peak."""
        peak = _status_bytes("VmHWM") if self._host_before is not None else None
        host = max(0, peak - self._host_before) if peak is not None and self._host_before is not None else None
        if not self._on_gpu:
            self.added = host
            return
        import torch

        self.host_added = host
        self.added = max(0, torch.cuda.max_memory_allocated(self.device) - self._before)


def _status_bytes(name: str) -> int | None:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return None


def machine_state(device: str) -> dict[str, Any]:
    """Load of the machine, and for a GPU clocks, power and temperature as the driver tells them."""
    state: dict[str, Any] = {"load": list(os.getloadavg()) if hasattr(os, "getloadavg") else None}
    state |= {"cores": os.cpu_count()}
    if device.startswith("cuda"):
        state |= dict(_smi(_uuid(device)))
    return state


def _uuid(device: str) -> str:
    """A GPU's name for nvidia-smi, which does not count as CUDA_VISIBLE_DEVICES does."""
    import torch

    return f"GPU-{torch.cuda.get_device_properties(device).uuid}"


def _smi(gpu: str) -> Iterator[tuple[str, str]]:
    words = ["nvidia-smi", f"--id={gpu}", f"--query-gpu={','.join(SMI)}", "--format=csv,noheader"]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(words, capture_output=True, text=True, timeout=10, check=False)
        if done.returncode == 0:
            yield from zip(SMI, (value.strip() for value in done.stdout.split(",")), strict=False)
