"""LPIPS against the package `lpips` itself, and against published values where the trunks are on this machine."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from deblurbench.errors import MissingError
from deblurbench.metrics import METRICS
from deblurbench.metrics.lpips import LPIPS
from deblurbench.metrics.lpips_trunks import TRUNKS
from tests.golden.image_pairs import image_pairs
from tests.golden.lpips_twin import load_trunk, lpips_package, package_distance, trunk_state

PINNED = json.loads(Path(__file__).with_name("lpips.json").read_text())
QUICK = ("saturated-edges", "flat", "noisy", "dark", "odd-sized", "tiny")  # VGG-16 is slow on a CPU
FULL = "lpips_squeeze_v0.1_full.pt"


@pytest.mark.parametrize("name", TRUNKS)
def test_equals_the_package_with_any_trunk(name, tmp_path, monkeypatch):
    """Random trunks show that layers, taps, normalisation and heads are the package's."""
    twin = lpips_package(name, seed=11)
    torch.save(trunk_state(twin) | {"classifier.1.weight": torch.zeros(2, 2)}, tmp_path / f"{name}.pth")
    monkeypatch.setenv("DEBLURBENCH_LPIPS", str(tmp_path))
    ours = METRICS[f"lpips-{name}"].load()
    pairs = image_pairs(TRUNKS[name].smallest)
    for pair in QUICK if name == "vgg" else pairs:
        restored, sharp = pairs[pair]
        expected = package_distance(twin, restored, sharp)
        assert ours(restored, sharp) == pytest.approx(expected, abs=1e-6), pair


@pytest.mark.parametrize("name", TRUNKS)
def test_smallest_frame_is_the_smallest_that_the_trunk_takes(name, tmp_path, monkeypatch):
    smallest = TRUNKS[name].smallest
    twin = lpips_package(name)
    torch.save(trunk_state(twin), tmp_path / f"{name}.pth")
    monkeypatch.setenv("DEBLURBENCH_LPIPS", str(tmp_path))
    ours = METRICS[f"lpips-{name}"].load()
    frame = np.zeros((smallest, smallest, 3), np.uint8)
    assert np.isfinite(package_distance(twin, frame, frame + np.uint8(9)))
    assert ours(frame, frame) == 0
    with pytest.raises(ValueError, match=f"at least {smallest}x{smallest}"):
        ours(frame[1:], frame[1:])
    with pytest.raises(RuntimeError):
        package_distance(twin, frame[1:], frame[1:])


@pytest.fixture
def squeeze_file(real_data, monkeypatch):
    file = real_data / "weights" / FULL
    if not file.is_file():
        pytest.skip(f"{FULL} is not here")
    monkeypatch.setenv("DEBLURBENCH_LPIPS", str(file))
    return file


@pytest.mark.real_data
def test_the_example_of_torchmetrics_documentation(squeeze_file):
    """torchmetrics.functional.image.learned_perceptual_image_patch_similarity, net_type='squeeze': tensor(0.1008)."""
    torch.manual_seed(123)
    one = torch.rand(10, 3, 100, 100) * 2 - 1
    two = torch.rand(10, 3, 100, 100) * 2 - 1
    assert float(LPIPS("squeeze").distance(one, two).mean()) == pytest.approx(0.1008, abs=5e-5)


@pytest.mark.real_data
def test_squeeze_with_its_real_trunk_equals_the_package(squeeze_file):
    twin = lpips_package("squeeze")
    load_trunk(twin, torch.load(squeeze_file, weights_only=True))
    ours = METRICS["lpips-squeeze"].load()
    for pair, (restored, sharp) in image_pairs(31).items():
        assert ours(restored, sharp) == pytest.approx(package_distance(twin, restored, sharp), abs=1e-6), pair
        assert ours(restored, sharp) == pytest.approx(PINNED["squeeze"][pair], abs=2e-5), pair


@pytest.mark.parametrize("name", ["alex", "vgg"])
def test_real_trunks_give_the_pinned_values(name):
    """Runs where a trunk lies in torch's folder or at DEBLURBENCH_LPIPS; generate.py wrote the values."""
    try:
        ours = METRICS[f"lpips-{name}"].load()
    except MissingError as error:
        pytest.skip(f"{error} (now: {os.environ.get('DEBLURBENCH_LPIPS')})")
    pairs = image_pairs(31)
    for pair in QUICK if name == "vgg" else pairs:
        assert ours(*pairs[pair]) == pytest.approx(PINNED[name][pair], abs=2e-5), pair
