"""Running out of memory: once more in tiles where the card permits it, and a tile to try where it does not."""

import pytest
import torch

from deblurbench import tables
from deblurbench.backends.failures import describe_failure
from deblurbench.evaluation import runner
from deblurbench.evaluation.plan import make_plan
from deblurbench.evaluation.progress import Listener
from deblurbench.results.manifest import Request
from deblurbench.results.run import Run
from tests.conftest import write_plugin

GREEDY = """
import os
import torch
from deblurbench.methods.base import FrameMethod


class Plugin(FrameMethod):
    def __init__(self, most=128):
        self.most = most

    def restore_frame(self, frame):
        if max(frame.shape) > self.most:
            raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate 2 GiB\\n{os.getpid()}")
        return frame
"""


class Notes(Listener):
    def __init__(self):
        self.said, self.outcomes = [], []

    def say(self, text):
        self.said.append(text)

    def outcome(self, outcome):
        self.outcomes.append(outcome)


def run(folder, in_process=True, notes=None, clips=2, **request):
    plan = make_plan(
        Request(methods=["greedy"], dataset="mini", limit=clips, frames_per_clip=6, metrics=["psnr"], **request)
    )
    return runner.run(plan, folder / "run", in_process=in_process, listener=notes)


@pytest.mark.parametrize(("in_process", "clips"), [(True, 2), (False, 1)])
def test_a_clip_is_tried_once_more_in_tiles(plugin_folder, tmp_path, in_process, clips):
    write_plugin(plugin_folder, "greedy", GREEDY, "needs: {retry_tile: 128}\n")
    notes = Notes()
    result = run(tmp_path, in_process, notes, clips)
    assert not result.failed
    told = [(o.method, o.status, o.tile) for o in notes.outcomes]
    assert told == [("identity", "ok", None)] * clips + [("greedy", "ok", 128)] * clips
    assert notes.said[0] == "greedy ran out of memory on astronaut-far; again in tiles of 128 px"
    assert len(notes.said) == len({o.frames_sha256 for o in notes.outcomes}) == clips  # in tiles identity is identity
    table = tables.build([Run.open(tmp_path / "run")])
    assert [row.name for row in table.rows] == ["identity", "greedy ◊"]
    told = f"greedy: {clips} of {clips} clips ran out of memory and were restored in tiles of 128 px"
    assert told in table.warnings and "tiles" in table.notes["◊"] and r"$\diamond$" in tables.latex(table)
    again = Notes()
    run(tmp_path, in_process, again, clips)
    assert not again.outcomes  # what was done in tiles is done


def test_a_method_whose_card_permits_no_tiles_is_told_which_to_try(plugin_folder, tmp_path):
    write_plugin(plugin_folder, "greedy", GREEDY)
    result = run(tmp_path)
    assert [(o.kind, o.tile) for o in result.failed] == [("out of memory", None)] * 2
    assert "Tried to allocate 2 GiB. Try --tile 160, or --precision bf16." in result.failed[0].reason


def test_even_tiles_may_be_too_much(plugin_folder, tmp_path):
    write_plugin(plugin_folder, "greedy", GREEDY, "needs: {retry_tile: 160}\n")
    notes = Notes()
    failed = run(tmp_path, notes=notes).failed
    assert [(o.kind, o.tile) for o in failed] == [("out of memory", 160)] * 2 and "Try --tile 64" in failed[0].reason
    assert len(notes.outcomes) == 4 and len(notes.said) == 2


def test_tiles_that_are_no_smaller_are_not_tried(plugin_folder, tmp_path):
    write_plugin(plugin_folder, "greedy", GREEDY, "needs: {retry_tile: 160}\n")
    notes = Notes()
    assert [o.tile for o in run(tmp_path, notes=notes, tile=160).failed] == [None, None] and not notes.said


def test_what_counts_as_out_of_memory():
    for error in (MemoryError(), torch.OutOfMemoryError("x"), RuntimeError("CUDA error: out of memory"),
                  RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")):  # fmt: skip
        assert describe_failure(error)["kind"] == "out of memory"
    assert describe_failure(RuntimeError("sizes differ"))["kind"] == "raised"
    assert describe_failure(ValueError("out of memory"))["kind"] == "raised"
