"""TensorFlow's checkpoints: a writer of its own, damage of every kind, and SRN's outputs in NumPy."""

import struct

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner
from numpy.lib.stride_tricks import sliding_window_view

from deblurbench.cli.main import cli
from deblurbench.errors import DeblurbenchError, MissingError, UsageError
from deblurbench.methods.weights.convert import convert, read_foreign
from deblurbench.methods.weights.files import load_weights
from deblurbench.methods.weights.tensorflow import crc32c, index_file, open_checkpoint
from deblurbench.registry.discovery import plugin

SRN = plugin("methods", "srn")
NUMBERS = {"float32": 1, "float64": 2, "int32": 3, "int64": 9}


def bitwise(data):
    """crc32c by long division, bit by bit."""
    register = 0xFFFFFFFF
    for byte in data:
        for bit in range(8):
            odd = (register ^ byte >> bit) & 1
            register = register >> 1 ^ (0x82F63B78 if odd else 0)
    return register ^ 0xFFFFFFFF


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (bytes(range(32)), 0x46DD794E)],
)
def test_crc32c_gives_the_values_of_rfc_3720(data, expected):
    assert crc32c(data) == expected == bitwise(data)


def test_crc32c_is_long_division():
    data = np.random.default_rng(0).bytes(1000)
    assert crc32c(data) == bitwise(data)


# A writer of the format, after LevelDB's table_format.md.


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def number(place, value):
    return varint(place << 3) + varint(value) if value else b""


def message(place, content):
    return varint(place << 3 | 2) + varint(len(content)) + content


def masked(data):
    value = crc32c(data)
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


def block(entries, every=16):
    """Entries with shared prefixes, a restart after `every` of them."""
    out, restarts, last = b"", [], b""
    for place, (key, value) in enumerate(entries):
        shared = 0
        if place % every == 0:
            restarts.append(len(out))
        else:
            while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    restarts = restarts or [0]
    return out + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


def table(entries, kind=0, size=20):
    """A whole table, `size` entries a block."""
    out, handles = b"", []
    blocks = [entries[at : at + size] for at in range(0, len(entries), size)]

    def add(content):
        nonlocal out
        handle = varint(len(out)) + varint(len(content))
        out += content + bytes([kind]) + struct.pack("<I", masked(content + bytes([kind])))
        return handle

    handles = [(part[-1][0], add(block(part))) for part in blocks]
    metaindex = add(block([]))
    footer = metaindex + add(block(handles, every=1))
    return out + footer.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def write_bundle(prefix, tensors, shards=1, kind=0, endian=0, extra=b""):
    """PREFIX.index and its shards; tensors are dealt out in turn. Returns the index."""
    data, entries = [bytearray() for _ in range(shards)], []
    for place, name in enumerate(sorted(tensors)):
        array = np.ascontiguousarray(tensors[name])
        shard, raw = place % shards, array.tobytes()
        shape = b"".join(message(2, number(1, size)) for size in np.shape(tensors[name]))
        entry = number(1, NUMBERS[array.dtype.name]) + message(2, shape) + number(3, shard)
        entry += number(4, len(data[shard])) + number(5, len(raw)) + b"\x35" + struct.pack("<I", masked(raw)) + extra
        entries.append((name.encode(), entry))
        data[shard] += raw
    header = number(1, shards) + number(2, endian) + message(3, number(1, 1))
    for shard, content in enumerate(data):
        prefix.with_name(f"{prefix.name}.data-{shard:05d}-of-{shards:05d}").write_bytes(bytes(content))
    index = prefix.with_name(f"{prefix.name}.index")
    index.write_bytes(table([(b"", header), *entries], kind))
    return index


@pytest.fixture
def small(tmp_path):
    """A little checkpoint of two shards, and its tensors."""
    random = np.random.default_rng(1)
    tensors = {f"g_net/layer{n:02d}/weights": random.random((3, n, 2)).astype(np.float32) for n in range(1, 50)}
    tensors |= {"g_net/layer01/biases": random.random(7), "step": np.array(5, np.int32), "empty": np.zeros((0, 3))}
    return write_bundle(tmp_path / "deblur.model-5", tensors, shards=2), tensors


def test_tensors_come_back_as_they_were_written(small):
    index, tensors = small
    checkpoint = open_checkpoint(index)
    assert set(checkpoint.tensors) == set(tensors)
    assert [file.name for file in checkpoint.files()] == [
        "deblur.model-5.index", "deblur.model-5.data-00000-of-00002", "deblur.model-5.data-00001-of-00002",
    ]  # fmt: skip
    for name, tensor in tensors.items():
        got = checkpoint.read(name)
        assert got.shape == tensor.shape
        assert got.dtype == tensor.dtype
        assert np.array_equal(got, tensor)


def test_any_of_its_files_or_their_prefix_means_the_checkpoint(small):
    index, _ = small
    for ending in ("", ".index", ".meta", ".data-00001-of-00002"):
        assert index_file(index.with_name(f"deblur.model-5{ending}")) == index
    assert index_file(index.with_name("other")) is None


def test_a_flipped_byte_of_the_index_is_found_wherever_it_lies(small):
    index, _ = small
    whole, expected = index.read_bytes(), open_checkpoint(index)
    footer = len(whole) - 48
    missed = []
    for at in [*range(0, footer, 7), *range(footer, len(whole))]:
        index.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        try:
            assert open_checkpoint(index) == expected
            missed.append(at)
        except UsageError as error:
            assert str(index) in str(error)
    assert all(at >= footer for at in missed)  # the zeros that fill the footer
    assert len(missed) < 40


def test_an_index_cut_short_is_told(small):
    index, _ = small
    whole = index.read_bytes()
    for length in (1, 47, 48, len(whole) // 2, len(whole) - 1):
        index.write_bytes(whole[:length])
        with pytest.raises(UsageError, match="magic number"):
            open_checkpoint(index)
    index.write_bytes(whole[100:])
    with pytest.raises(UsageError, match="no whole index"):
        open_checkpoint(index)


def test_damaged_short_and_missing_shards_are_told(small):
    index, _ = small
    checkpoint, file = open_checkpoint(index), index.with_name("deblur.model-5.data-00000-of-00002")
    name = next(n for n, e in checkpoint.tensors.items() if e.shard == 0 and e.offset > 0)
    entry, whole = checkpoint.tensors[name], file.read_bytes()
    file.write_bytes(whole[: entry.offset + 1] + bytes([whole[entry.offset + 1] ^ 1]) + whole[entry.offset + 2 :])
    with pytest.raises(UsageError, match=f"{name}' is damaged"):
        checkpoint.read(name)
    file.write_bytes(whole[: entry.offset + 2])
    with pytest.raises(UsageError, match="cut short"):
        checkpoint.read(name)
    file.unlink()
    with pytest.raises(MissingError, match="beside the index"):
        checkpoint.read(name)


@pytest.mark.parametrize(
    ("how", "said"),
    [({"kind": 1}, "compressed"), ({"endian": 1}, "big-endian"), ({"extra": b"\x0b"}, "unknown kind")],
)
def test_what_is_not_read_is_told(tmp_path, how, said):
    index = write_bundle(tmp_path / "x", {"a": np.ones(3, np.float32)}, **how)
    with pytest.raises(UsageError, match=said):
        open_checkpoint(index)


def test_other_tables_and_older_checkpoints_are_told(tmp_path):
    index = tmp_path / "x.index"
    index.write_bytes(table([(b"key", b"value")]))
    with pytest.raises(UsageError, match="header"):
        open_checkpoint(index)
    index.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(UsageError, match="git lfs pull"):
        read_foreign(index)
    with pytest.raises(MissingError, match="data-00000-of-00001"):
        read_foreign(tmp_path / "y.index")


def test_partitioned_variables_and_scalars_are_left_out(tmp_path):
    index = write_bundle(tmp_path / "x", {"a": np.ones(3, np.float32)}, extra=message(7, b""))
    assert open_checkpoint(index).tensors["a"].sliced
    with pytest.raises(UsageError, match="no weights in it, only a"):
        read_foreign(index)


# SRN, its official names, and its layers in NumPy: (H, W, C) frames, kernels as TensorFlow lays them out.


def official(variant):
    """Random variables of a released variant, by TensorFlow's names, with what training leaves beside them."""
    random, colours = np.random.default_rng(7), 3 if variant == "color" else 1
    found = {}

    def layer(name, kernel, into, out, shape=None):
        scale = 0.9 / (kernel * into**0.5)
        found[f"g_net/{name}/weights"] = random.normal(0, scale, shape or (kernel, kernel, into, out))
        found[f"g_net/{name}/biases"] = random.normal(0, 0.05, out)

    for level, (into, out) in enumerate([(2 * colours, 32), (32, 64), (64, 128)], 1):
        layer(f"enc{level}_1", 5, into, out)
        for place in (2, 3, 4):
            for conv in ("conv1", "conv2"):
                layer(f"enc{level}_{place}/{conv}", 5, out, out)
                layer(f"dec{level}_{place - 1}/{conv}", 5, out, out)
    layer("dec2_4", 4, 128, 64, (4, 4, 64, 128))
    layer("dec1_4", 4, 64, 32, (4, 4, 32, 64))
    layer("dec1_0", 5, 32, colours)
    if variant == "lstm":
        layer("convLSTM/LSTM_conv", 3, 256, 512)
    found["g_net/dec1_0/biases/Adam"] = found["g_net/dec1_0/biases/Adam_1"] = np.zeros(colours)
    found["beta1_power"] = np.array(0.9)
    return {k: v.astype(np.float32) for k, v in found.items()} | {"Variable": np.array(523000, np.int32)}


def same(size, kernel, stride):
    """TensorFlow's SAME padding, before and after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def conv(x, kernel, bias, stride=1):
    side = kernel.shape[0]
    x = np.pad(x, (same(x.shape[0], side, stride), same(x.shape[1], side, stride), (0, 0)))
    windows = sliding_window_view(x, (side, side), axis=(0, 1))[::stride, ::stride]
    return np.einsum("hwcij,ijco->hwo", windows, kernel, optimize=True) + bias


def conv_transpose(x, kernel, bias):
    """The gradient of a SAME convolution 4x4 of stride 2: every pixel spreads its kernel (4, 4, out, in)."""
    height, width = 2 * x.shape[0], 2 * x.shape[1]
    (top, bottom), (left, right) = same(height, 4, 2), same(width, 4, 2)
    out = np.zeros((height + top + bottom, width + left + right, kernel.shape[2]))
    for i in range(4):
        for j in range(4):
            out[i : i + height : 2, j : j + width : 2] += x @ kernel[i, j].T
    return out[top : top + height, left : left + width] + bias


def resize(x, height, width):
    """TensorFlow 1's bilinear resize_images with align_corners False."""

    def weights(old, new):
        found = np.zeros((new, old))
        for i in range(new):
            at = i * old / new
            low = int(at)
            found[i, low] += 1 - (at - low)
            found[i, min(low + 1, old - 1)] += at - low
        return found

    return np.einsum("ah,hwc,bw->abc", weights(x.shape[0], height), x, weights(x.shape[1], width), optimize=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def relu(x):
    return np.maximum(x, 0)


def official_forward(variables, frame):
    """The released network on (H, W, colours) in [0, 1]: the prediction at full size."""

    def of(name):
        return variables[f"g_net/{name}/weights"].astype(np.float64), variables[f"g_net/{name}/biases"]

    def blocks(x, names):
        for name in names:
            x = x + conv(relu(conv(x, *of(f"{name}/conv1"))), *of(f"{name}/conv2"))
        return x

    height, width, _ = frame.shape
    prediction, state = frame, np.zeros((height // 4, width // 4, 256))
    for scale in (4, 2, 1):
        h, w = height // scale, width // scale
        x = np.concatenate([resize(frame, h, w), resize(prediction, h, w)], 2)
        skips = []
        for level, stride in ((1, 1), (2, 2), (3, 2)):
            x = relu(conv(x, *of(f"enc{level}_1"), stride))
            x = blocks(x, [f"enc{level}_{place}" for place in (2, 3, 4)])
            skips.append(x)
        if "g_net/convLSTM/LSTM_conv/weights" in variables:
            c, hidden = np.split(resize(state, h // 4, w // 4), 2, 2)
            i, j, f, o = np.split(conv(np.concatenate([x, hidden], 2), *of("convLSTM/LSTM_conv")), 4, 2)
            c = c * sigmoid(f + 1) + sigmoid(i) * np.tanh(j)
            x = np.tanh(c) * sigmoid(o)
            state = np.concatenate([c, x], 2)
        for level in (3, 2, 1):
            x = blocks(x, [f"dec{level}_{place}" for place in (3, 2, 1)])
            if level > 1:
                x = relu(conv_transpose(x, *of(f"dec{level - 1}_4"))) + skips[level - 2]
        prediction = conv(x, *of("dec1_0"))
    return prediction


@pytest.mark.parametrize("variant", ["lstm", "gray", "color"])
@torch.no_grad()
def test_released_srn_restores_as_tensorflow_does(tmp_path, variant):
    variables, target = official(variant), tmp_path / "srn.safetensors"
    index = write_bundle(tmp_path / "deblur.model-523000", variables)
    words = ["import-weights", f"srn:{variant}", str(index.with_suffix("")), "--output", str(target)]
    done = CliRunner().invoke(cli, words, catch_exceptions=False)
    (entry,) = yaml.safe_load(done.stdout)
    assert (entry["origin"], entry["tag"], entry["variant"]) == ("official", "official", variant)
    assert len(entry["training"]["converted_from"]) == 2

    method = SRN.load()(**SRN.card.variants[variant].parameters)
    load_weights(method.network, target)
    frame = np.random.default_rng(3).random((32, 48, 3))
    window = torch.tensor(frame, dtype=torch.float32).permute(2, 0, 1)[None]
    ours = method.restore_window(window).permute(1, 2, 0).numpy()
    if variant == "color":
        theirs = official_forward(variables, frame)
    else:
        theirs = np.concatenate([official_forward(variables, frame[..., c : c + 1]) for c in range(3)], 2)
    assert theirs.std() > 0.02
    assert np.abs(ours - theirs).max() < 2e-4 * np.abs(theirs).max()


def test_srn_of_another_variant_names_the_keys_and_what_fits(tmp_path):
    index = write_bundle(tmp_path / "deblur.model-523000", official("gray"))
    foreign = read_foreign(index)
    with pytest.raises(UsageError, match=r"missing lstm.gates.weight; missing lstm.gates.bias. They fit srn:gray"):
        convert(SRN, "lstm", foreign)
    with pytest.raises(UsageError, match=r"encoder.enter32.weight is \(32, 2, 5, 5\), the network has \(32, 6, 5, 5\)"):
        convert(SRN, "color", foreign)
    with pytest.raises(UsageError, match="pads and resizes otherwise"):
        convert(SRN, "rgb", foreign)
    del foreign.tensors["g_net/dec2_2/conv1/biases"]
    with pytest.raises(DeblurbenchError, match=r"missing decoder.blocks64.1.first.bias. They fit no variant"):
        convert(SRN, "gray", foreign)
