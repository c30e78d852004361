"""Photographs as raw material: found in folders, shared out between training and test, scaled until they are sharp."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deblurbench.errors import FrameError, MissingError
from deblurbench.frames.convert import Frame8
from deblurbench.text import natural_key

Share = Literal["train", "valid", "test"]
SUFFIXES = (".jpg", ".jpeg", ".png")
SHARPNESS = 0.34
FLATTEST = 4.0
BLOCK = 16
_SIZE = re.compile(r"[_-]?\d+x\d+$")


@dataclass(frozen=True)
class Photo:
    """One photograph: its name relative to the folder it was found in, and its pixels, uint8 (3, H, W) RGB.

    `detail` is the mean absolute gradient of each block of BLOCK x BLOCK pixels: it tells busy parts from flat ones.
    """

    name: str
    pixels: Tensor
    detail: NDArray[np.float32]

    @classmethod
    def of(cls, name: str, frame: Frame8, device: str = "cpu") -> Photo:
        """From 8-bit RGB (H, W, 3), put on `device`."""
        pixels = torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1).contiguous().to(device)
        return cls(name, pixels, _detail(frame))

    def busy(self, y: int, x: int, height: int, width: int) -> float:
        """Mean detail of a box of the photograph."""
        box = self.detail[y // BLOCK : (y + height) // BLOCK + 1, x // BLOCK : (x + width) // BLOCK + 1]
        return float(box.mean())


def find_photos(folders: Iterable[Path]) -> dict[str, Path]:
    """All .jpg and .png files below the folders, by name (the path relative to its folder), in natural order.

    Files called 1920x1080.png or name_1920x1080.png are sizes of one picture (a convention of wallpapers): only the
    largest of them is taken, so that no picture gets into two shares.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        files = [f for f in folder.rglob("*") if f.suffix.lower() in SUFFIXES and not f.name.startswith(".")]
        for file in sorted(files, key=lambda f: (f.stat().st_size, f.name)):
            name = _SIZE.sub("", file.relative_to(folder).with_suffix("").as_posix()).strip("/")
            found[name or file.stem] = file
    return dict(sorted(found.items(), key=lambda item: natural_key(item[0])))


def share_of(name: str) -> Share:
    """The share that a photograph belongs to, by sha256 of its name: 80 % train, 5 % valid, 15 % test."""
    bucket = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % 100
    return "train" if bucket < 80 else "valid" if bucket < 85 else "test"


def shares(names: Sequence[str]) -> dict[Share, list[str]]:
    """Names by share. With few photographs a share can come out empty: it then takes one from the training share."""
    out: dict[Share, list[str]] = {"train": [], "valid": [], "test": []}
    for name in names:
        out[share_of(name)].append(name)
    for share in ("test", "valid", "train"):
        largest = max(out.values(), key=len)
        if not out[share] and len(largest) > 1:
            out[share].append(largest.pop())
    return out


def load_photos(files: dict[str, Path], device: str = "cpu", shortest: int = 280, longest: int = 1600) -> list[Photo]:
    """Read, scale and keep the photographs that are fit for use, as uint8 tensors on `device`.

    Damaged, too small and nearly flat pictures are passed over.

    Raises:
        MissingError: none is left.
    """
    photos = []
    for name, path in files.items():
        frame = prepare_photo(path, shortest, longest)
        if frame is not None:
            photos.append(Photo.of(name, frame, device))
    if not photos:
        raise MissingError(
            f"none of the {len(files)} photographs found can be used: .jpg or .png files with sides of at least "
            f"{shortest} pixels are needed, not damaged and not nearly flat. Name a folder of photographs."
        )
    return photos


def prepare_photo(path: Path, shortest: int, longest: int) -> Frame8 | None:
    """One photograph, reduced until it is at most `longest` and as sharp as a real frame; None where it is unfit."""
    try:
        frame = read_photo(path)
    except FrameError:
        return None
    frame = _reduce(frame, min(1.0, longest / max(frame.shape)))
    if min(frame.shape[:2]) < shortest:
        return None
    while sharpness(frame) < SHARPNESS and min(frame.shape[:2]) * 0.75 >= shortest:
        frame = _reduce(frame, 0.75)
    return frame if _contrast(frame) >= FLATTEST else None


def read_photo(path: Path) -> Frame8:
    """Decode any 8-bit picture to RGB (H, W, 3) uint8: unlike frames, photographs may be grey, palette or RGBA.

    Raises:
        FrameError: it cannot be decoded.
    """
    import cv2

    image = cv2.imdecode(np.frombuffer(path.read_bytes() or b"?", np.uint8), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise FrameError(f"{path}: not a photograph that can be read", "not-an-image")
    return np.ascontiguousarray(image)


def sharpness(frame: Frame8) -> float:
    """Energy of differences between neighbours, over that between pixels two apart.

    About 0.25 for a picture without fine detail, 0.5 for white noise. Real sharp frames: GOPRO 1280x720 0.34, REDS
    reduced by 4 0.46.
    """
    grey = _grey(frame)
    near, far = np.square(grey[:, 1:] - grey[:, :-1]).mean(), np.square(grey[:, 2:] - grey[:, :-2]).mean()
    return float(near / max(far, 1e-9))


def _contrast(frame: Frame8) -> float:
    grey = _grey(frame)
    return float(np.abs(grey[:, 1:] - grey[:, :-1]).mean() + np.abs(grey[1:] - grey[:-1]).mean())


def _detail(frame: Frame8) -> NDArray[np.float32]:
    grey = _grey(frame)
    slope = np.abs(np.diff(grey, axis=0, append=grey[-1:])) + np.abs(np.diff(grey, axis=1, append=grey[:, -1:]))
    rows, columns = (-side % BLOCK for side in slope.shape)
    slope = np.pad(slope, ((0, rows), (0, columns)), mode="edge")
    return slope.reshape(slope.shape[0] // BLOCK, BLOCK, -1, BLOCK).mean((1, 3), dtype=np.float32)


def _grey(frame: Frame8) -> NDArray[np.float32]:
    return frame.astype(np.float32).mean(axis=2)


def _reduce(frame: Frame8, factor: float) -> Frame8:
    import cv2

    if factor >= 1.0:
        return frame
    size = (max(1, round(frame.shape[1] * factor)), max(1, round(frame.shape[0] * factor)))
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA))
