"""The other commands: new, check, show, data, restore, report, train, export, env."""

import json

import cv2
import numpy as np
import pytest

from tests.fakes import write_folder, write_gopro


@pytest.mark.parametrize("kind", ["frame", "window", "recurrent"])
def test_a_new_method_keeps_the_contract_and_runs(cli, tmp_path, kind):
    private = tmp_path / "private"
    cli.variables["DEBLURBENCH_PLUGINS"] = str(private)
    cli("new", "method", "my_method", "--kind", kind, "--into", private)
    checked = json.loads(cli("check", "my_method", "--json").stdout)
    assert len(checked) >= 10 and {row["result"] for row in checked} <= {"ok", "skipped"}
    if kind == "frame":
        root = write_folder(tmp_path / "data", clips=["one"], frames=2)
        cli("run", "--methods", "my_method", "--dataset", "folder", "--data-root", root, "--metrics", "psnr")
        assert next((cli.folder / "runs").glob("*-folder-my_method/scores.csv"))
        again = cli("new", "method", "my_method", "--into", private, code=2)
        assert "already" in again.stderr


def test_check_finds_what_is_wrong(cli, tmp_path):
    from tests.conftest import write_plugin

    private = tmp_path / "private"
    cli.variables["DEBLURBENCH_PLUGINS"] = str(private)
    write_plugin(private, "leaky", """
import torch
from deblurbench.methods.base import FrameMethod
class Plugin(FrameMethod):
    seen = 0
    def restore_frame(self, frame):
        self.seen += 1
        return frame * 0.5 + 0.001 * self.seen
""")  # fmt: skip
    rows = {row["check"]: row["result"] for row in json.loads(cli("check", "leaky", "--json", code=1).stdout)}
    assert rows["no state between clips"] == "FAILED" and rows["deterministic"] == "ok"  # state is not chance
    assert rows["shape and range"] == "ok"


def test_show_and_list(cli):
    shown = cli("show", "ifirnn").stdout
    assert "C2H3-reg" in shown and "1635683" in shown
    assert "leave_out" in cli("show", "gopro:nah2019").stdout
    assert "Did you mean" in cli("show", "ifirn", code=2).stderr
    protocols = {row["protocol"] for row in json.loads(cli("list", "protocols", "--json").stdout)}
    assert {"gopro", "dvd", "mini", "reds:x4"} <= protocols
    assert "Did you mean 'list'" in cli("lst", code=2).stderr


def test_broken_plugins_are_listed_with_their_error(cli, tmp_path):
    from tests.conftest import write_plugin

    cli.variables["DEBLURBENCH_PLUGINS"] = str(tmp_path / "private")
    write_plugin(tmp_path / "private", "odd", "", "year: soon\n")
    listed = cli("list", "methods")
    assert "odd" in listed.stdout and "BROKEN" in listed.stdout and "year" in listed.stderr


def test_data_info_and_verify(cli, tmp_path):
    root = write_gopro(tmp_path / "data", clips=["A", "B"])
    info = cli("data", "info", "gopro", "--data-root", root)
    assert "A" in info.stdout
    verified = cli("data", "verify", "gopro", "--data-root", root, code=4)
    assert "GOPR0384_11_00" in verified.stdout and "missing" in verified.stdout


def test_restore_a_folder_and_a_video(cli, tmp_path):
    root = write_folder(tmp_path / "data", clips=["one"], frames=4)
    cli("restore", root / "blur" / "one", "--method", "identity", "--output", "frames")
    out = sorted((cli.folder / "frames").glob("*.png"))
    assert len(out) == 4
    assert np.array_equal(cv2.imread(str(out[2])), cv2.imread(str(root / "blur" / "one" / out[2].name)))
    video = write_folder(tmp_path / "videos", clips=["two"], frames=4, video=True) / "blur" / "two.mkv"
    cli("restore", video, "--method", "identity", "--output", "two.mp4", "--limit", "3")
    frames = cv2.VideoCapture(str(cli.folder / "two.mp4"))
    assert int(frames.get(cv2.CAP_PROP_FRAME_COUNT)) == 3
    assert "exists already" in cli("restore", video, "--method", "identity", "--output", "two.mp4", code=2).stderr
    assert "no such video" in cli("restore", "gone.mp4", "--method", "identity", code=3).stderr


def test_train_run_export(cli, tmp_path):
    words = ["train", "ifirnn:C1H1", "--dataset", "mini", "--limit-steps", "2", "--output", "trained",
             "--set", "crop=32", "--set", "frames=2", "--set", "batch=1", "--set", "validation_clips=0"]  # fmt: skip
    cli(*words)
    cli(*[w if w != "2" else "3" for w in words], "--resume")
    entry = cli("export", "trained", "--tag", "quick").stdout
    assert "sha256" in entry and "C1H1-quick.safetensors" in entry
    own = (cli.folder / "trained" / "weights.safetensors").read_bytes()
    for name in ("trained/weights.safetensors", "trained/entry.yaml"):
        assert "another .safetensors file" in cli("export", "trained", "--output", name, code=2).stderr
    assert (cli.folder / "trained" / "weights.safetensors").read_bytes() == own
    root = write_folder(tmp_path / "data", clips=["one"], frames=2)
    cli("run", "--methods", "ifirnn@trained", "--dataset", "folder", "--data-root", root, "--metrics", "psnr",
        "--output", "out")  # fmt: skip
    method = json.loads((cli.folder / "out" / "run.json").read_text())["methods"][1]
    assert method["id"].startswith("ifirnn:C1H1") and method["weights_sha256"] and method["parameters"] == 836_623
    wrong = cli(*words, "--set", "corp=32", code=2)
    assert "crop" in wrong.stderr


def test_weights_of_another_variant_cost_the_row(cli, tmp_path):
    import torch
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(3)}, tmp_path / "w.safetensors")
    root = write_folder(tmp_path / "data", clips=["one"], frames=2)

    def run(variant, code):
        return cli("run", "--methods", f"ifirnn:{variant}@{tmp_path / 'w.safetensors'}", "--dataset", "folder",
                   "--data-root", root, "--metrics", "psnr", "--output", "out", code=code)  # fmt: skip

    known = run("C1H1", 2).stderr  # weights ship for it, so that its names are known before anything runs
    assert "missing" in known and "unexpected a" in known and not (cli.folder / "out").exists()
    assert "another architecture" in run("C1H4", 1).stderr
    assert json.loads((cli.folder / "out" / "run.json").read_text())["outcomes"][0]["status"] == "ok"


def test_random_weights_only_when_asked_and_marked(cli, tmp_path):
    root = write_folder(tmp_path / "data", clips=["one"], frames=2)
    words = ["run", "--methods", "ifirnn:C1H4", "--dataset", "folder", "--data-root", root, "--metrics", "psnr",
             "--output", "out"]  # fmt: skip
    refused = cli(*words, code=3)
    assert "random weights are not scored" in refused.stderr and "deblurbench train ifirnn:C1H4" in refused.stderr
    done = cli(*words, "--random-weights")
    assert "random" in done.stdout.lower()
    assert "random" in (cli.folder / "out" / "report" / "table.md").read_text().lower()


def test_env_names_versions(cli):
    facts = json.loads(cli("env", "--json").stdout)
    assert facts["packages"]["torch"] and facts["cpu"]
