"""Muon: what it makes of a kernel, which parameters it takes, and that its state is kept."""

import copy

import pytest
import torch
from torch import nn

from deblurbench.training import optimiser as optimiser_module
from deblurbench.training.optimiser import MIXES, Muon, make_optimiser, orthogonalised
from deblurbench.training.recipe import Recipe


@pytest.mark.parametrize("shape", [(20, 180), (180, 20), (40, 40)])
def test_singular_values_are_brought_near_one_and_singular_vectors_stay(shape):
    torch.manual_seed(1)
    matrix = torch.randn(shape, dtype=torch.float64) * 100
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    found = u.T @ orthogonalised(matrix) @ vh.T
    values = found.diagonal()
    assert (found - values.diag()).abs().max() < 0.02  # orthogonal but for the last iteration's rounding
    assert values.min() > 0.3 and values.max() < 1.3
    assert values.std() < 0.25 < s.std() / s.mean() * 10
    assert not orthogonalised(torch.zeros(shape)).any()


@pytest.mark.parametrize("quick", [False, True])
def test_float32_iterates_in_bfloat16_where_the_processor_multiplies_it_and_ends_near_the_same(monkeypatch, quick):
    monkeypatch.setattr(optimiser_module, "multiplies_bfloat16", lambda: quick)
    torch.manual_seed(5)
    matrix = torch.randn(40, 360)
    found, exact = orthogonalised(matrix), orthogonalised(matrix.double()).float()
    assert found.dtype == torch.float32
    assert (found - exact).norm() / exact.norm() < (0.1 if quick else 1e-4)
    assert quick == bool((found != found.bfloat16().float()).sum() == 0)


def test_a_step_is_nesterovs_momentum_orthogonalised():
    torch.manual_seed(2)
    kernel = nn.Parameter(torch.randn(12, 8, 3, 3, dtype=torch.float64))
    before, gradients = kernel.detach().clone(), torch.randn(2, 12, 8, 3, 3, dtype=torch.float64)
    optimiser = Muon([kernel], lr=0.01, momentum=0.9)
    expected, mean = before, torch.zeros_like(before)
    for gradient in gradients:
        kernel.grad = gradient.clone()
        optimiser.step()
        mean = 0.9 * mean + 0.1 * gradient
        ahead = 0.1 * gradient + 0.9 * mean
        expected = expected - 0.01 * orthogonalised(ahead.reshape(12, 72)).reshape(12, 8, 3, 3)
    assert torch.allclose(kernel, expected, atol=1e-6)


def layers() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.Conv2d(16, 16, 3), nn.Conv2d(16, 16, 3, groups=16), nn.Conv2d(16, 3, 3)
    )


def train(module, optimiser, steps):
    frame, target = torch.rand(1, 3, 16, 16), torch.rand(1, 3, 8, 8)
    losses = []
    for _ in range(steps):
        optimiser.set_rate(1e-3)
        loss = (module(frame) - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses


def test_pictures_biases_and_depthwise_kernels_stay_with_adam():
    module = layers()
    optimiser = make_optimiser(module, Recipe(optimiser="muon", kernel_rate=7))
    adam, muon = optimiser.state_dict()["parts"]
    assert len(adam["param_groups"][0]["params"]) == 7 and len(muon["param_groups"][0]["params"]) == 1
    assert min(module[1].weight.shape[:2]) >= MIXES
    optimiser.set_rate(0.5)
    assert [part["param_groups"][0]["lr"] for part in optimiser.state_dict()["parts"]] == [0.5, 3.5]


def test_adam_alone_is_torchs_adam():
    ours, theirs = layers(), layers()
    together, adam = make_optimiser(ours, Recipe()), torch.optim.Adam(theirs.parameters(), lr=1e-3, fused=True)
    torch.manual_seed(4)
    train(ours, together, 3)
    adam.set_rate = lambda rate: None
    torch.manual_seed(4)
    train(theirs, adam, 3)
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    assert together.state_dict().keys() == adam.state_dict().keys()


def test_going_on_from_a_state_is_going_on():
    module = layers()
    optimiser = make_optimiser(module, Recipe(optimiser="muon"))
    torch.manual_seed(5)
    train(module, optimiser, 2)
    other = copy.deepcopy(module)
    again = make_optimiser(other, Recipe(optimiser="muon"))
    again.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    torch.manual_seed(6)
    first = train(module, optimiser, 3)
    torch.manual_seed(6)
    assert train(other, again, 3) == first and first[-1] < first[0]
