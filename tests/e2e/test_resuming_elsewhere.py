"""A run that goes on where something changed: a metric came or went, a dataset's code, a GPU context that is gone."""

import json
import shutil

import pytest

from deblurbench.evaluation import RESULTS_VERSION
from deblurbench.results.store import Part
from tests.conftest import write_plugin
from tests.e2e.conftest import read_scores
from tests.fakes import write_folder

VOLUME = """
import torch
from deblurbench.methods.base import WindowMethod
class Plugin(WindowMethod):
    radius = 1
    def __init__(self):
        self.network = torch.nn.Conv3d(3, 3, (3, 1, 1), bias=False)
        torch.nn.init.zeros_(self.network.weight)
        self.network.weight.data[range(3), range(3), 1] = 1.0
    def restore_window(self, frames):
        return self.network(frames.transpose(0, 1)[None])[0, :, 0]
"""
POISONED = """
from deblurbench.methods.base import FrameMethod
seen = []
class Plugin(FrameMethod):
    def restore_frame(self, frame):
        if {dies} in seen:
            raise RuntimeError("CUDA error: device-side assert triggered")
        seen.append(float(frame.sum()))
        return frame
"""
SETTER = """
import torch
from deblurbench.methods.base import FrameMethod
torch.backends.cudnn.benchmark = True
class Plugin(FrameMethod):
    def restore_frame(self, frame):
        return frame
"""
DATASET = """
from deblurbench.datasets.folder.dataset import Folder
class Mine(Folder):
    pass
"""


@pytest.fixture
def private(cli, tmp_path):
    folder = tmp_path / "private"
    cli.variables["DEBLURBENCH_PLUGINS"] = str(folder)
    return folder


@pytest.fixture
def words(tmp_path):
    root = write_folder(tmp_path / "data", clips=["one", "three"], size=(200, 200))
    return ["run", "--methods", "unsharp", "--dataset", "folder", "--data-root", root, "--output", "out",
            "--metrics", "psnr,vmaf"]  # fmt: skip


def columns(run):
    return {(row["method"], row["clip"], row["metric"]) for row in read_scores(run) if row["metric"] == "vmaf"}


def test_a_metric_that_came_is_computed_for_what_was_done_before(cli, words):
    pytest.importorskip("imageio_ffmpeg", reason="VMAF needs an ffmpeg: pip install 'deblurbench[vmaf]'")
    cli.variables["DEBLURBENCH_FFMPEG"] = "/bin/false"
    cli(*words)
    run = cli.folder / "out"
    assert not columns(run) and "vmaf is absent" in (run / "report" / "table.md").read_text()
    del cli.variables["DEBLURBENCH_FFMPEG"]
    again = cli(*words)
    assert "can be computed now: vmaf" in again.stderr
    assert len(columns(run)) == 4 and "vmaf is absent" not in (run / "report" / "table.md").read_text()
    assert "done again" not in cli(*words).stderr


def make_old(run):
    """What a run looks like whose parts were held to the bytes of the package's sources."""
    (run / "parts" / "digests").unlink()
    for file in (run / "parts").rglob("*.json"):
        part = Part.from_json(file.read_text())
        del part.key["results version"]
        part.key["harness"] = "ab" * 32
        file.write_text(part.to_json())
    manifest = json.loads((run / "run.json").read_text())
    del manifest["results_version"]
    for method in manifest["methods"]:
        method["code_sha256"] = "cd" * 32
    (run / "run.json").write_text(json.dumps(manifest))


def test_a_run_from_before_results_had_versions_is_read_and_done_again_once(cli, words):
    words = [*words[:-1], "psnr"]
    cli(*words)
    run = cli.folder / "out"
    shutil.copytree(run, cli.folder / "new")
    make_old(run)
    cli("report", run)
    checked = json.loads(cli("verify", run, "--json").stdout)
    assert [c["state"] for c in checked if c["what"] == "unsharp:mild: code"] == ["not checked"]
    cli("compare", run, "new")
    again = cli(*words).stderr
    assert "unsharp:mild on three are done again (stored by an earlier deblurbench" in again
    assert again.count("done again") == 1
    assert "done again" not in cli(*words).stderr
    assert json.loads((run / "run.json").read_text())["results_version"] == RESULTS_VERSION


def test_a_comment_in_a_method_makes_no_result_stale(cli, words, private):
    place = write_plugin(private, "volume", VOLUME, card="kind: window\nneeds: {window: 1, causal: false}\n")
    words = [*words[:2], "volume", *words[3:-1], "psnr"]
    cli(*words)
    (place / "method.py").write_text(VOLUME.replace("radius = 1", "radius = 1  # before and after"))
    assert "done again" not in cli(*words).stderr
    (place / "method.py").write_text(VOLUME.replace("= 1.0", "= 0.5"))
    assert "changed since: code" in cli(*words).stderr


def test_a_metric_that_went_stops_what_would_be_half_a_column(cli, words):
    pytest.importorskip("imageio_ffmpeg", reason="VMAF needs an ffmpeg: pip install 'deblurbench[vmaf]'")
    cli(*words)
    run = cli.folder / "out"
    before = columns(run)
    shutil.rmtree(next((run / "parts").glob("unsharp*")))
    cli.variables["DEBLURBENCH_FFMPEG"] = "/bin/false"
    said = cli(*words, code=3).stderr
    assert "vmaf was computed for what this run already holds" in said and "DEBLURBENCH_FFMPEG has no libvmaf" in said
    del cli.variables["DEBLURBENCH_FFMPEG"]
    cli(*words)
    assert columns(run) == before


def test_after_a_cuda_error_the_next_clip_has_a_new_process(cli, private, tmp_path):
    from deblurbench.frames.convert import to_float
    from tests.fakes import make_clip

    dies = float(to_float(make_clip("three", 7).linear[0], "cpu").sum())
    root = write_folder(tmp_path / "data", clips=["one", "three", "two"])
    write_plugin(private, "poisoned", POISONED.format(dies=dies))
    cli("run", "--methods", "poisoned", "--dataset", "folder", "--data-root", root, "--output", "out",
        "--metrics", "psnr", code=1)  # fmt: skip
    told = json.loads((cli.folder / "out" / "run.json").read_text())["outcomes"]
    assert {o["clip"]: o["status"] for o in told if o["method"] == "poisoned"} == {
        "one": "ok", "three": "failed", "two": "ok",
    }  # fmt: skip


def test_kernels_of_five_dimensions_run(cli, private, tmp_path):
    write_plugin(private, "volume", VOLUME, "needs: {window: 1}\n")
    root = write_folder(tmp_path / "data", clips=["one"])
    cli("run", "--methods", "volume", "--dataset", "folder", "--data-root", root, "--output", "out",
        "--metrics", "psnr")  # fmt: skip
    rows = read_scores(cli.folder / "out")
    values = {row["method"]: [r["value"] for r in rows if r["method"] == row["method"]] for row in rows}
    assert values["volume"] == values["identity"]


def test_a_method_that_changes_torchs_settings_says_so(cli, private, tmp_path):
    write_plugin(private, "setter", SETTER)
    root = write_folder(tmp_path / "data", clips=["one"], frames=2)
    cli("run", "--methods", "setter,unsharp", "--dataset", "folder", "--data-root", root, "--output", "out",
        "--metrics", "psnr")  # fmt: skip
    told = json.loads((cli.folder / "out" / "run.json").read_text())
    caveats = {method["id"]: method["caveat"] for method in told["methods"]}
    assert caveats["setter"] == "it changes torch's settings: cudnn_benchmark is True"
    assert not caveats["unsharp:mild"] and told["environment"]["runtime"]["cudnn_benchmark"] is False


def test_changed_code_of_a_dataset_makes_its_scores_stale(cli, private, tmp_path):
    place = private / "datasets" / "mine"
    place.mkdir(parents=True)
    (place / "card.yaml").write_text(
        "name: mine\nentry: dataset:Mine\ntitle: Mine\nprotocols: [{name: mine, split: all}]\n"
    )
    (place / "dataset.py").write_text(DATASET)
    root = write_folder(tmp_path / "data", clips=["one"], frames=2)
    words = ["run", "--methods", "identity", "--dataset", "mine", "--data-root", root, "--output", "out",
             "--metrics", "psnr"]  # fmt: skip
    cli(*words)
    assert "done again" not in cli(*words).stderr
    (place / "dataset.py").write_text(DATASET + "    other = 1\n")
    assert "changed since: dataset" in cli(*words).stderr
