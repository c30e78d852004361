"""`deblurbench verify`: each kind of tampering is found and named; what cannot be checked is said, and is no fault."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import cv2
import pytest
import torch
from safetensors.torch import save_file

from deblurbench.results.manifest import Outcome
from deblurbench.results.store import Part, Store
from tests.conftest import write_plugin
from tests.e2e.inprocess import deblurbench
from tests.fake_run import reseal
from tests.fakes import write_folder

TINY = """
import torch
from deblurbench.methods.base import FrameMethod
class Plugin(FrameMethod):
    def __init__(self):
        self.network = torch.nn.Conv2d(3, 3, 3, padding=1)
    def restore_frame(self, frame):
        return self.network(frame[None])[0]
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of a method with weights, every frame saved; its data and the plugin's folder."""
    base = tmp_path_factory.mktemp("verify")
    torch.manual_seed(0)
    weights = torch.nn.Conv2d(3, 3, 3, padding=1).state_dict()
    save_file(weights, str(base / "first.safetensors"))
    digest = hashlib.sha256((base / "first.safetensors").read_bytes()).hexdigest()
    card = (
        "trainable: true\nkind: image\n"
        f"weights: [{{tag: first, variant: default, file: first.safetensors, sha256: '{digest}'}}]\n"
    )
    plugin = write_plugin(base / "plugins", "tinyconv", TINY, card)
    shutil.move(base / "first.safetensors", plugin)
    data = write_folder(base / "data", frames=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEBLURBENCH_PLUGINS", str(base / "plugins"))
        deblurbench("run", "--methods", "tinyconv", "--dataset", "folder", "--data-root", data, "--metrics",
                    "psnr,ssim,tof", "--save-frames", "all", "--in-process", "--output", base / "run")  # fmt: skip
        yield base


@pytest.fixture
def run(made, tmp_path) -> Path:
    return Path(shutil.copytree(made / "run", tmp_path / "run"))


def checks(capsys, run, *words, code=0):
    capsys.readouterr()
    deblurbench("verify", run, *words, "--json", code=code)
    told = capsys.readouterr()
    found = {c["what"]: (c["state"], c["detail"]) for c in json.loads(told.out)}
    assert all(what in told.err for what, (state, _) in found.items() if state == "DIFFERS")
    return found


def test_an_honest_run_is_found_so(run, capsys):
    found = checks(capsys, run, "--all")
    assert {state for state, _ in found.values()} == {"ok"}, found
    wanted = {"edited files", "digests of the ground truth"}
    wanted |= {"parts", "tinyconv: weights first", "tinyconv: card", "tinyconv: code", "scores.csv", "timings.csv",
              "protocol in run.json", "saved frames of tinyconv", "frames of tinyconv/one",
              "metrics of whole clips, tinyconv/two", "card of folder", "ground truth of one",
              "ground truth of two", "blurry frames of one", "blurry frames of two"}  # fmt: skip
    assert wanted <= set(found)
    assert "20 values of 10 frames" in found["saved frames of tinyconv"][1]


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def better_part(run: Path) -> None:
    """A consistent lie: the part and the tables say a better score than the frames have."""
    store = Store(run)
    manifest, part = store.read_manifest(), store.read_part("tinyconv", "one")
    frame, metric, value = part.scores[0]
    part.scores[0] = (frame, metric, value + 0.01)
    store.write_part(part)
    parts = [store.read_part(m.id, c.name) for m in manifest.methods for c in manifest.clips]
    store.write_tables(manifest, parts)


def fewer_values(run: Path) -> None:
    store = Store(run)
    part = store.read_part("tinyconv", "one")
    store.write_part(Part(part.key, part.outcome, part.scores[2:], part.timings, part.saved))


def other_outcome(run: Path) -> None:
    store = Store(run)
    part = store.read_part("tinyconv", "one")
    outcome = Outcome(**{**part.outcome.model_dump(), "frames_sha256": "ab" * 32})
    store.write_part(Part(part.key, outcome, part.scores, part.timings, part.saved))


def repaint(file: Path) -> None:
    image = cv2.imread(str(file))
    image[0, 0] ^= 64
    cv2.imwrite(str(file), image)


def other_truth_of_two(run):
    body = json.loads((run / "run.json").read_text())
    body["clips"][1]["ground_truth_sha256"] = "ab" * 32
    (run / "run.json").write_text(json.dumps(body))
    reseal(run)


FRAME = Path("frames/tinyconv/one/000002.png")


@pytest.mark.parametrize(
    ("tamper", "what"),
    [
        (lambda run: edit(run / "scores.csv", "psnr,2", "psnr,3"), "scores.csv"),
        (lambda run: edit(run / "scores.csv", "psnr,2", "psnr,3"), "edited files"),
        (lambda run: edit(run / "run.json", '"finished": "2', '"finished": "3'), "edited files"),
        (lambda run: (run / "timings.csv").unlink(), "timings.csv"),
        (lambda run: (run / "parts/tinyconv/one.json").unlink(), "part tinyconv/one"),
        (lambda run: edit(run / "parts/tinyconv/one.json", "000002", "000003"), "part tinyconv/one"),
        (other_outcome, "part tinyconv/one"),
        (better_part, "saved frames of tinyconv"),
        (fewer_values, "every scored frame"),
        (lambda run: repaint(run / FRAME), "saved frames of tinyconv"),
        (lambda run: repaint(run / FRAME), "frames of tinyconv/one"),
        (lambda run: repaint(run / FRAME), "metrics of whole clips, tinyconv/one"),
        (lambda run: (run / FRAME).unlink(), "saved frames of tinyconv"),
        (lambda run: (run / FRAME).write_bytes(b"<html>"), "saved frames of tinyconv"),
        (lambda run: edit(run / "run.json", '"version": 1', '"version": 2'), "protocol in run.json"),
        (lambda run: edit(run / "run.json", '"card_sha256": "', '"card_sha256": "00'), "identity: card"),
        (
            lambda run: edit(run / "run.json", '"dataset_card_sha256": "', '"dataset_card_sha256": "00'),
            "card of folder",
        ),
        (
            lambda run: edit(run / "run.json", '"ground_truth_sha256": "', '"ground_truth_sha256": "00'),
            "ground truth of one",
        ),
        (other_truth_of_two, "digests of the ground truth"),
    ],
)
def test_tampering_is_named_and_gives_exit_code_4(run, capsys, tamper, what):
    tamper(run)
    assert checks(capsys, run, "--all", code=4)[what][0] == "DIFFERS"


def test_changed_weights_are_a_difference_and_lost_ones_are_not(made, run, capsys):
    file = made / "plugins/methods/tinyconv/first.safetensors"
    whole = file.read_bytes()
    try:
        file.write_bytes(whole[:-1] + b"?")
        assert checks(capsys, run, code=4)["tinyconv: weights first"][0] == "DIFFERS"
        file.unlink()
        assert checks(capsys, run)["tinyconv: weights first"][0] == "not checked"
    finally:
        file.write_bytes(whole)


@pytest.mark.parametrize("named", ["own/first", "own/mine/weights.safetensors", "own/other.safetensors"])
def test_weights_named_by_a_path_are_held_to_their_own_file(made, tmp_path, monkeypatch, capsys, named):
    monkeypatch.setenv("DEBLURBENCH_PLUGINS", str(made / "plugins"))
    torch.manual_seed(1)
    file = tmp_path / named if named.endswith(".safetensors") else tmp_path / named / "weights.safetensors"
    file.parent.mkdir(parents=True)
    save_file(torch.nn.Conv2d(3, 3, 3, padding=1).state_dict(), str(file))
    tag = {"own/first": "first", "own/mine/weights.safetensors": "mine"}.get(named, "other")
    deblurbench("run", "--methods", f"tinyconv,tinyconv@{tmp_path / named}", "--dataset", "folder", "--data-root",
                made / "data", "--metrics", "psnr", "--in-process", "--output", tmp_path / "run")  # fmt: skip
    found = checks(capsys, tmp_path / "run")
    both = ("tinyconv: weights first", f"tinyconv@{tag}: weights {tag}")
    assert [found[what][0] for what in both] == ["ok", "ok"]
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    found = checks(capsys, tmp_path / "run", code=4)
    assert [found[what][0] for what in both] == ["ok", "DIFFERS"]


@pytest.mark.parametrize("side", ["blur", "sharp"])
def test_a_dataset_that_changed_since_is_a_difference_though_size_and_time_are_the_same(made, run, capsys, side):
    file = made / "data" / side / "one" / "000002.png"
    name = "blurry frames of one" if side == "blur" else "ground truth of one"
    whole, stamp = file.read_bytes(), file.stat()
    assert checks(capsys, run)[name][0] == "ok"
    try:
        repaint(file)
        os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        assert checks(capsys, run, code=4)[name][0] == "DIFFERS"
        file.write_bytes(whole[:200])
        assert str(file) in checks(capsys, run, code=4)[name][1]
    finally:
        file.write_bytes(whole)
        os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))


def test_without_saved_ground_truth_the_data_root_serves_or_it_says_so(made, run, capsys):
    shutil.rmtree(run / "frames" / "_ground-truth")
    assert checks(capsys, run)["saved frames of tinyconv"][0] == "ok"
    edit(run / "run.json", str(made / "data"), str(made / "gone"))
    edit(run / "run.json", str(made / "data"), str(made / "gone"))
    reseal(run)
    found = checks(capsys, run, "--all")
    for what in ("saved frames of tinyconv", "metrics of whole clips, tinyconv/one"):
        assert found[what][0] == "not checked" and "no ground truth" in found[what][1]


def test_frames_without_ground_truth_are_not_counted_as_recomputed(made, run, capsys):
    shutil.rmtree(run / "frames" / "_ground-truth" / "one")
    edit(run / "run.json", str(made / "data"), str(made / "gone"))
    edit(run / "run.json", str(made / "data"), str(made / "gone"))
    reseal(run)
    state, told = checks(capsys, run, "--all")["saved frames of tinyconv"]
    assert state == "ok" and told == "10 values of 5 frames recomputed, 5 more have no ground truth here"


def test_a_data_root_that_the_environment_named_is_found_where_run_json_says(made, run, capsys, monkeypatch):
    monkeypatch.delenv("DEBLURBENCH_DATA", raising=False)
    body = json.loads((run / "run.json").read_text())
    body["request"]["data_root"] = None
    (run / "run.json").write_text(json.dumps(body))
    reseal(run)
    shutil.rmtree(run / "frames" / "_ground-truth")
    found = checks(capsys, run, "--all")
    assert {found[what][0] for what in ("blurry frames of one", "saved frames of tinyconv")} == {"ok"}


def test_an_outcome_of_a_clip_that_run_json_does_not_have_is_a_difference(run, capsys):
    body = json.loads((run / "run.json").read_text())
    body["clips"] = [clip for clip in body["clips"] if clip["name"] != "two"]
    (run / "run.json").write_text(json.dumps(body))
    assert checks(capsys, run, "--all", code=4)["part tinyconv/two"][0] == "DIFFERS"


def test_the_ground_truth_is_recorded_by_its_pixels_and_compared_with_the_data(made, run, capsys):
    truth = hashlib.sha256()
    for n in range(5):
        truth.update(cv2.imread(str(made / f"data/sharp/two/{n:06d}.png"))[..., ::-1].tobytes())
    record = Store(run).read_manifest().clips[1]
    assert (record.name, record.ground_truth_sha256) == ("two", truth.hexdigest())
    assert "ground truth of two" not in checks(capsys, run)  # a sample: the first clip
    shutil.copytree(made / "data", run.parent / "data")
    repaint(run.parent / "data/sharp/two/000004.png")
    edit(run / "run.json", str(made / "data"), str(run.parent / "data"))
    assert checks(capsys, run, "--all", code=4)["ground truth of two"][0] == "DIFFERS"
    edit(run / "run.json", str(run.parent / "data"), str(made / "gone"))
    reseal(run)
    assert checks(capsys, run, "--all")["ground truth of two"][0] == "not checked"


def test_run_json_records_what_computed_it(run):
    manifest = Store(run).read_manifest()
    runtime = manifest.environment["runtime"]
    assert runtime["seed"] == 0 and runtime["threads"] >= 1
    flags = ("tf32_matmul", "tf32_cudnn", "cudnn_deterministic", "cudnn_benchmark", "deterministic_algorithms")
    assert [runtime[name] for name in flags] == [False, False, True, False, False]
    method = next(m for m in manifest.methods if m.id == "tinyconv")
    digests = [method.weights_sha256, method.card_sha256, method.code_sha256, manifest.dataset_card_sha256]
    digests += [manifest.protocol_digest, *[o.frames_sha256 for o in manifest.outcomes]]
    digests += [clip.ground_truth_sha256 for clip in manifest.clips]
    assert all(len(digest) == 64 for digest in digests)
    assert manifest.environment["source"]["version"] and manifest.environment["packages"]["torch"]


def test_what_is_no_run_is_a_usage_error(tmp_path):
    deblurbench("verify", tmp_path, code=2)
