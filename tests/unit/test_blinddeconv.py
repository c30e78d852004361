"""Blind deconvolution: the PSF that is found, what it gains, tiles, and PSFs longer than the frame."""

import numpy as np
import pytest
import torch
from deblurbench.methods.blinddeconv.psf import centred, estimate_psf
from scipy.ndimage import convolve
from skimage import data

from deblurbench.errors import UsageError
from deblurbench.registry.discovery import plugin

CORNER = np.zeros((11, 11))
CORNER[1, 2:9] = CORNER[1:9, 8] = 1.0  # a motion that turns: no straight one explains it


def make(**parameters):
    return plugin("methods", "blinddeconv").load()(**parameters)


def psnr(a, b):
    return -10 * np.log10(np.mean((np.clip(np.asarray(a, float), 0, 1) - np.asarray(b, float)) ** 2))


def blurred(frame, psf):
    return np.rint(np.stack([convolve(c, psf, mode="nearest") for c in frame]) * 255) / 255


@pytest.fixture(scope="module")
def sharp():
    """A photograph's crop, (3, 200, 260) in [0, 1]."""
    return data.coffee()[60:260, 120:380].transpose(2, 0, 1) / 255


@pytest.fixture(scope="module")
def psf():
    return centred(CORNER)


def test_the_psf_is_found(sharp, psf):
    found = estimate_psf(blurred(sharp, psf).mean(axis=0), 15)
    assert found.shape == (15, 15) and found.min() >= 0 and found.sum() == pytest.approx(1)
    true = np.pad(psf, 2)
    likeness = (found * true).sum() / np.sqrt((found**2).sum() * (true**2).sum())
    delta = true.max() / np.sqrt((true**2).sum())
    assert likeness > 0.7 > delta + 0.2


@pytest.mark.parametrize("parameters", [{"side": 15}, {"side": 15, "tile": 160}], ids=["frame", "tile"])
def test_frames_gain(sharp, psf, parameters):
    blurry = blurred(sharp, psf)
    restored = next(make(**parameters).restore([torch.from_numpy(blurry).float()]))
    assert restored.shape == (3, 200, 260) and restored.dtype == torch.float32
    assert psnr(restored, sharp) > psnr(blurry, sharp) + 1.5


def test_tiles_follow_blur_that_differs(sharp, psf):
    """The left half blurred one way, the right half another: one PSF cannot serve both."""
    blurry = np.where(np.arange(260) < 130, blurred(sharp, psf), blurred(sharp, psf.T[::-1]))
    frame = torch.from_numpy(blurry).float()
    whole, tiled = (next(make(side=15, tile=tile).restore([frame])) for tile in (None, 146))
    assert psnr(tiled, sharp) > psnr(whole, sharp) + 0.5


@pytest.mark.parametrize("level", [0.0, 0.5])
def test_flat_frames_come_back(level):
    frame = torch.full((3, 40, 48), level)
    assert torch.equal(make(side=15).restore_frame(frame), frame)


def test_centring_moves_the_mass_to_the_middle():
    raw = np.zeros((7, 7))
    raw[1, 2] = 1.0
    assert centred(raw)[3, 3] == pytest.approx(1)
    assert centred(np.zeros((5, 5)))[2, 2] == 1


def test_a_psf_longer_than_the_frame_is_refused():
    with pytest.raises(UsageError, match=r"25 pixels is longer than the frame \(50x20\).*`side`.*at most 20"):
        make(side=25).restore_frame(torch.zeros(3, 20, 50))
    with pytest.raises(UsageError, match=r"25 pixels cannot be estimated from tiles of 40.*`tile` to at least 50"):
        make(side=25, tile=40)
