"""SRN's ablations: the parameter counts of the paper's Table 1, scales, memory, and that srn:rgb stays as it was."""

import hashlib

import pytest
import torch

from deblurbench.registry.discovery import plugin
from tests.descent import losses_over_steps

CARD = plugin("methods", "srn").card
SRN = plugin("methods", "srn").load()
from deblurbench.methods.srn.names import layers  # noqa: E402

TABLE = {
    "SS": 2.73, "SC": 8.19, "woR": 2.73, "RNN": 3.03, "SR-ED": 3.76,
    "SR-EDRB1": 2.21, "SR-EDRB2": 2.99, "SR-EDRB3": 3.76,
}  # fmt: skip
NEAR = {"SR-Flat": 2.66, "SR-RB": 2.66}
RGB_KEYS = "9e536c6f7296312da21e173d0ee8f20c448850704320c2c0d0bb69640df203d7"


def make(variant):
    torch.manual_seed(0)
    return SRN(**CARD.variants[variant].parameters)


def size(variant):
    with torch.device("meta"):
        return sum(p.numel() for p in make(variant).network.parameters())


@pytest.mark.parametrize("variant", [*TABLE, *NEAR])
def test_parameters_are_the_table_s(variant):
    count = size(variant)
    assert count == CARD.variants[variant].parameter_count
    if variant in TABLE:
        assert round(count / 1e6, 2) == TABLE[variant]
    else:
        assert abs(count / 1e6 - NEAR[variant]) < 0.03
    assert CARD.variants[variant].of_the_paper and not any(w.variant == variant for w in CARD.weights)


def test_kernels_are_three_but_for_the_transposed_ones():
    for variant in [*TABLE, *NEAR]:
        with torch.device("meta"):
            network = make(variant).network
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
                assert module.kernel_size == ((4, 4) if isinstance(module, torch.nn.ConvTranspose2d) else (3, 3))


def test_the_flat_ones_have_as_many_layers_as_the_paper_s_model():
    for variant in (*NEAR, "SR-EDRB3", "SR-ED"):
        with torch.device("meta"):
            modules = make(variant).network.modules()
        assert sum(isinstance(m, torch.nn.Conv2d | torch.nn.ConvTranspose2d) for m in modules) == 43


def test_the_keys_of_rgb_are_unchanged():
    """Weights were trained under these names; names.py lists the layers independently of the network."""
    with torch.device("meta"):
        keys = sorted(make("rgb").network.state_dict())
    assert keys == sorted(f"{layer}.{kind}" for layer in layers().values() for kind in ("weight", "bias"))
    assert hashlib.sha256("\n".join(keys).encode()).hexdigest() == RGB_KEYS


@pytest.mark.parametrize("variant", ["SS", "SC", "RNN", "SR-ED", "SR-EDRB1"])
@torch.no_grad()
def test_identity_initialisation_copies_the_frame(variant):
    ours = make(variant)
    ours.initialise(identity=True, xavier_uniform=True)
    frame = torch.rand(3, 16, 32)
    assert (ours.restore_window(frame[None]) - frame).abs().max() < 1e-5


@torch.no_grad()
def test_scales_and_stages():
    frame = torch.rand(1, 3, 16, 32)
    assert [p.shape[-2:] for p in make("SS").network(frame)] == [(16, 32)]
    assert [p.shape[-2:] for p in make("SC").network(frame)] == [(4, 8), (8, 16), (16, 32)]
    assert len(make("SC").network.stages) == 3 and len(make("woR").network.stages) == 1


@pytest.mark.parametrize(("variant", "remembers"), [("woR", False), ("RNN", True), ("SR-EDRB1", True), ("SR-RB", True)])
def test_only_the_recurrent_ones_carry_a_state_between_scales(variant, remembers):
    network = make(variant).network
    states = []
    network.stages[0].register_forward_hook(lambda _, inputs, out: states.append(out[1]))
    last = network(torch.rand(1, 3, 16, 16))[-1]
    assert bool(states[0]) == remembers
    if remembers:
        assert float(torch.autograd.grad(last.sum(), states[0][0])[0].abs().sum()) > 0


@pytest.mark.parametrize("variant", ["SR-EDRB1", "SR-Flat"])
def test_a_step_lowers_the_loss(variant):
    ours = make(variant)
    ours.initialise(identity=True, xavier_uniform=True)
    blurry, sharp = torch.rand(1, 1, 3, 16, 16), torch.rand(1, 1, 3, 16, 16)
    before, after = losses_over_steps(ours, blurry, sharp, rate=3e-5, steps=2)
    assert after < before
