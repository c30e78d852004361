"""Damaged files of frames and videos: one error that names the file, or the right pixels; never a traceback."""

import io
import random
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from deblurbench.datasets.strict import quiet_decoders
from deblurbench.datasets.sums import read_sums
from deblurbench.errors import FrameError, UsageError
from deblurbench.frames.images import read_frame, read_header
from deblurbench.frames.video import VideoSource, is_video
from tests.videos import smooth, write

ROUNDS = [pytest.param(250, id="short"), pytest.param(20_000, id="long", marks=pytest.mark.slow)]
PIXELS = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (40, 56, 3)).astype(np.uint8), (0, 0), 1.5)
FORMATS = {"png": "PNG", "jpg": "JPEG", "mpo.jpg": "MPO", "bmp": "BMP", "tif": "TIFF", "webp": "WEBP"}
LOSSLESS = ("png",)
"""Formats whose checksums find every change of a pixel."""


def encoded(kind: str) -> bytes:
    buffer, picture = io.BytesIO(), Image.fromarray(PIXELS)
    more = {"save_all": True, "append_images": [picture.resize((28, 20))]} if kind == "MPO" else {}
    picture.save(buffer, kind, **more)
    return buffer.getvalue()


def damaged(data: bytes, rng: random.Random) -> bytes:
    """One to three changes: a flipped bit, another byte, a piece cut out, doubled, zeroed or put elsewhere, a tail."""
    copy = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        place, length = rng.randrange(len(copy) or 1), rng.choice((1, 2, 4, 12, 100, 700))
        change = rng.randrange(8)
        if change == 0 and copy:
            copy[place] ^= 1 << rng.randrange(8)
        elif change == 1:
            copy[place : place + 4] = struct.pack(">I", rng.choice((0, 1, 2**16, 2**31 - 1, 2**32 - 1)))
        elif change == 2:
            del copy[place : place + length]
        elif change == 3:
            copy[place:place] = copy[place : place + length]
        elif change == 4:
            copy[place : place + length] = bytes(length)
        elif change == 5:
            copy[place:place] = rng.randbytes(length)
        elif change == 6:
            del copy[place:]
        else:
            copy += rng.randbytes(length)
    return bytes(copy)


def with_right_checksums(data: bytes, rng: random.Random) -> bytes:
    """A PNG whose IHDR or another chunk was changed by somebody who computes its checksum anew."""
    chunks, place = [], 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        chunks.append([data[place + 4 : place + 8], bytearray(data[place + 8 : place + 8 + length])])
        place += 12 + length
    _, body = rng.choice(chunks)
    if body:
        body[rng.randrange(len(body))] = rng.randrange(256)
    extra = rng.choice([(b"tRNS", b"\0\1\0\2\0\3"), (b"acTL", b"\0\0\0\2\0\0\0\0"), (b"eXIf", rng.randbytes(20)), None])
    if extra:
        chunks.insert(1, [extra[0], bytearray(extra[1])])
    packed = (struct.pack(">I", len(b)) + n + bytes(b) + struct.pack(">I", zlib.crc32(n + b)) for n, b in chunks)
    return data[:8] + b"".join(packed)


def outcome(read, path):
    """What a reader gives, or None where it says what is wrong in a line that names the file."""
    try:
        return read(path)
    except FrameError as error:
        assert str(path) in str(error) and "\n" not in str(error)
        return None


@pytest.mark.filterwarnings("ignore::deblurbench.errors.Notice")
@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("suffix", FORMATS)
def test_a_damaged_frame_is_refused_or_read(tmp_path: Path, suffix, rounds):
    rng = random.Random(suffix)
    whole, path = encoded(FORMATS[suffix]), tmp_path / f"a.{suffix}"
    path.write_bytes(whole)
    meant = read_frame(path)
    with quiet_decoders():
        for number in range(rounds):
            repacked = suffix == "png" and number % 3 == 0
            data = with_right_checksums(whole, rng) if repacked else damaged(whole, rng)
            path.write_bytes(data)
            header, frame = outcome(read_header, path), outcome(read_frame, path)
            if frame is None:
                continue
            assert header is not None and frame.shape == (header.height, header.width, 3)
            assert frame.dtype == np.uint8
            if suffix in LOSSLESS and not repacked:
                assert np.array_equal(frame, meant), f"round {number}: other pixels, and no word of it"


@pytest.mark.parametrize(
    "rounds", [pytest.param(40, id="short"), pytest.param(3000, id="long", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.mp4", "libx264", "yuv420p"), ("a.mkv", "ffv1", "bgr0"), ("a.webm", "libvpx", "yuv420p"),
        ("a.ts", "libx264", "yuv420p"), ("a.gif", "gif", "rgb8"), ("a.avi", "mpeg4", "yuv420p"),
    ],
)  # fmt: skip
def test_a_damaged_video_is_refused_or_read(tmp_path: Path, name, codec, pixels, rounds):
    rng = random.Random(name)
    form = "mpegts" if name == "a.ts" else None
    whole = write(
        tmp_path / name, smooth(6), codec, pixels, form=form, sound=["aac"] if name == "a.mp4" else []
    ).read_bytes()
    with quiet_decoders():
        for number in range(rounds):
            path = tmp_path / f"{number}-{name}"
            path.write_bytes(damaged(whole, rng))
            is_video(path)
            frames = outcome(lambda place: list(VideoSource(place)), path)
            if frames is not None:
                assert len(frames) == len(VideoSource(path).stems) and len({f.shape for f in frames}) == 1
            path.unlink()


@pytest.mark.parametrize("rounds", ROUNDS)
def test_damaged_digests_are_refused_or_read(tmp_path: Path, rounds):
    rng = random.Random(0)
    whole = b"".join(b"# 12 bytes, changed %d ns\n%064x  blur/a/%06d.jpg\n" % (n, n, n) for n in range(9))
    for _ in range(rounds):
        (tmp_path / "SHA256SUMS").write_bytes(damaged(whole, rng))
        try:
            read_sums(tmp_path)
        except UsageError as error:
            assert "SHA256SUMS: line" in str(error)
