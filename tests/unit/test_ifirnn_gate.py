"""The stochastic regularisation of IFI-RNN's -reg variants (section 3.3 of the paper)."""

import pytest
import torch

from deblurbench.registry.discovery import plugin

IFIRNN = plugin("methods", "ifirnn").load()
from deblurbench.methods.ifirnn.gate import TARGET, Gate, gated_advance, regularisation  # noqa: E402


class Scripted(torch.nn.Module):
    """A gate that answers from a list: one (B,) tensor a call."""

    def __init__(self, answers):
        super().__init__()
        self.answers = iter(answers)

    def forward(self, hidden):
        return torch.tensor(next(self.answers), dtype=hidden.dtype)


def test_l_reg_is_the_papers_sum():
    gates = torch.tensor([[[1.0, 1, 0, 1], [1, 0, 0, 1]], [[1, 1, 1, 1], [0, 0, 0, 1]]])
    expected, frames = 0.0, 2
    for t in range(frames):
        for i in range(2):
            mean = sum(float(g) for g in gates[t, i]) / 4
            expected += (mean - 0.75) ** 2
    assert float(regularisation(gates)) == pytest.approx(expected / frames)


def test_l_reg_vanishes_only_at_the_target():
    assert float(regularisation(torch.tensor([[[1.0, 1, 1, 0]]]))) == 0
    assert float(regularisation(torch.ones(5, 3, 4))) == pytest.approx(3 * 0.25**2)


def test_total_is_content_plus_ten_times_l_reg():
    torch.manual_seed(0)
    with torch.no_grad():
        parts = IFIRNN(2, 3, True).loss(torch.rand(2, 2, 3, 16, 16), torch.rand(2, 2, 3, 16, 16))
    assert float(parts["total"]) == pytest.approx(float(parts["content"] + 10 * parts["regularisation"]), rel=1e-6)


@torch.no_grad()
def test_each_sample_stops_by_itself():
    """Sample 0 stops after one iteration, 1 after two, 2 runs all three: each equals a fixed network of that length."""
    torch.manual_seed(1)
    network = IFIRNN(1, 3, True).network
    blurry, hidden = torch.rand(3, 3, 16, 16) - 0.5, torch.rand(3, 20, 4, 4)
    gate = Scripted([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 1.0]])
    joint, state, gates = gated_advance(network, gate, network.blur_features(blurry), hidden)
    restored = network.latent(joint, blurry)
    assert gates.tolist() == [[0, 1, 1], [0, 0, 1], [0, 0, 1]]
    for sample, iterations in enumerate((1, 2, 3)):
        network.iterations = iterations
        one, h = network(blurry[sample : sample + 1], hidden[sample : sample + 1])
        assert torch.allclose(restored[sample], one[0], atol=1e-5)
        assert torch.allclose(state[sample], h[0], atol=1e-5)


def test_the_gate_is_pooling_two_layers_and_a_hard_gumbel_sample():
    """Transcribed by hand, value and gradient: the sample is hard, the gradient that of the soft one."""
    torch.manual_seed(3)
    gate, hidden = Gate().double(), torch.randn(5, 20, 3, 4, dtype=torch.float64)
    first, second = gate.scores[0], gate.scores[2]
    with torch.no_grad():
        second.weight.normal_(), first.bias.normal_()
    weigh = torch.arange(1.0, 6.0)

    torch.manual_seed(4)
    found = gate(hidden)
    (found * weigh).sum().backward()
    got = [p.grad.clone() for p in (first.weight, first.bias, second.weight, second.bias)]

    torch.manual_seed(4)
    drawn = torch.empty(5, 2).exponential_()  # -log of it is Gumbel's
    layers = (first.weight, first.bias, second.weight, second.bias)
    w1, b1, w2, b2 = (p.detach().clone().requires_grad_() for p in layers)
    pooled = torch.stack([hidden[:, :, y, x] for y in range(3) for x in range(4)]).sum(0) / 12
    between = torch.clamp(pooled @ w1.T + b1, min=0)
    scores = (between @ w2.T + b2).float() - drawn.log()
    soft = torch.exp(scores / 1.0) / torch.exp(scores / 1.0).sum(1, keepdim=True)
    assert torch.equal(found.detach(), (scores[:, 1] > scores[:, 0]).float())
    (soft[:, 1] * weigh).sum().backward()
    for mine, theirs in zip(got, (w1.grad, b1.grad, w2.grad, b2.grad), strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-4, atol=1e-6) and bool(theirs.any())


def test_samples_are_hard_start_near_the_target_and_carry_gradients():
    torch.manual_seed(2)
    gate = Gate()
    sample = gate(torch.randn(4000, 20, 2, 2))
    assert set(sample.tolist()) <= {0.0, 1.0}
    assert 0.7 < float(sample.detach().mean()) < 0.8
    sample.sum().backward()
    assert all(float(p.grad.abs().sum()) > 0 for p in gate.parameters())


def test_the_gate_is_no_part_of_the_network_and_not_used_at_inference():
    torch.manual_seed(3)
    ours = IFIRNN(2, 3, True)
    assert not any("gate" in key or "scores" in key for key in ours.network.state_dict())
    fixed = IFIRNN(2, 3)
    fixed.network.load_state_dict(ours.network.state_dict())
    clip = torch.rand(3, 3, 16, 16)
    with torch.no_grad():
        for one, two in zip(ours.restore(clip), fixed.restore(clip), strict=True):
            assert torch.equal(one, two)


@pytest.mark.parametrize(("start", "side"), [(0.1, "below"), (0.98, "above")])
def test_training_a_regularised_model_moves_its_mean_gate_towards_the_target(start, side):
    """By the method's whole loss with the paper's lambda, network and gate trained together, from both sides."""
    torch.manual_seed(6)
    ours = IFIRNN(1, 3, True)
    with torch.no_grad():
        ours.training_only.scores[2].bias.copy_(torch.tensor([1 - start, start]).log())
    sharp = torch.rand(24, 1, 3, 8, 8)
    blurry = 0.7 * sharp + 0.15
    gate, network = ours.training_only.parameters(), ours.network.parameters()
    groups = [{"params": gate, "lr": 0.06}, {"params": network, "lr": 1e-4}]
    optimiser = torch.optim.Adam(groups, betas=(0.5, 0.99))
    activations = []
    for _ in range(30):
        parts = ours.loss(blurry, sharp)
        optimiser.zero_grad()
        parts["total"].backward()
        optimiser.step()
        activations.append(float(parts["gate"].detach()))
    first, last = sum(activations[:3]) / 3, sum(activations[-10:]) / 10
    assert first < TARGET - 0.5 if side == "below" else first > TARGET + 0.14
    assert abs(last - TARGET) < 0.1


def test_training_moves_the_mean_gate_towards_the_target():
    torch.manual_seed(4)
    gate = Gate()
    with torch.no_grad():
        gate.scores[2].bias.copy_(torch.tensor([2.0, -2.0]))
    hidden = torch.randn(64, 20, 2, 2)
    optimiser = torch.optim.Adam(gate.parameters(), 0.02)
    for _ in range(150):
        optimiser.zero_grad()
        regularisation(gate(hidden)[None, None]).backward()
        optimiser.step()
    mean = torch.stack([gate(hidden).mean() for _ in range(20)]).mean()
    assert 0.65 < float(mean.detach()) < 0.85
