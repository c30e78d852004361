"""`deblurbench compare` and `invalidate`, on runs with known differences."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from deblurbench.registry.protocol import Protocol
from deblurbench.results.run import Run
from tests.e2e.inprocess import deblurbench
from tests.fake_run import Fake, reseal, write

METHODS = {"identity": 1.0, "ifirnn:C2H3": 0.55, "srn:rgb": 0.5}


@pytest.fixture(scope="module")
def a(tmp_path_factory):
    return write(tmp_path_factory.mktemp("a"), Fake()).folder


def fake(tmp_path, **changes):
    return write(tmp_path / "b", Fake(**changes)).folder


def compared(capsys, *words, code=0):
    capsys.readouterr()
    deblurbench("compare", *words, "--json", code=code)
    return json.loads(capsys.readouterr().out)


def difference(found, method, metric="psnr"):
    return next(d for d in found["differences"] if (d["method"], d["metric"]) == (method, metric))


def test_a_run_is_like_itself(a, capsys):
    found = compared(capsys, a, a, "--fail-if", "psnr<-0.0001,psnr>0.0001")
    assert not found["changed"] and found["comparable"] and not found["violations"]
    assert all(d["change"] == 0 for d in found["differences"]) and len(found["differences"]) == 3 * 3


def test_a_table_cut_short_and_a_method_that_is_gone_break_every_limit(a, tmp_path, capsys):
    cut = tmp_path / "cut"
    shutil.copytree(a, cut)
    lines = (cut / "scores.csv").read_text().splitlines(keepends=True)
    (cut / "scores.csv").write_text("".join(lines[:-40]))
    reseal(cut)
    deblurbench("compare", a, cut, "--fail-if", "psnr<-0.05", code=2)
    assert "scores.csv: cut short: srn:rgb" in capsys.readouterr().err
    without = fake(tmp_path, methods={name: METHODS[name] for name in ("identity", "ifirnn:C2H3")})
    found = compared(capsys, a, without, "--fail-if", "psnr<-0.05", code=4)
    assert found["violations"] == ["srn:rgb: whole in A, in B not there"]


def test_another_implementation_is_a_change_and_another_version_is_refused(a, tmp_path, capsys):
    def altered(name, **changes):
        folder = tmp_path / name
        shutil.copytree(a, folder)
        body = json.loads((folder / "run.json").read_text())
        body["metrics"][0].update(changes)
        (folder / "run.json").write_text(json.dumps(body))
        reseal(folder)
        return folder

    found = compared(capsys, a, altered("weights", implementation="weights BBB"))
    assert [c["what"] for c in found["changed"]] == ["metric psnr"]
    deblurbench("compare", a, altered("newer", version=9), code=2)
    assert "metric psnr has version" in capsys.readouterr().err


def test_differences_are_paired_and_their_interval_is_over_clips(a, tmp_path, capsys):
    b = fake(tmp_path, methods=METHODS | {"srn:rgb": 0.6}, seed=0, changes={"precision": "bf16"},
             method_changes={"srn:rgb": {"weights_sha256": "cd" * 32}})  # fmt: skip
    found = compared(capsys, a, b)
    assert {c["what"] for c in found["changed"]} == {"precision", "srn:rgb: weights"}
    one, two = (Run.open(folder).scores.query("method == 'srn:rgb' and metric == 'ssim'") for folder in (a, b))
    clips = [float((two.value[two["clip"] == c].to_numpy() - one.value[one["clip"] == c].to_numpy()).mean())
             for c in one["clip"].unique()]  # fmt: skip
    expected = stats.t.interval(0.95, len(clips) - 1, loc=np.mean(clips), scale=stats.sem(clips))
    row = difference(found, "srn:rgb", "ssim")
    assert row["interval"] == pytest.approx(list(expected), rel=1e-9) and row["clips"] == 8 and row["frames"] == 56
    assert row["clip_change"] == pytest.approx(np.mean(clips), rel=1e-9)
    assert row["change"] == pytest.approx(two.value.mean() - one.value.mean(), rel=1e-9)
    assert difference(found, "ifirnn:C2H3")["change"] == 0
    fall = difference(found, "srn:rgb")["change"]
    assert fall == pytest.approx(-8 * np.log10(0.6 / 0.5), abs=1e-9)


@pytest.mark.parametrize(
    ("limit", "code"),
    [("psnr<-0.05", 4), ("psnr<-0.7", 0), ("psnr>0.05", 0), ("ssim<-0.001", 4), ("psnr<-0.7,ssim<-0.001", 4)],
)
def test_fail_if_gives_exit_code_4(a, tmp_path, capsys, limit, code):
    b = fake(tmp_path, methods=METHODS | {"srn:rgb": 0.6})
    deblurbench("compare", a, b, "--fail-if", limit, code=code)
    assert ("srn:rgb: " in capsys.readouterr().err) == bool(code)


@pytest.mark.parametrize("limit", ["psnr", "psnr<", "psnr<=3", "psrn<-1", "lpips-vgg<1", "psnr<nan"])
def test_a_limit_that_checks_nothing_is_refused(a, limit):
    deblurbench("compare", a, a, "--fail-if", limit, code=2)


def test_a_method_that_fails_now_breaks_any_limit(a, tmp_path, capsys):
    b = fake(tmp_path, failed={"srn:rgb": "clip-02"})
    deblurbench("compare", a, b, "--fail-if", "psnr<-99", code=4)
    err = capsys.readouterr().err
    assert "whole in A, in B failed on " in err and "failed failed" not in err


def test_an_infinite_value_that_is_lost_breaks_a_limit(a, tmp_path, capsys):
    b = fake(tmp_path, leaks={"srn:rgb": 2})
    row = difference(compared(capsys, b, a), "srn:rgb")
    assert row["infinite_a"] == 2 and row["frames"] == 54 and row["change"] == 0
    deblurbench("compare", b, a, "--fail-if", "psnr<-0.05", code=4)
    deblurbench("compare", a, b, "--fail-if", "psnr<-0.05")


def test_where_no_frame_is_finite_in_both_there_is_no_mean_and_no_change(a, tmp_path, capsys):
    one = fake(tmp_path, clips=["clip-01"], leaks={"srn:rgb": 12})
    row = difference(compared(capsys, one, a), "srn:rgb")
    assert (row["a"], row["b"], row["change"], row["frames"]) == (None, None, None, 0) and row["infinite_a"] == 7
    deblurbench("compare", one, a)
    line = next(text for text in capsys.readouterr().out.splitlines() if text.split()[:2] == ["srn:rgb", "psnr"])
    assert line.split()[2:5] == ["\N{EN DASH}"] * 3
    deblurbench("compare", one, a, "--fail-if", "psnr<-0.05", code=4)
    assert "srn:rgb: psnr changed (infinite on 7 frames of one run only), beyond < -0.05" in capsys.readouterr().err


def test_seconds_are_of_the_frames_that_both_runs_timed(a, tmp_path, capsys):
    b = fake(tmp_path, clips=["clip-01", "clip-02"])

    def retime(folder, name, warm):
        lines = [line.split(",") for line in (folder / "timings.csv").read_text().splitlines()]
        clips = {"clip-01": "0.1", "clip-02": "0.1"}
        for line in lines[1:]:
            line[4:] = [clips.get(line[2], "0.9"), str(int(line[3] in warm))]
        (tmp_path / name).mkdir()
        shutil.copytree(folder, tmp_path / name, dirs_exist_ok=True)
        (tmp_path / name / "timings.csv").write_text("\n".join(map(",".join, lines)) + "\n")
        reseal(tmp_path / name)
        return tmp_path / name

    runs = retime(a, "long", {"000001"}), retime(b, "short", {"000001", "000002", "000003"})
    row = difference(compared(capsys, *runs, "--fail-if", "seconds<-0.05"), "srn:rgb", "seconds")
    assert (row["a"], row["b"], row["frames"]) == (0.1, 0.1, 2 * 9)


def test_unlike_protocols_are_refused_or_marked(a, tmp_path, capsys):
    b = fake(tmp_path, protocol=Protocol(name="mini", version=2, blur="gamma", leave_out=(2, 2)))
    deblurbench("compare", a, b, code=2)
    assert "mini v1" in capsys.readouterr().err
    found = compared(capsys, a, b, "--allow-mixed")
    assert not found["comparable"] and {d["mark"] for d in found["differences"] if d["clips"]} == {"other protocol"}
    assert {"protocol", "protocol: leave_out"} <= {c["what"] for c in found["changed"]}
    assert difference(found, "identity")["frames"] == 8 * 6  # frames 5 to 10 are scored in both


def test_other_pictures_under_the_same_protocol_are_refused_or_marked(a, tmp_path, capsys):
    def with_truth(folder, digest):
        run = Run.open(folder)
        clips = [clip.model_copy(update={"ground_truth_sha256": digest * 32}) for clip in run.manifest.clips]
        run.store.write_manifest(run.manifest.model_copy(update={"clips": clips}))
        return folder

    one = with_truth(shutil.copytree(a, tmp_path / "one"), "ab")
    two = with_truth(shutil.copytree(a, tmp_path / "two"), "cd")
    deblurbench("compare", one, two, code=2)
    assert "has other pixels" in capsys.readouterr().err
    found = compared(capsys, one, two, "--allow-mixed")
    assert not found["comparable"] and {d["mark"] for d in found["differences"] if d["clips"]} == {"other data"}


def test_a_method_trained_on_the_dataset_is_marked(tmp_path, capsys):
    trained = Fake(method_changes={"srn:rgb": {"trained_on": ["mini/test"]}})
    for name in ("a", "b"):
        write(tmp_path / name, trained)
    deblurbench("compare", tmp_path / "a", tmp_path / "b", "--json")
    marks = {
        d["method"]: d["mark"] for d in json.loads(capsys.readouterr().out)["differences"] if d["metric"] == "psnr"
    }
    assert marks["srn:rgb"] == "trained on this dataset" and marks["identity"] == ""


def test_an_invalid_run_says_so_everywhere_until_it_is_undone(tmp_path, capsys):
    run = fake(tmp_path)
    deblurbench("invalidate", run, "--why", "wrong blur folder")
    deblurbench("report", run)
    assert "wrong blur folder" in (run / "report" / "table.md").read_text()
    capsys.readouterr()
    deblurbench("compare", run, run)
    assert "INVALID: wrong blur folder" in capsys.readouterr().err
    deblurbench("invalidate", run, "--undo")
    assert "wrong blur folder" not in (run / "report" / "table.md").read_text()
    for words in (["--undo"], [], ["--why", "x", "--undo"], ["--why", " "]):
        deblurbench("invalidate", run, *words, code=2)


def test_compare_and_verify_do_not_import_torch(a, tmp_path):
    code = (
        "import sys\nfrom deblurbench.cli.main import main\n"
        "for words in (['compare', sys.argv[1], sys.argv[1]], ['verify', sys.argv[1]]):\n"
        "    try:\n        main(words)\n    except SystemExit as done:\n        print(done.code)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code, str(a)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_pair_compares_methods_of_other_names(a, tmp_path, capsys):
    other = fake(tmp_path, methods={"identity": 1.0, "theirs": 0.5})
    found = compared(capsys, a, other, "--pair", "srn:rgb=theirs")
    paired = difference(found, "srn:rgb=theirs")
    scores = [Run.open(folder).values_by_clip(name, "psnr") for folder, name in ((a, "srn:rgb"), (other, "theirs"))]
    means = [np.concatenate([values.to_numpy(float) for values in each.values()]).mean() for each in scores]
    assert paired["change"] == pytest.approx(means[1] - means[0])
    assert {d["method"] for d in found["differences"]} == {"identity", "srn:rgb=theirs"}
    assert difference(found, "identity")["change"] == 0
    assert "only in A, left out: methods ifirnn:C2H3" in found["notes"]
    broken = compared(
        capsys, a, other, "--pair", "srn:rgb=theirs,ifirnn:C2H3=identity", "--fail-if", "psnr<-0.5", code=4
    )
    assert any(line.startswith("ifirnn:C2H3=identity: psnr") for line in broken["violations"])


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("srn:rgb", "Write X=Y"),
        ("srn=identity", "Did you mean 'srn:rgb'"),
        ("identity=srn:rgb,identity=identity", "in another pair already"),
    ],
)
def test_a_pair_that_cannot_be_meant_is_refused(a, capsys, pair, said):
    deblurbench("compare", a, a, "--pair", pair, code=2)
    assert said in capsys.readouterr().err
