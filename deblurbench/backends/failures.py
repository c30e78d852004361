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

UNSUPPORTED = "unsupported on this device with this precision; try --precision fp32 or another --device."


def tile_to_try(outcome: Outcome, needs: Needs, before: int) -> int | None:
    """Side of the tiles in which a clip is tried again: memory ran out, its card permits it, they are under `before`.

    `before` is the side of the tiles so far, or the longer one of the frames. A clip is tried again once.
    """
    tile = needs.retry_tile
    if not tile or outcome.kind != "out of memory" or outcome.tile:
        return None
    return tile if tile < before else None


def smaller_tile(tile: int | None, sides: Sequence[int] = ()) -> int:
    """Tiles worth a try when memory runs out: half of those there were, or of the longer side; a multiple of 32."""
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
    if kind == "out of memory":
        reason = f"{reason.splitlines()[0][:200]}. Try --tile {tile}, or --precision bf16."
    elif kind == "unsupported":
        reason = f"{reason.removesuffix(where).splitlines()[0][:200]}{where}: {UNSUPPORTED}"
    told = error.traceback if isinstance(error, FailedElsewhere) else "".join(traceback.format_exception(error))
    return {"kind": kind, "reason": reason, "traceback": told[-8000:]}
