"""Any folder of frames or videos: pairs of blurry and sharp, or blurry alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from deblurbench.datasets.base import Clip, Dataset, Found
from deblurbench.datasets.layouts import broken, by_name, has_frames, pair, sequence_tree, sides_of, subfolders
from deblurbench.errors import FrameError, MissingError
from deblurbench.frames.video import VideoSource, is_video
from deblurbench.registry.protocol import Protocol
from deblurbench.text import composed, natural_key, some

from .images import image_clips

SPLIT = "all"
ALONE = "blurry alone"
IMAGES = "images"
"""The protocol's subset that takes each image as a clip."""
NO_TRUTH = "no ground truth: frames are restored, not scored"
NAMES = {
    "blurry": ["blur", "blurry", "blurred", "input", "lq", "blur_gamma"],
    "sharp": ["sharp", "gt", "target", "groundtruth", "ground_truth", "hq"],
}
Place: TypeAlias = "Path | str"
"""A folder of frames or a video file; a text says why it is neither."""


class Contents(NamedTuple):
    """The clips of a layout, and notes about what was passed over."""

    clips: tuple[Clip, ...] = ()
    notes: tuple[str, ...] = ()


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
        if protocol.subset == IMAGES:
            return self._images(root)
        for layout, look in (
            ("pairs: <blurry>/ and <sharp>/", _by_side),
            ("pairs: <clip>/<blurry> and <clip>/<sharp>", _by_clip),
            (ALONE, _alone),
        ):
            clips, notes = look(root)
            if clips and not any(clip.sharp for clip in clips):
                layout, notes = ALONE, (*notes, NO_TRUTH)
            if clips:
                return Found(layout, root, {SPLIT: clips}, notes)
        raise MissingError(f"dataset 'folder': no frame and no video found in {root}.\n{self.how_to_get()}")

    def _images(self, root: Path) -> Found:
        clips = image_clips(root, NAMES)
        if not clips:
            raise MissingError(f"dataset 'folder': no image found in {root}.\n{self.how_to_get()}")
        notes = () if any(clip.sharp for clip in clips) else (NO_TRUTH,)
        return Found("single images, a clip each", root, {SPLIT: clips}, notes)


def _by_side(root: Path) -> Contents:
    blurry, sharp = _side(root, "blurry"), _side(root, "sharp")
    if blurry is None:
        return Contents()
    inputs, notes = _places(blurry, root.name)
    if sharp is None:
        return Contents(tuple(_clip(name, place, None) for name, place in inputs.items()), notes)
    truths, more = _places(sharp, root.name)
    if inputs and truths and not inputs.keys() & truths.keys():
        raise MissingError(
            f"dataset 'folder': no clip of {_listed(blurry, inputs)} has a namesake in {_listed(sharp, truths)}. "
            "Clips are matched by their names: rename those of one side."
        )
    clips = [
        _clip(name, place, truths[name]) if name in truths else broken(name, f"no clip {name!r} in {sharp}")
        for name, place in inputs.items()
    ]
    clips += [broken(name, f"no clip {name!r} in {blurry}") for name in truths if name not in inputs]
    return Contents(tuple(clips), notes + more)


def _listed(side: Path, places: Mapping[str, Place]) -> str:
    """A side with the names of its clips, for messages."""
    return f"{side} ({'itself one clip' if side in places.values() else some(list(places))})"


def _side(root: Path, side: str) -> Path | None:
    """The folder of a side, or the one video file that is called like it.

    Raises:
        MissingError: two videos are called so.
    """
    folder = sides_of(root, {side: NAMES[side]}).get(side)
    if isinstance(folder, Path) or not root.is_dir():
        return folder if isinstance(folder, Path) else None
    videos = [f for f in sorted(root.iterdir()) if f.stem.lower() in NAMES[side] and is_video(f)]
    if len(videos) > 1:
        raise MissingError(f"dataset 'folder': {_twins(videos)} in {root}")
    return videos[0] if videos else None


def _by_clip(root: Path) -> Contents:
    tree = sequence_tree(root, NAMES).items()
    return Contents(tuple(pair(name, sides["blurry"], sides.get("sharp")) for name, sides in tree))


def _alone(root: Path) -> Contents:
    places, notes = _places(root, root.stem or "clip")
    return Contents(tuple(_clip(name, place, None) for name, place in places.items()), notes)


def _places(side: Path, name: str) -> tuple[dict[str, Place], tuple[str, ...]]:
    """The clips of one side: its frames directly, a subfolder each, or a video file each (or `side` is a video).

    A video beside the folder of its own frames is passed over, which a note says; two videos of one stem are a clip
    that cannot be run.
    """
    if side.is_file():
        return ({composed(name): side} if is_video(side) else {}), ()
    if has_frames(side):
        return {composed(name): side}, ()
    places: dict[str, Place] = {**by_name((f.name, f) for f in subfolders(side) if has_frames(f))}
    videos: dict[str, list[Path]] = {}
    for file in sorted(side.iterdir(), key=lambda f: (natural_key(f.name), f.name)):
        if is_video(file):
            videos.setdefault(composed(file.stem), []).append(file)
    beside = [f.name for stem, files in videos.items() if stem in places for f in files]
    for stem, files in videos.items():
        places.setdefault(stem, files[0] if len(files) == 1 else _twins(files))
    return places, tuple(f"{side / file}: passed over, the folder of its frames is used" for file in beside)


def _twins(files: Sequence[Path]) -> str:
    return f"{' and '.join(f.name for f in files)} are videos of one name; keep one of them, or rename the others"


def _clip(name: str, blurry: Place, sharp: Place | None) -> Clip:
    faults = [place for place in (blurry, sharp) if isinstance(place, str)]
    if isinstance(blurry, str) or isinstance(sharp, str):
        return broken(name, "; ".join(dict.fromkeys(faults)))
    if blurry.is_dir():
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
        count, sharp_count = len(blurry.stems), len(sharp.stems) if sharp else None
    except FrameError as error:
        return broken(name, str(error))
    if sharp_count is not None and count != sharp_count:
        return broken(
            name,
            f"{blurry.path.name} has {count} frames and its sharp twin {sharp_count}; videos are paired by position",
        )
    return Clip(name, blurry, sharp)
