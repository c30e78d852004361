"""Writers of tiny fake datasets in each real dataset's exact layout: moving textures, and blur that is a true average.

Everything is seeded by the clip's name and made in memory; a frame is (height, width, 3) uint8 RGB.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

AVERAGED = 7
GOPRO_CLIPS = {"GOPR0384_11_00": 1, "GOPR0385_11_01": 3011, "GOPR0862_11_00": 1}
GOPRO_TRAIN_CLIPS = {"GOPR0372_07_00": 47, "GOPR0374_11_03": 2481}


@dataclass(frozen=True)
class FakeClip:
    """A clip in memory: `linear` and `gamma` are the averages of the same frames, `sharp` their middle one."""

    sharp: list[np.ndarray]
    linear: list[np.ndarray]
    gamma: list[np.ndarray]
    fine: list[np.ndarray]


def make_clip(name: str, frames: int, size: tuple[int, int] = (64, 48), averaged: int = AVERAGED) -> FakeClip:
    """Render `frames` frames of a texture that moves by about a pixel a fine frame; `size` is (width, height)."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    fine = _moving(random, frames * averaged, size)
    windows = [np.stack(fine[k * averaged : (k + 1) * averaged]).astype(np.float64) for k in range(frames)]
    linear = [_rounded(window.mean(0)) for window in windows]
    gamma = [_rounded(255 * np.mean((window / 255) ** 2.2, 0) ** (1 / 2.2)) for window in windows]
    sharp = [fine[k * averaged + averaged // 2] for k in range(frames)]
    return FakeClip(sharp, linear, gamma, fine)


def write_gopro(
    root: Path,
    layout: str = "original",
    clips: Mapping[str, int] | Sequence[str] | None = None,
    frames: int = 7,
    size: tuple[int, int] = (64, 48),
    blur: Sequence[str] = ("blur", "blur_gamma"),
    split: str = "test",
) -> Path:
    """Write GOPRO clips and return `root`. `clips` maps names to first frame numbers (or names, numbered from 1).

    Layouts: `original`, `one-split`, `input-target`, `split-gt`, `blur-gt`, `split-blur-gt`, `renumbered`. All but the
    first two hold one blurry side, of the kind named last in `blur`.
    """
    for name, first in _numbered(clips, GOPRO_CLIPS if split == "test" else GOPRO_TRAIN_CLIPS).items():
        clip = make_clip(name, frames, size)
        kinds = {"blur": clip.linear, "blur_gamma": clip.gamma}
        start = 0 if layout == "renumbered" else first
        if layout in ("original", "one-split"):
            base = root / split / name if layout == "original" else root / name
            for kind in blur:
                write_frames(base / kind, kinds[kind], start)
            write_frames(base / "sharp", clip.sharp, start)
            continue
        blurry, sharp, prefix = _gopro_places(root, layout, split, name)
        write_frames(blurry, kinds[blur[-1]], start, prefix=prefix)
        write_frames(sharp, clip.sharp, start, prefix=prefix)
    return root


def write_gopro_all(
    root: Path, clips: Mapping[str, int], frames: int = 3, size: tuple[int, int] = (64, 48), split: str = "test",
    shift: int = 0,
) -> Path:  # fmt: skip
    """Write the 240 fps frames of GOPRO_Large_all, numbered (k-1)*n+1 .. k*n for frame k; return `root`.

    n is the second number of the clip's name. `shift` fine frames of the clip before are added in front.
    """
    for name, first in clips.items():
        averaged = int(name.split("_")[1])
        fine = make_clip(name, frames, size, averaged).fine
        before = make_clip(f"{name} before", 1, size, max(shift, 1)).fine[:shift]
        write_frames(root / split / name, before + fine, (first - 1) * averaged + 1)
    return root


def write_dvd(
    root: Path, clips: Sequence[str] = ("IMG_0030", "720p_240fps_2", "IMG_0009"), frames: int = 7,
    size: tuple[int, int] = (64, 48), layout: str = "archive",
) -> Path:  # fmt: skip
    """Write DVD clips as JPEG under `root`; layouts `archive` (quantitative_datasets/...), `flat` and `split`."""
    below = {"archive": "DeepVideoDeblurring_Dataset/quantitative_datasets", "flat": "", "split": "test"}[layout]
    for name in clips:
        clip = make_clip(name, frames, size)
        first = 30 if name == "IMG_0009" else 0
        for side, images in (("input", clip.linear), ("GT", clip.sharp)):
            write_frames(root / below / name / side, images, first, digits=5, suffix=".jpg")
    return root


def write_reds(
    root: Path, split: str = "val", clips: Sequence[str] = ("000", "001"), frames: int = 7,
    size: tuple[int, int] = (64, 48), x4: bool = False, inner: bool = True,
) -> Path:  # fmt: skip
    """Write REDS clips as `<split>/<split>_blur/<clip>/00000000.png` and sharp twins (not `inner`: no `<split>/`)."""
    base, suffix = (root / split if inner else root), ("_bicubic/X4" if x4 else "")
    for name in clips:
        clip = make_clip(name, frames, size)
        write_frames(base / f"{split}_blur{suffix}" / name, clip.linear, 0, digits=8)
        write_frames(base / f"{split}_sharp{suffix}" / name, clip.sharp, 0, digits=8)
    return root


def write_bsd(
    root: Path, exposure: str = "3ms24ms", split: str = "test", clips: Sequence[str] = ("001", "002"), frames: int = 7,
    size: tuple[int, int] = (64, 48),
) -> Path:  # fmt: skip
    """Write BSD clips as `BSD_<exposure>/<split>/<clip>/{Blur,Sharp}/RGB/00000000.png`."""
    for name in clips:
        clip = make_clip(name, frames, size)
        base = root / f"BSD_{exposure}" / split / name
        write_frames(base / "Blur" / "RGB", clip.linear, 0, digits=8)
        write_frames(base / "Sharp" / "RGB", clip.sharp, 0, digits=8)
    return root


def write_folder(
    root: Path, blurry: str | None = "blur", sharp: str | None = "sharp", clips: Sequence[str] = ("one", "two"),
    frames: int = 7, size: tuple[int, int] = (64, 48), video: bool = False,
) -> Path:  # fmt: skip
    """Write `<root>/<blurry>/<clip>/000000.png` and its sharp twin.

    An empty `clips` puts one clip's frames directly into the sides; `blurry` None puts blurry clips directly under
    `root`; `sharp` None leaves the sharp side out; `video` writes a lossless .mkv a clip.
    """
    for name in clips or [""]:
        clip = make_clip(name, frames, size)
        for side, images in ((blurry, clip.linear), (sharp, clip.sharp)):
            if side is None and images is clip.sharp:
                continue
            place = root / (side or "") / name
            _write_video(place.with_suffix(".mkv"), images) if video else write_frames(place, images, 0)
    return root


def write_frames(
    folder: Path, frames: Sequence[np.ndarray], first: int = 0, digits: int = 6, suffix: str = ".png", prefix: str = ""
) -> None:
    """Write RGB frames as numbered files."""
    folder.mkdir(parents=True, exist_ok=True)
    for position, frame in enumerate(frames):
        file = folder / f"{prefix}{first + position:0{digits}d}{suffix}"
        assert cv2.imwrite(str(file), np.ascontiguousarray(frame[:, :, ::-1]))


def _gopro_places(root: Path, layout: str, split: str, name: str) -> tuple[Path, Path, str]:
    if layout == "input-target":
        return root / split / "input", root / split / "target", f"{name}-"
    blurry, sharp = {
        "split-gt": (root / f"{split}_GT_blurred", root / f"{split}_GT"),
        "blur-gt": (root / "blur", root / "gt"),
        "split-blur-gt": (root / split / "blur", root / split / "gt"),
        "renumbered": (root / "blur", root / "GT"),
    }[layout]
    return blurry / name, sharp / name, ""


def _numbered(clips: Mapping[str, int] | Sequence[str] | None, default: Mapping[str, int]) -> Mapping[str, int]:
    if clips is None:
        return default
    return clips if isinstance(clips, Mapping) else {name: default.get(name, 1) for name in clips}


def _moving(random: np.random.Generator, count: int, size: tuple[int, int]) -> list[np.ndarray]:
    width, height = size
    texture = random.random((height + 64, width + 64, 3)).astype(np.float32)
    texture = cv2.GaussianBlur(texture, (0, 0), 1.2)
    texture = (texture - texture.min()) / (texture.max() - texture.min())
    angle = random.uniform(0, 2 * np.pi)
    speed = 0.9 + 0.3 * random.random()
    frames = []
    for position in range(count):
        phase = 2 * np.pi * position * speed / 150
        x, y = 32 + 28 * np.sin(phase + angle), 32 + 28 * np.cos(phase + angle)
        matrix = np.float32([[1, 0, -x], [0, 1, -y]])
        shifted = cv2.warpAffine(
            texture, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )
        frames.append(_rounded(255 * shifted))
    return frames


def _rounded(frame: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(frame), 0, 255).astype(np.uint8)


def _write_video(path: Path, frames: Sequence[np.ndarray]) -> None:
    from deblurbench.frames.video_write import write_video

    write_video(path, frames, 24)
