"""The Python interface: fast to import, the same numbers as the command line, objects untouched."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import deblurbench
from deblurbench.frames.images import read_frame
from tests.conftest import ROOT
from tests.fakes import write_folder


class Darken(torch.nn.Module):
    def __init__(self, factor=0.5):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(factor))

    def forward(self, frames):
        return frames * self.factor


class Average(deblurbench.WindowMethod):
    radius = 1

    def restore_window(self, frames):
        return frames.mean(dim=0)


def evaluate(tmp_path, methods, **options):
    data = tmp_path / "data"
    if not data.exists():
        write_folder(data, frames=4)
    given = {"metrics": ["psnr"], "output": tmp_path / "run", "device": "cpu", **options}
    return deblurbench.evaluate(methods, "folder", data_root=data, **given)


def means(run):
    return run.scores.groupby("method").value.mean().to_dict()


def test_import_is_fast_and_light():
    code = (
        "import sys, time; begin = time.perf_counter(); import deblurbench; took = time.perf_counter() - begin\n"
        "heavy = {'torch', 'pandas', 'numpy', 'pydantic', 'yaml', 'click'} & set(sys.modules)\n"
        "assert not heavy, heavy\nassert took < 0.1, took"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_every_public_name_is_there_and_documented():
    for name in deblurbench.__all__:
        value = getattr(deblurbench, name)
        assert name == "__version__" or (value.__doc__ or "").strip(), name
    assert set(dir(deblurbench)) == set(deblurbench.__all__)
    with pytest.raises(AttributeError, match="no attribute 'evaluat'"):
        deblurbench.evaluat  # noqa: B018


def test_objects_are_evaluated_beside_names(tmp_path):
    run = evaluate(tmp_path, {"mine": Darken(), "their name is not used": "unsharp:mild", "average": Average()})
    assert set(means(run)) == {"identity", "mine", "unsharp:mild", "average"}
    assert not run.failures
    assert means(run)["mine"] < means(run)["identity"]
    assert {m.id: m.kind for m in run.manifest.methods}["average"] == "window"
    assert "mine" in run._repr_html_() and "PSNR" in run._repr_html_()


def test_an_object_stays_as_it_is(tmp_path):
    module = Darken().train()
    evaluate(tmp_path, [module])
    assert module.training and module.factor.requires_grad


def test_other_weights_are_computed_again_and_the_same_are_not(tmp_path):
    first = means(evaluate(tmp_path, [Darken(0.5)]))
    part = tmp_path / "run" / "parts" / "darken" / "one.json"
    written = part.stat().st_mtime_ns
    assert means(evaluate(tmp_path, [Darken(0.5)])) == first and part.stat().st_mtime_ns == written
    assert means(evaluate(tmp_path, [Darken(0.9)]))["darken"] > first["darken"]


def test_a_failing_object_costs_its_own_row(tmp_path):
    class Broken(torch.nn.Module):
        def forward(self, frames):
            raise RuntimeError("no such luck")

    run = evaluate(tmp_path, [Broken()])
    assert {outcome.method for outcome in run.failures} == {"broken"}
    assert "no such luck" in run.failures[0].reason
    assert "identity" in means(run)


def test_needs_are_those_of_a_card(tmp_path):
    scaled = deblurbench.wrap(Darken(1.0), "scaled", range=(0, 255), colours="bgr", multiple_of=32)
    found = means(evaluate(tmp_path, [scaled]))
    assert found["scaled"] == pytest.approx(found["identity"], abs=1e-3)
    with pytest.raises(deblurbench.UsageError, match="multiple_of"):
        deblurbench.wrap(Darken(), multiple_of=0)
    with pytest.raises(deblurbench.UsageError, match=r"neither a torch\.nn\.Module"):
        deblurbench.wrap(3)


def test_a_misspelled_argument_and_an_object_that_is_gone(tmp_path):
    with pytest.raises(deblurbench.UsageError, match="Did you mean 'metrics'"):
        evaluate(tmp_path, ["identity"], metric=["psnr"])
    with pytest.raises(deblurbench.UsageError, match="Python object"):
        evaluate(tmp_path, ["<mine>"])


def test_restoring_in_memory_gives_the_frames_of_a_run(tmp_path):
    run = evaluate(tmp_path, ["unsharp:mild"], save_frames="all")
    saved = run.frames("unsharp:mild", "one")
    method = deblurbench.load_method("unsharp:mild", device="cpu")
    clip = deblurbench.open_dataset("folder", tmp_path / "data")["one"]
    blurry = np.stack(list(clip.blurry))
    restored = method(blurry)
    assert restored.dtype == np.uint8 and restored.shape == blurry.shape
    for frame, file in zip(restored, saved.values(), strict=True):
        assert np.array_equal(frame, read_frame(file))
    assert all(np.array_equal(a, b) for a, b in zip(method.stream(clip.blurry), restored, strict=True))


def test_tensors_come_back_as_tensors_and_gradients_stay_on():
    method = deblurbench.load_method("unsharp:mild", device="cpu")
    clip = torch.rand(3, 3, 40, 50)
    for frame in method.stream(clip):
        assert frame.shape == (3, 40, 50) and frame.dtype == torch.float32
        assert torch.is_grad_enabled()
    assert method(clip).shape == clip.shape
    with pytest.raises(deblurbench.UsageError, match="uint8"):
        method(clip.numpy())


def test_metrics_are_called_on_frames_and_clips():
    random = np.random.default_rng(0)
    one, two = (random.integers(0, 255, (3, 32, 32, 3), np.uint8) for _ in range(2))
    psnr = deblurbench.metric("psnr")
    assert psnr(one, two) == pytest.approx(np.mean([psnr(a, b) for a, b in zip(one, two, strict=True)]))
    assert deblurbench.metric("tpsnr")(one, two) > 0
    assert deblurbench.metric("sharpness")(one[0]) > 0
    with pytest.raises(deblurbench.UsageError, match="over a clip"):
        deblurbench.metric("tpsnr")(one[0], two[0])
    with pytest.raises(deblurbench.UsageError, match="3 restored and 2 sharp"):
        psnr(one, two[:2])


def test_datasets_are_sequences_of_clips(tmp_path):
    write_folder(tmp_path, frames=4)
    opened = deblurbench.open_dataset("folder", tmp_path)
    assert [clip.name for clip in opened] == ["one", "two"] and len(opened) == 2
    assert opened[0] is opened["one"]
    with pytest.raises(deblurbench.UsageError, match="no clip 'tow'"):
        opened["tow"]
