"""Runs on disk: atomic parts, damaged records, tables that are the same byte for byte."""

import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deblurbench import tables
from deblurbench.errors import DamagedError, DiskError, UsageError
from deblurbench.frames.files import write_atomically
from deblurbench.results import digests
from deblurbench.results import store as store_module
from deblurbench.results.manifest import Outcome
from deblurbench.results.run import Run
from deblurbench.results.store import Part, Store, folder_name
from deblurbench.text import natural_key
from tests import fake_run

SMALL = fake_run.Fake(clips=("clip-01", "clip-02"), frames=6)


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


def test_an_edited_digit_is_refused_unless_it_is_accepted(tmp_path):
    run = fake_run.write(tmp_path, SMALL)
    assert Run.open(tmp_path).edited == ()
    for name, digits in {"scores.csv": b"psnr,2", "timings.csv": b",0.", "run.json": b'"width": 3'}.items():
        file = tmp_path / name
        whole = file.read_bytes()
        file.write_bytes(whole.replace(digits, digits[:-1] + b"4", 1))
        assert file.read_bytes() != whole
        with pytest.raises(DamagedError, match=rf"{name}: changed since the run wrote it.*--accept-edited"):
            Run.open(tmp_path)
        accepted = Run.open(tmp_path, accept_edited=True)
        assert accepted.edited == (name,)
        table = tables.build([accepted])
        assert any(f"EDITED after the run: {name}" in line for line in table.caption)
        assert any(f"EDITED after the run: {name}" in line for line in table.warnings)
        file.write_bytes(whole)
    assert Run.open(tmp_path).edited == run.edited == ()


def test_damaged_digests_accept_nothing_and_a_run_without_any_is_read(tmp_path):
    fake_run.write(tmp_path, SMALL)
    for damaged in ("", "[]", '{"run.json": 5}', "[" * 10_000):
        (tmp_path / digests.PLACE).write_text(damaged)
        with pytest.raises(DamagedError, match="digests: changed since"):
            Run.open(tmp_path)
    (tmp_path / digests.PLACE).unlink()
    assert Run.open(tmp_path).edited == ()


def test_whatever_a_crash_leaves_is_not_taken_for_edited(tmp_path, monkeypatch):
    """Killed before or after any of the writes, the old file or the new one is there."""
    run = fake_run.write(tmp_path, SMALL)
    changed = run.manifest.model_copy(update={"warnings": ["another"]})
    for allowed in range(3):
        writes = []

        def write(file, content, writes=writes, allowed=allowed):
            if len(writes) == allowed:
                raise KeyboardInterrupt
            writes.append(file)
            write_atomically(file, content)

        with monkeypatch.context() as patch:
            patch.setattr(store_module, "write_atomically", write)
            patch.setattr(digests, "write_atomically", write)
            with contextlib.suppress(KeyboardInterrupt):
                run.store.write_manifest(changed)
        assert Run.open(tmp_path).edited == ()
    assert Run.open(tmp_path).manifest.warnings == ["another"]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("metrics", 0, "decimals"), -3), (("metrics", 0, "decimals"), 10**9), (("metrics", 0, "version"), -1),
        (("clips", 0, "width"), 10**30), (("clips", 0, "height"), -1), (("outcomes", 0, "clipped"), 5.0),
        (("methods", 0, "parameters"), -1), (("tile",), -32), (("schema_version",), -1), (("request", "limit"), 10**20),
    ],
)  # fmt: skip
def test_numbers_of_run_json_have_bounds(tmp_path, place, value):
    fake_run.write(tmp_path, SMALL)
    body = json.loads((tmp_path / "run.json").read_text())
    inner = body
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    (tmp_path / "run.json").write_text(json.dumps(body))
    with pytest.raises(DamagedError, match=rf"run\.json.*{place[-1]}"):
        Store(tmp_path).read_manifest()


def test_a_deep_or_endless_record_is_damaged(tmp_path):
    fake_run.write(tmp_path, SMALL)
    store = Store(tmp_path)
    part = store.part_file("identity", "clip-01")
    part.write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(DamagedError, match="damaged record"):
        store.look_at_part("identity", "clip-01")
    (tmp_path / "run.json").write_text("[" * 100_000)
    with pytest.raises(DamagedError, match=r"run\.json"):
        store.read_manifest()
