"""SRN: layer counts, conventions, the ConvLSTM, the scales, and the identity start."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from deblurbench.registry.discovery import plugin
from tests.descent import losses_over_steps

PLUGIN = plugin("methods", "srn")
VARIANTS = PLUGIN.card.variants
SRN = PLUGIN.load()
from deblurbench.methods.srn.network import ConvLSTM  # noqa: E402
from deblurbench.methods.srn.resize import Down, resize  # noqa: E402

COUNTS = {"rgb": 8_061_411, "lstm": 8_056_609, "gray": 6_876_449, "color": 6_881_251, "narrow": 987_436,
          "narrow-window": 990_892}  # fmt: skip


@pytest.mark.parametrize("variant", COUNTS)
def test_parameter_counts(variant):
    network = SRN(**VARIANTS[variant].parameters).network
    assert sum(p.numel() for p in network.parameters()) == VARIANTS[variant].parameter_count == COUNTS[variant]


def test_legacy_resize_halves_by_taking_every_second_pixel():
    x = torch.arange(2 * 6 * 8, dtype=torch.float32).reshape(1, 2, 6, 8)
    assert torch.equal(resize(x, 3, 4, "tf"), x[:, :, ::2, ::2])


def test_legacy_resize_doubles_between_neighbours_and_repeats_the_last():
    x = torch.tensor([[[[0.0, 2.0, 6.0]]]])
    assert resize(x, 1, 6, "tf").flatten().tolist() == [0, 1, 2, 4, 6, 6]


def test_torch_resize_doubles_about_pixel_centres():
    x = torch.tensor([[[[0.0, 4.0]]]])
    assert resize(x, 1, 4, "torch").flatten().tolist() == [0, 1, 3, 4]


@torch.no_grad()
def test_same_padding_at_stride_two_pads_one_before_and_two_after():
    layer = Down(1, 1, "tf")
    layer.bias.zero_()
    x = np.random.default_rng(0).random((8, 8))
    got = layer(torch.tensor(x, dtype=torch.float32)[None, None])[0, 0]
    kernel, padded = layer.weight[0, 0].numpy(), np.pad(x, ((1, 2), (1, 2)))
    expected = [[(padded[2 * i : 2 * i + 5, 2 * j : 2 * j + 5] * kernel).sum() for j in range(4)] for i in range(4)]
    assert np.allclose(got.numpy(), expected, atol=1e-5)


@torch.no_grad()
def test_conv_lstm_is_tensorflows_cell():
    torch.manual_seed(0)
    lstm = ConvLSTM(4).double()
    x, c, h = (torch.randn(1, 4, 5, 6, dtype=torch.float64) for _ in range(3))
    out, (new_c, new_h) = lstm(x, (c, h))
    z = F.conv2d(torch.cat([x, h], 1), lstm.gates.weight, lstm.gates.bias, padding=1).numpy()
    i, j, f, o = (z[:, 4 * k : 4 * k + 4] for k in range(4))

    def sigmoid(v):
        return 1 / (1 + np.exp(-v))

    expected_c = sigmoid(f + 1) * c.numpy() + sigmoid(i) * np.tanh(j)
    expected_h = sigmoid(o) * np.tanh(expected_c)
    assert np.allclose(new_c.numpy(), expected_c)
    assert np.allclose(new_h.numpy(), expected_h)
    assert np.allclose(out.numpy(), expected_h)


def test_no_gradient_passes_through_the_prediction_that_goes_up():
    torch.manual_seed(0)
    network = SRN(3, False).network
    seen = []
    network.encoder.enter32.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    network(torch.rand(1, 3, 32, 32))
    assert [tuple(x.shape) for x in seen] == [(1, 6, 8, 8), (1, 6, 16, 16), (1, 6, 32, 32)]
    assert not any(x.requires_grad for x in seen)
    assert torch.equal(seen[0][:, :3], seen[0][:, 3:])


def test_the_state_carries_gradients_from_fine_to_coarse():
    network = SRN().network
    states = []
    network.lstm.register_forward_hook(lambda _, __, out: states.append(out[1][0]))
    predictions = network(torch.rand(1, 3, 16, 16))
    (gradient,) = torch.autograd.grad(predictions[-1].sum(), states[0])
    assert float(gradient.abs().sum()) > 0


@pytest.mark.parametrize("variant", COUNTS)
@torch.no_grad()
def test_identity_initialisation_copies_the_frame(variant):
    torch.manual_seed(1)
    ours = SRN(**VARIANTS[variant].parameters)
    ours.initialise(identity=True, xavier_uniform=True)
    frames = torch.rand(2 * ours.radius + 1, 3, 32, 48)
    assert (ours.restore_window(frames) - frames[ours.radius]).abs().max() < 1e-6


@torch.no_grad()
def test_the_window_is_the_frame_itself_then_the_frames_before_and_after_at_every_scale():
    ours, seen = SRN(**VARIANTS["narrow-window"].parameters), []
    ours.network.encoder.enter32.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    frames = torch.rand(3, 3, 32, 32)
    ours.restore_window(frames)
    for entered, size in zip(seen, (8, 16, 32), strict=True):
        small = F.interpolate(frames, size=(size, size), mode="bilinear", align_corners=False)
        before, centre, after = ours.network._folded(small)
        assert torch.allclose(entered[0, :12], centre, atol=1e-6)
        assert torch.allclose(entered[0, 24:], torch.cat([before, after]), atol=1e-6)


@torch.no_grad()
def test_a_window_starts_from_the_weights_for_single_frames_as_the_very_same_network():
    torch.manual_seed(5)
    single, window = (SRN(**VARIANTS[name].parameters) for name in ("narrow", "narrow-window"))
    window.network.load_state_dict(window.adopt(single.network.state_dict(), VARIANTS["narrow"].parameters))
    clip = torch.rand(3, 3, 16, 16)
    for one, other in zip(single.restore(iter(clip)), window.restore(iter(clip)), strict=True):
        assert torch.allclose(one, other, atol=1e-6)
    own = window.network.state_dict()
    assert window.adopt(own, VARIANTS["narrow-window"].parameters) is own


@torch.no_grad()
def test_a_training_step_sees_each_frame_in_the_window_in_which_it_is_restored():
    torch.manual_seed(6)
    ours = SRN(**VARIANTS["narrow-window"].parameters)
    blurry, sharp = torch.rand(2, 4, 3, 16, 16), torch.rand(2, 4, 3, 16, 16)
    restored = torch.stack([frame for clip in blurry for frame in ours.restore(iter(clip))])
    assert float(ours.loss(blurry, sharp)["fine"]) == pytest.approx(
        float(F.mse_loss(restored, sharp.flatten(0, 1))), rel=1e-5
    )


@torch.no_grad()
def test_folding_puts_squares_of_pixels_into_channels_and_back():
    """A side that the folded network cannot halve twice is filled up and cut again."""
    network = SRN(fold=2).network
    x = torch.rand(2, 3, 4, 12)
    folded = network._folded(x)
    assert folded.shape == (2, 12, 4, 8)
    assert torch.equal(folded[:, :4, 0, 0], x[:, 0, :2, :2].flatten(1))  # the first colour's square
    assert torch.equal(network._unfolded(folded, 4, 12), x)


def test_a_folded_network_works_at_half_the_size():
    """Its first layer sees (B, 2 * 3 * 4, h / 2, w / 2), at three scales."""
    network, seen = SRN(**VARIANTS["narrow"].parameters).network, []
    network.encoder.enter32.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape)))
    predictions = network(torch.rand(1, 3, 64, 96))
    assert [p.shape[-2:] for p in predictions] == [(16, 24), (32, 48), (64, 96)]
    assert seen == [(1, 24, 8, 12), (1, 24, 16, 24), (1, 24, 32, 48)]


def test_grey_network_restores_each_colour_by_itself():
    torch.manual_seed(2)
    ours = SRN(**VARIANTS["gray"].parameters)
    frame = torch.rand(3, 16, 16)
    with torch.no_grad():
        together = ours.restore_window(frame[None])
        green = ours.restore_window(frame[1:2].expand(3, -1, -1)[None])[0]
    assert torch.allclose(together[1], green, atol=1e-5)


def test_loss_sums_the_three_scales():
    torch.manual_seed(3)
    ours = SRN(3, True)
    blurry, sharp = torch.rand(1, 2, 3, 32, 32), torch.rand(1, 2, 3, 32, 32)
    parts = ours.loss(blurry, sharp)
    expected = 0.0
    for prediction in ours.network(blurry[0]):
        size = prediction.shape[-2:]
        target = F.interpolate(sharp[0], size=size, mode="bilinear", align_corners=False)
        expected += float(F.mse_loss(prediction, target))
    assert float(parts["total"]) == pytest.approx(expected, rel=1e-5)


def test_one_training_step_lowers_the_loss():
    torch.manual_seed(4)
    ours = SRN()
    ours.initialise(identity=True, xavier_uniform=True)
    blurry, sharp = torch.rand(1, 1, 3, 16, 16), torch.rand(1, 1, 3, 16, 16)
    before, after = losses_over_steps(ours, blurry, sharp, rate=3e-5, steps=2)
    assert after < before
