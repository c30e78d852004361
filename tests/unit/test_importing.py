"""Foreign weights: PyTorch's checkpoints and the public IFI-RNN port, renamed, compared, or refused unopened."""

import collections
import json
import pickle

import pytest
import torch
import torch.nn.functional as F
import yaml
from click.testing import CliRunner
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from deblurbench.cli.main import cli
from deblurbench.errors import DeblurbenchError, MissingError, UsageError
from deblurbench.evaluation.plan import plan_method
from deblurbench.methods.weights.convert import convert, read_foreign
from deblurbench.methods.weights.files import load_weights
from deblurbench.registry.discovery import plugin

IFIRNN = plugin("methods", "ifirnn")
SRN = plugin("methods", "srn")


class Canary:
    """Leaves a file when it is unpickled."""

    def __init__(self, file):
        self.file = str(file)

    def __reduce__(self):
        return (open, (self.file, "w"))


def port_cell(last):
    """Shapes of a cell of the public port, by its names."""
    shapes = {}

    def conv(name, out, into, kernel):
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (out, into, kernel, kernel), (out,)

    for place, (into, out) in enumerate([(3, 20), (20, 40), (40, 60)]):
        conv(f"F_B.{place}", out, into, 5)
    for place in range(6):
        conv(f"F_R.{place}.main_branch.0", 80, 80, 3)
        conv(f"F_R.{place}.main_branch.2", 80, 80, 3)
    conv("F_h.0", 20, 80, 3)
    conv("F_h.1.main_branch.0", 20, 20, 3)
    conv("F_h.1.main_branch.2", 20, 20, 3)
    conv("F_h.2", 20, 20, 3)
    if last:
        for place, (into, out) in enumerate([(80, 40), (40, 20)]):
            shapes[f"F_L.{place}.weight"], shapes[f"F_L.{place}.bias"] = (into, out, 3, 3), (out,)
        conv("F_L.2", 3, 20, 5)
    return shapes


@pytest.fixture(scope="module")
def port():
    """Random weights of the public port of two cells."""
    torch.manual_seed(0)
    shapes = {f"rnncell{n}.{k}": s for n in (0, 1) for k, s in port_cell(last=n == 1).items()}
    return {k: torch.randn(s) * 0.7 / max(1, int(torch.tensor(s[1:]).prod())) ** 0.5 for k, s in shapes.items()}


def port_forward(weights, frames, iterations):
    """The port's network in plain functions: (T, 3, H, W) BGR in [-0.5, 0.5] to the same."""

    def conv(x, name, stride=1):
        kernel = weights[f"{name}.weight"]
        return F.conv2d(x, kernel, weights[f"{name}.bias"], stride, kernel.shape[-1] // 2)

    def block(x, name):
        return x + conv(F.relu(conv(x, f"{name}.main_branch.0")), f"{name}.main_branch.2")

    def cell(x, hidden, name):
        for place, stride in enumerate((1, 2, 2)):
            x = conv(x, f"{name}.F_B.{place}", stride)
        x = torch.cat([x, hidden], 1)
        for place in range(6):
            x = block(x, f"{name}.F_R.{place}")
        return x, conv(block(conv(x, f"{name}.F_h.0"), f"{name}.F_h.1"), f"{name}.F_h.2")

    hidden, out = torch.zeros(1, 20, frames.shape[2] // 4, frames.shape[3] // 4), []
    for frame in frames:
        _, hidden = cell(frame[None], hidden, "rnncell0")
        for _ in range(iterations):
            x, hidden = cell(frame[None], hidden, "rnncell1")
        for place in (0, 1):
            name = f"rnncell1.F_L.{place}"
            x = F.conv_transpose2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], 2, 1, 1)
        out.append(conv(x, "rnncell1.F_L.2")[0])
    return torch.stack(out)


def as_port_saves(weights):
    """DataParallel around a class that holds the model, beside text and an optimiser's state."""
    return {
        "epoch": 500,
        "model": "IFIRNN",
        "state_dict": collections.OrderedDict((f"module.model.{k}", v) for k, v in weights.items()),
        "register_dict": {"PSNR_valid": [30.0]},
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-4}]},
    }


def test_port_has_the_known_number_of_parameters(port):
    assert sum(tensor.numel() for tensor in port.values()) == 1_635_683


@torch.no_grad()
def test_public_port_restores_as_its_own_network_does(tmp_path, port):
    file, target = tmp_path / "model_best.pth.tar", tmp_path / "ours.safetensors"
    torch.save(as_port_saves(port), file)
    words = ["import-weights", "ifirnn:C2H3", str(file), "--output", str(target), "--trained-on", "gopro/train"]
    done = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    (entry,) = yaml.safe_load(done.stdout)
    assert entry["origin"] == entry["tag"] == "public"
    assert entry["trained_on"] == ["gopro/train"]
    assert "BGR" in entry["note"]
    assert "hidden state" in entry["note"]
    assert list(entry["training"]["converted_from"]) == ["model_best.pth.tar"]

    method = IFIRNN.load()(cells=2, iterations=3)
    load_weights(method.network, target)
    frames = torch.rand(3, 3, 16, 24)
    ours = torch.stack(list(method.restore(frames)))
    theirs = port_forward(port, frames.flip(1) - 0.5, 3).flip(1) + 0.5
    assert theirs.std() > 0.05
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_what_was_written_is_known_to_a_run(tmp_path, port):
    file, target = tmp_path / "port.pth", tmp_path / "C2H1-public.safetensors"
    torch.save(port, file)
    CliRunner().invoke(
        cli, ["import-weights", "ifirnn:C2H1", str(file), "--trained-on", "reds"], catch_exceptions=False
    )
    planned = plan_method(f"ifirnn:C2H1@{target}")
    assert planned.weights.trained_on == ("reds",)
    assert "iterates 3 times, this variant 1" in planned.weights.note
    with pytest.raises(UsageError, match="'ifirnn:C2H1'"):
        plan_method(f"ifirnn:C2H3@{target}")
    with safe_open(target, "pt") as opened:
        assert json.loads(opened.metadata()["deblurbench"])["variant"] == "C2H1"


def test_weights_of_another_variant_name_those_that_fit(tmp_path, port):
    file = tmp_path / "port.pth"
    torch.save(port, file)
    foreign = read_foreign(file)
    with pytest.raises(UsageError) as error:
        convert(IFIRNN, "C1H1", foreign)
    said = str(error.value)
    assert "unexpected cells.1.F_B.0.weight" in said
    assert "ifirnn:C2H3" in said
    assert "reg" not in said
    with pytest.raises(UsageError, match="no stochastic regularisation"):
        convert(IFIRNN, "C2H3-reg", foreign)
    with pytest.raises(UsageError, match=r"missing encoder.enter32.weight.*fit no variant of 'srn'"):
        convert(SRN, "color", foreign)


def test_a_key_too_few_or_of_another_shape_is_named(tmp_path, port):
    lacking = {k: v for k, v in port.items() if k != "rnncell0.F_h.2.bias"}
    wide = port | {"rnncell1.F_R.3.main_branch.2.bias": torch.zeros(81)}
    broken = port | {"rnncell1.F_L.2.bias": torch.full((3,), torch.nan)}
    for weights, said in (
        (lacking, "missing cells.0.F_h.2.bias"),
        (wide, r"cells.1.F_R.3.second.bias is \(81,\), the network has \(80,\)"),
        (broken, "not finite: F_L.2.bias"),
    ):
        torch.save(weights, tmp_path / "port.pth")
        with pytest.raises(UsageError, match=said):
            convert(IFIRNN, "C2H3", read_foreign(tmp_path / "port.pth"))


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"params": {"no": torch.zeros(1)}, "params_ema": s},
        lambda s: {"model": {"state_dict": {f"module.{k}": v for k, v in s.items()}}},
        lambda s: {f"_orig_mod.{k}": v for k, v in s.items()},
        lambda s: {f"net.{k}": v for k, v in s.items()} | {"net.total_ops": torch.zeros(1)},
        lambda s: {k: v.double() for k, v in s.items()},
    ],
)
def test_known_wrappings_come_off(tmp_path, wrap):
    torch.manual_seed(1)
    own = IFIRNN.load()(cells=1).network.state_dict()
    torch.save(wrap(own), tmp_path / "w.ckpt")
    fit = convert(IFIRNN, "C1H2", read_foreign(tmp_path / "w.ckpt"))
    assert list(fit.weights) == list(own)
    assert all(torch.equal(fit.weights[key], own[key]) and fit.weights[key].dtype == own[key].dtype for key in own)
    assert fit.note == ""


def test_safetensors_are_read_and_never_overwritten(tmp_path):
    own = IFIRNN.load()(cells=1).network.state_dict()
    file = tmp_path / "C1H1-public.safetensors"
    save_file({f"module.{k}": v for k, v in own.items()}, file)
    before = file.read_bytes()
    done = CliRunner().invoke(cli, ["import-weights", "ifirnn:C1H1", str(file)])
    assert isinstance(done.exception, UsageError)
    assert "another file" in str(done.exception)
    assert file.read_bytes() == before
    done = CliRunner().invoke(cli, ["import-weights", "ifirnn", str(file), "--tag", "mine"], catch_exceptions=False)
    assert "--trained-on" in done.output
    assert torch.equal(load_file(tmp_path / "C1H1-mine.safetensors")["F_L.2.bias"], own["F_L.2.bias"])


def test_a_training_folder_is_not_written_into(tmp_path):
    torch.save(IFIRNN.load()(cells=1).network.state_dict(), tmp_path / "w.pth")
    (tmp_path / "training.json").write_text('{"method": "ifirnn", "variant": "C1H1"}')
    done = CliRunner().invoke(cli, ["import-weights", "ifirnn:C1H1", str(tmp_path / "w.pth")])
    assert isinstance(done.exception, UsageError)
    assert not list(tmp_path.glob("*.safetensors"))


@pytest.mark.parametrize("how", ["zip", "legacy", "bare"])
def test_a_malicious_pickle_is_refused_and_does_not_run(tmp_path, how):
    file, canary = tmp_path / "w.pth", tmp_path / "canary"
    content = {"state_dict": {"a": torch.zeros(1)}, "args": Canary(canary)}
    if how == "bare":
        file.write_bytes(pickle.dumps(content["args"]))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=how == "zip")
    canary.unlink(missing_ok=True)
    done = CliRunner().invoke(cli, ["import-weights", "ifirnn:C1H1", str(file)])
    assert isinstance(done.exception, UsageError)
    assert "can run code" in str(done.exception)
    assert "weights_only" not in str(done.exception)
    assert not canary.exists()
    pickle.loads(pickle.dumps(Canary(canary))).close()
    assert canary.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>quota exceeded</html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
        (b"no checkpoint at all", "damaged"),
        (b"PK\x03\x04 cut short", "damaged"),
    ],
)
def test_what_is_no_checkpoint_is_told(tmp_path, content, said):
    file = tmp_path / "w.pth"
    file.write_bytes(content)
    with pytest.raises(DeblurbenchError, match=said):
        read_foreign(file)


def test_a_checkpoint_cut_short_or_without_weights_is_told(tmp_path, port):
    file = tmp_path / "w.pth"
    torch.save(port, file)
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(UsageError, match="damaged or cut short"):
        read_foreign(file)
    torch.save({"epoch": 3, "lr": 0.1}, file)
    with pytest.raises(UsageError, match="found epoch, lr"):
        read_foreign(file)
    with pytest.raises(MissingError, match="no such checkpoint"):
        read_foreign(tmp_path / "absent.pth")


def test_names_are_checked_before_the_file_is_opened(tmp_path):
    for method, said in (("ifirn", "Did you mean 'ifirnn'"), ("ifirnn:C2H9", "C2H"), ("ifirnn@x", "without weights")):
        done = CliRunner().invoke(cli, ["import-weights", method, str(tmp_path / "absent.pth")])
        assert isinstance(done.exception, UsageError)
        assert said in str(done.exception)
