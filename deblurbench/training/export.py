"""What a training run leaves behind: weights.safetensors and training.json."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save
from torch import Tensor

from deblurbench import provenance
from deblurbench.frames.files import write_atomically

if TYPE_CHECKING:
    from deblurbench.training.run import Run


def export(run: Run, validation: dict[str, Any], name: str = "weights") -> None:
    """Write NAME.safetensors (averaged weights where the recipe averages) and training.json beside it.

    Raises:
        DiskError: no space or no permission.
    """
    weights = run.average.weights if run.average else run.network.state_dict()
    folder = run.request.output
    body = save(_plain(weights, run.recipe.half))
    write_atomically(folder / f"{name}.safetensors", body)
    told = {**describe(run, validation), "sha256": hashlib.sha256(body).hexdigest()}
    story = json.dumps(told, indent=2) + "\n"
    write_atomically(folder / "training.json", story.encode())


def describe(run: Run, validation: dict[str, Any]) -> dict[str, Any]:
    """How the weights came about."""
    return {
        "method": run.card.name,
        "variant": run.variant,
        "recipe": run.request.recipe,
        "settings": list(run.request.settings),
        "resolved": run.recipe.model_dump(mode="json"),
        "seed": run.request.seed,
        "steps": run.step,
        "hours": round(run.elapsed / 3600, 3),
        **run.pace.shares(),
        "minutes_asked": run.request.minutes,
        "device": torch.cuda.get_device_name(run.device) if run.device.startswith("cuda") else provenance.cpu_name(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "commit": provenance.source_state().get("commit", provenance.source_state()["version"]),
        "data": run.data.name,
        "trained_on": list(dict.fromkeys([*run.started_from.get("trained_on", ()), *run.data.trained_on])),
        "started_from": run.started_from or None,
        "validation": validation,
        **run.request.told,
    }


def _plain(weights: dict[str, Tensor], half: bool) -> dict[str, Tensor]:
    """On the CPU, floats in half or full precision; counters and tables of indices keep their type."""
    dtype = torch.float16 if half else torch.float32
    return {
        key: value.detach().to("cpu", dtype if value.is_floating_point() else value.dtype).contiguous()
        for key, value in weights.items()
    }
