"""`restore` and `folder` on videos as users have them, in this process."""

import os

import pytest

from deblurbench.frames.files import PART
from deblurbench.frames.video import VideoSource
from tests.e2e.inprocess import deblurbench
from tests.fakes import write_frames
from tests.videos import patch_matrix, smooth, write


def restored(source, output, *words, code=0):
    deblurbench("restore", source, "--method", "identity", "--device", "cpu", "--output", output, *words, code=code)


def test_a_phone_video_comes_back_upright_with_its_sound(tmp_path, capsys):
    source = write(tmp_path / "phone.mov", smooth(12), sound=["aac"])
    patch_matrix(source, 0, 1, -1, 0)
    restored(source, tmp_path / "out.mp4", "--strict")
    assert capsys.readouterr().err.splitlines() == [f"restored 12 frames with identity into {tmp_path / 'out.mp4'}"]
    info = VideoSource(tmp_path / "out.mp4").info
    assert (info.width, info.height, info.count) == (48, 64, 12)


def test_what_is_lost_is_said_and_strict_refuses_it(tmp_path, capsys):
    source = write(tmp_path / "deep.mkv", smooth(4), "libx265", "yuv420p10le", sound=["libopus"])
    restored(source, tmp_path / "out.mov", "--strict", code=2)
    assert "10 bits a sample" in capsys.readouterr().err and not (tmp_path / "out.mov").exists()
    restored(source, tmp_path / "out.mov")
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith("! ")] == [
        "! deep.mkv: 10 bits a sample: frames are restored and written with 8",
        "! deep.mkv: sound 1 (opus) is left out",
    ]


def test_odd_sizes_are_kept_as_444_and_said(tmp_path, capsys):
    source = write(tmp_path / "odd.mkv", smooth(2, (63, 47)), "ffv1", "bgr0")
    restored(source, tmp_path / "out.mp4", "--strict")
    assert "! out.mp4: 63x47 is odd, so it is written as 4:4:4" in capsys.readouterr().err
    assert VideoSource(tmp_path / "out.mp4").size() == (63, 47)


@pytest.mark.parametrize("output", ["out.mp4", "out"])
def test_what_a_killed_restore_left_is_removed_by_the_next(tmp_path, output):
    source = write(tmp_path / "a.mp4", smooth(2))
    folder = tmp_path / "results"
    folder.mkdir()
    left = folder / f".{output}.0a1b2c3d{PART}"
    left.mkdir() if output == "out" else left.write_bytes(b"half")
    held = folder / f".{output}.ffffffff{PART}"
    held.write_bytes(b"")
    import fcntl

    with held.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)  # another restore that is at work
        restored(source, folder / output)
    assert sorted(f.name for f in folder.iterdir()) == sorted([output, held.name])


def test_a_umask_is_kept_to(tmp_path):
    before = os.umask(0o077)
    try:
        restored(write(tmp_path / "a.mp4", smooth(2)), tmp_path / "out.mp4")
    finally:
        os.umask(before)
    assert (tmp_path / "out.mp4").stat().st_mode & 0o777 == 0o600


def test_loops_of_links_are_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").symlink_to("there")
    (tmp_path / "there").symlink_to("here")
    restored("here", "out", code=3)
    assert "here: a symbolic link that leads nowhere, or round in a loop" in capsys.readouterr().err
    deblurbench("data", "info", "folder", "--data-root", "here", code=2)
    assert "here: a loop of symbolic links" in capsys.readouterr().err


def info(root, capsys):
    deblurbench("data", "info", "folder", "--data-root", root)
    return capsys.readouterr().out


def test_clips_are_judged_by_content_and_none_is_dropped(tmp_path, capsys):
    for side in ("blur", "sharp"):
        (tmp_path / "data" / side).mkdir(parents=True)
        write(tmp_path / "data" / side / "stream.bin", smooth(3), form="mpegts")
        write(tmp_path / "data" / side / "loop.gif", smooth(4), "gif", "rgb8")
        (tmp_path / "data" / side / "broken.mp4").write_bytes(b"nothing")
        (tmp_path / "data" / side / "notes.txt").write_text("no clip")
    text = info(tmp_path / "data", capsys)
    assert "stream  3 frames" in text and "loop  4 frames" in text and "notes" not in text
    assert "broken.mp4: not a video that can be read" in text


def test_the_frames_of_a_clip_go_before_a_video_beside_them(tmp_path, capsys):
    frames = smooth(3)
    for side in ("blur", "sharp"):
        write_frames(tmp_path / side / "a", frames, 0)
    write(tmp_path / "blur" / "a.mp4", frames)
    text = info(tmp_path, capsys)
    assert "a  3 frames  000000 .. 000002\n" in text and "cannot run" not in text
    assert f"note: {tmp_path / 'blur' / 'a.mp4'}: passed over, the folder of its frames is used" in text


def test_two_videos_of_one_name_are_named(tmp_path, capsys):
    for name in ("a.mp4", "a.mkv", "b.mp4"):
        write(tmp_path / name, smooth(3))
    text = info(tmp_path, capsys)
    assert "cannot run: a.mkv and a.mp4 are videos of one name" in text and "b  3 frames" in text
