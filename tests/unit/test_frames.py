"""Rounding, clamping, padding, colour order: the one place that does them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from deblurbench.errors import ContractError
from deblurbench.frames import convert


def test_all_256_values_survive_the_round_trip():
    values = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    assert np.array_equal(convert.to_8bit(convert.to_float(values)).frame, values)


def test_rounding_is_to_nearest_and_clipping_is_counted():
    tensor = torch.tensor([-0.1, -0.4 / 255, 0.4 / 255, 0.6 / 255, 1 + 0.4 / 255, 1.2]).repeat(3, 1)[:, None, :]
    rounded = convert.to_8bit(tensor)
    assert rounded.frame[0, :, 0].tolist() == [0, 0, 0, 1, 255, 255]
    assert rounded.clipped == pytest.approx(2 / 6)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_not_finite_is_never_written(bad):
    frame = torch.zeros(3, 4, 4)
    frame[1, 2, 3] = bad
    with pytest.raises(ContractError, match="1 NaN or infinite values of 48"):
        convert.to_8bit(frame)


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 2, 4, 8, 16]))
def test_padding_is_undone_by_cropping(height, width, multiple):
    frame = torch.rand(3, height, width)
    padded = convert.pad_to_multiple(frame, multiple)
    assert padded.shape[1] % multiple == 0 and padded.shape[2] % multiple == 0
    assert padded.shape[1] < height + multiple and padded.shape[2] < width + multiple
    assert torch.equal(convert.crop_to(padded, height, width), frame)


def test_colours_swap_and_swap_back():
    frame = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    swapped = convert.swap_red_blue(frame)
    assert np.array_equal(swapped[..., 0], frame[..., 2])
    assert np.array_equal(convert.swap_red_blue(swapped), frame)
