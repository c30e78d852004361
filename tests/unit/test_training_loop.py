"""The training loop on a small endless dataset: resuming to the bit, saving, stopping, refusing."""

import json
import logging
import math
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from deblurbench.errors import MissingError, UsageError
from deblurbench.methods.weights.files import load_weights, read_weights
from deblurbench.provenance import file_sha256
from deblurbench.registry import discovery
from deblurbench.training import checkpoint, loop
from deblurbench.training.log import read_log
from deblurbench.training.setup import _names_of
from tests.blurs import TINY, blurs, drawn, request  # noqa: F401

pytestmark = pytest.mark.usefixtures("blurs")


def losses(folder):
    return [(r["step"], r["loss"]) for r in read_log(folder / "log.jsonl") if "loss" in r]


def weights(folder):
    return checkpoint.read(folder / "checkpoint.pt")


@pytest.mark.parametrize("variant", ["C1H1", "C2H3-reg"])
def test_resuming_gives_the_run_that_was_not_stopped_to_the_bit(tmp_path, monkeypatch, variant):
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    loop.train(request(tmp_path / "straight", variant))
    loop.train(request(tmp_path / "halves", variant, limit_steps=3))
    assert weights(tmp_path / "halves").step == 3
    torch.rand(5)
    loop.train(request(tmp_path / "halves", variant, resume=True))
    assert losses(tmp_path / "halves") == losses(tmp_path / "straight")
    assert len(losses(tmp_path / "straight")) == 6
    one, two = weights(tmp_path / "straight"), weights(tmp_path / "halves")
    for part in ("network", "training_only", "average"):
        for key, value in getattr(one, part).items():
            assert torch.equal(value, getattr(two, part)[key]), key
    assert torch.equal(one.random["cpu"], two.random["cpu"])


def test_resuming_logs_what_the_run_that_was_not_stopped_logs(tmp_path, monkeypatch):
    """Means over several steps reach across the stop, and the stop's own validation is not in the log."""
    monkeypatch.setattr(loop, "LOG_EVERY", 5)
    settings = (
        "steps=10",
        "validation_clips=1",
        "validation_frames=1",
        "validate_every=4",
        "optimiser=muon",
        "ema=0.9",
    )
    straight = loop.train(request(tmp_path / "straight", settings=settings))
    halves = loop.train(request(tmp_path / "halves", settings=settings, limit_steps=7))
    assert read_log(halves / "log.jsonl")[-1]["step"] == 7
    loop.train(request(halves, settings=settings, resume=True))
    loop.train(request(halves, settings=settings, resume=True))  # once more changes nothing
    times = {"seconds", "steps_per_s", "compute_share", "data_share"}
    one, two = (
        [{key: value for key, value in record.items() if key not in times} for record in read_log(run / "log.jsonl")]
        for run in (straight, halves)
    )
    assert one == two and [record["step"] for record in one if "psnr" in record] == [0, 4, 8, 10]


@pytest.mark.parametrize("end", [0, 2])
def test_a_stop_exports_no_untrained_weights(tmp_path, monkeypatch, end):
    step = loop.take_step

    def failing(run, *words):
        if run.step == end:
            raise KeyboardInterrupt
        return step(run, *words)

    monkeypatch.setattr(loop, "take_step", failing)
    with pytest.raises(KeyboardInterrupt):
        loop.train(request(tmp_path / "run", settings=("validate_every=2",)))
    there = tmp_path / "run" / "weights.safetensors"
    assert there.is_file() == bool(end)


def test_training_lowers_the_loss_and_exports_weights_that_load(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    settings = ("steps=30", "validation_clips=2", "validation_frames=2", "validate_every=10", "ema=0.5", "half=true")
    folder = loop.train(request(tmp_path / "run", settings=settings))
    curve = [loss for _, loss in losses(folder)]
    assert sum(curve[-5:]) < 0.8 * sum(curve[:5])
    told = json.loads((folder / "training.json").read_text())
    assert (told["method"], told["variant"], told["seed"]) == ("ifirnn", "C1H1", 0)
    assert told["trained_on"] == ["blurs/train"]
    assert told["validation"]["psnr"] > told["validation"]["identity"]
    network = discovery.plugin("methods", "ifirnn").load()(1, 1).network
    load_weights(network, folder / "weights.safetensors")


def test_counters_and_indices_are_exported_as_they_are():
    from deblurbench.training.export import _plain

    given = {"index": torch.tensor([2047, 2049, 70000]), "w": torch.tensor([1.5]), "seen": torch.tensor(3)}
    for half in (False, True):
        plain = _plain(given, half)
        assert torch.equal(plain["index"], given["index"]) and plain["seen"].dtype == torch.int64
        assert plain["w"].dtype == (torch.float16 if half else torch.float32)


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "cuda"])
def test_a_device_that_is_not_there_is_refused(tmp_path, device):
    if torch.cuda.is_available() and device == "cuda":
        pytest.skip("it is there")
    with pytest.raises(UsageError, match=r"is not available: \d+ CUDA"):
        loop.train(replace(request(tmp_path / "run"), device=device))


def test_a_training_computes_with_the_precision_that_runs_are_scored_in(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    loop.train(request(tmp_path / "run", limit_steps=1))
    assert not torch.backends.cudnn.allow_tf32 and torch.backends.cudnn.deterministic


def test_weights_are_the_best_validated_not_the_last(tmp_path, monkeypatch):
    from deblurbench.training.validation import Validation

    marks = iter([30.0, 25.0, 22.0, 21.0])  # the first is taken at step 0 and never chosen
    monkeypatch.setattr(loop, "validate", lambda *_: Validation(0.0, 0.0, next(marks), 20.0, 1))
    folder = loop.train(
        request(tmp_path / "run", settings=("validation_clips=1", "validate_every=3", "validation_frames=1"))
    )
    assert json.loads((folder / "training.json").read_text())["steps"] == 3


def test_a_folder_in_use_is_not_overwritten(tmp_path):
    loop.train(request(tmp_path / "run", limit_steps=1))
    with pytest.raises(UsageError, match="--resume"):
        loop.train(request(tmp_path / "run", limit_steps=1))


def test_resuming_another_variant_recipe_or_seed_is_refused(tmp_path):
    loop.train(request(tmp_path / "run", limit_steps=1))
    with pytest.raises(UsageError, match=r"'ifirnn:C1H1'.*'ifirnn:C1H2'"):
        loop.train(request(tmp_path / "run", "C1H2", resume=True))
    with pytest.raises(UsageError, match="batch was 1, is 2"):
        loop.train(request(tmp_path / "run", settings=("batch=2",), resume=True))
    with pytest.raises(UsageError, match="seed 0, not 5"):
        loop.train(request(tmp_path / "run", seed=5, resume=True))


def test_resuming_with_other_data_or_another_start_is_refused(tmp_path, blurs, monkeypatch):  # noqa: F811
    start = loop.train(request(tmp_path / "start", limit_steps=1))
    loop.train(request(tmp_path / "run", limit_steps=1))
    with pytest.raises(UsageError, match=r"began without --start-from; --start-from .*start is no part of it"):
        loop.train(request(tmp_path / "run", resume=True, start_from=start))
    with pytest.raises(
        UsageError, match=r"the dataset was blurs, is mini; the training data was blurs/train, is mini/"
    ):
        loop.train(replace(request(tmp_path / "run", resume=True), dataset="mini"))
    state = weights(tmp_path / "run")
    said = {"data": "blurs", "trained_on": ["blurs/train"], "contents": "", "world": 1}
    file = tmp_path / "run" / "checkpoint.pt"
    checkpoint.check_same_data(state, file, **said)
    with pytest.raises(UsageError, match="the number of processes was 1, is 2"):
        checkpoint.check_same_data(state, file, **{**said, "world": 2})
    with pytest.raises(UsageError, match="files of the training data were added, removed or renamed"):
        checkpoint.check_same_data(replace(state, contents="a"), file, **{**said, "contents": "b"})


def test_folders_of_one_name_are_told_apart_and_a_cache_is_no_training_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("a/photos", "b/photos", "c"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "c")
    assert _names_of([Path("../a/photos"), Path("../b/photos"), Path()]) == ["a/photos", "b/photos", "c"]
    assert _names_of([Path(f"../a/photos{os.pathsep}../c")]) == ["photos", "c"]


def test_a_gradient_that_is_not_finite_stops_before_it_is_taken(tmp_path, monkeypatch):
    loop.train(request(tmp_path / "run", limit_steps=2))
    monkeypatch.setattr(loop, "_clip", lambda *_: torch.tensor(math.inf))
    with pytest.raises(loop.NonFiniteLoss, match=r"the norm of the gradient is inf at step 2"):
        loop.train(request(tmp_path / "run", resume=True))
    assert weights(tmp_path / "run").step == 2


@pytest.mark.parametrize(("most", "left"), [(1e-3, 1e-3), (None, 5.0)])
def test_the_gradients_norm_is_that_before_clipping(most, left):
    module = torch.nn.Linear(2, 1, bias=False)
    module.weight.grad = torch.tensor([[3.0, 4.0]])
    assert loop._clip(module, most) == pytest.approx(5.0)
    assert float(module.weight.grad.norm()) == pytest.approx(left, rel=1e-3)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("crop=50", r"crop 50: 'ifirnn' takes multiples of 4, at least 16 pixels a side\. Use --set crop=48"),
        ("betas=[1.5,0.9]", "betas.0"),
        ("learning_rate=.inf", "learning_rate"),
        ("initialise.identity=maybe", "initialise.identity': found 'maybe', must be true or false"),
    ],
)
def test_values_that_no_training_can_have_are_refused(tmp_path, setting, said):
    with pytest.raises(UsageError, match=said):
        loop.train(request(tmp_path / "run", settings=(setting,)))
    assert not (tmp_path / "run").exists()


def test_a_checkpoint_from_before_a_recipe_key_existed_goes_on(tmp_path):
    loop.train(request(tmp_path / "run", limit_steps=1))
    state = weights(tmp_path / "run")
    del state.recipe["loss"]
    checkpoint.save(state, tmp_path / "run" / "checkpoint.pt")
    loop.train(request(tmp_path / "run", limit_steps=2, resume=True))
    assert weights(tmp_path / "run").step == 2
    with pytest.raises(UsageError, match="loss was 'mse', is 'psnr'"):
        loop.train(request(tmp_path / "run", settings=("loss=psnr",), resume=True))


def test_the_recipe_chooses_the_content_term(tmp_path):
    for loss in ("mse", "psnr"):
        loop.train(request(tmp_path / loss, settings=(f"loss={loss}", "initialise={identity: true}"), limit_steps=1))
    (squared,), (logarithm,) = (read_log(tmp_path / loss / "log.jsonl") for loss in ("mse", "psnr"))
    assert squared["loss"] == pytest.approx(squared["input"], rel=1e-4)
    assert logarithm["loss"] == pytest.approx(logarithm["input"], rel=1e-4)
    assert logarithm["loss"] == pytest.approx(math.log(squared["loss"]), abs=0.02)
    settings = ("loss=psnr", "loss_floor=0.5", "initialise={identity: true}")
    loop.train(request(tmp_path / "floor", settings=settings, limit_steps=1))
    (floored,) = read_log(tmp_path / "floor" / "log.jsonl")
    assert floored["loss"] == pytest.approx(math.log(0.5 + squared["loss"]), abs=0.01)


def test_a_variant_starts_from_another_ones_training(tmp_path):
    start = loop.train(request(tmp_path / "one", limit_steps=2))
    begun = loop.train(
        request(tmp_path / "two", "C2H1", settings=("learning_rate=1e-30",), limit_steps=1, start_from=start)
    )
    one, two = read_weights(start / "weights.safetensors"), weights(begun).network
    assert torch.equal(two["cells.1.F_B.0.weight"], one["cells.0.F_B.0.weight"])
    wanted = {"name": "one", "sha256": file_sha256(start / "weights.safetensors"), "trained_on": ["blurs/train"]}
    loop.train(request(begun, "C2H1", settings=("learning_rate=1e-30",), limit_steps=2, resume=True))
    assert json.loads((begun / "training.json").read_text())["started_from"] == wanted
    with pytest.raises(MissingError, match="no weights there"):
        loop.train(request(tmp_path / "three", start_from=tmp_path))
    with pytest.raises(UsageError, match="another architecture or variant"):
        loop.train(request(tmp_path / "three", "C1H1", start_from=begun))
    with pytest.raises(UsageError, match="with a skip"):
        loop.train(request(tmp_path / "three", "C1H1-skip", start_from=start))


def test_a_recipe_written_for_other_data_says_so(tmp_path, caplog):
    caplog.set_level(logging.INFO, "deblurbench")
    wanted = request(tmp_path / "run", settings=("protocol=gopro:nah2019",), limit_steps=1)
    loop.train(replace(wanted, quiet=False))
    told = caplog.text
    caplog.clear()
    assert "'quick' of 'ifirnn' is written for --dataset gopro:nah2019; this training is on blurs" in told
    loop.train(replace(request(tmp_path / "own", settings=("protocol=blurs",), limit_steps=1), quiet=False))
    assert "note:" not in caplog.text


def test_a_recipe_that_fine_tunes_wants_weights_to_begin_with(tmp_path):
    told = ("fine_tunes=weights of recipe `paper`",)
    with pytest.raises(UsageError, match="fine-tunes weights of recipe `paper`: give --start-from"):
        loop.train(request(tmp_path / "run", settings=told))
    start = loop.train(request(tmp_path / "start", limit_steps=1))
    assert loop.train(request(tmp_path / "run", settings=told, limit_steps=1, start_from=start)).is_dir()


def test_muon_resumes_to_the_bit(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    settings = ("optimiser=muon",)
    loop.train(request(tmp_path / "straight", settings=settings))
    loop.train(request(tmp_path / "halves", settings=settings, limit_steps=3))
    loop.train(request(tmp_path / "halves", settings=settings, resume=True))
    assert losses(tmp_path / "halves") == losses(tmp_path / "straight")


@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.99])
def test_a_checkpoint_cut_short_is_refused(tmp_path, keep):
    loop.train(request(tmp_path / "run", limit_steps=1))
    file = tmp_path / "run" / "checkpoint.pt"
    data = file.read_bytes()
    file.write_bytes(data[: keep if isinstance(keep, int) else int(keep * len(data))])
    with pytest.raises(UsageError, match="not a whole checkpoint"):
        loop.train(request(tmp_path / "run", resume=True))


def test_resuming_nothing_is_refused(tmp_path):
    with pytest.raises(MissingError, match="no checkpoint"):
        loop.train(request(tmp_path / "run", resume=True))


def test_a_pickle_with_code_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "owned"),))

    (tmp_path / "run").mkdir()
    torch.save({"format": Evil()}, tmp_path / "run" / "checkpoint.pt")
    with pytest.raises(UsageError, match="not a whole checkpoint"):
        loop.train(request(tmp_path / "run", resume=True))
    assert not (tmp_path / "owned").exists()


def test_a_loss_that_is_not_finite_stops_with_step_and_batch(tmp_path, monkeypatch, blurs):  # noqa: F811
    monkeypatch.setattr(blurs, "poison", 4)
    with pytest.raises(loop.NonFiniteLoss, match=r"step 4 .*made 4.*learning_rate=0.0005"):
        loop.train(request(tmp_path / "run"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_before_leaving(tmp_path, monkeypatch, number):
    step = loop.take_step

    def interrupted(run, module, batch, rate):
        if run.step == 2:
            os.kill(os.getpid(), number)
        return step(run, module, batch, rate)

    monkeypatch.setattr(loop, "take_step", interrupted)
    before = signal.getsignal(number)
    with pytest.raises(loop.InterruptedTraining, match="after step 3; saved in"):
        loop.train(request(tmp_path / "run"))
    assert weights(tmp_path / "run").step == 3
    assert signal.getsignal(number) is before


def test_a_full_disk_keeps_the_last_good_checkpoint(tmp_path, monkeypatch):
    from deblurbench.errors import DiskError
    from deblurbench.frames import files

    loop.train(request(tmp_path / "run", limit_steps=2))

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(DiskError, match="No space left"):
        loop.train(request(tmp_path / "run", resume=True))
    assert weights(tmp_path / "run").step == 2
    assert not list((tmp_path / "run").glob(".*part"))


def test_the_story_tells_what_share_of_the_time_the_model_computed(tmp_path, caplog):
    caplog.set_level(logging.INFO, "deblurbench")
    folder = loop.train(replace(request(tmp_path / "run", limit_steps=3), quiet=False))
    loop.train(replace(request(folder, resume=True), quiet=False))
    assert drawn == [(folder / "log.jsonl", folder / "training")] * 2
    told = json.loads((folder / "training.json").read_text())
    assert 0 < told["compute_share"] <= 1 and 0 <= told["data_share"] < 1
    assert weights(folder).pace["steps"] == 6
    assert "6 steps in" in caplog.text.splitlines()[-1]


def test_minutes_end_a_run_and_the_schedule(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    folder = loop.train(request(tmp_path / "run", settings=("steps=100000",), minutes=0.02))
    rates = [r["lr"] for r in read_log(folder / "log.jsonl") if "lr" in r]
    assert rates[0] == pytest.approx(1e-3, rel=1e-3)
    assert rates[-1] < 5e-4


def test_a_recipe_without_end_is_refused(tmp_path):
    with pytest.raises(UsageError, match="--minutes"):
        loop.train(request(tmp_path / "run", settings=("steps=null",)))


def test_synthesis_settings_that_the_dataset_does_not_know_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"'synthesis'.*speed.*--set synthesis=\{\}"):
        loop.train(request(tmp_path / "run", settings=("synthesis={speed: [1, 2]}",)))


def test_initialisation_that_the_method_does_not_know_is_refused(tmp_path):
    with pytest.raises(UsageError, match="initialise"):
        loop.train(request(tmp_path / "run", settings=("initialise={identitty: true}",)))
