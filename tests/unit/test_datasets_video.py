"""Videos as frame sources, and writing them."""

import tracemalloc
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from deblurbench.errors import DiskError, FrameError, UsageError
from deblurbench.frames.video import VideoSource, count_frames, frame_rate
from deblurbench.frames.video_write import write_video
from tests import fakes

NTSC = Fraction(24000, 1001)


def smooth(count: int, size: tuple[int, int] = (64, 48)) -> list[np.ndarray]:
    return [cv2.GaussianBlur(frame, (0, 0), 6) for frame in fakes.make_clip("smooth", count, size).sharp]


def test_a_lossless_video_gives_back_every_pixel(tmp_path: Path):
    frames = fakes.make_clip("x", 4).sharp
    assert write_video(tmp_path / "a.mkv", frames, NTSC) == 4
    source = VideoSource(tmp_path / "a.mkv")
    assert list(source.stems) == ["000000", "000001", "000002", "000003"]
    assert all(np.array_equal(a, b) for a, b in zip(source, frames, strict=True))
    assert frame_rate(tmp_path / "a.mkv") == NTSC
    assert source.size() == (64, 48)


@pytest.mark.parametrize("size", [(64, 48), (63, 47), (64, 720)], ids=["even", "odd", "720p"])
def test_h264_keeps_colours(tmp_path: Path, size):
    frames = smooth(2, size)
    write_video(tmp_path / "a.mp4", frames, 25)
    read = list(VideoSource(tmp_path / "a.mp4"))
    assert len(read) == 2
    for one, two in zip(read, frames, strict=True):
        difference = one.astype(float) - two
        assert np.abs(difference).mean() < 1.0
        assert np.abs(difference.mean((0, 1))).max() < 0.5, (
            "a wrong colour matrix, or truncation, shifts a channel's mean"
        )


def test_first_cuts_the_source(tmp_path: Path):
    write_video(tmp_path / "a.mkv", smooth(5), 24)
    source = VideoSource(tmp_path / "a.mkv").first(2)
    assert len(source.stems) == len(list(source)) == 2
    assert len(source.first(None).stems) == 5
    assert source.fingerprint()[0][0] == "a.mkv"


def test_a_truncated_video_is_an_error_at_the_frame(tmp_path: Path):
    file = tmp_path / "a.avi"
    write_video(file, smooth(8, (320, 240)), 24)
    data = bytearray(file.read_bytes())
    for start in range(len(data) // 2, len(data) // 2 + 4000):
        data[start] ^= 0xA5
    file.write_bytes(bytes(data))
    with pytest.raises(FrameError, match=r"a\.avi"):
        list(VideoSource(file))


@pytest.mark.parametrize("data", [b"", b"not a video", b"<html>404</html>"])
def test_files_that_are_no_video(tmp_path: Path, data):
    file = tmp_path / "a.mp4"
    file.write_bytes(data)
    with pytest.raises(FrameError, match="not a video"):
        count_frames(file)


def test_a_missing_video(tmp_path: Path):
    with pytest.raises(FrameError, match="missing"):
        frame_rate(tmp_path / "none.mp4")


def test_writing_refuses_and_leaves_nothing(tmp_path: Path):
    frames = smooth(2)
    with pytest.raises(UsageError, match=r"\.gif"):
        write_video(tmp_path / "a.gif", frames, 24)
    with pytest.raises(FrameError, match="frame 1 is 60x48"):
        write_video(tmp_path / "a.mkv", [frames[0], frames[1][:, :60]], 24)
    with pytest.raises(FrameError, match="no frame"):
        write_video(tmp_path / "a.mkv", [], 24)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DiskError):
        write_video(tmp_path / "file" / "a.mkv", frames, 24)
    assert [f.name for f in tmp_path.iterdir()] == ["file"]


def test_memory_does_not_grow_with_the_video(tmp_path: Path):
    frame = smooth(1, (96, 72))[0]
    peaks = []
    for count in (10, 60):
        file = tmp_path / f"{count}.mkv"
        write_video(file, (frame for _ in range(count)), 24)
        tracemalloc.start()
        assert sum(1 for _ in VideoSource(file)) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 100_000, peaks
