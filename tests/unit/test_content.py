"""Content terms of training losses, and that every learned method's loss is built of the one it is given."""

import math

import pytest
import torch

from deblurbench.methods.losses import FLOOR, content, log_squared_error, mean_squared_error
from deblurbench.registry.cards import MethodCard
from deblurbench.registry.discovery import plugins

LEARNED = sorted(name for name, p in plugins("methods").items() if isinstance(p.card, MethodCard) and p.card.recipes)


def frames(*errors):
    """Restored and sharp (1, T, 3, 8, 8) whose frames differ by `errors` everywhere."""
    sharp = torch.rand(1, len(errors), 3, 8, 8)
    return sharp + torch.tensor(errors).reshape(1, -1, 1, 1, 1), sharp


def test_values():
    restored, sharp = frames(0.1, 0.01)
    assert float(mean_squared_error(restored, sharp)) == pytest.approx((0.01 + 0.0001) / 2, rel=1e-4)
    wanted = (math.log(0.01 + FLOOR) + math.log(0.0001 + FLOOR)) / 2
    assert float(log_squared_error(restored, sharp)) == pytest.approx(wanted, rel=1e-4)
    assert 10 * math.log10(1 / FLOOR) == pytest.approx(45.2, abs=0.05)


def test_psnr_pulls_alike_at_frames_blurred_little_and_much():
    """How much the loss falls when a frame's error shrinks by a small share, for errors of 36, 30, 20 and 10 dB."""
    sizes = torch.tensor([10 ** (-db / 20) for db in (36, 30, 20, 10)])
    pulls = {}
    for name, term in (("mse", content("mse")), ("psnr", content("psnr")), ("floored", content("psnr", 1e-3))):
        scale = torch.ones(4, requires_grad=True)
        sharp = torch.zeros(1, 4, 3, 8, 8)
        restored = (scale * sizes).reshape(1, 4, 1, 1, 1).expand(1, 4, 3, 8, 8)
        (pulls[name],) = torch.autograd.grad(term(restored, sharp), scale)
    assert float(pulls["psnr"].max() / pulls["psnr"].min()) < 1.15
    assert float(pulls["mse"].max() / pulls["mse"].min()) == pytest.approx(10**2.6, rel=1e-3)
    assert pulls["floored"][1:] / pulls["floored"][:1] == pytest.approx([2.5, 4.6, 5.0], abs=0.1)  # 30 dB counts half


def test_psnr_stays_finite_at_a_perfect_frame():
    sharp = torch.rand(2, 3, 8, 8)
    restored = sharp.clone().requires_grad_()
    loss = log_squared_error(restored, sharp)
    (gradient,) = torch.autograd.grad(loss, restored)
    assert float(loss.detach()) == pytest.approx(math.log(FLOOR), rel=1e-5)
    assert torch.equal(gradient, torch.zeros_like(gradient))


def test_half_precision_is_compared_in_float32():
    restored, sharp = frames(0.001)
    for name in ("mse", "psnr"):
        assert content(name)(restored.bfloat16(), sharp).dtype == torch.float32


@pytest.mark.parametrize("name", LEARNED)
def test_a_learned_methods_loss_is_built_of_its_content_term(name):
    plugin = plugins("methods")[name]
    variant = plugin.card.default_variant
    torch.manual_seed(0)
    method = plugin.load()(**plugin.card.variants[variant].parameters)
    compared = []

    def spy(restored, sharp):
        compared.append((restored, sharp))
        return 0 * mean_squared_error(restored, sharp) + 7

    method.content = spy
    loss = method.loss(torch.rand(1, 2, 3, 64, 64), torch.rand(1, 2, 3, 64, 64))
    total = loss["total"] if isinstance(loss, dict) else loss
    assert float(total.detach()) > 3
    assert all(restored.shape[-3:] == sharp.shape[-3:] and restored.ndim >= 4 for restored, sharp in compared)
    assert compared
