"""Training with bad input, full disks, too little memory: what is said, and that the last good state survives."""

import errno
import resource
import signal
from dataclasses import replace

import pytest
import torch

from deblurbench.errors import DiskError, MissingError, UsageError
from deblurbench.results.lock import hold
from deblurbench.training import checkpoint, loop
from deblurbench.training.log import Log
from tests.blurs import blurs, request  # noqa: F401
from tests.conftest import write_plugin
from tests.fakes import write_folder, write_gopro

pytestmark = pytest.mark.usefixtures("blurs")


def files(output, dataset, root, settings=(), **more):
    return replace(request(output, settings=settings, **more), dataset=dataset, roots=(root,))


def test_a_recipe_key_that_does_not_exist_names_the_nearest(tmp_path):
    with pytest.raises(UsageError, match=r"recipe 'quick'.*no key 'bacth'.*Did you mean 'batch'"):
        loop.train(request(tmp_path / "run", settings=("bacth=2",)))
    assert not (tmp_path / "run").exists()


def test_a_dataset_without_a_training_split_is_refused(tmp_path):
    with pytest.raises(MissingError, match="dataset 'gopro' has no training split here"):
        loop.train(files(tmp_path / "run", "gopro", write_gopro(tmp_path / "data")))
    assert not (tmp_path / "run").exists()


def test_a_dataset_that_cannot_be_trained_on_names_those_that_can(tmp_path):
    with pytest.raises(UsageError, match="dataset 'folder' cannot be trained on") as told:
        loop.train(files(tmp_path / "run", "folder", write_folder(tmp_path / "data")))
    assert "--dataset gopro: ROOT/train/<clip>/blur_gamma/000001.png" in str(told.value)
    assert str(told.value).endswith("bsd, dvd, gopro, mini, reds, synth.") and ", folder," not in str(told.value)
    assert not (tmp_path / "run").exists()


def test_pairs_of_ones_own_train_in_the_layout_that_is_named(tmp_path):
    root = write_gopro(tmp_path / "data", split="train", clips=["mine"], blur=["blur_gamma"])
    loop.train(files(tmp_path / "run", "gopro", root, settings=("crop=48",), limit_steps=1))


def test_a_crop_larger_than_the_frames_is_refused_before_anything_is_trained(tmp_path):
    root = write_gopro(tmp_path / "data", split="train", size=(64, 48))
    with pytest.raises(UsageError, match=r"64x48 pixels, smaller than the crop of 64\. Use --set crop=48"):
        loop.train(files(tmp_path / "run", "gopro", root, settings=("crop=64",)))
    assert not (tmp_path / "run").exists()
    loop.train(files(tmp_path / "run", "gopro", root, settings=("crop=48",), limit_steps=1))


def test_a_second_training_in_the_same_folder_is_refused(tmp_path):
    with hold(tmp_path / "run"), pytest.raises(UsageError, match="another run is writing here"):
        loop.train(request(tmp_path / "run", limit_steps=2))
    assert not (tmp_path / "run" / "log.jsonl").exists()
    loop.train(request(tmp_path / "run", limit_steps=2))


def test_a_file_cut_short_by_a_limit_keeps_the_last_good_checkpoint(tmp_path):
    """The system refuses to write beyond 1 MB, as a full disk would; a checkpoint has 13 MB."""
    loop.train(request(tmp_path / "run", limit_steps=2))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(DiskError, match=r"checkpoint\.pt"):
            loop.train(request(tmp_path / "run", resume=True))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert checkpoint.read(tmp_path / "run" / "checkpoint.pt").step == 2
    assert {file.name for file in (tmp_path / "run").iterdir() if file.is_file()} == {
        ".lock", "checkpoint.pt", "log.jsonl", "training.json", "weights.safetensors",
    }  # fmt: skip
    loop.train(request(tmp_path / "run", resume=True))
    assert checkpoint.read(tmp_path / "run" / "checkpoint.pt").step == 6


def test_a_log_on_a_full_disk_is_named(tmp_path, monkeypatch):
    log = Log(tmp_path / "log.jsonl", quiet=True)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(type(log.path), "open", full)
    with pytest.raises(DiskError, match=r"log\.jsonl.*No space left"):
        log.write(step=1, loss=1.0)


MEMORY = {
    "cuda": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    "cpu": RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    "numpy": MemoryError(),
}


def exhaust(monkeypatch, error, at):
    step = loop.take_step

    def failing(run, module, batch, rate):
        if run.step == at:
            raise error
        return step(run, module, batch, rate)

    monkeypatch.setattr(loop, "take_step", failing)


@pytest.mark.parametrize("kind", MEMORY)
def test_out_of_memory_says_what_would_fit(tmp_path, monkeypatch, kind):
    exhaust(monkeypatch, MEMORY[kind], 0)
    with pytest.raises(UsageError) as told:
        loop.train(request(tmp_path / "run", settings=("batch=4", "frames=4", "crop=96")))
    assert "out of memory at batch 4 of 4 frames, 96x96, in step 0" in str(told.value)
    assert "half of it is needed with any of --set batch=2, --set frames=2, --set crop=64" in str(told.value)
    assert "--start-from" not in str(told.value)


def test_out_of_memory_offers_no_batch_of_nothing_and_keeps_what_was_trained(tmp_path, monkeypatch):
    exhaust(monkeypatch, MEMORY["cuda"], 3)
    settings = ("validation_clips=1", "validation_frames=1", "validate_every=2", "frames=1")
    with pytest.raises(UsageError) as told:
        loop.train(request(tmp_path / "run", settings=settings))
    assert "batch=" not in str(told.value) and "frames=" not in str(told.value) and "crop=0" not in str(told.value)
    assert f"--start-from {tmp_path / 'run'}" in str(told.value)
    assert (tmp_path / "run" / "weights.safetensors").is_file()


def test_out_of_memory_in_validation_is_told_apart(tmp_path, monkeypatch):
    def failing(*_):
        raise MEMORY["cuda"]

    monkeypatch.setattr(loop, "validate", failing)
    with pytest.raises(UsageError, match=r"while validating on whole frames at step 0.*--set validation_clips=0"):
        loop.train(request(tmp_path / "run", settings=("validation_clips=1", "validation_frames=1")))


def test_other_runtime_errors_are_not_taken_for_a_lack_of_memory(tmp_path, monkeypatch):
    exhaust(monkeypatch, RuntimeError("mat1 and mat2 shapes cannot be multiplied"), 1)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        loop.train(request(tmp_path / "run"))


UNTRAINABLE = """
import torch
from deblurbench.methods.base import FrameMethod


class Plugin(FrameMethod):
    def __init__(self):
        {made}

    def restore_frame(self, frame):
        return self.network(frame[None])[0]
"""
NETWORK = "self.network = torch.nn.Conv2d(3, 3, 1)"
LOSS = "\n    def loss(self, blurry, sharp):\n        return self.content(blurry, sharp)\n"


@pytest.mark.parametrize(
    ("code", "recipe", "said"),
    [
        (UNTRAINABLE.format(made=NETWORK), "{}", r"'mine' has no training loss: write `loss\(self, blurry, sharp\)`"),
        (
            UNTRAINABLE.format(made=NETWORK) + LOSS, "{initialise: {identity: true}}",
            r"recipe 'quick', key 'initialise': Plugin has no initialisation.*--set initialise=\{\}",
        ),
        (UNTRAINABLE.format(made="pass") + LOSS, "{}", r"nothing to train: its class sets no self\.network"),
        (
            UNTRAINABLE.format(made="self.net = torch.nn.Conv2d(3, 3, 1)") + LOSS, "{}",
            r"'mine': parameters in self\.net, outside self\.network",
        ),
    ],
)  # fmt: skip
def test_what_a_class_lacks_for_training_is_told_before_the_first_step(plugin_folder, tmp_path, code, recipe, said):
    write_plugin(plugin_folder, "mine", code, card=f"trainable: true\nrecipes: {{quick: {recipe}}}\n")
    with pytest.raises(UsageError, match=said) as told:
        loop.train(replace(request(tmp_path / "run", variant=None), method="mine"))
    assert told.value.exit_code == 2 and not (tmp_path / "run").exists()


def test_no_flipped_bit_of_a_checkpoint_is_read(tmp_path):
    state = checkpoint.Checkpoint("m", "v", {}, "d", 0, 1, 1.0, {"w": torch.randn(9)}, {}, {}, {}, {})
    file = tmp_path / "checkpoint.pt"
    checkpoint.save(state, file)
    assert torch.equal(checkpoint.read(file).network["w"], state.network["w"])
    whole = file.read_bytes()
    for place in range(0, 8 * len(whole), 37):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        file.write_bytes(damaged)
        with pytest.raises(UsageError, match=r"checkpoint\.pt"):
            checkpoint.read(file)


def test_a_checkpoint_of_the_first_format_is_read(tmp_path):
    state = checkpoint.Checkpoint("m", "v", {}, "d", 0, 1, 1.0, {"w": torch.ones(9)}, {}, {}, {}, {}, format=1)
    file = tmp_path / "checkpoint.pt"
    torch.save(vars(state), file)
    assert torch.equal(checkpoint.read(file).network["w"], torch.ones(9))
