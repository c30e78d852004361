"""Runs on disk: atomic parts, damaged records, tables that are the same byte for byte."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deblurbench.errors import DamagedError, DiskError, UsageError
from deblurbench.frames.files import write_atomically
from deblurbench.results.manifest import Outcome
from deblurbench.results.run import Run
from deblurbench.results.store import Part, Store, folder_name
from deblurbench.text import natural_key


def part(method="a:b", clip="c", value=31.5):
    outcome = Outcome(method=method, clip=clip, status="ok")
    return Part({"k": 1}, outcome, [("000001", "psnr", value), ("", "tof", math.inf)], [("000001", 0.25, True)], ["x"])


@given(st.floats(allow_nan=False))
def test_parts_keep_every_bit(value):
    again = Part.from_json(part(value=value).to_json())
    assert again.scores == part(value=value).scores and again.timings == [("000001", 0.25, True)]
    assert again.outcome.method == "a:b" and again.key == {"k": 1}


def test_a_damaged_part_is_kept_aside_and_counts_as_none(tmp_path):
    store = Store(tmp_path)
    store.write_part(part())
    file = store.part_file("a:b", "c")
    assert store.read_part("a:b", "c") is not None
    text = file.read_text()
    for damaged in (text[:-40], text.replace("31.5", "41.5"), "", "{}", "[]", "null", '{"sha256":"","part":5}'):
        file.write_text(damaged)
        with pytest.raises(DamagedError, match="damaged record"):
            store.look_at_part("a:b", "c")
        assert file.read_text() == damaged and not file.with_suffix(".damaged").exists()
        assert store.read_part("a:b", "c") is None
        assert not file.exists() and file.with_suffix(".damaged").exists()
        file.with_suffix(".damaged").unlink()


def test_names_become_safe_folders():
    assert folder_name("ifirnn:C1H1@tag") == "ifirnn-C1H1-tag"
    assert "/" not in folder_name("../../etc/passwd") and not folder_name("../x").startswith(".")
    assert folder_name("..") == "_.."


def test_natural_order():
    assert sorted(["10", "2", "1", "a10", "a9"], key=natural_key) == ["1", "2", "10", "a9", "a10"]


def test_a_newer_schema_is_refused(tmp_path):
    (tmp_path / "run.json").write_text(json.dumps({"schema_version": 99}))
    with pytest.raises(UsageError, match="schema version 99"):
        Run.open(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema_version": 1}', '{"schema_version": "2"}'])
def test_a_damaged_manifest_is_told(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UsageError, match=r"run\.json"):
        Run.open(tmp_path)


def test_no_run_is_told(tmp_path):
    with pytest.raises(UsageError, match="no run here"):
        Run.open(tmp_path)


def test_writing_where_one_cannot_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match="cannot be written"):
        write_atomically(tmp_path / "file" / "below.txt", b"x")


def test_a_full_disk_leaves_the_old_file_whole(tmp_path, monkeypatch):
    import errno
    import os

    file = tmp_path / "a"
    write_atomically(file, b"old")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskError, match="No space left"):
        write_atomically(file, b"new")
    assert file.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["a"]
