"""What commands say where something is missing, broken or odd, in this process."""

import json
import os
import shlex
import sys

import pytest

from deblurbench.datasets.opening import open_dataset
from deblurbench.datasets.strict import quiet_decoders
from tests.conftest import write_plugin
from tests.e2e.inprocess import deblurbench, interrupt
from tests.fakes import write_folder, write_gopro


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--minutes", "-1"], "--minutes"),
        (["--minutes", "0"], "--minutes"),
        (["--minutes", "nan"], "nan is not a time"),
        (["--limit-steps", "0"], "--limit-steps"),
        (["--threads", "100000"], "--threads"),
        (["--seed", "-1"], "--seed"),
    ],
)
def test_a_training_without_end_is_refused(tmp_path, capsys, words, said):
    deblurbench("train", "ifirnn", "--dataset", "mini", "--output", tmp_path / "out", *words, code=2)
    assert said in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_reproduce_takes_the_times_that_run_takes(capsys):
    deblurbench("reproduce", "ifirnn", "--timeout", "0", code=2)
    assert "--timeout" in capsys.readouterr().err


def test_a_training_that_is_not_there_is_a_wrong_word_and_an_unfinished_one_lacks_weights(tmp_path, capsys):
    deblurbench("export", tmp_path / "gone", code=2)
    assert "no such folder" in capsys.readouterr().err
    deblurbench("export", tmp_path, code=3)
    assert "no finished training here" in capsys.readouterr().err


def test_verify_names_damaged_frames_without_the_decoders_words(tmp_path, capfd):
    root = write_gopro(tmp_path / "data", clips=["GOPR0384_11_00"])
    frame = root / "test" / "GOPR0384_11_00" / "blur_gamma" / "000003.png"
    data = bytearray(frame.read_bytes())
    data[len(data) // 2] ^= 0xFF
    frame.write_bytes(data)
    deblurbench("data", "verify", "gopro", "--data-root", root, code=4)
    told = capfd.readouterr()
    assert "000003.png: cannot be decoded; the file is damaged" in told.out and "libpng" not in told.err


def test_only_the_decoders_are_silenced(capfd):
    with quiet_decoders() as said:
        os.write(2, b"libpng error: IDAT: CRC error\n[ WARN:0@0.1] global grfmt_png.cpp\nours\n")
        print("printed", file=sys.stderr)
    assert said == ["libpng error: IDAT: CRC error", "[ WARN:0@0.1] global grfmt_png.cpp"]
    told = capfd.readouterr().err
    assert sorted(told.split()) == ["ours", "printed"]


def test_clips_that_were_not_released_fit_no_protocol_and_how_to_run_them_is_told(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = write_gopro(tmp_path / "data", layout="one-split", clips=["mine", "yours"])
    deblurbench("data", "info", "gopro", "--data-root", root)
    told = capsys.readouterr().out
    assert "protocols that fit: none" in told
    assert "not gopro: no clips of split 'test' (found: other (2 clips))" in told
    words = ["run", "--methods", "identity", "--dataset", "gopro", "--data-root", root, "--dry-run"]
    deblurbench(*words, code=3)
    told = capsys.readouterr().err
    assert "--split other" in told and f"--dataset folder --data-root {root}" in told and "--dataset mini" in told
    deblurbench(*words, "--split", "other", "--partial")
    assert "time: unknown: 2 clips were never timed before" in capsys.readouterr().err
    deblurbench(*words[:4], "folder", *words[5:])


def test_fewer_frames_than_are_scored_are_refused_before_anything_runs(tmp_path, capsys):
    root = write_gopro(tmp_path / "data", frames=7)
    words = ["run", "--methods", "identity", "--dataset", "gopro", "--data-root", root, "--partial", "--dry-run"]
    deblurbench(*words, "--frames-per-clip", 5, code=2)
    assert "--frames-per-clip 5: nothing would be scored" in (told := capsys.readouterr().err)
    assert "Use --frames-per-clip 6 or more" in told
    deblurbench(*words, "--frames-per-clip", 6)


def test_a_dry_run_tells_clips_that_cannot_be_run_and_the_way_out(tmp_path, capsys):
    root = write_folder(tmp_path / "data", clips=["one", "a b", "c, d"], frames=2)
    (root / "sharp" / "one" / "000001.png").unlink()
    words = ["run", "--methods", "identity", "--dataset", "folder", "--data-root", root, "--dry-run"]
    deblurbench(*words, code=1)
    told = capsys.readouterr().err
    assert "2 of 3" not in told and "4 scored" in told
    assert "since one cannot be run" in told and "--clips 'a b,c, d'." in told
    deblurbench(*words, "--clips", "a b,c, d")
    assert "2 of 3 clips" in capsys.readouterr().err
    deblurbench(*words, "--clips", "c,d")
    assert "1 of 3 clips" in capsys.readouterr().err
    deblurbench(*words, "--clips", "d,one", code=2)
    assert "no clip 'd' in split 'all'. Known: 'a b', 'c, d', one." in capsys.readouterr().err


def test_a_protocol_whose_split_is_there_fits(tmp_path, capsys):
    root = write_gopro(tmp_path / "data", clips=["GOPR0384_11_00"])
    deblurbench("data", "info", "gopro", "--data-root", root, "--json")
    protocols = json.loads(capsys.readouterr().out)["protocols"]
    assert protocols["gopro"] == ""


def test_a_split_that_no_dataset_has_is_a_wrong_word(tmp_path, capsys):
    root = write_folder(tmp_path / "data", clips=["one"], frames=2)
    words = ["run", "--methods", "identity", "--dry-run", "--dataset"]
    deblurbench(*words, "gopro", "--data-root", write_gopro(tmp_path / "gopro", clips=["a"]), "--split", "tst", code=2)
    assert "dataset 'gopro' has no split 'tst'. Did you mean 'test'? Known: test, train." in capsys.readouterr().err
    deblurbench(*words, "folder", "--data-root", root, "--split", "test", code=2)
    assert "Known: all." in capsys.readouterr().err


def test_mini_is_not_recommended_to_those_who_use_it(tmp_path, capsys):
    words = ["run", "--methods", "identity", "--dry-run", "--dataset"]
    deblurbench(*words, "mini", "--data-root", tmp_path / "gone", code=3)
    assert "needs nothing" not in capsys.readouterr().err
    deblurbench(*words, "gopro", "--data-root", tmp_path / "gone", code=3)
    assert "--dataset mini needs nothing" in capsys.readouterr().err


def test_one_broken_card_leaves_the_list_readable(plugin_folder, capsys):
    write_plugin(plugin_folder, "odd", "", "year: soon\n")
    deblurbench("list", "methods")
    told = capsys.readouterr()
    assert "BROKEN, see 'deblurbench show odd'" in told.out and "year" not in told.out
    assert "! odd:" in told.err and "year" in told.err
    deblurbench("list", "methods", "--json")
    rows = {row["method"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["odd"]["title"].startswith("BROKEN") and "year" in rows["odd"]["title"]
    assert "SR-EDRB3" in rows["srn"]["variants"]
    deblurbench("show", "odd", code=2)
    assert "year" in capsys.readouterr().err


def test_the_list_of_methods_fits_a_wide_terminal(capsys):
    deblurbench("list", "methods")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) < 220
    (srn,) = [line for line in lines if line.startswith("srn ")]
    assert "rgb, lstm, " in srn and "... (16)" in srn and "SR-EDRB3" not in srn


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bench", "--methods", "identity", "--seconds", "nan"], "nan is not a time"),
        (["run", "--methods", "identity", "--dataset", "mini", "--timeout", "inf"], "inf is not a time"),
        (["run", "--methods", "identity", "--dataset", "mini", "--dry-run", "--device", "foo"], "'foo'"),
        (["train", "ifirnn:C1H1@mine.safetensors", "--dataset", "mini"], "give --start-from mine.safetensors"),
        (["export", ".", "--tag", "a b/c"], "'a b/c': letters, digits, and . _ - between them"),
        (["import-weights", "ifirnn", "gone.pth", "--tag", "../up"], "'../up': letters, digits"),
    ],
)
def test_words_that_no_command_can_mean_are_refused(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    deblurbench(*words, code=2)
    assert said in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_weights_that_training_json_does_not_tell_of_are_not_exported(tmp_path, capsys):
    (tmp_path / "weights.safetensors").write_bytes(b"new")
    (tmp_path / "training.json").write_text('{"variant": "C1H1", "sha256": "of the old ones"}')
    deblurbench("export", tmp_path, code=2)
    assert "tells of other weights than weights.safetensors" in capsys.readouterr().err


def test_a_cut_training_json_is_named_by_export(tmp_path, capsys):
    (tmp_path / "weights.safetensors").write_bytes(b"new")
    (tmp_path / "training.json").write_text('{"variant": "C1')
    deblurbench("export", tmp_path, code=2)
    assert "training.json: cannot be read" in capsys.readouterr().err


def test_a_new_method_in_a_folder_that_is_not_searched_is_named_by_its_path(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DEBLURBENCH_PLUGINS", raising=False)
    deblurbench("new", "method", "mine", "--into", "plug")
    assert "deblurbench check plug/methods/mine" in capsys.readouterr().err
    monkeypatch.setenv("DEBLURBENCH_PLUGINS", str(tmp_path / "plug"))
    deblurbench("new", "method", "other", "--into", "plug")
    assert "deblurbench check other\n" in capsys.readouterr().err


def test_prepared_is_what_has_clips(tmp_path, capsys):
    root = write_gopro(tmp_path / "data", clips=["GOPR0384_11_00"])
    deblurbench("data", "prepare", "gopro", "--data-root", root)
    assert "gopro is ready: 1 clip" in capsys.readouterr().err
    deblurbench("data", "prepare", "gopro:linear", "--data-root", tmp_path, code=3)


def test_what_was_fetched_is_told_as_json(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("deblurbench.metrics.lpips_weights.fetch", lambda name: tmp_path / name)
    deblurbench("data", "fetch", "lpips-alex", "--json")
    assert json.loads(capsys.readouterr().out) == [{"metric": "lpips-alex", "file": str(tmp_path / "lpips-alex")}]


def test_ctrl_c_while_preparing_says_how_to_resume(tmp_path, monkeypatch, capsys):
    root = write_gopro(tmp_path / "data", clips=["GOPR0384_11_00"])
    words = ["data", "prepare", "gopro", "--data-root", str(root)]
    opened, protocol = open_dataset("gopro", str(root))
    monkeypatch.setattr(opened, "prepare", interrupt)
    monkeypatch.setattr("deblurbench.cli.data.open_dataset", lambda *_: (opened, protocol))
    monkeypatch.setattr(sys, "argv", ["deblurbench", *words])
    deblurbench(*words, code=130)
    assert f"Resume with:\n  {shlex.join(sys.argv)}\n" in capsys.readouterr().err


def test_a_method_that_is_not_there_is_told_before_an_output_that_is(tmp_path, capsys):
    clip = write_folder(tmp_path / "data", clips=["one"], frames=2) / "blur" / "one"
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x.png").write_bytes(b"")
    deblurbench("restore", clip, "--method", "unshrp", "--output", tmp_path / "out", code=2)
    assert "unshrp" in capsys.readouterr().err
