"""Weight files: found, checked, loaded strictly, or refused with the reason."""

import json
import pickle

import pytest
import torch
from safetensors.torch import save_file

from deblurbench.errors import MissingError, UsageError
from deblurbench.evaluation.plan import plan_methods
from deblurbench.methods.weights.files import find_weights, load_weights
from deblurbench.provenance import file_sha256
from deblurbench.registry.cards import MethodCard
from deblurbench.registry.discovery import Plugin
from tests.conftest import write_plugin


class Canary:
    """Leaves a file when it is unpickled."""

    def __init__(self, file):
        self.file = str(file)

    def __reduce__(self):
        return (open, (self.file, "w"))


@pytest.fixture
def network():
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 3, 3))


def test_half_precision_is_widened_and_loaded(tmp_path, network):
    file = tmp_path / "w.safetensors"
    save_file({k: v.half() for k, v in network.state_dict().items()}, file)
    other = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 3, 3))
    load_weights(other, file)
    assert other[0].weight.dtype == torch.float32
    assert torch.allclose(other[0].weight, network[0].weight, atol=1e-3)


def test_another_architecture_is_refused_with_its_keys(tmp_path, network):
    file = tmp_path / "w.safetensors"
    save_file({"0.weight": torch.zeros(4, 3, 5, 5), "module.0.bias": torch.zeros(4)}, file)
    with pytest.raises(UsageError) as error:
        load_weights(network, file)
    for said in ("missing 0.bias", "unexpected module.0.bias", "(4, 3, 5, 5)"):
        assert said in str(error.value)


def test_a_wrapped_networks_prefix_is_named(tmp_path, network):
    file = tmp_path / "w.safetensors"
    save_file({f"module.{key}": value for key, value in network.state_dict().items()}, file)
    with pytest.raises(UsageError, match=r"every key begins with 'module\.'.*import-weights"):
        load_weights(network, file)


@pytest.mark.parametrize("content", [b"", b"<html>", b"version https://git-lfs", b"\x10" + bytes(7) + b"{}", "cut"])
def test_a_file_that_is_no_weights_is_refused_before_anything_runs(tmp_path, network, content):
    file = tmp_path / "w.safetensors"
    save_file(network.state_dict(), file)
    file.write_bytes(file.read_bytes()[:-5] if content == "cut" else content)
    with pytest.raises(UsageError, match=r"w\.safetensors"):
        plan_methods([f"ifirnn:C1H1@{file}"], False)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00{}", "damaged or cut short"),
        (b"random bytes that are no weights", "damaged or cut short"),
    ],
)
def test_what_is_no_weight_file_is_told(tmp_path, network, content, said):
    file = tmp_path / "w.safetensors"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=said):
        load_weights(network, file)


def test_a_pickle_with_code_is_not_opened(tmp_path, network):
    mark = tmp_path / "ran"
    for name, data in (("a", pickle.dumps(Canary(mark))), ("b", None)):
        file = tmp_path / f"{name}.safetensors"
        if data is None:
            torch.save({"w": Canary(mark)}, file)
        else:
            file.write_bytes(data)
        with pytest.raises(UsageError, match="can run code"):
            load_weights(network, file)
    assert not mark.exists()


def card(tmp_path, sha="0" * 64, **more):
    weights = [{"tag": "t", "variant": "x", "file": "w.safetensors", "sha256": sha}]
    body = {"name": "m", "entry": "method:M", "title": "M", "trainable": True, "variants": {"x": {}, "y": {}}}
    return Plugin("methods", "m", tmp_path, MethodCard.model_validate(body | {"weights": weights} | more))


def test_a_wrong_digest_is_refused(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "w.safetensors")
    with pytest.raises(UsageError, match="sha256"):
        find_weights(card(tmp_path), "x", None)


def test_the_default_the_tag_and_the_path(tmp_path):
    file = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(1)}, file)
    plugin = card(tmp_path, file_sha256(file))
    assert find_weights(plugin, "x", None).tag == "t" == find_weights(plugin, "x", "t").tag
    assert find_weights(plugin, "y", str(file)).file == file
    with pytest.raises(UsageError, match="no weights 'u'"):
        find_weights(plugin, "x", "u")
    with pytest.raises(MissingError, match="deblurbench train m:y"):
        find_weights(plugin, "y", None)
    with pytest.raises(MissingError, match="no weight file"):
        find_weights(plugin, "x", str(tmp_path / "gone.safetensors"))


def test_shipped_weights_named_by_a_path_keep_what_they_were_trained_on(tmp_path):
    file, moved = tmp_path / "w.safetensors", tmp_path / "moved.safetensors"
    save_file({"a": torch.zeros(1)}, file)
    moved.write_bytes(file.read_bytes())
    entry = {"tag": "t", "variant": "x", "file": "w.safetensors", "sha256": file_sha256(file)}
    plugin = card(tmp_path, weights=[entry | {"trained_on": ["gopro/train"]}])
    assert {find_weights(plugin, "x", wanted).trained_on for wanted in ("t", str(file), str(moved))} == {
        ("gopro/train",)
    }
    save_file({"a": torch.ones(1)}, moved)
    assert find_weights(plugin, "x", str(moved)).trained_on == ()


def test_a_file_of_unknown_origin_is_held_to_the_shipped_one_before_anything_runs(tmp_path):
    shipped, file = tmp_path / "w.safetensors", tmp_path / "mine.safetensors"
    save_file({"a": torch.zeros(1)}, shipped)
    plugin = card(tmp_path, file_sha256(shipped))
    save_file({"a": torch.ones(1)}, file)
    assert find_weights(plugin, "x", str(file)).file == file
    save_file({"b": torch.zeros(1)}, file)
    with pytest.raises(UsageError, match=r"mine\.safetensors: .*another architecture.*missing a; unexpected b"):
        find_weights(plugin, "x", str(file))
    assert find_weights(plugin, "y", str(file)).file == file  # nothing ships for it
    save_file({"a": torch.zeros(2)}, file)
    with pytest.raises(UsageError, match=r"a is \(2,\), the network has \(1,\)"):
        find_weights(plugin, "x", str(file))
    shipped.write_bytes(b"version https://git-lfs.github.com/spec/v1")
    assert find_weights(plugin, "x", str(file)).file == file


def test_a_training_folder_of_another_variant_is_refused(tmp_path):
    folder = tmp_path / "train"
    folder.mkdir()
    save_file({"a": torch.zeros(1)}, folder / "weights.safetensors")
    (folder / "training.json").write_text(json.dumps({"method": "m", "variant": "y", "trained_on": ["synth"]}))
    assert find_weights(card(tmp_path), "y", str(folder)).trained_on == ("synth",)
    with pytest.raises(UsageError, match="trained as 'm:y'"):
        find_weights(card(tmp_path), "x", str(folder))


def test_a_header_whose_length_begins_like_a_pickle_is_still_safetensors(tmp_path):
    network = torch.nn.Conv2d(3, 3, 3)
    file = tmp_path / "w.safetensors"
    save_file(network.state_dict(), file)
    header = json.dumps(json.loads(file.read_bytes()[8:].partition(b"}}")[0] + b"}}")).encode()
    data = file.read_bytes()[8 + int.from_bytes(file.read_bytes()[:8], "little") :]
    length = -(-len(header) // 256) * 256 + 128  # its lowest byte is 0x80, as a pickle's first
    file.write_bytes(length.to_bytes(8, "little") + header.ljust(length) + data)
    other = torch.nn.Conv2d(3, 3, 3)
    load_weights(other, file)
    assert torch.equal(other.weight, network.weight)


def test_a_damaged_training_story_is_told(tmp_path):
    save_file({"a": torch.zeros(1)}, tmp_path / "weights.safetensors")
    for text in ("", "{", "[]"):
        (tmp_path / "training.json").write_text(text)
        with pytest.raises(UsageError, match=r"training\.json"):
            find_weights(card(tmp_path), "y", str(tmp_path))


def test_a_folder_does_not_hide_a_tag(tmp_path, monkeypatch):
    file = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(1)}, file)
    (tmp_path / "t").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_weights(card(tmp_path, file_sha256(file)), "x", "t").file == file


def test_trainings_are_called_by_their_folder_and_never_mixed_up(tmp_path, plugin_folder):
    write_plugin(plugin_folder, "m", "", "trainable: true\n")
    for name, value in (("first", 1), ("second", 2), ("other/first", 3)):
        (tmp_path / name).mkdir(parents=True)
        save_file({"a": torch.full((1,), float(value))}, tmp_path / name / "weights.safetensors")
    texts = [f"m@{tmp_path / 'first'}", f"m@{tmp_path / 'second' / 'weights.safetensors'}"]
    planned = plan_methods(texts, random_weights=False)
    assert [method.id for method in planned] == ["identity", "m@first", "m@second"]
    with pytest.raises(UsageError, match="would both be called 'm@first'"):
        plan_methods([texts[0], f"m@{tmp_path / 'other' / 'first'}"], random_weights=False)
