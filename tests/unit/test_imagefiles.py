"""The strict policy of reading frames: what would be scored wrongly is refused, with a message that says what it is."""

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from deblurbench.errors import DiskError, FrameError, Notice, UsageError
from deblurbench.frames import images
from deblurbench.frames.files import write_atomically
from deblurbench.frames.images import list_frames, read_frame, read_header, write_png
from deblurbench.text import natural_key

PIXELS = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8), (0, 0), 1.5)
PICTURE = Image.fromarray(PIXELS)
NOISE = Image.fromarray(np.random.default_rng(1).integers(0, 256, (400, 400, 3)).astype(np.uint8))
SEVERAL = {"save_all": True, "append_images": [PICTURE.rotate(180), PICTURE.rotate(90)]}


def encoded(picture: Image.Image = PICTURE, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def sixteen_bit(suffix: str) -> bytes:
    return cv2.imencode(suffix, PIXELS.astype(np.uint16) * 257)[1].tobytes()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_bomb() -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 40000, 40000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"x") + chunk(b"IEND", b"")


def jpeg_bomb() -> bytes:
    data = bytearray(encoded(kind="JPEG"))
    start = data.index(b"\xff\xc0")
    data[start + 5 : start + 9] = struct.pack(">HH", 40000, 40000)
    return bytes(data)


REFUSED = {
    "zero bytes": ("a.png", b"", "empty", "0 bytes"),
    "half a PNG": ("a.png", encoded()[:2000], "corrupt", "cut short"),
    "a PNG's first bytes": ("a.png", encoded()[:20], "corrupt", "cut short"),
    "a PNG without its last byte": ("a.png", encoded()[:-1], "corrupt", "cut short"),
    "a PNG without its last chunk": ("a.png", encoded()[:-12], "corrupt", "cut short"),
    "half a JPEG": ("a.jpg", encoded(kind="JPEG")[:800], "corrupt", "cut short"),
    "a web page": ("a.png", b"\n<!DOCTYPE html><html>404</html>", "not-an-image", "download error page"),
    "an LFS pointer": (
        "a.png",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0",
        "not-an-image",
        "git lfs pull",
    ),
    "text": ("a.png", b'{"error": "quota"}', "not-an-image", "quota"),
    "a GIF": ("a.png", encoded(PICTURE.quantize(8), "GIF"), "not-an-image", "gif"),
    "a 16-bit PNG": ("a.png", sixteen_bit(".png"), "depth", "16 bits"),
    "an RGBA PNG": ("a.png", encoded(PICTURE.convert("RGBA")), "channels", "RGBA"),
    "a grey PNG": ("a.png", encoded(PICTURE.convert("L")), "channels", "grey-scale"),
    "a grey PNG with alpha": ("a.png", encoded(PICTURE.convert("LA")), "channels", "alpha"),
    "a palette PNG": ("a.png", encoded(PICTURE.quantize(16)), "channels", "palette"),
    "a grey JPEG": ("a.jpg", encoded(PICTURE.convert("L"), "JPEG"), "channels", "grey-scale"),
    "a CMYK JPEG": ("a.jpg", encoded(PICTURE.convert("CMYK"), "JPEG"), "channels", "CMYK"),
    "a palette BMP": ("a.bmp", encoded(PICTURE.quantize(16), "BMP"), "channels", "palette"),
    "an RGB PNG with a transparent colour": ("a.png", encoded(transparency=(1, 2, 3)), "channels", "tRNS"),
    "a large PNG with a transparent colour": ("a.png", encoded(NOISE, transparency=(1, 2, 3)), "channels", "tRNS"),
    "an animated PNG": ("a.png", encoded(**SEVERAL), "not-an-image", "an animated PNG of 3 pictures"),
    "an animated WebP": ("a.webp", encoded(kind="WEBP", **SEVERAL), "not-an-image", "an animated WEBP of 3 pictures"),
    "an animated GIF": ("a.png", encoded(kind="GIF", **SEVERAL), "not-an-image", "an animated GIF of 3 pictures"),
    "a TIFF of pages": ("a.tif", encoded(kind="TIFF", **SEVERAL), "not-an-image", "a TIFF of 3 pictures"),
    "a 32-bit BMP": ("a.bmp", cv2.imencode(".bmp", np.dstack([PIXELS, PIXELS[..., 0]]))[1].tobytes(), "channels", ""),
    "a 16-bit TIFF": ("a.tiff", sixteen_bit(".tiff"), "depth", "16 bits"),
    "a PNG header bomb": ("a.png", png_bomb(), "too-large", "40000x40000"),
    "a JPEG header bomb": ("a.jpg", jpeg_bomb(), "too-large", "40000x40000"),
}


@pytest.mark.parametrize(("name", "data", "kind", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_by_header_and_by_decoding(tmp_path: Path, name, data, kind, words):
    file = tmp_path / name
    file.write_bytes(data)
    for read in (read_header, read_frame):
        with pytest.raises(FrameError) as caught:
            read(file)
        assert caught.value.kind == kind
        assert str(file) in str(caught.value) and words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "data"),
    {
        "tail.png": encoded() + bytes(6000),
        "long.png": encoded(NOISE) + bytes(6000),
        "tail.jpg": encoded(kind="JPEG") + b"TAIL" + bytes(range(256)) * 20,
        "film.jpg": encoded(NOISE, "JPEG", progressive=True) + b"\0\0\0\x18ftypmp42" + bytes(70_000),
        "two.jpg": encoded(kind="MPO", save_all=True, append_images=[PICTURE.resize((32, 24))]),
        "long.jpg": encoded(NOISE, "MPO", save_all=True, append_images=[NOISE]),
        "thumb.jpg": encoded(kind="JPEG", exif=b"Exif\0\0" + encoded(PICTURE.resize((16, 12)), "JPEG")),
    }.items(),
)
def test_what_stands_behind_the_end_is_no_damage(tmp_path: Path, name, data):
    (tmp_path / name).write_bytes(data)
    alone = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.array_equal(read_frame(tmp_path / name), alone)
    assert read_header(tmp_path / name)[:2] == alone.shape[1::-1]


@pytest.mark.parametrize("kind", ["JPEG", "MPO"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_tail_does_not_hide_that_the_picture_is_cut_short(tmp_path: Path, kind, progressive):
    options = {"save_all": True, "append_images": [NOISE]} if kind == "MPO" else {}
    data = encoded(NOISE, kind, progressive=progressive, **options)
    end = encoded(NOISE, "JPEG", progressive=progressive).rindex(b"\xff\xd9")
    (tmp_path / "a.jpg").write_bytes(data[: end - 900] + bytes(5000))
    for read in (read_header, read_frame):
        with pytest.raises(FrameError, match="cut short"):
            read(tmp_path / "a.jpg")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF"])
def test_lossless_formats_give_back_the_pixels(tmp_path: Path, kind):
    file = tmp_path / f"a.{kind.lower()}"
    file.write_bytes(encoded(kind=kind))
    assert np.array_equal(read_frame(file), PIXELS)
    assert read_header(file) == (64, 48, kind.lower())


def test_a_missing_file_and_a_folder(tmp_path: Path):
    for place, words in ((tmp_path / "none.png", "missing"), (tmp_path, "directory")):
        with pytest.raises(FrameError, match=words) as caught:
            read_frame(place)
        assert caught.value.kind == "missing"


def test_no_flipped_bit_of_a_png_goes_unseen():
    data = encoded()
    silent = []
    for bit in range(7, len(data) * 8, 1009):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << (bit % 8)
        try:
            frame = images.decode_frame(bytes(damaged), Path("a.png"))
        except FrameError:
            continue
        if not np.array_equal(frame, PIXELS):
            silent.append(bit)
    assert silent == []


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("read", [read_header, read_frame])
def test_exif_orientation_is_ignored_and_said_once_a_folder(tmp_path: Path, suffix, read):
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in (f"1.{suffix}", f"2.{suffix}"):
        (tmp_path / name).write_bytes(encoded(kind=suffix.upper().replace("JPG", "JPEG"), exif=exif))
    with pytest.warns(Notice, match="EXIF orientation") as warned:
        shapes = [read(tmp_path / name) for name in (f"1.{suffix}", f"2.{suffix}")]
    assert [shape[:2] if read is read_header else shape.shape for shape in shapes] == [
        (64, 48) if read is read_header else (48, 64, 3)
    ] * 2
    assert len(warned) == 1


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_tiff_with_an_orientation_is_refused(tmp_path: Path, orientation):
    """Its decoder turns the pixels, whatever it is asked."""
    (tmp_path / "a.tif").write_bytes(encoded(kind="TIFF", tiffinfo={0x0112: orientation}))
    with pytest.raises(FrameError, match=r"a\.tif: a TIFF with an orientation other than 1"):
        read_frame(tmp_path / "a.tif")
    (tmp_path / "b.tif").write_bytes(encoded(kind="TIFF", tiffinfo={0x0112: 1}))
    assert np.array_equal(read_frame(tmp_path / "b.tif"), PIXELS)


def test_a_jpeg_whose_header_lies_behind_a_long_preamble(tmp_path: Path):
    file = tmp_path / "a.jpg"
    file.write_bytes(encoded(kind="JPEG", icc_profile=bytes(200_000)))
    assert read_header(file)[:2] == (64, 48)


def test_a_header_costs_its_first_and_last_bytes_only(tmp_path: Path, monkeypatch):
    file = tmp_path / "a.png"
    noise = np.random.default_rng(1).integers(0, 256, (400, 400, 3)).astype(np.uint8)
    write_png(file, noise)
    assert file.stat().st_size > 400_000
    monkeypatch.setattr(images, "_bytes", lambda path: pytest.fail("the whole file was read"))
    assert read_header(file) == (400, 400, "png")


def test_the_pixel_limit_can_be_set(tmp_path: Path, monkeypatch):
    write_png(tmp_path / "a.png", PIXELS)
    monkeypatch.setenv("DEBLURBENCH_MAX_PIXELS", str(64 * 48 - 1))
    with pytest.raises(FrameError, match="DEBLURBENCH_MAX_PIXELS"):
        read_frame(tmp_path / "a.png")


def test_a_pixel_limit_that_is_no_number_is_told(tmp_path: Path, monkeypatch):
    write_png(tmp_path / "a.png", PIXELS)
    monkeypatch.setenv("DEBLURBENCH_MAX_PIXELS", "64e6")
    with pytest.raises(UsageError, match="DEBLURBENCH_MAX_PIXELS is '64e6'"):
        read_frame(tmp_path / "a.png")


@pytest.mark.filterwarnings("error")
def test_the_pixel_limit_is_ours_and_not_pillow_s(tmp_path: Path, monkeypatch):
    """Pillow warns above its own limit and refuses above twice that."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    (tmp_path / "a.jpg").write_bytes(encoded(kind="JPEG"))
    assert read_header(tmp_path / "a.jpg")[:2] == (64, 48)


def test_files_are_listed_in_natural_order_without_hidden_ones(tmp_path: Path):
    for name in ("10.png", "2.png", "1.png", ".3.png", "4.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert [f.name for f in list_frames(tmp_path)] == ["1.png", "2.png", "10.png"]


def test_two_files_of_one_stem_are_an_error(tmp_path: Path):
    for name in ("1.png", "1.jpg", "1.k2.png"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(FrameError, match=r"both 1\.jpg and 1\.png"):
        list_frames(tmp_path)


def test_natural_key_survives_digits_that_are_no_numbers():
    assert sorted(["²1", "10", "9", "²"], key=natural_key)[:2] == ["9", "10"]


def test_writing_leaves_the_old_file_or_the_new(tmp_path: Path):
    file = tmp_path / "below" / "a.png"
    write_png(file, PIXELS)
    assert np.array_equal(read_frame(file), PIXELS)
    with pytest.raises(DiskError, match="resumes"):
        write_atomically(file / "under-a-file.png", b"x")
    assert [f.name for f in file.parent.iterdir()] == ["a.png"]
