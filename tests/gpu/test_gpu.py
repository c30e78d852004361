"""The same numbers on a GPU as on the CPU: restoring, losses, batches, and a training that is resumed."""

import json

import numpy as np
import pytest
import torch

from deblurbench.datasets.opening import open_dataset
from deblurbench.datasets.synthesis.photos import Photo
from deblurbench.datasets.synthesis.recipe import Recipe
from deblurbench.datasets.synthesis.source import TrainingSource
from deblurbench.registry.discovery import plugin
from deblurbench.training import loop
from deblurbench.training.log import read_log
from deblurbench.training.recipe import TrainRequest
from deblurbench.training.sources import FileSource
from tests.unit.test_synthesis import picture

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device that torch can use"),
]
DEVICE = "cuda:0"


@pytest.mark.parametrize(("precision", "most"), [("fp32", 0.01), ("tf32", 0.02), ("bf16", 0.1)])
@pytest.mark.parametrize("name", ["ifirnn:C1H1", "ifirnn:C2H3-reg", "srn:rgb"])
def test_psnr_agrees_with_the_cpus(name, precision, most):
    from benchmarks.gpu import _mean_psnr

    dataset, protocol = open_dataset("mini", None)
    clip = dataset.clips(protocol, "test")[0]
    blurry, sharp = list(clip.blurry)[:6], list(clip.sharp or ())[:6]
    cpu = _mean_psnr(name, "cpu", "fp32", blurry, sharp)
    assert _mean_psnr(name, DEVICE, precision, blurry, sharp) == pytest.approx(cpu, abs=most)


@pytest.mark.parametrize("variant", ["C1H1", "C2H3"])
def test_losses_and_gradients_agree_with_the_cpus(variant):
    parameters = plugin("methods", "ifirnn").card.variants[variant].parameters
    torch.manual_seed(0)
    blurry, sharp = torch.rand(2, 1, 2, 3, 32, 32)
    found = []
    for device in ("cpu", DEVICE):
        torch.manual_seed(1)
        method = plugin("methods", "ifirnn").load()(**parameters)
        method.network.to(device)
        loss = method.loss(blurry.to(device), sharp.to(device))
        total = loss["total"] if isinstance(loss, dict) else loss
        total.backward()
        found.append((total.item(), torch.cat([p.grad.flatten().cpu() for p in method.network.parameters()])))
    (one, grads), (two, others) = found
    assert two == pytest.approx(one, rel=1e-4)
    assert torch.nn.functional.cosine_similarity(grads, others, dim=0) > 0.9999


def test_synthesised_batches_are_the_cpus_but_for_noise_and_rounding():
    batches = []
    for device in ("cpu", DEVICE):
        photos = [Photo.of(f"p{seed}", picture(seed), device) for seed in range(3)]
        recipe = Recipe().changed({"noise": 0.0})
        batches.append(TrainingSource(photos, recipe, batch=2, frames=3, crop=64, seed=5).batch(3))
    assert batches[1].blurry.device.type == "cuda" and batches[0].origin == batches[1].origin
    for side in ("blurry", "sharp"):
        difference = (getattr(batches[0], side) - getattr(batches[1], side).cpu()).abs()
        assert difference.max() <= 2.001 / 255 and (difference > 0).float().mean() < 0.02


def test_batches_of_files_are_finished_on_the_device(tmp_path):
    from tests.unit.test_training_sources import clip

    made = [
        FileSource([clip(tmp_path / device[:3], "a")], batch=2, frames=3, crop=32, noise=2.0, seed=1, device=device)
        for device in ("cpu", DEVICE)
    ]
    one, two = (source.batch(4) for source in made)
    assert two.blurry.device.type == "cuda" and torch.equal(one.sharp, two.sharp.cpu())
    spread = (two.blurry - two.sharp).flatten(1).std(1)
    assert bool((spread > 0).all())


@pytest.mark.parametrize("variant", ["C1H1", "C2H3-reg"])
def test_a_training_lowers_the_loss_and_resumes(tmp_path, variant, monkeypatch):
    monkeypatch.setattr(loop, "LOG_EVERY", 1)

    def train(folder, **more):
        loop.train(
            TrainRequest(
                method="ifirnn", variant=variant, dataset="mini", output=folder, device=DEVICE, quiet=True,
                settings=("steps=30", "batch=2", "frames=3", "crop=64", "validation_clips=1", "validation_frames=1"),
                **more,
            )
        )  # fmt: skip
        return [record["loss"] for record in read_log(folder / "log.jsonl") if "loss" in record]

    straight = train(tmp_path / "straight")
    train(tmp_path / "halves", limit_steps=11)
    assert train(tmp_path / "halves", resume=True) == pytest.approx(straight, rel=0.05, abs=0.05)
    assert np.isfinite(straight).all() and len(straight) == 30


def test_random_weights_run_and_are_marked(tmp_path):
    from click.testing import CliRunner

    from deblurbench.cli.main import cli

    words = ["run", "--methods", "rdn", "--dataset", "mini", "--limit", "1", "--device", DEVICE, "--random-weights",
             "--in-process", "--metrics", "psnr", "--output", str(tmp_path / "out")]  # fmt: skip
    done = CliRunner().invoke(cli, words, standalone_mode=False)
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "out" / "run.json").read_text())
    assert [m["random_weights"] for m in told["methods"]] == [False, True]
    assert all(outcome["peak_memory"] for outcome in told["outcomes"] if outcome["method"] != "identity")


def test_the_benchmark_runs(tmp_path):
    from benchmarks.gpu import main

    main(["--seconds", "0.2", "--small", "--output", str(tmp_path / "gpu.json")])
    told = json.loads((tmp_path / "gpu.json").read_text())
    assert told["inference"][0]["event_seconds"] and told["training"][0]["frames_per_s"] > 0
