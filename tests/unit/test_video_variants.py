"""Videos as users have them: every kind gives the frames that a player shows, or says that it is damaged."""

import av
import numpy as np
import pytest

from deblurbench.errors import FrameError
from deblurbench.frames.video import VideoSource, is_video
from tests import videos
from tests.videos import off, smooth, write

KINDS = [
    ("a.mp4", "libx264", "yuv420p", None),
    ("a.mov", "libx264", "yuv420p", None),
    ("a.ts", "libx264", "yuv420p", "mpegts"),
    ("a.m2ts", "libx264", "yuv420p", "mpegts"),
    ("a.h264", "libx264", "yuv420p", "h264"),
    ("a.unknown", "libx264", "yuv420p", "h264"),
    ("no_suffix", "libx264", "yuv420p", "mp4"),
    ("a.mpg", "mpeg2video", "yuv420p", "mpeg"),
    ("a.avi", "mpeg4", "yuv420p", None),
    ("a.flv", "libx264", "yuv420p", None),
    ("a.webm", "libvpx", "yuv420p", None),
    ("a.mkv", "libvpx-vp9", "yuv420p", None),
    ("a.gif", "gif", "rgb8", None),
    ("a.mkv", "ffv1", "bgr0", None),
    ("a.mov", "mjpeg", "yuvj420p", None),
    ("a.y4m", "wrapped_avframe", "yuv420p", "yuv4mpegpipe"),
    ("a.ivf", "libvpx", "yuv420p", None),
]


def says_its_size(kind):
    """Streams without sizes end where they end."""
    return kind[3] not in ("h264", "mpeg", "yuv4mpegpipe") and kind[0] != "a.ivf"


TURNS = {
    "90": ((0, 1, -1, 0), lambda f: np.rot90(f, -1)),
    "180": ((-1, 0, 0, -1), lambda f: np.rot90(f, 2)),
    "270": ((0, -1, 1, 0), lambda f: np.rot90(f, 1)),
    "mirrored": ((-1, 0, 0, 1), lambda f: f[:, ::-1]),
    "upside down": ((1, 0, 0, -1), lambda f: f[::-1]),
    "transposed": ((0, 1, 1, 0), lambda f: f.swapaxes(0, 1)),
    "anti-transposed": ((0, -1, -1, 0), lambda f: np.rot90(f, 2).swapaxes(0, 1)),
}


@pytest.mark.parametrize(("name", "codec", "pixels", "form"), KINDS, ids=lambda v: str(v))
def test_every_kind_gives_all_its_frames(tmp_path, name, codec, pixels, form):
    frames = smooth(12)
    path = write(tmp_path / name, frames, codec, pixels, form=form)
    assert is_video(path)
    seen = list(VideoSource(path))
    assert len(seen) == len(VideoSource(path).stems) == 12
    assert max(off(a, b) for a, b in zip(seen, frames, strict=True)) < (30 if codec == "gif" else 8)


@pytest.mark.parametrize("turn", TURNS)
def test_frames_are_turned_as_the_display_matrix_says(tmp_path, turn):
    matrix, turned = TURNS[turn]
    frames = smooth(3)
    path = write(tmp_path / "a.mp4", frames)
    videos.patch_matrix(path, *matrix)
    source = VideoSource(path)
    seen = list(source)
    assert source.size() == (seen[0].shape[1], seen[0].shape[0])
    assert max(off(a, turned(b)) for a, b in zip(seen, frames, strict=True)) < 6


@pytest.mark.parametrize("b_frames", [0, 3])
def test_what_an_edit_list_discards_is_no_frame(tmp_path, b_frames):
    frames = smooth(30)
    path = write(tmp_path / "a.mp4", frames, options={"bf": str(b_frames), "g": "12"})
    if b_frames == 0:  # without a delay FFmpeg writes the list all the same
        assert b"elst" in path.read_bytes()
    videos.patch_edit_list(path, first=7, count=15)
    seen = list(VideoSource(path))
    assert len(VideoSource(path).stems) == len(seen) == 15
    assert max(off(a, b) for a, b in zip(seen, frames[7:22], strict=True)) < 8


@pytest.mark.parametrize("first", [True, False])
def test_a_cover_picture_is_passed_over(tmp_path, first):
    film = write(tmp_path / "film.mp4", smooth(5))
    cover = write(tmp_path / "cover.mov", smooth(1, (32, 24)), "mjpeg", "yuvj420p")
    with av.open(str(film)) as a, av.open(str(cover)) as b, av.open(str(tmp_path / "a.mp4"), "w") as out:
        order = [(b, True), (a, False)] if first else [(a, False), (b, True)]
        streams = [(source, out.add_stream_from_template(source.streams.video[0]), att) for source, att in order]
        for _, target, attached in streams:
            if attached:
                target.disposition = 0x400
        for source, target, _ in streams:
            for packet in source.demux():
                if packet.size:
                    packet.stream = target
                    out.mux(packet)
    source = VideoSource(tmp_path / "a.mp4")
    assert source.size() == (64, 48) and len(list(source)) == 5


@pytest.mark.parametrize(("name", "codec", "pixels", "form"), [k for k in KINDS if says_its_size(k)], ids=str)
@pytest.mark.parametrize("share", [0.41, 0.72, 0.95])
def test_a_copy_that_broke_off_is_damaged(tmp_path, name, codec, pixels, form, share):
    path = write(tmp_path / name, smooth(12), codec, pixels, form=form)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share) | 1])  # odd: no whole packets of a transport stream
    with pytest.raises(FrameError, match=f"{path.name}"):
        list(VideoSource(path))


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_zeros_in_the_middle_are_damage(tmp_path, codec):
    path = write(tmp_path / "a.mp4", [f[:, ::-1] for f in fakes_noisy(20)], codec)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    middle = start + (data.index(b"moov") - start) // 2
    data[middle : middle + 4000] = bytes(4000)
    path.write_bytes(bytes(data))
    with pytest.raises(FrameError, match="damaged"):
        list(VideoSource(path))


def fakes_noisy(count):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(count)]


def test_what_is_no_video_is_none(tmp_path):
    for name, data in {
        "notes.txt": b"00:00 begin\n", "run.json": b"{}", "a.m4a": b"\0\0\0\x18ftypM4A \0\0\0\0", "a.mka": b"\x1aE\xdf",
        "photo.heic": b"\0\0\0\x18ftypheic\0\0\0\0", ".hidden.mp4": b"\0\0\0\x18ftypisom", "a.png": b"GIF89a",
        "empty": b"",
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(data)
        assert not is_video(tmp_path / name), name
    (tmp_path / "sub.mp4").mkdir()
    assert not is_video(tmp_path / "sub.mp4") and not is_video(tmp_path / "gone.mp4")


def test_a_file_named_as_a_video_is_one_to_be_read_and_fails_by_name(tmp_path):
    (tmp_path / "a.ts").write_bytes(b"const a = 1;\n" * 50)
    assert is_video(tmp_path / "a.ts")
    with pytest.raises(FrameError, match=r"a\.ts"):
        VideoSource(tmp_path / "a.ts").stems  # noqa: B018
