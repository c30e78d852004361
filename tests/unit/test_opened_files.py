"""ONNX and TorchScript files as methods: what their inputs say is kept to; what does not fit is told in one line."""

import numpy as np
import pytest
import torch

from deblurbench.checks.method import check_method
from deblurbench.errors import UsageError
from deblurbench.evaluation.plan import plan_method
from tests.foreign_nets import Blur, blurred, clip, restore, write_onnx, write_torchscript
from tests.unit.test_foreign import ready


def near(found: list[np.ndarray], expected: list[np.ndarray]) -> bool:
    return all(np.abs(a.astype(int) - b).max() <= 1 for a, b in zip(found, expected, strict=True))


@pytest.fixture
def onnx_file(tmp_path):
    pytest.importorskip("onnx", reason="the ONNX files of this test are made by onnx: pip install 'deblurbench[dev]'")
    pytest.importorskip("onnxruntime", reason="ONNX files are run by onnxruntime: pip install 'deblurbench[onnx]'")

    def write(shape, card="", **more):
        if card:
            (tmp_path / "net.yaml").write_text(card)
        return write_onnx(tmp_path / "net.onnx", shape, **more)

    return write


@pytest.mark.parametrize(
    ("shape", "frames", "form"),
    [
        ([1, 3, "h", "w"], 1, "frame"),
        (["n", 3, "h", "w"], 1, "frame"),
        ([1, 9, "h", "w"], 3, "window"),
        ([1, 3, 3, 40, 56], 3, "window"),
    ],
)
def test_an_onnx_input_says_what_it_takes(onnx_file, shape, frames, form):
    method = ready(plan_method(str(onnx_file(shape, frames=frames))))
    assert (method.form, method.radius) == (form, frames // 2)
    given = clip(4)
    assert near(restore(method, given), [blurred(frame) for frame in given])


@pytest.mark.parametrize(
    ("there", "device", "precision", "wanted"),
    [
        (["CUDA", "CPU"], "cpu", "fp32", ["CPU"]),
        (["CPU"], "cuda:0", "fp32", ["CPU"]),
        (["TensorRT", "CUDA", "CPU"], "cuda:1", "fp32", [("CUDA", {"device_id": 1, "use_tf32": 0}), "CPU"]),
        (["CUDA", "CPU"], "cuda:0", "tf32", [("CUDA", {"device_id": 0, "use_tf32": 1}), "CPU"]),
    ],
)
def test_onnxruntime_computes_where_the_run_does(there, device, precision, wanted):
    from deblurbench.methods.onnx.method import _providers

    def full(name):
        return f"{name}ExecutionProvider" if isinstance(name, str) else (full(name[0]), name[1])

    assert _providers(list(map(full, there)), device, precision) == list(map(full, wanted))


def test_half_precision_is_converted(onnx_file):
    method = ready(plan_method(str(onnx_file([1, 3, "h", "w"], element="FLOAT16"))))
    given = clip(1)
    assert near(restore(method, given), [blurred(given[0])])


def test_a_fixed_size_is_kept_to_in_tiles(onnx_file):
    """Within tiles all is as in whole frames; only at their borders, where zeros are seen, it is not."""
    method = ready(plan_method(str(onnx_file([1, 3, 32, 48]))))
    given = clip(2, 40, 96)
    found = restore(method, given)
    assert found[0].shape == (40, 96, 3) and "48x32 alone" in method.caveat
    away = np.abs(found[0].astype(int) - blurred(given[0]))[1:7, 1:35]
    assert away.max() <= 1
    assert near(restore(method, clip(1, 16, 16)), [restore(method, clip(1, 16, 16))[0]])
    assert restore(method, clip(1, 16, 16))[0].shape == (16, 16, 3)


def test_the_card_beside_it_is_heard(onnx_file):
    file = onnx_file([1, 3, "h", "w"], "name: other\nneeds: {multiple_of: 16}\n")
    planned = plan_method(str(file))
    assert planned.id == "other" and planned.card.needs.multiple_of == 16
    assert all(result != "FAILED" for _, result, _ in check_method(str(file)))


@pytest.mark.parametrize(
    ("shape", "more", "said"),
    [
        ([1, 4, "h", "w"], {}, r"input of shape \(1, 4, h, w\)"),
        ([1, 6, "h", "w"], {}, r"input of shape \(1, 6, h, w\)"),
        ([3, "h", "w"], {}, r"input of shape \(3, h, w\)"),
        ([4, 3, "h", "w"], {}, r"input of shape \(4, 3, h, w\)"),
        ([1, 3, 32, "w"], {}, r"sides are \(32, w\): one fixed, one not"),
        ([1, 3, "h", "w"], {"element": "UINT8"}, r"an input of tensor\(uint8\)"),
        ([1, 3, "h", "w"], {"inputs": 2}, "2 inputs, x .*, extra1"),
        ([1, 9, "h", "w"], {"frames": 3, "card": "needs: {window: 2}"}, "its card says window: 2"),
        ([1, 3, 32, 48], {"card": "needs: {size: [32, 48]}"}, "input of 48x32, but its card says size"),
        ([1, 3, "h", "w"], {"card": "needs: {form: recurrent}"}, "form: recurrent"),
        ([1, "t", 3, 40, 56], {}, r"any number of frames: say how many .*window: 2.* in net\.yaml"),
    ],
)
def test_an_onnx_file_of_wrong_input_says_what_was_found_and_what_is_allowed(onnx_file, shape, more, said):
    with pytest.raises(UsageError, match=rf"net\.onnx: found .*{said}.*Allowed is one input of float32 or float16"):
        ready(plan_method(str(onnx_file(shape, **more))))


def test_what_is_no_onnx_file_is_told(onnx_file, tmp_path):
    for content in (b"", b"no network", b"<html>"):
        (tmp_path / "no.onnx").write_bytes(content)
        with pytest.raises(UsageError, match=r"no\.onnx: no ONNX file that onnxruntime can run"):
            ready(plan_method(str(tmp_path / "no.onnx")))


def test_a_torchscript_file_restores(tmp_path):
    file = write_torchscript(tmp_path / "net.pt", Blur())
    planned = plan_method(str(file))
    assert planned.id == "net" and planned.weights.file == file
    given = clip(3)
    assert near(restore(ready(planned), given), [blurred(frame) for frame in given])
    assert all(result != "FAILED" for _, result, _ in check_method(str(file)))


def test_a_frozen_torchscript_file_restores_as_well(tmp_path):
    torch.jit.freeze(torch.jit.script(Blur().eval())).save(str(tmp_path / "net.pt"))
    given = clip(1)
    assert near(restore(ready(plan_method(str(tmp_path / "net.pt"))), given), [blurred(given[0])])


def test_a_torchscript_window_and_size_are_the_cards(tmp_path):
    file = write_torchscript(tmp_path / "net.pt", Blur(3))
    with pytest.raises(UsageError, match=r"does not restore frame input \(1, 3, H, W\).*takes 9 channels.*Allowed"):
        ready(plan_method(str(file)))
    (tmp_path / "net.yaml").write_text("needs: {window: 1, stack: channels}\n")
    given = clip(3)
    assert near(restore(ready(plan_method(str(file))), given), [blurred(frame) for frame in given])
    (tmp_path / "net.yaml").write_text("needs: {window: 1, stack: channels, size: [64, 48]}\n")
    method = ready(plan_method(str(file)))
    assert "64x48 alone" in method.caveat and restore(method, given)[0].shape == given[0].shape


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda file: file.write_bytes(b"no network"), "not a TorchScript archive"),
        (lambda file: torch.save({"a": torch.zeros(1)}, file), "a checkpoint, not a TorchScript.*spandrel@"),
        (lambda file: torch.save({}, file, _use_new_zipfile_serialization=False), "it was not opened"),
    ],
)
def test_what_is_no_torchscript_is_told(tmp_path, write, said):
    write(tmp_path / "net.pt")
    with pytest.raises(UsageError, match=rf"net\.pt: .*{said}"):
        ready(plan_method(str(tmp_path / "net.pt")))


def test_a_torchscript_file_that_is_cut_short_is_told(tmp_path):
    file = write_torchscript(tmp_path / "net.pt", Blur())
    file.write_bytes(file.read_bytes()[:-200])
    with pytest.raises(UsageError, match=r"net\.pt: "):
        ready(plan_method(str(file)))


def test_a_torchscript_network_that_fails_is_told(tmp_path):
    with pytest.raises(UsageError, match=r"net\.pt: does not restore frame input.*expected \(1, 3, 32, 32\)"):
        ready(plan_method(str(write_torchscript(tmp_path / "net.pt", torch.nn.Conv2d(3, 4, 1)))))
