"""deblurbench: find out which video deblurring method is really better.

The names below are the whole public interface; every other module is internal. They are imported when first used, so
that `import deblurbench` stays fast and imports neither torch nor pandas. docs/python.md shows them in use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PLACES = {
    "api": (
        "LoadedMethod", "MetricFunction", "OpenedDataset", "Run", "evaluate", "load_method", "metric", "open_dataset",
        "open_run", "wrap",
    ),
    "methods.base": ("FrameMethod", "Method", "RecurrentMethod", "WindowMethod"),
    "errors": (
        "CardError", "ContractError", "DamagedError", "DeblurbenchError", "DifferenceError", "DiskError", "FrameError",
        "MissingError", "UsageError",
    ),
}  # fmt: skip
"""The module of each public name."""
_MODULES = {name: module for module, names in _PLACES.items() for name in names}

if TYPE_CHECKING:
    from deblurbench.api import (
        LoadedMethod,
        MetricFunction,
        OpenedDataset,
        Run,
        evaluate,
        load_method,
        metric,
        open_dataset,
        open_run,
        wrap,
    )
    from deblurbench.errors import (
        CardError,
        ContractError,
        DamagedError,
        DeblurbenchError,
        DifferenceError,
        DiskError,
        FrameError,
        MissingError,
        UsageError,
    )
    from deblurbench.methods.base import FrameMethod, Method, RecurrentMethod, WindowMethod

__all__ = [
    "CardError",
    "ContractError",
    "DamagedError",
    "DeblurbenchError",
    "DifferenceError",
    "DiskError",
    "FrameError",
    "FrameMethod",
    "LoadedMethod",
    "Method",
    "MetricFunction",
    "MissingError",
    "OpenedDataset",
    "RecurrentMethod",
    "Run",
    "UsageError",
    "WindowMethod",
    "__version__",
    "evaluate",
    "load_method",
    "metric",
    "open_dataset",
    "open_run",
    "wrap",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module when it is first used (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module 'deblurbench' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(importlib.import_module(f"deblurbench.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
