"""The learned methods: parameter counts, shapes, streaming, first steps of training, starting as the identity."""

import itertools

import numpy as np
import pytest
import torch
from skimage.transform import pyramid_reduce

from deblurbench.methods.base import WindowMethod
from deblurbench.methods.layers import clip_windows
from deblurbench.registry.cards import MethodCard
from deblurbench.registry.discovery import plugin
from deblurbench.training.recipe import read_recipe
from tests.descent import losses_over_steps

COUNTS = {
    ("cnn", "three"): 20_099,
    ("cnn", "fifteen"): 500_483,
    ("autoencoder", "skips"): 497_891,
    ("autoencoder", "plain"): 451_811,
    ("deepdeblur", "K3"): 11_721_321,
    ("dbn", "noalign"): 15_305_291,
    ("dbn", "flow"): 15_305_291,
    ("dbn", "linear"): 15_305_291,
    ("ovd", "dtb"): 926_084,
    ("ovd", "fixed-beta"): 926_083,
    ("estrnn", "B9C80"): 1_763_387,
    ("estrnn", "B15C80"): 2_467_931,
    ("rdn", "single-scale"): 3_671_517,
    ("rdn", "single-scale-tf"): 3_671_517,
}
NAMES = sorted({name for name, _ in COUNTS})
START_AS_IDENTITY = [
    ("cnn", "three", 1e-6),
    ("autoencoder", "skips", 1e-6),
    ("deepdeblur", "K3", 1e-5),
    ("dbn", "linear", 1e-6),
    ("estrnn", "B9C80", 1e-5),
    ("rdn", "single-scale", 1e-6),
    ("ovd", "dtb", 0.02),
]


@pytest.fixture(autouse=True)
def _repeatable():
    torch.manual_seed(0)


def card_of(name: str) -> MethodCard:
    card = plugin("methods", name).card
    assert isinstance(card, MethodCard)
    return card


def make(name, variant=None):
    card = card_of(name)
    return plugin("methods", name).load()(**card.variants[variant or card.default_variant].parameters)


def clip(frames, height=16, width=24):
    return torch.rand(frames, 3, height, width) * 0.5 + 0.25


@pytest.mark.parametrize(("name", "variant"), COUNTS, ids=lambda part: part)
def test_parameter_counts(name, variant):
    count = sum(p.numel() for p in make(name, variant).network.parameters())
    assert count == COUNTS[name, variant] == card_of(name).variants[variant].parameter_count


@pytest.mark.parametrize("name", NAMES)
def test_any_number_of_frames(name):
    method = make(name)
    method.network.eval()
    with torch.inference_mode():
        for count in (1, 2, 7):
            restored = list(method.restore(iter(clip(count))))
            assert [r.shape for r in restored] == [(3, 16, 24)] * count
            assert all(r.dtype == torch.float32 for r in restored)


@pytest.mark.parametrize("name", NAMES)
def test_a_step_lowers_the_loss(name):
    method = make(name)
    method.initialise(**card_of(name).recipes["quick"]["initialise"])
    blurry = clip(2 * 3, 16, 16).reshape(2, 3, 3, 16, 16)
    losses = losses_over_steps(method, blurry, blurry * 0.8 + 0.05, rate=1e-4)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(("name", "variant", "tolerance"), START_AS_IDENTITY, ids=lambda part: str(part))
def test_networks_can_start_as_the_identity(name, variant, tolerance):
    method = make(name, variant)
    before = {key: value.shape for key, value in method.network.state_dict().items()}
    method.initialise(identity=True)
    method.network.eval()
    frames = clip(3)
    with torch.inference_mode():
        restored = torch.stack(list(method.restore(iter(frames))))
    assert (restored - frames).abs().max() < tolerance
    assert before == {key: value.shape for key, value in method.network.state_dict().items()}


@pytest.mark.parametrize("name", NAMES)
def test_recipes_are_readable(name):
    for recipe in card_of(name).recipes:
        read_recipe(card_of(name), recipe)


@pytest.mark.parametrize(("name", "past", "future"), [("dbn", 2, 2), ("ovd", 5, 2), ("estrnn", 5, 2), ("rdn", 4, 0)])
def test_frames_depend_on_the_frames_they_claim(name, past, future):
    """The sixth frame of nine changes when a frame in reach changes, and only then (OVD and ESTRNN: from the first)."""
    method = make(name)
    method.network.eval()
    frames = clip(9, 16, 16)
    before = sixth(method, frames)
    for changed in {0, 5 - past, 5, 5 + future, min(8, 6 + future)}:
        other = frames.clone()
        other[changed] = 1 - other[changed]
        moved = not torch.equal(sixth(method, other), before)
        assert moved == (5 - past <= changed <= 5 + future), f"frame {changed}"


@torch.inference_mode()
def sixth(method, frames):
    return list(itertools.islice(method.restore(iter(frames)), 6))[5]


@pytest.mark.parametrize("count", [1, 2, 3, 8])
@pytest.mark.parametrize("radius", [0, 1, 2])
def test_windows_of_frames_and_of_clips_repeat_the_ends(count, radius):
    class Windows(WindowMethod):
        def restore_window(self, frames):
            return frames

    method = Windows()
    method.radius = radius
    frames = clip(count, 4, 4)
    around = torch.arange(count)[:, None] + torch.arange(-radius, radius + 1)
    expected = frames[around.clamp(0, count - 1)]
    assert torch.equal(torch.stack(list(method.restore(iter(frames)))), expected)
    assert torch.equal(clip_windows(frames[None], radius), expected)


def test_deepdeblur_pyramid_equals_scikit_image():
    from deblurbench.methods.deepdeblur.network import gaussian_half

    image = np.random.default_rng(0).uniform(size=(32, 48))
    ours = gaussian_half(torch.from_numpy(image)[None, None])[0, 0].numpy()
    theirs = pyramid_reduce(image, downscale=2, sigma=2 / 3)
    assert np.abs(ours - theirs)[2:-2, 2:-2].max() < 5e-3


def test_deepdeblur_scales():
    latents = make("deepdeblur").network(clip(1))
    assert [latent.shape[-2:] for latent in latents] == [(4, 6), (8, 12), (16, 24)]


def test_dbn_flow_registers_the_neighbours():
    from deblurbench.methods.dbn.method import register_window

    ground = torch.nn.functional.interpolate(torch.rand(1, 3, 12, 14), scale_factor=8, mode="bicubic")[0].clamp(0, 1)
    window = torch.stack([ground[:, 8 : 8 + 64, 4 + 2 * i : 4 + 2 * i + 80] for i in range(5)])
    registered = register_window(window)
    error = (registered - window[2]).abs()[..., 12:-12, 12:-12].mean(dim=(1, 2, 3))
    before = (window - window[2]).abs()[..., 12:-12, 12:-12].mean(dim=(1, 2, 3))
    assert (error[[0, 1, 3, 4]] < 0.2 * before[[0, 1, 3, 4]]).all()
    assert torch.equal(registered[2], window[2])


def test_ovd_beta_learns():
    method = make("ovd")
    blurry = clip(2 * 3, 16, 16).reshape(2, 3, 3, 16, 16)
    method.loss(blurry, blurry.flip(0)).backward()
    assert method.network.blend.beta.grad.abs() > 0


def test_rdn_pads_strided_convolutions_as_tensorflow_does_where_it_is_asked_to():
    """SAME padding of a 3x3 convolution with stride 2: output i reads inputs 2i, 2i + 1 and 2i + 2."""
    networks = [make("rdn", variant).network for variant in ("single-scale", "single-scale-tf")]
    networks[1].load_state_dict(networks[0].state_dict())
    layer = networks[1].down1[1]
    x = torch.rand(1, 32, 8, 12)
    patch = x[0, :, 2:5, 4:7]
    expected = (layer.weight * patch).sum((1, 2, 3)) + layer.bias
    assert torch.allclose(layer(x)[0, :, 1, 2], expected, atol=1e-5)
    frames = torch.rand(2, 1, 3, 32, 40)
    outputs = [network(frames[0], frames[1], None)[0] for network in networks]
    assert outputs[0].shape == outputs[1].shape and not torch.allclose(outputs[0], outputs[1], atol=1e-3)
