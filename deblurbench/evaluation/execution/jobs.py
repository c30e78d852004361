"""The work of a worker process, as data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from deblurbench.backends.failures import OUT_OF_MEMORY, is_poisoned
from deblurbench.backends.load import MethodJob
from deblurbench.results.manifest import Outcome

if TYPE_CHECKING:
    from deblurbench.evaluation.plan import PlannedMethod


class ClipJob(BaseModel):
    """One clip of a run: how many frames, which are scored, which are saved, and the key of the part to write.

    `retry_tile` is the side of the tiles in which the clip is restored again if memory runs out; None: it is not.
    """

    model_config = ConfigDict(extra="forbid")

    clip: str
    frames: int
    scored: list[str]
    saved: list[str]
    key: dict[str, Any]
    retry_tile: int | None = None


@dataclass(frozen=True)
class Unit:
    """One method on one clip: what an executor is given, and what can be done again on its own."""

    method: MethodJob
    clip: ClipJob

    @property
    def name(self) -> tuple[str, str]:
        """The method's id and the clip's name."""
        return self.method.id, self.clip.clip

    @property
    def worker_key(self) -> tuple[str, int | None]:
        """What a worker is loaded for: units with the same key can share it."""
        return self.method.id, self.method.tile if self.method.again else None

    def retry(self, outcome: Outcome) -> Unit | None:
        """The same clip in tiles, where memory ran out and the card permits it; a clip is tried again once."""
        tile = self.clip.retry_tile
        if outcome.kind != OUT_OF_MEMORY or tile is None or self.method.again:
            return None
        return replace(self, method=self.method.model_copy(update={"tile": tile, "again": True}))

    def spoils_worker(self, outcome: Outcome) -> bool:
        """Whether the worker has to be replaced: it holds the memory, or a GPU context that no longer works."""
        return self.retry(outcome) is not None or is_poisoned(outcome)


def job_outside_run(planned: PlannedMethod, device: str, precision: str = "fp32", **more: Any) -> MethodJob:
    """A method that restores outside a run: it has neither a dataset nor a folder to write to."""
    values: dict[str, Any] = {
        "id": planned.id, "name": planned.plugin.reference, "variant": planned.variant, "output": "",
        "weights": str(planned.weights.file) if planned.weights else None, "dataset": "", "data_root": None,
        "split": "", "metrics": [], "device": device, "precision": precision, "tile": None, "seed": 0,
    }  # fmt: skip
    return MethodJob(**{**values, **more})
