"""Methods from outside through the whole of `run`, in processes of their own: files, packages, what goes wrong."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.e2e.conftest import read_scores
from tests.e2e.inprocess import deblurbench
from tests.fakes import write_folder

SHARPEN = '''"""Sharpens."""
import torch.nn.functional as F
from deblurbench.methods.base import FrameMethod
class Mine(FrameMethod):
    def restore_frame(self, frame):
        mean = F.avg_pool2d(F.pad(frame[None], (1, 1, 1, 1), mode="replicate"), 3, stride=1)[0]
        return frame + 0.7 * (frame - mean)
'''
LEARNED = """
import torch
from deblurbench.methods.base import FrameMethod
CARD = {
    "trainable": True,
    "recipes": {"short": {"batch": 2, "frames": 1, "crop": 32, "steps": 3, "learning_rate": 1e-3}},
}
class Learned(FrameMethod):
    def __init__(self):
        self.network = torch.nn.Conv2d(3, 3, 3, padding=1)
    def restore_frame(self, frame):
        return frame + self.network(frame[None])[0]
    def loss(self, blurry, sharp):
        flat = blurry.flatten(0, 1)
        return (flat + self.network(flat) - sharp.flatten(0, 1)).square().mean()
"""
PROJECT = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"
[project]
name = "tiny-deblurring"
version = "1.0"
[project.entry-points."deblurbench.plugins"]
mine = "tiny_deblurring"
[tool.setuptools]
packages = ["tiny_deblurring"]
package-data = { tiny_deblurring = ["methods/*/*"] }
"""


def test_a_file_is_run_resumed_verified_and_noticed_when_changed(cli, tmp_path):
    root = write_folder(tmp_path / "data", clips=["one"], frames=3)
    file = cli.folder / "mine.py"
    file.write_text(SHARPEN)
    (cli.folder / "gone.py").write_text(f"import a_package_that_is_not_there\n{SHARPEN}")
    words = ["run", "--methods", "./mine.py,./gone.py", "--dataset", "folder", "--data-root", root, "--metrics", "psnr",
             "--output", "out"]  # fmt: skip
    done = cli(*words, code=1)
    assert "pip install a_package_that_is_not_there" in done.stderr
    run = cli.folder / "out"
    assert {row["method"] for row in read_scores(run)} == {"identity", "mine"}
    told = {method["id"]: method for method in json.loads((run / "run.json").read_text())["methods"]}
    assert told["mine"]["source"] == str(file) and told["mine"]["title"] == "Sharpens"
    states = {row["method"]: row["state"] for row in dry_run(cli, words)}
    assert states == {"identity": "cached", "mine": "cached", "gone": "problem"}
    assert "mine: card" in cli("verify", "out").stdout
    file.write_text(SHARPEN.replace("0.7", "0.5"))
    again = {row["method"]: (row["state"], row["why"]) for row in dry_run(cli, words)}
    assert again["mine"] == ("stale", "changed since: code")
    assert "DIFFERS" in cli("verify", "out", code=4).stdout
    assert "identity" in cli("list", "methods").stdout


def dry_run(cli, words) -> list[dict[str, str]]:
    return json.loads(cli(*words, "--dry-run", "--json", code=1).stdout)["work"]


def test_a_dry_run_tries_a_file_in_another_process_and_imports_no_torch_itself(cli, tmp_path):
    root = write_folder(tmp_path / "data", clips=["one"], frames=3)
    (cli.folder / "mine.py").write_text("raise RuntimeError('imported')\n" + SHARPEN)
    code = (
        "import sys\nfrom deblurbench.cli.main import main\n"
        f"words = ['run', '--methods', './mine.py', '--dataset', 'folder', '--data-root', {str(root)!r}, '--dry-run']\n"
        "try:\n    main(words)\nexcept SystemExit as done:\n    assert done.code == 1, done.code\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=cli.folder, env=cli.environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "problem" in done.stdout and "RuntimeError: imported" in done.stdout


def test_a_package_with_an_entry_point_is_installed_and_joins(cli, tmp_path):
    source = tmp_path / "source"
    method = source / "tiny_deblurring" / "methods" / "tinysharpen"
    method.mkdir(parents=True)
    (source / "pyproject.toml").write_text(PROJECT)
    (source / "tiny_deblurring" / "__init__.py").write_text("")
    (method / "card.yaml").write_text("name: tinysharpen\nentry: method:Mine\ntitle: A packaged method\nlicence: MIT\n")
    (method / "method.py").write_text(SHARPEN)
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-build-isolation", "--target",
         str(tmp_path / "site"), str(source)],
        check=True,
    )  # fmt: skip
    cli.variables["PYTHONPATH"] = f"{cli.environment()['PYTHONPATH']}:{tmp_path / 'site'}"
    assert "A packaged method" in cli("list", "methods").stdout
    root = write_folder(tmp_path / "data", clips=["one"], frames=3)
    cli("run", "--methods", "tinysharpen", "--dataset", "folder", "--data-root", root, "--metrics", "psnr",
        "--output", "out")  # fmt: skip
    told = json.loads((cli.folder / "out" / "run.json").read_text())["methods"]
    assert [method["id"] for method in told] == ["identity", "tinysharpen"]
    assert {row["method"] for row in read_scores(cli.folder / "out")} == {"identity", "tinysharpen"}


def test_show_restore_and_bench_take_a_path_as_well(tmp_path, monkeypatch, capsys):
    root = write_folder(tmp_path / "data", clips=["one"], frames=3)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(SHARPEN)
    deblurbench("show", "./mine.py", "--json")
    assert json.loads(capsys.readouterr().out)["title"] == "Sharpens"
    deblurbench("show", "./mine.py:default")
    deblurbench("restore", root / "blur" / "one", "--method", "./mine.py", "--output", "restored")
    assert len(list((tmp_path / "restored").glob("*.png"))) == 3
    capsys.readouterr()
    deblurbench("bench", "--methods", "./mine.py", "--size", "32x32", "--seconds", "0.1", "--json", "--output", "bench")
    assert [row["method"] for row in json.loads(capsys.readouterr().out)["results"]] == ["mine"]
    deblurbench("run", "--methods", "./min.py", "--dataset", "folder", "--data-root", root, code=3)
    assert "Did you mean 'mine.py'" in capsys.readouterr().err


def test_a_learned_file_is_trained_and_its_training_scored(tmp_path, monkeypatch, capsys):
    root = write_folder(tmp_path / "data", clips=["one"], frames=3)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "learned.py").write_text(LEARNED)
    words = ["--dataset", "folder", "--data-root", root, "--metrics", "psnr"]
    deblurbench("run", "--methods", "./learned.py", *words, "--output", "untrained", code=3)
    assert f"deblurbench train {tmp_path / 'learned.py'}:default" in capsys.readouterr().err
    deblurbench("train", "./learned.py", "--dataset", "mini", "--recipe", "short", "--output", "training")
    deblurbench("run", "--methods", "./learned.py@training", *words, "--output", "out", "--in-process")
    told = json.loads((tmp_path / "out" / "run.json").read_text())["methods"][1]
    assert (told["id"], told["weights"], told["parameters"]) == ("learned@training", "training", 84)
