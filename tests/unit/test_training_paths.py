"""The ways in which a training can run besides the plain one: half precision, compiled, shared out."""

import functools
import math
import shutil
import subprocess
import sys

import pytest
import torch

from deblurbench.evaluation.plan import plan_method
from deblurbench.training import checkpoint, loop
from deblurbench.training.log import read_log
from tests.blurs import TINY, blurs, request  # noqa: F401

pytestmark = pytest.mark.usefixtures("blurs")


def losses(folder):
    return [row["loss"] for row in read_log(folder / "log.jsonl")]


def test_bf16_trains_near_fp32_and_keeps_weights_in_fp32(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    seen = set()
    step = loop.take_step

    def watched(run, module, batch, rate):
        with loop._precision(run):
            seen.add(run.network.cells[0].F_B(batch.blurry[:, 0]).dtype)
        return step(run, module, batch, rate)

    monkeypatch.setattr(loop, "take_step", watched)
    half = loop.train(request(tmp_path / "half", "C1H4-reg", settings=("precision=bf16",), limit_steps=3))
    assert seen == {torch.bfloat16}
    full = loop.train(request(tmp_path / "full", "C1H4-reg", settings=("precision=fp32",), limit_steps=3))
    assert losses(half) != losses(full)
    assert losses(half) == pytest.approx(losses(full), rel=0.3)
    assert {tensor.dtype for tensor in checkpoint.read(half / "checkpoint.pt").network.values()} == {torch.float32}


def test_a_trained_folder_runs_at_once_by_variant_and_path(tmp_path):
    folder = loop.train(request(tmp_path / "train-x", limit_steps=1))
    planned = plan_method(f"ifirnn:C1H1@{folder}")
    assert planned.id == "ifirnn:C1H1@train-x"
    assert planned.record().trained_on == ["blurs/train"]
    assert plan_method(f"ifirnn@{folder}").id == planned.id


BACKENDS = [
    "aot_eager",
    pytest.param(
        "inductor",
        marks=[
            pytest.mark.timeout(1800),
            pytest.mark.skipif(shutil.which("g++") is None, reason="inductor on a CPU needs a C++ compiler"),
        ],
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled_training_computes_the_same(tmp_path, monkeypatch, backend):
    """`aot_eager` traces forward and backward as torch.compile's own backend does, and generates no code."""
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend))
    plain = loop.train(request(tmp_path / "plain", limit_steps=3))
    compiled = loop.train(request(tmp_path / "compiled", settings=("compile=true",), limit_steps=3))
    assert losses(compiled) == pytest.approx(losses(plain), rel=1e-3)
    keys = [set(checkpoint.read(f / "checkpoint.pt").network) for f in (plain, compiled)]
    assert keys[0] == keys[1]


@pytest.mark.slow
@pytest.mark.parametrize(("variant", "frames"), [("C1H1", 2), ("C1H1", 1), ("C2H3-reg", 2)])
def test_two_processes_share_the_work(tmp_path, variant, frames):
    """Of a single frame, too, which does not reach the parameters of the recurrence."""
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
        *("-m", "deblurbench", "train", f"ifirnn:{variant}", "--dataset", "blurs", "--device", "cpu", "--threads", "1"),
        *("--output", str(tmp_path / "run")),
        *(part for setting in (*TINY, f"frames={frames}") for part in ("--set", setting)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=290, check=False)
    assert done.returncode == 0, done.stderr
    assert checkpoint.read(tmp_path / "run" / "checkpoint.pt").step == 6
    assert all(math.isfinite(loss) for loss in losses(tmp_path / "run"))
    assert done.stderr.count("trained. Try it") == 1
