"""RADN: deformable convolution against loops over pixels, parameter counts by hand, its parts, its start."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from deblurbench.methods.radn.deformable import DeformableConv, deformable_conv
from deblurbench.methods.radn.network import DenseDeformable, SelfAttention

from deblurbench.registry.discovery import plugin

CARD = plugin("methods", "radn").card


def make(variant="small"):
    torch.manual_seed(0)
    return plugin("methods", "radn").load()(**CARD.variants[variant].parameters)


def bilinear(plane, y, x):
    """The value of a plane at (y, x), zeros outside, from its four neighbours one by one."""
    top, left, value = int(np.floor(y)), int(np.floor(x)), 0.0
    for row in (top, top + 1):
        for column in (left, left + 1):
            if 0 <= row < plane.shape[0] and 0 <= column < plane.shape[1]:
                value += plane[row, column] * (1 - abs(y - row)) * (1 - abs(x - column))
    return value


def slow_deformable_conv(x, offsets, weight, bias):
    """Equation 2 of Dai et al. 2017, loop by loop: (C, h, w), (18, h, w), (C', C, 3, 3), (C',) to (C', h, w)."""
    outputs, inputs = weight.shape[:2]
    height, width = x.shape[1:]
    result = np.zeros((outputs, height, width))
    for row, column in np.ndindex(height, width):
        for tap in range(9):
            y = row + tap // 3 - 1 + offsets[2 * tap, row, column]
            x_ = column + tap % 3 - 1 + offsets[2 * tap + 1, row, column]
            read = np.array([bilinear(x[c], y, x_) for c in range(inputs)])
            result[:, row, column] += weight[:, :, tap // 3, tap % 3] @ read
    return result + bias[:, None, None]


@pytest.mark.parametrize("size", [(5, 7), (1, 4), (6, 1)])
def test_deformable_convolution_equals_loops(size):
    random = np.random.default_rng(1)
    x, offsets = random.normal(size=(2, 3, *size)), random.normal(scale=2.0, size=(2, 18, *size))
    weight, bias = random.normal(size=(4, 3, 3, 3)), random.normal(size=4)
    ours = deformable_conv(*(torch.from_numpy(part).float() for part in (x, offsets, weight, bias)))
    for item in range(2):
        theirs = slow_deformable_conv(x[item], offsets[item], weight, bias)
        assert np.abs(ours[item].numpy() - theirs).max() < 1e-4


def test_whole_offsets_shift_and_no_offsets_convolve():
    torch.manual_seed(0)
    x, weight, bias = torch.rand(1, 3, 6, 8), torch.rand(4, 3, 3, 3), torch.rand(4)
    still = torch.zeros(1, 18, 6, 8)
    plain = F.conv2d(x, weight, bias, padding=1)
    assert torch.allclose(deformable_conv(x, still, weight, bias), plain, atol=1e-5)
    right = still.clone()
    right[:, 1::2] = 1.0
    moved = deformable_conv(x, right, weight, bias)
    assert torch.allclose(moved[..., 1:-2], plain[..., 2:-1], atol=1e-5)


def test_offsets_learn():
    torch.manual_seed(0)
    layer = DeformableConv(3, 4)
    layer(torch.rand(1, 3, 8, 8)).square().mean().backward()
    assert layer.offsets.weight.grad.abs().sum() > 0


def test_gradients_are_those_of_finite_differences():
    torch.manual_seed(0)
    x, weight, bias = torch.rand(1, 2, 4, 4), torch.rand(2, 2, 3, 3), torch.rand(2)
    offsets = (torch.rand(1, 18, 4, 4) * 0.6 + 0.2).requires_grad_()  # away from the kinks at whole pixels
    deformable_conv(x, offsets, weight, bias).sum().backward()
    step, place = 1e-2, (0, 7, 1, 2)
    with torch.no_grad():
        sides = []
        for sign in (-1, 1):
            moved = offsets.clone()
            moved[place] += sign * step
            sides.append(deformable_conv(x, moved, weight, bias).sum())
    assert float((sides[1] - sides[0]) / (2 * step)) == pytest.approx(float(offsets.grad[place]), rel=2e-2)


def by_hand(channels, growth, layers):
    def conv(i, o, kernel=9):
        return kernel * i * o + o

    def dense(i, count):
        widths = range(i, i + count * growth, growth)
        return sum(conv(w, 4 * growth, 1) + conv(4 * growth, growth) for w in widths), i + count * growth

    def deformable(i):
        units = sum(conv(i + k * growth, 18) + conv(i + k * growth, growth) for k in range(6))
        added = (i + 6 * growth) // 2
        return units + conv(i + 6 * growth, added, 1), i + added

    half, quarter, eighth = layers
    total, (count, c2) = conv(12, channels, 1), dense(channels, half)
    total += count + conv(c2, c2 // 2, 1)
    count, inside = dense(c2 // 2, quarter)
    more, c4 = deformable(inside)
    total += count + more + conv(c4, c4 // 2, 1)
    count, inside = dense(c4 // 2, eighth)
    more, c8 = deformable(inside)
    total += count + more + 3 * conv(c8, 2 * growth, 1) + conv(2 * growth, c8, 1) + 1
    inputs = c8
    for skip, o, count in ((c4, 4 * growth, quarter // 2), (c2, 2 * growth, half // 2)):
        more, after = dense(o, count)
        total += conv(inputs, o, 16) + conv(o + skip, o, 1) + more
        inputs = after
    return total + conv(inputs, 12)


@pytest.mark.parametrize("variant", CARD.variants)
def test_parameter_counts(variant):
    with torch.device("meta"):
        count = sum(p.numel() for p in make(variant).network.parameters())
    assert count == by_hand(**CARD.variants[variant].parameters) == CARD.variants[variant].parameter_count


@torch.no_grad()
def test_starts_as_the_identity():
    method = make()
    frame = torch.rand(3, 24, 40)
    assert (method.restore_frame(frame) - frame).abs().max() > 1e-4
    method.initialise(identity=True)
    assert torch.equal(method.restore_frame(frame), frame)


@torch.no_grad()
def test_attention_reaches_every_position_and_starts_as_nothing():
    torch.manual_seed(0)
    attention, x = SelfAttention(8, 4), torch.rand(1, 8, 5, 6)
    assert torch.equal(attention(x), x)
    attention.share.fill_(1.0)
    other = x.clone()
    other[..., 4, 5] += 1
    assert ((attention(other) - attention(x)).abs().amax(dim=1) > 1e-7).all()


@torch.no_grad()
def test_deformable_modules_keep_their_input():
    torch.manual_seed(0)
    x = torch.rand(1, 8, 6, 6)
    y = DenseDeformable(8, 4)(x)
    assert y.shape[1] == 8 + (8 + 6 * 4) // 2 and torch.equal(y[:, :8], x)


def test_what_was_filled_in_is_told():
    assert all(status.state == "differs" and "Filled in" in status.note for status in CARD.status.values())
