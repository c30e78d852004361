"""What a written video keeps of the one that its frames come from, by decoding it."""

from fractions import Fraction

import av
import numpy as np
import pytest

from deblurbench.frames.video import VideoSource
from deblurbench.frames.video_write import losses, write_video
from tests.videos import patch_matrix, smooth, write

UNEVEN = [Fraction(n, 30) for n in range(6)] + [Fraction(1, 5) + Fraction(n, 8) for n in range(1, 5)]


def again(source: VideoSource, path):
    """The source written out as restoring it with `identity` would."""
    write_video(path, source, 25, like=source)
    return VideoSource(path)


def streams(path):
    """Each stream's type, codec, language, and its packets' bytes."""
    with av.open(str(path)) as container:
        kinds = [(s.type, s.codec_context.name) for s in container.streams]
        packets = [[] for _ in kinds]
        for packet in container.demux():
            if packet.size:
                packets[packet.stream_index].append(bytes(packet))
        return kinds, packets


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("origin", [".mp4", ".mkv", ".ts"])
def test_sound_tracks_are_copied_packet_by_packet(tmp_path, origin, suffix):
    form = "mpegts" if origin == ".ts" else None
    source = write(tmp_path / f"a{origin}", smooth(25), sound=["aac", "aac"], form=form)
    result = tmp_path / f"b{suffix}"
    again(VideoSource(source), result)
    (kinds, given), (seen, copied) = streams(source), streams(result)
    assert [k for k in seen if k[0] == "audio"] == [("audio", "aac")] * 2
    bare = [[p[7:] for p in track] for track in given[1:]] if origin == ".ts" else given[1:]  # without ADTS headers
    assert copied[1:] == bare and kinds[0][0] == "video"


@pytest.mark.parametrize(("origin", "suffix"), [(".mp4", ".mkv"), (".mkv", ".mp4"), (".mkv", ".mkv"), (".mp4", ".mp4")])
def test_text_subtitles_and_their_times_are_kept(tmp_path, origin, suffix):
    source = write(tmp_path / f"a{origin}", smooth(10), words=True)
    again(VideoSource(source), tmp_path / f"b{suffix}")
    with av.open(str(tmp_path / f"b{suffix}")) as container:
        track = container.streams.subtitles[0]
        lines = [(float(p.pts * p.time_base), bytes(p)) for p in container.demux(track) if p.size]
    shown = [(round(t, 3), b.lstrip(b"\0\3")) for t, b in lines if b != b"\0\0"]
    assert shown == [(0.04, b"one"), (0.12, b"two")]


@pytest.mark.parametrize("origin", [".mp4", ".mkv", ".ts", ".mov"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_every_frame_keeps_its_time(tmp_path, origin, suffix):
    form = "mpegts" if origin == ".ts" else None
    source = write(tmp_path / f"a{origin}", smooth(10), times=UNEVEN, form=form, options={"bf": "2"})
    times = again(VideoSource(source), tmp_path / f"b{suffix}").info.times
    assert times is not None
    assert max(abs(float(a - b - times[0])) for a, b in zip(times, UNEVEN, strict=True)) < 0.002


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("turned", [False, True])
def test_pixels_keep_their_shape(tmp_path, suffix, turned):
    source = write(tmp_path / "a.mp4", smooth(3), sample_aspect_ratio=Fraction(4, 3))
    if turned:
        patch_matrix(source, 0, 1, -1, 0)
    info = again(VideoSource(source), tmp_path / f"b{suffix}").info
    assert info.aspect == (Fraction(3, 4) if turned else Fraction(4, 3))
    assert (info.width, info.height) == ((48, 64) if turned else (64, 48))
    assert losses(VideoSource(source), ".mkv") == [f"pixels of {'3:4' if turned else '4:3'}: those of .mkv are square"]


@pytest.mark.parametrize(("matrix", "full"), [(1, False), (5, False), (6, True), (1, True), (9, False)])
def test_matrix_and_range_are_kept_and_colours_with_them(tmp_path, matrix, full):
    from deblurbench.frames.video_stream import ACCURATE, scaler_matrix

    frames = smooth(3)
    source = tmp_path / "a.mp4"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "2"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, 2 if full else 1
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(
                format="yuv420p",
                dst_colorspace=scaler_matrix(matrix),
                dst_color_range="JPEG" if full else "MPEG",
                interpolation=ACCURATE,
            )
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    before = VideoSource(source)
    after = again(before, tmp_path / "b.mp4")
    for info in (before.info, after.info):
        assert (scaler_matrix(info.matrix), info.range) == (scaler_matrix(matrix), 2 if full else 1)
    for seen, meant in zip(after, frames, strict=True):
        assert np.abs((seen.astype(float) - meant).mean((0, 1))).max() < (3 if full else 1)  # swscale's full range


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_creation_time_and_title_are_kept(tmp_path, suffix):
    tags = {"creation_time": "2021-03-04T05:06:07.000000Z", "title": "Ein Spaziergang"}
    source = write(tmp_path / "a.mp4", smooth(3), tags=tags)
    again(VideoSource(source), tmp_path / f"b{suffix}")
    with av.open(str(tmp_path / f"b{suffix}")) as container:
        seen = {key.lower(): value for key, value in container.metadata.items()}
    assert seen["creation_time"] == tags["creation_time"] and seen["title"] == tags["title"]


def test_the_first_frames_take_their_sound_along(tmp_path):
    source = write(tmp_path / "a.mp4", smooth(50), sound=["aac"])
    again(VideoSource(source).first(10), tmp_path / "b.mp4")
    with av.open(str(tmp_path / "b.mp4")) as container:
        track = container.streams.audio[0]
        end = max(float((p.pts + p.duration) * p.time_base) for p in container.demux(track) if p.size)
    assert 0.38 < end < 0.46


def test_odd_sizes_and_one_frame(tmp_path):
    source = VideoSource(write(tmp_path / "a.mkv", smooth(1, (63, 47)), "ffv1", "bgr0"))
    assert source.size() == again(source, tmp_path / "b.mp4").size() == (63, 47)
    assert again(source, tmp_path / "b.mp4").info.pixel_format == "yuv444p"


def test_what_is_lost_is_said_a_line_each(tmp_path):
    plain = VideoSource(write(tmp_path / "a.mp4", smooth(5), sound=["aac"], words=True))
    assert [losses(plain, suffix) for suffix in (".mp4", ".mkv", ".mov", "")] == [[]] * 4
    opus = VideoSource(write(tmp_path / "a.mkv", smooth(5), sound=["libopus"], words=True))
    assert losses(opus, ".mp4") == losses(opus, ".mkv") == []
    assert losses(opus, ".mov") == ["sound 1 (opus) is left out"]
    assert losses(opus, ".avi") == ["sound 1 (opus) is left out", "subtitles 2 (srt) is left out"]
    deep = VideoSource(
        write(tmp_path / "hdr.mkv", smooth(3), "libx265", "yuv420p10le", color_trc=16, color_primaries=9, colorspace=9)
    )
    assert [line.partition(":")[0] for line in losses(deep, "")] == ["HDR (PQ)", "10 bits a sample"]
    uneven = VideoSource(write(tmp_path / "u.mp4", smooth(10), times=UNEVEN))
    assert "uneven" in losses(uneven, ".avi")[0] and losses(uneven, ".mp4") == []


def test_sound_that_only_the_trailer_refuses_is_left_out(tmp_path):
    """PCM out of Matroska names no speakers, without which .mp4 takes none; the muxer says so when it closes."""
    plain = VideoSource(write(tmp_path / "a.mkv", smooth(5), sound=["pcm_s16le"]))
    assert losses(plain, ".mp4") == ["sound 1 (pcm_s16le) is left out"] and losses(plain, ".mov") == []
    assert again(plain, tmp_path / "b.mp4").info.count == again(plain, tmp_path / "b.mov").info.count == 5
