"""The state of one training run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from deblurbench.methods.base import Method
from deblurbench.registry.cards import MethodCard
from deblurbench.training import checkpoint as saved
from deblurbench.training.average import Average
from deblurbench.training.optimiser import Together
from deblurbench.training.pace import Spent, Sums
from deblurbench.training.recipe import Recipe, TrainRequest
from deblurbench.training.sources import Source
from deblurbench.training.validation import Held

CHECKPOINT = "checkpoint.pt"


class LossModule(nn.Module):
    """A method's loss as a module, so that DistributedDataParallel and torch.compile can wrap it."""

    def __init__(self, method: Method) -> None:
        super().__init__()
        assert method.network is not None
        self.network = method.network
        self.training_only = method.training_only or nn.Module()
        self._loss = method.loss

    def forward(self, blurry: Tensor, sharp: Tensor) -> dict[str, Tensor]:
        """Named parts of the loss of clips (B, T, 3, H, W); "total" is what is minimised."""
        loss = self._loss(blurry, sharp)
        return loss if isinstance(loss, dict) else {"total": loss}


@dataclass(frozen=True)
class Ranks:
    """This process among those that torchrun started: 0 of 1 without it."""

    rank: int
    world: int
    local: int

    @classmethod
    def of_environment(cls) -> Ranks:
        """From torchrun's environment variables."""
        rank, world, local = (int(os.environ.get(n, d)) for n, d in (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0)))
        return cls(rank, world, local)


@dataclass
class Data:
    """Where batches come from, which clips are held out, and what the weights will have seen."""

    source: Source
    held: list[Held]
    trained_on: tuple[str, ...]
    name: str

    @property
    def contents(self) -> str:
        """sha256 over the names of what batches are drawn from; empty where the source does not tell them."""
        names = getattr(self.source, "contents", None)
        return hashlib.sha256(json.dumps(names).encode()).hexdigest() if names else ""


@dataclass
class Run:
    """A run in progress. `step` counts finished steps; `elapsed` is seconds of training, earlier parts included."""

    request: TrainRequest
    recipe: Recipe
    card: MethodCard
    variant: str
    method: Method
    module: LossModule
    optimiser: Together
    average: Average | None
    data: Data
    device: str
    ranks: Ranks
    step: int = 0
    elapsed: float = 0.0
    best: dict[str, Any] = field(default_factory=dict)
    started_from: dict[str, Any] = field(default_factory=dict)
    pace: Spent = field(default_factory=Spent)
    sums: Sums = field(default_factory=Sums)

    @property
    def steps(self) -> int | None:
        """Length in steps, from the recipe's epochs or steps; None where only time limits it."""
        per_epoch = getattr(self.data.source, "steps_per_epoch", None)
        if self.recipe.epochs and per_epoch:
            return max(1, self.recipe.epochs * per_epoch // self.ranks.world)
        return self.recipe.steps

    @property
    def network(self) -> nn.Module:
        """The network that is trained, without the gate or other training-only parts."""
        return self.module.network

    @property
    def checkpoint_file(self) -> Path:
        """Where the run saves itself."""
        return self.request.output / CHECKPOINT

    def checkpoint(self) -> saved.Checkpoint:
        """The whole state of the run."""
        return saved.Checkpoint(
            method=self.card.name,
            variant=self.variant,
            recipe=self.recipe.model_dump(mode="json"),
            data=self.data.name,
            seed=self.request.seed,
            step=self.step,
            elapsed=self.elapsed,
            network=self.network.state_dict(),
            training_only=self.module.training_only.state_dict(),
            average=self.average.weights if self.average else {},
            optimiser=self.optimiser.state_dict(),
            random=saved.random_states(self.device),
            best=self.best,
            started_from=self.started_from,
            pace=dataclasses.asdict(self.pace),
            sums=dataclasses.asdict(self.sums),
            trained_on=list(self.data.trained_on),
            contents=self.data.contents,
            world=self.ranks.world,
        )

    def resume(self, state: saved.Checkpoint) -> None:
        """Go back to a checkpoint's state."""
        self.network.load_state_dict(state.network)
        self.module.training_only.load_state_dict(state.training_only)
        self.optimiser.load_state_dict(state.optimiser)
        if self.average:
            self.average.load(state.average)
        saved.set_random_states(state.random, self.device)
        self.step, self.elapsed, self.best = state.step, state.elapsed, state.best
        self.pace, self.sums = Spent(**state.pace), Sums(**state.sums)
