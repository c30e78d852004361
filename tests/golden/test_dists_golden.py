"""DISTS against torchmetrics' own network: with random trunks, and with the real one where it is on this machine."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

from deblurbench.errors import MissingError
from deblurbench.metrics import METRICS
from deblurbench.metrics.lpips_trunks import TRUNKS
from deblurbench.metrics.lpips_weights import load_trunk
from tests.golden.dists_twin import dists_distance, dists_network
from tests.golden.image_pairs import image_pairs

needs_torchmetrics = pytest.mark.skipif(
    importlib.util.find_spec("torchmetrics") is None, reason="torchmetrics is not installed: pip install '.[dists]'"
)
QUICK = ("blurred", "saturated-edges", "flat", "noisy", "dark", "odd-sized", "tiny")


@pytest.fixture(scope="module")
def random_trunk(tmp_path_factory):
    """A twin with a random trunk and ours with the same."""
    folder = tmp_path_factory.mktemp("trunk")
    torch.manual_seed(4)
    trunk = {key: torch.randn(shape) * 0.06 for key, shape in TRUNKS["vgg"].shapes().items()}
    torch.save(trunk, folder / "vgg.pth")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEBLURBENCH_LPIPS", str(folder))
        yield dists_network(trunk), METRICS["dists"].load()


@needs_torchmetrics
@pytest.mark.parametrize("pair", QUICK)
def test_equals_torchmetrics_with_any_trunk(random_trunk, pair):
    twin, ours = random_trunk
    restored, sharp = image_pairs(TRUNKS["vgg"].smallest)[pair]
    assert ours(restored, sharp) == pytest.approx(dists_distance(twin, restored, sharp), abs=1e-5)


@needs_torchmetrics
def test_with_the_real_trunk_it_equals_torchmetrics():
    try:
        ours, trunk = METRICS["dists"].load(), load_trunk("vgg", "dists")
    except MissingError as error:
        pytest.skip(str(error))
    twin = dists_network(trunk)
    for pair in ("blurred", "noisy", "odd-sized"):
        restored, sharp = image_pairs(31)[pair]
        assert ours(restored, sharp) == pytest.approx(dists_distance(twin, restored, sharp), abs=1e-5), pair


@needs_torchmetrics
def test_identical_frames_score_zero_and_small_ones_are_refused(random_trunk):
    _, ours = random_trunk
    frame = image_pairs(31)["noisy"][0]
    assert ours(frame, frame.copy()) == 0.0
    assert ours(frame, image_pairs(31)["noisy"][1]) > 0.001
    with pytest.raises(ValueError, match="at least 16x16"):
        ours(np.zeros((15, 40, 3), np.uint8), np.zeros((15, 40, 3), np.uint8))
    with pytest.raises(ValueError, match="float64"):
        ours(frame / 255, frame)


def test_without_the_trunk_it_says_which_file_and_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.delenv("DEBLURBENCH_LPIPS", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(MissingError, match=r"dists needs the VGG-16 weights vgg16-397923af\.pth.*data fetch dists"):
        METRICS["dists"].load()


def test_without_torchmetrics_it_says_what_to_install(tmp_path, monkeypatch):
    torch.save({key: torch.zeros(shape) for key, shape in TRUNKS["vgg"].shapes().items()}, tmp_path / "vgg.pth")
    monkeypatch.setenv("DEBLURBENCH_LPIPS", str(tmp_path))
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torchmetrics" else real(name))
    with pytest.raises(MissingError, match=r"pip install 'deblurbench\[dists\]'"):
        METRICS["dists"].load()
