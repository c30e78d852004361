"""Compile loops with numba, keep the machine code on disk where that is possible, and do without where it is not.

The first process on a machine compiles for some seconds; the next ones load the code in milliseconds. numba keeps it
beside the source or, in a read-only installation, under the user's cache folder (NUMBA_CACHE_DIR overrides both).
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

# No `arcp`: x * (1 / x) is not always 1, and identical frames must score exactly 1.
# numpy's error model: Python's would test every divisor for zero, which keeps the loops from being vectorised.
FAST = {"nnan", "ninf", "nsz", "reassoc", "contract"}


def compiled(loop: Callable[..., float], *example: Any) -> Callable[..., float]:
    """`loop` as machine code that releases the GIL, compiled now by calling it on the `example` arguments.

    Falls back to a compilation that is not kept where no cache folder can be written or the disk is full.
    """
    import numba

    try:
        fast = numba.njit(loop, nogil=True, fastmath=FAST, error_model="numpy", cache=True)
        fast(*example)
    except (RuntimeError, OSError, EOFError, pickle.UnpicklingError):
        # numba's "no locator available" is a RuntimeError; a full disk an OSError; a damaged cache file one of the rest
        fast = numba.njit(loop, nogil=True, fastmath=FAST, error_model="numpy")
        fast(*example)
    return fast
