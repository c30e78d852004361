"""`deblurbench run` from end to end, in processes of its own, on small fake datasets in real layouts."""

import json
import random
import signal
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from tests.conftest import write_plugin
from tests.e2e.conftest import read_scores
from tests.fakes import write_folder, write_gopro

SHARPEN = """
import torch.nn.functional as F
from deblurbench.methods.base import FrameMethod
class Plugin(FrameMethod):
    def restore_frame(self, frame):
        mean = F.avg_pool2d(F.pad(frame[None], (1, 1, 1, 1), mode="replicate"), 3, stride=1)[0]
        return frame + 0.7 * (frame - mean)
"""
SLOW = SHARPEN.replace("mean =", "import time; time.sleep(0.15); mean =")


def image(file: Path) -> np.ndarray:
    return cv2.imread(str(file), cv2.IMREAD_COLOR)[:, :, ::-1]


@pytest.fixture
def private(cli, tmp_path):
    folder = tmp_path / "private"
    cli.variables["DEBLURBENCH_PLUGINS"] = str(folder)
    return folder


def test_scores_are_those_of_the_pngs_and_of_scikit_image(cli, private, tmp_path):
    write_plugin(private, "sharpen", SHARPEN)
    root = write_folder(tmp_path / "data")
    done = cli("run", "--methods", "sharpen", "--dataset", "folder", "--data-root", root, "--output", "out",
               "--save-frames", "all", "--metrics", "psnr,ssim")  # fmt: skip
    run = cli.folder / "out"
    scores = read_scores(run)
    assert len(scores) == 2 * 2 * 7 * 2 and "sharpen" in done.stdout
    for row in scores:
        restored = image(run / "frames" / row["method"] / row["clip"] / f"{row['frame']}.png")
        sharp = image(root / "sharp" / row["clip"] / f"{row['frame']}.png")
        if row["metric"] == "psnr":
            expected = peak_signal_noise_ratio(sharp, restored, data_range=255)
        else:
            expected = structural_similarity(sharp, restored, gaussian_weights=True, sigma=1.5,
                                             use_sample_covariance=False, data_range=255, channel_axis=2)  # fmt: skip
        assert float(row["value"]) == pytest.approx(expected, abs=1e-6)
    for name in ("index.html", "table.md", "table.tex", "table.csv"):
        assert (run / "report" / name).stat().st_size > 100
    head, *rows = (run / "report" / "table.csv").read_text().splitlines()
    assert "psnr" in head and "seconds" in head and len(rows) == 2


def test_asking_again_does_nothing_and_changes_nothing(cli, private, tmp_path):
    write_plugin(private, "sharpen", SHARPEN)
    root = write_folder(tmp_path / "data", clips=["one"])
    words = ["run", "--methods", "sharpen", "--dataset", "folder", "--data-root", root, "--output", "out",
             "--metrics", "psnr"]  # fmt: skip
    cli(*words)
    first = (cli.folder / "out" / "scores.csv").read_bytes()
    stamp = (cli.folder / "out" / "parts" / "sharpen" / "one.json").stat().st_mtime_ns
    manifest = cli.folder / "out" / "run.json"
    told = json.loads(manifest.read_text())
    told["environment"]["packages"]["torch"] = "1.2.3"  # as if another machine had computed it
    manifest.write_text(json.dumps(told))
    cli(*words)
    assert json.loads(manifest.read_text())["environment"]["packages"]["torch"] == "1.2.3"
    assert (cli.folder / "out" / "parts" / "sharpen" / "one.json").stat().st_mtime_ns == stamp
    dry = json.loads(cli(*words, "--dry-run", "--json").stdout)
    assert {work["state"] for work in dry["work"]} == {"cached"}
    (private / "methods" / "sharpen" / "method.py").write_text(SHARPEN.replace("0.7", "0.9"))
    dry = json.loads(cli(*words, "--dry-run", "--json").stdout)
    assert [work["state"] for work in dry["work"]] == ["cached", "stale"] and "code" in dry["work"][1]["why"]
    cli(*words)
    assert (cli.folder / "out" / "scores.csv").read_bytes() != first
    refused = cli(*words, "--seed", "1", code=2)
    assert "seed: 0 there, 1 asked" in refused.stderr
    cli(*words, "--seed", "1", "--fresh")


def children_of(process) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def wait_for(condition, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_killed_anywhere_it_resumes_to_the_same_table(cli, private, tmp_path):
    write_plugin(private, "slow", SLOW)
    root = write_folder(tmp_path / "data", clips=["one", "two", "three"])
    words = ["run", "--methods", "slow", "--dataset", "folder", "--data-root", root, "--metrics", "psnr"]
    cli(*words, "--output", "whole")
    whole, parts = cli.folder / "whole", cli.folder / "killed" / "parts"
    delays = [random.Random(7).uniform(0, 1.0), 0.4]
    for count, delay in enumerate(delays, start=1):
        process = cli.start(*words, "--output", "killed")
        assert wait_for(lambda wanted=count: len(list(parts.rglob("*.json"))) > wanted, 60)
        time.sleep(delay)
        workers = children_of(process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert wait_for(lambda left=workers: not any(w.is_running() and w.status() != "zombie" for w in left), 10)
    cli(*words, "--output", "killed")
    assert (cli.folder / "killed" / "scores.csv").read_bytes() == (cli.folder / "whole" / "scores.csv").read_bytes()
    kept = [sorted(str(f.relative_to(run)) for f in run.rglob("frames/**/*.png")) for run in (parts.parent, whole)]
    assert kept[0] == kept[1] and any("slow" in name for name in kept[0])


def test_ctrl_c_says_how_to_resume(cli, private, tmp_path):
    write_plugin(private, "slow", SLOW)
    root = write_folder(tmp_path / "data", clips=["one", "two"])
    process = cli.start("run", "--methods", "slow", "--dataset", "folder", "--data-root", root, "--output", "out",
                        "--metrics", "psnr")  # fmt: skip
    assert wait_for(lambda: len(list((cli.folder / "out" / "parts").rglob("*.json"))) >= 2, 60)
    workers = children_of(process)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130 and "deblurbench run --methods slow" in told and "Traceback" not in told
    assert wait_for(lambda: not any(w.is_running() and w.status() != "zombie" for w in workers), 10)
    assert read_scores(cli.folder / "out")


FAULTS = {
    "raises": ("frame = frame if self.count != 3 else 1 / 0", "raised", "ZeroDivisionError"),
    "nan": ("frame = frame * float('nan')", "invalid output", "NaN"),
    "shape": ("frame = frame[:, :-1]", "invalid output", "expected (3, 48, 64)"),
    "array": ("frame = frame.numpy()", "invalid output", "ndarray"),
    "exits": ("import os; os._exit(0)", "left", "code 0"),
    "sysexit": ("import sys; sys.exit(3)", "left", "the method called sys.exit(3)"),
    "segfault": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "crashed", "SIGSEGV"),
    "killed": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed", "out of memory"),
    "hangs": ("import time; time.sleep(1000)", "timeout", "15 s"),
    "talks": ("print('x' * 9_000_000)", "", ""),
}
FAULTY = """
from deblurbench.methods.base import FrameMethod
class Plugin(FrameMethod):
    count = 0
    def restore_frame(self, frame):
        self.count += 1
        {line}
        return frame
"""
COUNTS = """
from deblurbench.methods.base import Method
class Plugin(Method):
    def restore(self, frames):
        {line}
"""


def test_a_failing_method_costs_its_own_row_only(cli, private, tmp_path):
    for name, (line, _, _) in FAULTS.items():
        write_plugin(private, name, FAULTY.format(line=line))
    write_plugin(private, "few", COUNTS.format(line="frames = list(frames); yield from frames[:-2]"))
    write_plugin(private, "many", COUNTS.format(line="frames = list(frames); yield from frames + frames[:1]"))
    write_plugin(private, "missing", "import no_such_package\n")
    names = [*FAULTS, "few", "many", "missing"]
    root = write_folder(tmp_path / "data", clips=["one"])
    done = cli("run", "--methods", ",".join(names), "--dataset", "folder", "--data-root", root, "--output", "out",
               "--metrics", "psnr", "--timeout", "15", code=1)  # fmt: skip
    outcomes = {o["method"]: o for o in json.loads((cli.folder / "out" / "run.json").read_text())["outcomes"]}
    expected = {name: (kind, said) for name, (_, kind, said) in FAULTS.items()} | {
        "few": ("invalid output", "5 of 7 frames"), "many": ("invalid output", "frame 8"),
        "missing": ("refused", "no_such_package"),
    }  # fmt: skip
    for name, (kind, said) in expected.items():
        assert outcomes[name]["kind"] == kind and said in outcomes[name]["reason"], outcomes[name]
    assert outcomes["identity"]["status"] == outcomes["talks"]["status"] == "ok"
    assert {row["method"] for row in read_scores(cli.folder / "out")} == {"identity", "talks"}
    assert (cli.folder / "out" / "logs" / "talks.log").stat().st_size < 20_000_000
    assert "raises" in done.stdout and "FAILED" in done.stderr


def test_a_damaged_frame_costs_its_clip_only(cli, tmp_path):
    root = write_gopro(tmp_path / "data", clips=["A", "B", "C", "D"], frames=7)
    clips = root / "test" if (root / "test").is_dir() else root / "GOPRO_Large" / "test"
    files = {name: sorted((clips / name / "blur_gamma").glob("*.png")) for name in "ABCD"}
    files["A"][2].write_bytes(b"")
    whole = files["B"][3].read_bytes()
    files["B"][3].write_bytes(whole[: len(whole) // 2] + whole[-12:])
    files["C"][3].unlink()
    done = cli("run", "--methods", "identity", "--dataset", "gopro:all", "--partial", "--data-root", root,
               "--output", "out", "--metrics", "psnr", code=1)  # fmt: skip
    manifest = json.loads((cli.folder / "out" / "run.json").read_text())
    outcomes = {o["clip"]: o for o in manifest["outcomes"]}
    for name in "ABC":
        assert (
            outcomes[name]["kind"] == "corrupt input" and files[name][2].parent.parent.name in outcomes[name]["reason"]
        )
    assert files["A"][2].name in outcomes["A"]["reason"] and files["B"][3].name in outcomes["B"]["reason"]
    assert outcomes["D"]["status"] == "ok" and {r["clip"] for r in read_scores(cli.folder / "out")} == {"D"}
    assert "None" not in done.stderr


def test_partial_copies_say_so_or_do_not_run(cli, tmp_path):
    root = write_gopro(tmp_path / "data", frames=24)
    words = ["run", "--methods", "identity", "--dataset", "gopro", "--data-root", root, "--output", "out",
             "--metrics", "psnr"]  # fmt: skip
    refused = cli(*words, code=3)
    assert "missing clips" in refused.stderr and "64x48" in refused.stderr and "--partial" in refused.stderr
    done = cli(*words, "--partial", "--limit", "1")
    manifest = json.loads((cli.folder / "out" / "run.json").read_text())
    told = "1 of 11 clips, 24 of 100 frames, 19 scored, at 64x48 instead of 1280x720"
    assert manifest["coverage"] == told and manifest["partial"]
    assert manifest["coverage"] in done.stdout
    assert manifest["coverage"] in (cli.folder / "out" / "report" / "table.md").read_text()
    assert manifest["coverage"] in (cli.folder / "out" / "report" / "table.tex").read_text()


@pytest.mark.parametrize("frames", [1, 5])
def test_clips_too_short_for_the_protocol_are_told(cli, tmp_path, frames):
    root = write_gopro(tmp_path / "data", clips=["A"], frames=frames)
    cli("run", "--methods", "identity", "--dataset", "gopro", "--partial", "--data-root", root, "--output", "out",
        "--metrics", "psnr", code=1)  # fmt: skip
    reason = json.loads((cli.folder / "out" / "run.json").read_text())["outcomes"][0]["reason"]
    assert f"{frames} frames" in reason and "first 4 and the last 1" in reason


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--methods", "ifirn", "--dataset", "mini"], 2, "Did you mean 'ifirnn'"),
        (["--methods", "ifirnn:C1H9", "--dataset", "mini"], 2, "Did you mean 'C1H"),
        (["--methods", "ifirnn@nothing", "--dataset", "mini"], 2, "no weights 'nothing'"),
        (["--methods", "identity", "--dataset", "gopr"], 2, "Did you mean 'gopro'"),
        (["--methods", "identity", "--dataset", "gopro:linaer"], 2, "Did you mean 'gopro:linear'"),
        (["--methods", "identity", "--dataset", "mini", "--metrics", "pnsr"], 2, "Did you mean 'psnr'"),
        (["--methods", "identity", "--dataset", "mini", "--clips", "nothing"], 2, "no clip 'nothing'"),
        (["--methods", "identity", "--dataset", "gopro"], 3, "--dataset mini"),
        (["--methods", "identity", "--dataset", "dvd", "--data-root", "not/there"], 3, "not/there does not exist"),
        (["--methods", "identity", "--dataset", "gopro", "--data-root", "."], 3, "Expected layout"),
        (["--methods", "identity", "--dataset", "folder", "--data-root", "."], 3, "no frame"),
        (["--methods", "identity", "--dataset", ""], 2, "unknown dataset"),
        (["--dataset", "mini"], 2, "--methods"),
    ],
)  # fmt: skip
def test_bad_requests_end_at_once_with_the_right_code(cli, words, code, said):
    done = cli("run", *words, "--output", "out", code=code)
    assert said in done.stderr, done.stderr
    assert not (cli.folder / "out").exists()


def test_a_folder_that_is_no_run_is_left_alone(cli, tmp_path):
    (cli.folder / "thesis").mkdir()
    (cli.folder / "thesis" / "chapter.txt").write_text("mine")
    root = write_folder(tmp_path / "data", clips=["one"])
    for more in ([], ["--fresh"]):
        done = cli("run", "--methods", "identity", "--dataset", "folder", "--data-root", root, "--output", "thesis",
                   *more, code=2)  # fmt: skip
        assert "not empty and no run" in done.stderr
    assert (cli.folder / "thesis" / "chapter.txt").read_text() == "mine"
    (cli.folder / "file").write_text("")
    done = cli("run", "--methods", "identity", "--dataset", "folder", "--data-root", root, "--output", "file/out",
               code=1)  # fmt: skip
    assert "cannot be written" in done.stderr


def test_a_full_disk_stops_cleanly_and_resumes(cli, tmp_path):
    root = write_folder(tmp_path / "data", clips=["one", "two"], size=(256, 192))
    words = ["run", "--methods", "identity", "--dataset", "folder", "--data-root", root, "--metrics", "psnr",
             "--save-frames", "all"]  # fmt: skip
    import subprocess

    limited = ["bash", "-c", 'ulimit -f 40; exec "$@"', "--", *cli.command(*words, "--output", "out")]
    done = subprocess.run(limited, cwd=cli.folder, env=cli.environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "cannot be written" in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert not list((cli.folder / "out").rglob("*.part"))
    cli(*words, "--output", "out")
    cli(*words, "--output", "whole")
    assert (cli.folder / "out" / "scores.csv").read_bytes() == (cli.folder / "whole" / "scores.csv").read_bytes()


def test_two_runs_never_share_a_folder(cli, private, tmp_path):
    write_plugin(private, "slow", SLOW)
    root = write_folder(tmp_path / "data", clips=["one"], frames=30)
    words = ["run", "--methods", "slow", "--dataset", "folder", "--data-root", root, "--output", "out",
             "--metrics", "psnr"]  # fmt: skip
    first = cli.start(*words)
    assert wait_for(lambda: (cli.folder / "out" / "run.json").exists(), 60)
    done = cli(*words, code=2)
    assert "another run is writing here" in done.stderr
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=30)
    assert first.returncode == 130


def test_in_process_gives_the_same_scores(cli, private, tmp_path):
    write_plugin(private, "sharpen", SHARPEN)
    root = write_folder(tmp_path / "data", clips=["one"])
    words = ["run", "--methods", "sharpen", "--dataset", "folder", "--data-root", root, "--metrics", "psnr"]
    cli(*words, "--output", "a")
    cli(*words, "--output", "b", "--in-process")
    assert (cli.folder / "a" / "scores.csv").read_bytes() == (cli.folder / "b" / "scores.csv").read_bytes()
    assert (cli.folder / "a" / "logs").is_dir()
