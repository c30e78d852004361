"""What is told of a failed clip, and whether it is worth another try."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path

from deblurbench.backends.base import FailedElsewhere
from deblurbench.backends.device import kind_of, reason_of
from deblurbench.errors import ContractError, DeblurbenchError, FrameError
from deblurbench.registry.cards import Needs
from deblurbench.results.manifest import Outcome

OUT_OF_MEMORY = "out of memory"
POISONED = ("CUDA error", "CUBLAS_STATUS", "cuBLAS", "CUDNN_STATUS", "cuDNN error")
"""Words of errors after which a process can no longer use its GPU."""
UNSUPPORTED = "unsupported on this device with this precision; try --precision fp32 or another --device."


def tile_to_try(needs: Needs, before: int) -> int | None:
    """Side of the tiles in which a clip is tried again if memory runs out: the card permits it, and it is smaller.

    `before` is the side of the tiles so far, or the longer one of the frames.
    """
    tile = needs.retry_tile
    return tile if tile and tile < before else None


def is_poisoned(outcome: Outcome) -> bool:
    """Whether a clip failed by an error after which a process can no longer use its GPU."""
    text = f"{outcome.reason}\n{outcome.traceback}" if outcome.status != "ok" else ""
    return any(word in text for word in POISONED)


def suggest_tile_size(tile: int | None, sides: Sequence[int] = ()) -> int:
    """Tile size to suggest after an out-of-memory error: half of the last, or of the longer side, in steps of 32."""
    return max(64, (tile or max(sides, default=1024)) // 64 * 32)


def _where(error: BaseException) -> str:
    """' (method.py:7)': the last line of a plugin's own code."""
    ours = Path(__file__).parents[1]
    lines = [
        f"{Path(frame.filename).name}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if not Path(frame.filename).is_relative_to(ours) and "site-packages" not in frame.filename
    ]
    return f" ({lines[-1]})" if lines else ""


def describe_failure(error: BaseException, tile: int = 512) -> dict[str, str]:
    """The cause of a failed clip: a short kind, one sentence, and the traceback. `tile` is named if memory ran out."""
    named = [note for note in getattr(error, "__notes__", []) if note.startswith("frame ")]  # restoring.py
    where = _where(error)
    kind, reason = kind_of(error), f"{''.join(f'{frame}: ' for frame in named)}{reason_of(error)}{where}"
    if isinstance(error, FrameError):
        kind, reason = "corrupt input", str(error)
    elif isinstance(error, ContractError):
        kind, reason = "invalid output", str(error)
    elif isinstance(error, DeblurbenchError):
        kind, reason = "refused", str(error)
    elif isinstance(error, FailedElsewhere):
        kind, reason = error.kind, error.reason
    elif isinstance(error, SystemExit):
        kind = "left"
    if kind == OUT_OF_MEMORY:
        reason = f"{reason.splitlines()[0][:200]}. Try --tile {tile}, or --precision bf16."
    elif kind == "unsupported":
        reason = f"{reason.removesuffix(where).splitlines()[0][:200]}{where}: {UNSUPPORTED}"
    text = error.traceback if isinstance(error, FailedElsewhere) else "".join(traceback.format_exception(error))
    return {"kind": kind, "reason": reason, "traceback": text[-8000:]}
