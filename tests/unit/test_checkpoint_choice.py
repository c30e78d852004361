"""Which tensors of a published checkpoint are taken: by the prefix that fits exactly, whatever stands beside."""

from __future__ import annotations

import argparse

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from deblurbench.cli.main import cli
from deblurbench.errors import UsageError
from deblurbench.methods.weights.convert import load_checkpoint, read_foreign
from deblurbench.registry.by_path import absolute, find_method, short, split_method

NAMES = {"weight": (3, 3, 3, 3), "bias": (3,)}


def tensors(seed):
    chance = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=chance) for name, shape in NAMES.items()}


def under(prefix, values):
    return {f"{prefix}.{name}": value for name, value in values.items()}


ONE, TWO = tensors(1), tensors(2)
FORMS = {
    "generator and its average": {
        "state_dict": {**under("generator", ONE), **under("generator_ema", TWO), "step": ONE["bias"]}
    },
    "an average first": {"net_g_ema": TWO, "net_g": ONE},
    "a network beside a metric": {"state_dict": under("net", TWO) | {"lpips.scale": torch.ones(3)}},
    "an entry of any name": {"netG": TWO, "netD": {"weight": torch.ones(2)}, "epoch": 3},
    "wrappers within wrappers": {"nets": {"restorer": under("module.core", TWO)}, "optimizer": {"state": {0: ONE}}},
    "numpy numbers": {"state_dict": TWO, "best": np.float64(31.5), "epoch": np.int64(3), "half": np.float16(1)},
    "numpy arrays": {"state_dict": TWO, "curve": np.arange(5.0), "flags": np.array([True])},
    "the same tensors twice": {"first": TWO, "second": {k: v.clone() for k, v in TWO.items()}},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_the_one_prefix_that_fits_is_taken(tmp_path, form):
    torch.save(FORMS[form], tmp_path / "net.pth")
    network = torch.nn.Conv2d(3, 3, 3)
    choice = load_checkpoint(network, tmp_path / "net.pth")
    assert torch.equal(network.weight, TWO["weight"]) and torch.equal(network.bias, TWO["bias"])
    assert choice.tensors.keys() == NAMES.keys()


def test_what_was_taken_is_said_with_what_fits_as_well_and_what_is_left(tmp_path):
    torch.save(FORMS["generator and its average"], tmp_path / "net.pth")
    said = str(load_checkpoint(torch.nn.Conv2d(3, 3, 3), tmp_path / "net.pth"))
    assert said == (
        "took 2 tensors from 'state_dict.generator_ema'; 'state_dict.generator' would fit as well; "
        "not used: state_dict.step"
    )


def test_equal_rivals_and_a_network_of_more_layers_are_refused(tmp_path):
    torch.save({"netG_A": ONE, "netG_B": TWO}, tmp_path / "net.pth")
    with pytest.raises(UsageError, match="'netG_A', 'netG_B' fit equally well"):
        load_checkpoint(torch.nn.Conv2d(3, 3, 3), tmp_path / "net.pth")
    torch.save({"state_dict": {**ONE, "more.weight": torch.ones(3)}}, tmp_path / "net.pth")
    with pytest.raises(UsageError, match=r"unexpected more\.weight"):
        load_checkpoint(torch.nn.Conv2d(3, 3, 3), tmp_path / "net.pth")


def test_objects_are_refused_beside_numpy_too(tmp_path):
    torch.save({"state_dict": ONE, "best": np.float64(1), "args": argparse.Namespace(lr=1)}, tmp_path / "net.pth")
    with pytest.raises(UsageError, match=r"argparse\.Namespace"):
        read_foreign(tmp_path / "net.pth")


CARD = """
name: tiny
title: Tiny
network: torch.nn:Conv2d
variants: {default: {parameters: {in_channels: 3, out_channels: 3, kernel_size: 3, padding: 1}}}
"""


def test_a_second_import_leaves_the_first_file_as_it_is(tmp_path):
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "card.yaml").write_text(CARD)
    words = ["import-weights", str(tmp_path / "tiny"), str(tmp_path / "net.pth")]
    torch.save(ONE, tmp_path / "net.pth")
    for _ in range(2):  # the same weights once more change nothing
        done = CliRunner().invoke(cli, words, catch_exceptions=False)
        assert "took 2 tensors from the file" in done.output
    torch.save(TWO, tmp_path / "net.pth")
    done = CliRunner().invoke(cli, words)
    assert isinstance(done.exception, UsageError) and "--tag" in str(done.exception)
    assert torch.equal(load_file(tmp_path / "default-public.safetensors")["bias"], ONE["bias"])
    assert CliRunner().invoke(cli, [*words, "--tag", "two"]).exit_code == 0
    assert torch.equal(load_file(tmp_path / "default-two.safetensors")["bias"], TWO["bias"])


@pytest.mark.parametrize("start", ["./lab@home/mine.py", "lab@home/mine.py", "./lab@home/my@net"])
def test_a_path_may_hold_an_at(tmp_path, monkeypatch, start):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lab@home" / "my@net").mkdir(parents=True)
    (tmp_path / "lab@home" / "my@net" / "card.yaml").write_text(CARD)
    (tmp_path / "lab@home" / "mine.py").write_text(
        "from deblurbench.methods.base import FrameMethod\nclass Mine(FrameMethod):\n    pass\n"
    )
    (tmp_path / "w.pth").write_bytes(b"")
    assert split_method(start) == (start, None, None)
    assert split_method(f"{start}:one@w.pth") == (start, "one", "w.pth")
    assert find_method(start).reference == str(tmp_path / start)
    assert absolute(f"{start}:one") == f"{tmp_path / start}:one"
    assert short(start) == start.rpartition("/")[2]
