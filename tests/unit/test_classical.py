"""The classical methods: motion PSF and its estimate, the deconvolutions, unsharp masking, burst accumulation."""

import cv2
import numpy as np
import pytest
import torch
from scipy.ndimage import convolve
from skimage import data
from skimage.restoration import richardson_lucy

from deblurbench.errors import UsageError
from deblurbench.frames.convert import to_8bit, to_float
from deblurbench.methods.deconvolution import estimate_motion, linear_motion_psf, pad_tapered
from deblurbench.methods.registration import register
from deblurbench.registry.discovery import plugin
from tests.conftest import real_data_root

DECONVOLUTIONS = ["wiener", "tikhonov", "richardsonlucy"]


def make(name, **parameters):
    return plugin("methods", name).load()(**parameters)


def psnr(a, b):
    return -10 * np.log10(np.mean((np.asarray(a, float) - np.asarray(b, float)) ** 2))


@pytest.fixture(scope="module")
def sharp():
    """A photograph's crop, (3, 160, 200) float32 in [0, 1]."""
    return (data.astronaut()[20:180, 120:320] / 255).astype(np.float32).transpose(2, 0, 1)


def blurred(frame, length, angle):
    psf = linear_motion_psf(length, angle)
    noisy = np.stack([convolve(c, psf, mode="nearest") for c in frame])
    return np.rint(noisy * 255).astype(np.float32) / 255


@pytest.mark.parametrize(("length", "angle"), [(1.0, 0.0), (9.0, 0.0), (12.5, 37.0), (9.0, 90.0)])
def test_psf_is_a_segment(length, angle):
    psf = linear_motion_psf(length, angle)
    assert psf.sum() == pytest.approx(1)
    assert np.allclose(psf, psf[::-1, ::-1])
    y, x = np.nonzero(psf > 1e-6)
    centre = len(psf) // 2
    along = (x - centre) * np.cos(np.deg2rad(angle)) - (y - centre) * np.sin(np.deg2rad(angle))
    across = (x - centre) * np.sin(np.deg2rad(angle)) + (y - centre) * np.cos(np.deg2rad(angle))
    assert np.abs(across).max() < 1.5
    assert length / 2 - 1 < along.max() < length / 2 + 1.5


@pytest.mark.parametrize(("length", "angle"), [(9.0, 30.0), (15.0, 90.0), (21.0, 135.0)])
def test_motion_is_estimated(sharp, length, angle):
    motion = estimate_motion(blurred(sharp, length, angle).mean(axis=0))
    assert motion.length == pytest.approx(length, abs=1)
    assert motion.angle == pytest.approx(angle, abs=6)
    assert motion.clarity > 0.25


@pytest.mark.parametrize("name", DECONVOLUTIONS)
def test_frames_without_a_clear_motion_come_back(sharp, name):
    for frame in (sharp, np.full((3, 40, 40), 0.5, np.float32), sharp[:, :9, :9]):
        tensor = torch.from_numpy(np.ascontiguousarray(frame))
        assert torch.equal(make(name).restore_frame(tensor), tensor)


@pytest.mark.parametrize("name", DECONVOLUTIONS)
@pytest.mark.parametrize("parameters", [{}, {"length": 11.0, "angle": 30.0}], ids=["estimated", "given"])
def test_deconvolution_gains(sharp, name, parameters):
    blurry = blurred(sharp, 11.0, 30.0)
    restored = make(name, **parameters).restore_frame(torch.from_numpy(blurry))
    assert restored.dtype == torch.float32
    assert psnr(restored, sharp) > psnr(blurry, sharp) + 1.5


@pytest.mark.parametrize("gamma", [1.0, 2.2])
@pytest.mark.parametrize("name", DECONVOLUTIONS)
def test_flat_frames_keep_their_brightness(name, gamma):
    flat = torch.full((3, 40, 50), 0.4)
    restored = make(name, length=9.0, angle=20.0, gamma=gamma).restore_frame(flat)
    assert torch.allclose(restored, flat, atol=2e-3)


@pytest.mark.parametrize("name", DECONVOLUTIONS)
def test_borders_do_not_ring(name):
    """A ramp is its own blur; untapered, the step between its two ends rings by 0.3 and more."""
    ramp = torch.linspace(0.05, 0.95, 96).expand(3, 64, 96).contiguous()
    restored = make(name, length=9.0, angle=0.0).restore_frame(ramp)
    assert (restored - ramp).abs().max() < 0.08


def test_richardson_lucy_equals_scikit_image_inside(sharp):
    psf = linear_motion_psf(5, 30)
    blurry = blurred(sharp, 5.0, 30.0)[0].astype(float)
    ours = make("richardsonlucy", iterations=4).deconvolve(blurry, psf)
    theirs = richardson_lucy(np.maximum(blurry, 1e-3), psf, 4, clip=False, filter_epsilon=1e-3)
    inside = (slice(32, -32), slice(32, -32))
    assert np.abs(ours - theirs)[inside].max() < 1e-9


def test_padding_keeps_the_frame():
    channel = np.random.default_rng(0).uniform(size=(20, 30))
    padded, margin = pad_tapered(channel, linear_motion_psf(9, 45))
    assert np.array_equal(padded[margin:-margin, margin:-margin], channel)


@pytest.mark.parametrize("name", DECONVOLUTIONS)
def test_a_psf_longer_than_the_frame_is_refused(name):
    with pytest.raises(UsageError, match=r"60 pixels is longer than the frame \(50x40\).*at most 40"):
        make(name, length=60.0, angle=0.0).restore_frame(torch.zeros(3, 40, 50))


@pytest.mark.parametrize("parameters", [{"length": 5.0}, {"angle": 5.0}])
def test_half_a_motion_is_refused(parameters):
    with pytest.raises(UsageError, match="both `length` and `angle`"):
        make("wiener", **parameters)
    with pytest.raises(UsageError, match="above 0"):
        linear_motion_psf(0, 0)


def test_unsharp_sharpens_edges_only():
    step = torch.cat([torch.full((3, 20, 20), 0.3), torch.full((3, 20, 20), 0.7)], dim=2)
    sharpened = make("unsharp", radius=1.0, amount=0.5).restore_frame(step)
    assert torch.allclose(sharpened[..., 0], step[..., 0], atol=1e-4)
    assert sharpened[..., 19].max() < 0.25
    assert sharpened[..., 20].min() > 0.75


@pytest.mark.parametrize("size", [(12, 12), (61, 130), (160, 200)])
def test_burst_of_equal_frames_is_that_frame(sharp, size):
    frame = torch.from_numpy(np.ascontiguousarray(sharp[:, : size[0], : size[1]]))
    restored = make("fba", radius=1).restore_window(torch.stack([frame] * 3))
    assert torch.allclose(restored, frame, atol=2e-3)


def test_burst_joins_what_each_frame_kept(sharp):
    """Frames blurred along x and along y: together they hold all frequencies."""
    across, down = blurred(sharp, 11.0, 0.0), blurred(sharp, 11.0, 90.0)
    frames = torch.from_numpy(np.stack([down, across, down]))
    restored = make("fba", radius=1).restore_window(frames)
    assert psnr(restored, sharp) > max(psnr(across, sharp), psnr(down, sharp)) + 1


def test_neighbours_are_registered(sharp):
    image = np.ascontiguousarray(sharp.transpose(1, 2, 0))
    centre, neighbour = image[10:130, 10:170], np.ascontiguousarray(image[12:132, 7:167])
    registered = register(neighbour, np.ascontiguousarray(centre))
    inner = (slice(8, -8), slice(8, -8))
    assert psnr(registered[inner], centre[inner]) > psnr(neighbour[inner], centre[inner]) + 10


@pytest.mark.real_data
@pytest.mark.parametrize("name", [*DECONVOLUTIONS, "unsharp", "fba"])
def test_real_frames_are_not_wrecked(name):
    root = real_data_root()
    if root is None or not (root / "REDS").is_dir():
        pytest.skip("the REDS clip is not here (set DEBLURBENCH_REAL_DATA)")
    place = root / "REDS/train"
    stems = [f"X4/027/{i:08d}.png" for i in range(18, 24)]
    blurry, truth = (
        [cv2.imread(str(place / kind / stem))[:, :, ::-1].copy() for stem in stems]
        for kind in ("train_blur_bicubic", "train_sharp_bicubic")
    )
    method = make(name, radius=1) if name == "fba" else make(name)
    restored = [to_8bit(frame).frame for frame in method.restore(to_float(frame) for frame in blurry)]
    before = np.mean([psnr(a / 255, b / 255) for a, b in zip(blurry, truth, strict=True)])
    after = np.mean([psnr(a / 255, b / 255) for a, b in zip(restored, truth, strict=True)])
    assert after > before - 1.5


def test_a_flat_clip_stays_flat_under_burst_accumulation():
    """Black frames between scenes have no spectrum to weigh by."""
    for level in (0.0, 0.5):
        frames = [torch.full((3, 32, 48), level)] * 3
        restored = list(plugin("methods", "fba").load()().restore(iter(frames)))
        assert all(torch.allclose(frame, frames[0], atol=1e-5) for frame in restored)
