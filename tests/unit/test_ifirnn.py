"""IFI-RNN against its card and against a direct transcription of Algorithm 1 of the paper."""

import pytest
import torch
import torch.nn.functional as F

from deblurbench.errors import UsageError
from deblurbench.registry.discovery import plugin
from tests.descent import losses_over_steps

PLUGIN = plugin("methods", "ifirnn")
PLUGIN.load()
from deblurbench.methods.ifirnn import method as module  # noqa: E402
from deblurbench.methods.ifirnn.composed import RIM, RING, Ends  # noqa: E402

VARIANTS = PLUGIN.card.variants


def method(variant):
    torch.manual_seed(3)
    return PLUGIN.load()(**VARIANTS[variant].parameters)


def conv(weights, name, x, stride=1):
    w = weights[f"{name}.weight"]
    return F.conv2d(x, w, weights[f"{name}.bias"], stride=stride, padding=w.shape[-1] // 2)


def up(weights, name, x):
    return F.conv_transpose2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], 2, 1, 1)


def residual(weights, name, x):
    return conv(weights, f"{name}.second", F.relu(conv(weights, f"{name}.first", x))) + x


class Paper:
    """Figure 2 and Algorithm 1, line by line, on a state_dict; F_B, F_R, F_h of cell k and F_L."""

    def __init__(self, weights):
        self.w = weights

    def blur_features(self, k, b):
        x = conv(self.w, f"cells.{k}.F_B.0", b)
        x = conv(self.w, f"cells.{k}.F_B.1", x, stride=2)
        return conv(self.w, f"cells.{k}.F_B.2", x, stride=2)

    def residual_features(self, k, f_b, h):
        x = torch.cat((f_b, h), 1)
        for n in range(6):
            x = residual(self.w, f"cells.{k}.F_R.{n}", x)
        return x

    def hidden(self, k, f_r):
        x = residual(self.w, f"cells.{k}.F_h.1", conv(self.w, f"cells.{k}.F_h.0", f_r))
        return conv(self.w, f"cells.{k}.F_h.2", x)

    def latent(self, f_r):
        return conv(self.w, "F_L.2", up(self.w, "F_L.1", up(self.w, "F_L.0", f_r)))

    def single(self, b, h, n):
        f_b = self.blur_features(0, b)
        for _ in range(n):
            f_r = self.residual_features(0, f_b, h)
            h = self.hidden(0, f_r)
        return self.latent(f_r), h

    def dual(self, b, h, n):
        h = self.hidden(0, self.residual_features(0, self.blur_features(0, b), h))
        f_b = self.blur_features(1, b)
        for _ in range(n):
            f_r = self.residual_features(1, f_b, h)
            h = self.hidden(1, f_r)
        return self.latent(f_r), h


def test_the_papers_eleven_variants_are_there():
    names = {f"C{c}H{h}" for c in (1, 2) for h in (1, 2, 3, 4)} | {"C1H4-reg", "C2H3-reg", "C2H4-reg"}
    assert {name for name, variant in VARIANTS.items() if variant.of_the_paper} == names


def test_a_skip_variant_is_marked_as_not_the_papers_and_starts_as_its_input():
    assert not VARIANTS["C1H1-skip"].of_the_paper
    frames = torch.rand(3, 3, 16, 20)
    started = method("C1H1-skip")
    started.initialise(identity=True)
    assert torch.equal(torch.stack(list(started.restore(iter(frames)))), frames)
    torch.nn.init.ones_(started.network.F_L[2].bias)
    assert torch.allclose(torch.stack(list(started.restore(iter(frames)))), frames + 1)


@pytest.mark.parametrize("variant", VARIANTS)
def test_parameter_counts(variant):
    count = sum(p.numel() for p in method(variant).network.parameters())
    assert count == VARIANTS[variant].parameter_count == (836_623 if variant.startswith("C1") else 1_635_683)


@pytest.mark.parametrize("variant", ["C1H1", "C1H3", "C2H1", "C2H3"])
@torch.no_grad()
def test_algorithm_1_over_a_clip(variant):
    ours = method(variant)
    weights = {k: v.double() for k, v in ours.network.state_dict().items()}
    paper, iterations = Paper(weights), int(variant[-1])
    ours.network.double()
    clip = torch.rand(3, 3, 16, 24, dtype=torch.float64)
    h = torch.zeros(1, 20, 4, 6, dtype=torch.float64)
    for frame, restored in zip(clip, ours.restore(clip), strict=True):
        step = paper.single if variant.startswith("C1") else paper.dual
        expected, h = step(frame[None] - 0.5, h, iterations)
        assert torch.allclose(restored.double(), expected[0] + 0.5, atol=1e-6)


@torch.no_grad()
def test_the_state_reaches_the_next_frame_and_starts_anew_with_a_clip():
    ours = method("C2H2")
    clip = torch.rand(2, 3, 16, 16)
    one, two = list(ours.restore(clip))
    (alone,) = ours.restore(clip[1:])
    assert not torch.allclose(two, alone, atol=1e-5)
    again, _ = list(ours.restore(clip))
    assert torch.equal(one, again)


@pytest.mark.parametrize("variant", ["C1H1", "C1H4", "C2H3"])
@torch.no_grad()
def test_identity_initialisation_copies_every_frame(variant):
    ours = method(variant)
    ours.initialise(identity=True)
    clip = torch.rand(3, 3, 20, 28)
    for frame, restored in zip(clip, ours.restore(clip), strict=True):
        assert (frame - restored).abs().max() < 1e-6


def test_identity_initialisation_leaves_every_path_to_the_frame_trainable():
    ours = method("C1H1")
    ours.initialise(identity=True)
    optimiser = torch.optim.Adam(ours.network.parameters(), 1e-3)
    before = {k: v.clone() for k, v in ours.network.state_dict().items()}
    for _ in range(3):
        optimiser.zero_grad()
        ours.loss(torch.rand(1, 3, 3, 16, 16), torch.rand(1, 3, 3, 16, 16))["total"].backward()
        optimiser.step()
    for key, value in ours.network.state_dict().items():
        per_output = (value - before[key]).abs().flatten(1).amax(1) if value.dim() > 1 else (value - before[key]).abs()
        assert (per_output > 0).float().mean() > 0.9, key


def test_one_training_step_lowers_the_loss():
    ours = method("C2H1")
    blurry, sharp = torch.rand(1, 2, 3, 16, 16), torch.rand(1, 2, 3, 16, 16)
    before, after = losses_over_steps(ours, blurry, sharp, rate=1e-3, steps=2)
    assert after < before


@pytest.mark.parametrize("iterations", [1, 3])
def test_two_cells_begin_as_the_one_cell_they_adopt(iterations):
    one_parameters = VARIANTS[f"C1H{iterations}"].parameters
    one, two = method(f"C1H{iterations}"), method(f"C2H{iterations}")
    two.network.load_state_dict(two.adopt(one.network.state_dict(), one_parameters))
    frames = list(torch.rand(4, 3, 16, 24))
    with torch.no_grad():
        for a, b in zip(one.restore(frames), two.restore(frames), strict=True):
            assert torch.allclose(a, b, atol=1e-5)
    two.loss(torch.rand(1, 3, 3, 16, 24), torch.rand(1, 3, 3, 16, 24))["total"].backward()
    for name in ("F_R.0.second.weight", "F_h.0.weight", "F_h.1.second.weight"):
        gradient = two.network.get_parameter(f"cells.0.{name}").grad
        assert gradient is not None and bool((gradient != 0).float().mean() > 0.1), name


def test_weights_of_as_many_cells_are_adopted_as_they_are():
    weights = method("C2H1").network.state_dict()
    assert method("C2H3-reg").adopt(weights, VARIANTS["C2H1"].parameters) is weights
    assert method("C1H1").adopt(weights, {}) is weights


def test_weights_with_and_without_a_skip_do_not_start_each_other():
    for one, two in (("C1H1", "C1H1-skip"), ("C1H1-skip", "C1H1"), ("C1H1-skip", "C2H1")):
        with pytest.raises(UsageError, match="skip"):
            method(two).adopt(method(one).network.state_dict(), VARIANTS[one].parameters)


def test_loss_is_the_mean_squared_error_in_the_frames_own_scale():
    ours = method("C1H1")
    blurry, sharp = torch.rand(2, 3, 3, 16, 16), torch.rand(2, 3, 3, 16, 16)
    restored = torch.stack([torch.stack(list(ours.restore(clip))) for clip in blurry])
    assert torch.allclose(ours.loss(blurry, sharp)["total"], F.mse_loss(restored, sharp), atol=1e-6)


@torch.no_grad()
def test_composed_ends_equal_the_layers_inside_a_frame_and_differ_only_at_its_border():
    torch.manual_seed(7)
    network = method("C2H1").network.double()
    frames = torch.rand(2, 3, 48, 56, dtype=torch.float64) - 0.5
    joint = torch.rand(2, 80, 12, 14, dtype=torch.float64)
    ends = Ends((cell.F_B for cell in network.cells), network.F_L)
    pairs = [*zip(ends.features(frames), network.blur_features(frames), strict=True)]
    for (ours, layers), rim in [*((pair, RING) for pair in pairs), ((ends.frame(joint), network.F_L(joint)), RIM)]:
        difference = (ours - layers).abs()
        assert difference[..., rim:-rim, rim:-rim].max() < 1e-12
        assert difference[..., rim - 1, :].max() > 1e-6  # no narrower border would do


def test_gradients_reach_every_layer_through_the_composed_ends(monkeypatch):
    torch.manual_seed(8)
    ours = method("C1H1")
    blurry, sharp = torch.rand(2, 2, 3, 40, 40), torch.rand(2, 2, 3, 40, 40)
    inside = lambda restored, target: (restored - target)[..., 12:-12, 12:-12].square().mean()  # noqa: E731
    ours.content, gradients = inside, []
    # The state is zero and blur features differ at the border, so blocks must not carry it inwards.
    for block in ours.network.cells[0].F_R:
        torch.nn.init.zeros_(block.second.weight)
    torch.nn.init.zeros_(ours.network.cells[0].F_h[2].weight)
    for share in (0.0, 1.0):
        monkeypatch.setattr(module, "LAYERS", share)
        ours.network.zero_grad()
        ours.loss(blurry, sharp)["total"].backward()
        gradients.append([p.grad for part in (ours.network.cells[0].F_B, ours.network.F_L) for p in part.parameters()])
    for composed, layered in zip(*gradients, strict=True):
        assert layered.abs().max() > 0
        assert torch.allclose(composed, layered, rtol=1e-3, atol=1e-6)
