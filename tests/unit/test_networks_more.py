"""DeblurGAN-v2, BANet and MB2D: parameter counts by hand, shapes, first steps of training, and what their parts do."""

import pytest
import torch

from deblurbench.registry.discovery import plugin
from deblurbench.training.recipe import read_recipe
from tests.descent import losses_over_steps


def card_of(name):
    return plugin("methods", name).card


def make(name, variant=None):
    torch.manual_seed(0)
    card = card_of(name)
    return plugin("methods", name).load()(**card.variants[variant or card.default_variant].parameters)


def inverted_residual(inputs, outputs, expansion):
    wide = expansion * inputs
    expand = inputs * wide + 2 * wide if expansion > 1 else 0
    return expand + 9 * wide + 2 * wide + wide * outputs + 2 * outputs


def deblurganv2(separable):
    count, inputs = 3 * 32 * 9 + 2 * 32, 32
    for expansion, outputs, blocks in ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3)):
        for _ in range(blocks):
            count += inverted_residual(inputs, outputs, expansion)
            inputs = outputs

    def conv(i, o):
        return 9 * i + i * o if separable else 9 * i * o

    laterals = 16 * 64 + (24 + 32 + 64 + 160) * 128
    heads = 4 * (conv(128, 64) + conv(64, 64))
    return count + laterals + 3 * conv(128, 128) + heads + conv(256, 64) + conv(64, 32) + conv(32, 3) + 3


def banet(c, modules):
    def conv(i, o, kernel=9):
        return kernel * i * o + o

    def block(channels):
        return 2 * conv(channels, channels)

    outside = conv(3, c // 4) + block(c // 4) + conv(c // 4, c // 2) + block(c // 2) + conv(c // 2, c) + block(c)
    outside += conv(c, c // 2, 16) + conv(c // 2, c // 4, 16) + conv(c // 4, 3)
    attention = 4 * 2 * conv(c, c // 4, 3) + conv(c, c, 1) + conv(c, c)
    dilated = 3 * conv(c, c // 2) + conv(3 * c // 2, c)
    return outside + modules * (attention + 2 * dilated)


def mb2d():
    def conv(i, o, kernel=9):
        return kernel * i * o + o

    def blocks(channels, count):
        return 2 * count * conv(channels, channels)

    more = conv(3, 32) + conv(32, 64) + blocks(64, 2) + conv(64, 32, 16) + conv(32, 6)
    enter = conv(9, 32) + blocks(32, 1) + conv(32, 64) + conv(128, 64)
    return more + enter + blocks(64, 4) + conv(64, 64) + conv(64, 32, 16) + conv(32, 3)


COUNTS = {
    ("deblurganv2", "mobilenet"): deblurganv2(False),
    ("deblurganv2", "mobilenet-dsc"): deblurganv2(True),
    ("banet", "small"): banet(64, 4),
    ("banet", "wide"): banet(128, 10),
    ("mb2d", "small"): mb2d(),
}
NAMES = ["deblurganv2", "banet", "mb2d"]


@pytest.mark.parametrize(("name", "variant"), COUNTS, ids=lambda part: part)
def test_parameter_counts(name, variant):
    with torch.device("meta"):
        count = sum(p.numel() for p in make(name, variant).network.parameters())
    assert count == COUNTS[name, variant] == card_of(name).variants[variant].parameter_count


@pytest.mark.parametrize(("name", "variant"), [*[(n, None) for n in NAMES], ("deblurganv2", "mobilenet-dsc")])
@torch.no_grad()
def test_start_as_the_identity_and_keep_the_shape(name, variant):
    method = make(name, variant)
    method.network.eval()
    frame = torch.rand(3, 32, 64) * 0.8 + 0.1
    assert method.restore_frame(frame).shape == frame.shape
    assert (method.restore_frame(frame) - frame).abs().max() > 1e-4
    method.initialise(identity=True)
    assert (method.restore_frame(frame) - frame).abs().max() < 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_steps_lower_the_loss(name):
    method = make(name)
    method.initialise(**card_of(name).recipes["quick"]["initialise"])
    blurry = torch.rand(1, 2, 3, 64, 64) * 0.5 + 0.25
    losses = losses_over_steps(method, blurry, blurry * 0.8 + 0.05, rate=1e-4)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", NAMES)
def test_recipes_are_readable_and_what_was_filled_in_is_told(name):
    card = card_of(name)
    for recipe in card.recipes:
        read_recipe(card, recipe)
    assert all(status.state == "differs" and "Filled in" in status.note for status in card.status.values())


def test_each_adversarial_loss_moves_its_own_network():
    from deblurbench.methods.deblurganv2.adversary import Discriminator, adversarial_losses

    torch.manual_seed(0)
    judge, restored, sharp = Discriminator(), torch.rand(2, 3, 32, 32, requires_grad=True), torch.rand(2, 3, 32, 32)
    generator, discriminator = adversarial_losses(judge, restored, sharp)
    generator.backward()
    assert restored.grad.abs().sum() > 0 and all(p.grad is None for p in judge.parameters())
    restored.grad = None
    discriminator.backward()
    assert restored.grad is None and all(p.grad is not None for p in judge.parameters())


def test_relativistic_losses_at_their_least():
    from deblurbench.methods.deblurganv2.adversary import adversarial_losses

    class Brightness(torch.nn.Module):
        def forward(self, frames):
            return (frames.mean(dim=(1, 2, 3)),)

    dark, bright = torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4)
    assert [float(part) for part in adversarial_losses(Brightness(), dark, bright)] == [8.0, 0.0]
    assert [float(part) for part in adversarial_losses(Brightness(), bright, dark)] == [0.0, 8.0]


@torch.no_grad()
def test_strips_see_their_row_and_column_and_nothing_else():
    from deblurbench.methods.banet.network import StripPooling

    torch.manual_seed(0)
    strips = StripPooling(4, 4, 3)
    x = torch.rand(1, 4, 16, 16)
    y = x.clone()
    y[..., 2, 12] += 1
    changed = (strips(x) - strips(y)).abs().amax(dim=(0, 1)) > 1e-6
    rows, columns = torch.zeros(16, dtype=torch.bool), torch.zeros(16, dtype=torch.bool)
    rows[:5], columns[10:15] = True, True
    assert torch.equal(changed, rows[:, None] | columns[None, :])


@torch.no_grad()
def test_mb2d_goes_coarse_to_fine_and_learns_longer_exposures():
    from deblurbench.methods.mb2d.method import exposure

    method = make("mb2d")
    predictions, longer = method.network(torch.rand(1, 3, 16, 32))
    assert [p.shape[-2:] for p in predictions] == [(4, 8), (8, 16), (16, 32)] and len(longer) == 2
    clip = torch.arange(5.0).reshape(1, 5, 1, 1, 1).expand(1, 5, 3, 4, 4)
    assert torch.allclose(exposure(clip, 1)[:, 0, 0, 0], torch.tensor([1 / 3, 1, 2, 3, 11 / 3]))
    assert float(exposure(clip, 2)[2].mean()) == 2
