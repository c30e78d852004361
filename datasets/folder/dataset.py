"""Any folder of frames or videos: pairs of blurry and sharp, or blurry alone."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from deblurbench.datasets.base import Clip, Dataset, Found
from deblurbench.datasets.layouts import broken, by_name, has_frames, pair, sequence_tree, sides_of, subfolders
from deblurbench.errors import FrameError, MissingError
from deblurbench.frames.video import VideoSource, is_video
from deblurbench.registry.protocol import Protocol
from deblurbench.text import composed, natural_key, some

SPLIT = "all"
NAMES = {
    "blurry": ["blur", "blurry", "blurred", "input", "lq", "blur_gamma"],
    "sharp": ["sharp", "gt", "target", "groundtruth", "ground_truth", "hq"],
}
Place: TypeAlias = Path
"""A folder of frames, or a video file."""


class Folder(Dataset):
    """Whatever lies under the root; the names of its sides are in the card's layout."""

    def find(self, protocol: Protocol) -> Found:
        """Recognise pairs, pairs by clip, or blurry frames or videos alone.

        Raises:
            MissingError: no frame and no video is there, or the two sides share no clip's name.
        """
        root = self.root
        if root is None or not root.exists():
            raise MissingError(f"dataset 'folder': {root} is not there.\n{self.how_to_get()}")
        for layout, clips in (
            ("pairs: <blurry>/ and <sharp>/", _by_side(root)),
            ("pairs: <clip>/<blurry> and <clip>/<sharp>", _by_clip(root)),
            ("blurry alone", _alone(root)),
        ):
            if clips and any(clip.sharp for clip in clips):
                return Found(layout, root, {SPLIT: tuple(clips)})
            if clips:
                return Found(
                    "blurry alone", root, {SPLIT: tuple(clips)}, ("no ground truth: frames are restored, not scored",)
                )
        raise MissingError(f"dataset 'folder': no frame and no video found in {root}.\n{self.how_to_get()}")


def _by_side(root: Path) -> list[Clip]:
    blurry, sharp = _side(root, "blurry"), _side(root, "sharp")
    if blurry is None:
        return []
    ours = _places(blurry, root.name)
    if sharp is None:
        return [_clip(name, place, None) for name, place in ours.items()]
    theirs = _places(sharp, root.name)
    if ours and theirs and not ours.keys() & theirs.keys():
        raise MissingError(
            f"dataset 'folder': no clip of {_listed(blurry, ours)} has a namesake in {_listed(sharp, theirs)}. "
            "Clips are matched by their names: rename those of one side."
        )
    clips = [
        _clip(name, place, theirs[name]) if name in theirs else broken(name, f"no clip {name!r} in {sharp}")
        for name, place in ours.items()
    ]
    return clips + [broken(name, f"no clip {name!r} in {blurry}") for name in theirs if name not in ours]


def _listed(side: Place, places: dict[str, Place]) -> str:
    """A side with the names of its clips, for messages."""
    return f"{side} ({'itself one clip' if side in places.values() else some(list(places))})"


def _side(root: Path, side: str) -> Place | None:
    """The folder of a side, or the one video file that is called like it."""
    folder = sides_of(root, {side: NAMES[side]}).get(side)
    if isinstance(folder, Path) or not root.is_dir():
        return folder if isinstance(folder, Path) else None
    return next((f for f in sorted(root.iterdir()) if is_video(f) and f.stem.lower() in NAMES[side]), None)


def _by_clip(root: Path) -> list[Clip]:
    clips = []
    for name, sides in sequence_tree(root, NAMES).items():
        blurry, sharp = sides["blurry"], sides.get("sharp")
        clips.append(pair(name, blurry, sharp))
    return clips


def _alone(root: Path) -> list[Clip]:
    return [_clip(name, place, None) for name, place in _places(root, root.stem or "clip").items()]


def _places(side: Path, name: str) -> dict[str, Place]:
    """The clips of one side: its frames directly, a subfolder each, or a video file each (or `side` is a video)."""
    if side.is_file():
        return {composed(name): side} if is_video(side) else {}
    if has_frames(side):
        return {composed(name): side}
    videos = sorted(
        (f for f in side.iterdir() if is_video(f) and f.is_file()), key=lambda f: (natural_key(f.name), f.name)
    )
    return by_name([(f.name, f) for f in subfolders(side) if has_frames(f)] + [(f.stem, f) for f in videos])


def _clip(name: str, blurry: Place, sharp: Place | None) -> Clip:
    if not is_video(blurry) or blurry.is_dir():
        if sharp is not None and sharp.is_file():
            return broken(
                name, f"blurry frames are image files and the sharp ones a video ({sharp.name}); use one kind"
            )
        return pair(name, blurry, sharp)
    if sharp is not None and sharp.is_dir():
        return broken(name, f"blurry frames are a video ({blurry.name}) and the sharp ones image files; use one kind")
    return _video_clip(name, VideoSource(blurry), VideoSource(sharp) if sharp else None)


def _video_clip(name: str, blurry: VideoSource, sharp: VideoSource | None) -> Clip:
    try:
        ours, theirs = len(blurry.stems), len(sharp.stems) if sharp else None
    except FrameError as error:
        return broken(name, str(error))
    if theirs is not None and ours != theirs:
        return broken(
            name, f"{blurry.path.name} has {ours} frames and its sharp twin {theirs}; videos are paired by position"
        )
    return Clip(name, blurry, sharp)
