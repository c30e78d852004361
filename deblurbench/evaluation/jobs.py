"""The work that a worker process is given, as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from deblurbench.backends.load import MethodJob

if TYPE_CHECKING:
    from deblurbench.evaluation.plan import PlannedMethod


class ClipJob(BaseModel):
    """One clip of a run: how many frames, which are scored, which are saved, and the key of the part to write."""

    model_config = ConfigDict(extra="forbid")

    clip: str
    frames: int
    scored: list[str]
    saved: list[str]
    key: dict[str, Any]


def job_outside_run(planned: PlannedMethod, device: str, precision: str = "fp32", **more: Any) -> MethodJob:
    """A method that restores outside a run: it has neither a dataset nor a place to write to."""
    values: dict[str, Any] = {
        "id": planned.id, "name": planned.plugin.reference, "variant": planned.variant, "output": "",
        "weights": str(planned.weights.file) if planned.weights else None, "dataset": "", "data_root": None,
        "split": "", "metrics": [], "device": device, "precision": precision, "tile": None, "seed": 0,
    }  # fmt: skip
    return MethodJob(**{**values, **more})
