"""A run's folder: one writer, one request, and a damaged run.json that costs nothing computed."""

import pytest

from deblurbench.errors import DiskError, UsageError
from deblurbench.results.lock import check_folder, claim
from deblurbench.results.manifest import Request
from deblurbench.results.store import Store

REQUEST = Request(methods=["identity"], dataset="mini")


def test_a_folder_has_one_writer(tmp_path):
    with claim(tmp_path / "out"), pytest.raises(UsageError, match="another run is writing"), claim(tmp_path / "out"):
        pass
    with claim(tmp_path / "out"):
        pass


def test_what_a_killed_run_left_is_cleared_but_not_a_report_in_the_making(tmp_path):
    half = [tmp_path / place / ".x.part" for place in (".", "parts/a", "frames/a/b", "report")]
    (tmp_path / "run.json").write_text("{}")
    for file in half:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("half")
    with claim(tmp_path):
        assert [file.exists() for file in half] == [False, False, False, True]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(DiskError, match="cannot be written"), claim(tmp_path / "out"):
        pass


@pytest.mark.parametrize("text", ["", "{", "null"])
def test_a_damaged_manifest_does_not_stop_a_resumption(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    check_folder(tmp_path, REQUEST, fresh=False)
    Store(tmp_path).set_manifest_aside()
    assert [f.name for f in tmp_path.iterdir()] == ["run.json.damaged"]


def test_a_newer_manifest_does(tmp_path):
    (tmp_path / "run.json").write_text('{"schema_version": 99}')
    with pytest.raises(UsageError, match="Update it"):
        check_folder(tmp_path, REQUEST, fresh=False)


def test_files_of_somebody_are_never_cleared(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    for fresh in (False, True):
        with pytest.raises(UsageError, match="not empty and no run"):
            check_folder(tmp_path, REQUEST, fresh)
    assert (tmp_path / "thesis.tex").read_text() == "mine"
    with pytest.raises(UsageError, match="not empty and no run"), claim(tmp_path):
        pass
    assert [f.name for f in tmp_path.iterdir()] == ["thesis.tex"]


def test_what_a_killed_process_left_half_written_is_cleared(tmp_path):
    (tmp_path / "frames").mkdir(parents=True)
    for left in (".run.json.abc.part", "frames/.000001.png.x.part"):
        (tmp_path / left).write_text("")
    (tmp_path / "run.json").write_text("{}")
    with claim(tmp_path):
        assert not list(tmp_path.rglob("*.part"))


def test_killed_at_its_very_first_write_a_run_can_be_asked_for_again(tmp_path):
    (tmp_path / ".run.json.abc.part").write_text("{")
    with claim(tmp_path):
        check_folder(tmp_path, REQUEST, fresh=False)
