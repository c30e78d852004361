"""A small endless dataset, and trainings of six steps on it: what the tests of the training loop share."""

import textwrap

import pytest

from deblurbench.registry import discovery
from deblurbench.training import loop
from deblurbench.training.recipe import TrainRequest

DATASET = """
import torch
from typing import NamedTuple
from deblurbench.datasets.base import Dataset

class Batch(NamedTuple):
    blurry: torch.Tensor
    sharp: torch.Tensor
    origin: list

class Source:
    def __init__(self, batch, frames, crop, seed):
        self.shape, self.seed = (batch, frames, 3, *((crop, crop) if isinstance(crop, int) else crop)), seed
    def batch(self, step):
        g = torch.Generator().manual_seed(1000 * self.seed + step)
        sharp = torch.rand(self.shape, generator=g)
        blurry = 0.5 * sharp + 0.25
        if step == Blurs.poison:
            blurry[0, 0, 0, 0, 0] = float("nan")
        return Batch(blurry, sharp, [f"made {step}"])

class Blurs(Dataset):
    poison = None
    def training_source(self, protocol, *, batch, frames, crop, seed, device="cpu", share="train"):
        return Source(batch, frames, crop, seed if share == "train" else 77)
"""
TINY = (
    "batch=1",
    "frames=2",
    "crop=16",
    "steps=6",
    "validation_clips=0",
    "loss=mse",
    "learning_rate=1e-3",
    "warmup=0",
    "synthesis={}",
)


drawn = []  # figures are drawn by test_training_log.py


@pytest.fixture
def blurs(tmp_path, monkeypatch):
    folder = tmp_path / "plugins" / "datasets" / "blurs"
    folder.mkdir(parents=True)
    (folder / "card.yaml").write_text(
        "name: blurs\nentry: dataset:Blurs\ntitle: Blurs\nneeds_root: false\nprotocols: [{name: blurs}]\n"
    )
    (folder / "dataset.py").write_text(textwrap.dedent(DATASET))
    monkeypatch.setenv(discovery.ENVIRONMENT, str(tmp_path / "plugins"))
    monkeypatch.setattr(loop, "draw_log", lambda log, target: drawn.append((log, target)))
    drawn.clear()
    plugin = discovery.plugin("datasets", "blurs").load()
    monkeypatch.setattr(plugin, "poison", None)
    return plugin


def request(output, variant="C1H1", settings=(), **more):
    return TrainRequest(
        method="ifirnn", variant=variant, dataset="blurs", output=output, device="cpu", threads=1, quiet=True,
        settings=(*TINY, *settings), **more,
    )  # fmt: skip
