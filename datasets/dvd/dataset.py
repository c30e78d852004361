"""DVD (DeepVideoDeblurring): JPEG on both sides, one folder of 71 clips whose split is in the card."""

from __future__ import annotations

from pathlib import Path

from deblurbench.datasets.base import Clip, Dataset, Found
from deblurbench.datasets.layouts import (
    Frames,
    Tree,
    broken,
    by_split,
    expected_clips,
    files_of,
    is_renumbered,
    pair,
    places,
    sequence_tree,
    side_tree,
)
from deblurbench.errors import MissingError
from deblurbench.registry.cards import ExpectedClip
from deblurbench.registry.protocol import Protocol

SPLITS = ("train", "test")
PLACES = (
    "DeepVideoDeblurring_Dataset/quantitative_datasets",
    "quantitative_datasets",
    "DVD",
    "DVD/quantitative_datasets",
)
NAMES = {"blurry": ["input", "blur"], "sharp": ["GT", "sharp"]}
JPEG = (".jpg", ".jpeg")


class Dvd(Dataset):
    """DVD's quantitative part. Clips without ground truth (qualitative_datasets) are passed over."""

    def find(self, protocol: Protocol) -> Found:
        """Recognise the archive's folder of clips, the same sorted into splits, or `<split>_GT` folders.

        Raises:
            MissingError: none of them is there.
        """
        for place in places(self.root, *PLACES):
            for layout, trees in _layouts(place, self.card.splits):
                splits = {split: self._clips(split, tree) for split, tree in trees.items()}
                splits = {split: clips for split, clips in splits.items() if clips}
                if splits:
                    notes = dict.fromkeys(note for clips in splits.values() for clip in clips for note in clip.notes)
                    return Found(layout, place, splits, tuple(notes))
        raise MissingError(f"dataset 'dvd': no clip with ground truth found in {self.root}.\n{self.how_to_get()}")

    def _clips(self, split: str, tree: Tree) -> tuple[Clip, ...]:
        released = expected_clips(self.card.splits.get(split, ()))
        known = {name: sides for name, sides in tree.items() if "sharp" in sides or name in released}
        return tuple(_clip(name, sides, released.get(name)) for name, sides in known.items())


def _clip(name: str, sides: dict[str, Frames], expected: ExpectedClip | None) -> Clip:
    if "blurry" not in sides or "sharp" not in sides:
        missing = "GT" if "blurry" in sides else "input"
        return broken(name, f"no folder {missing!r} beside {'input' if missing == 'GT' else 'GT'!r}", expected)
    notes = []
    sharp, _ = files_of(sides["sharp"])
    if sharp and sharp[0].suffix.lower() in JPEG:
        notes.append("ground truth is JPEG, as released")
    if is_renumbered([f.stem for f in sharp], expected):
        notes.append("frames are renumbered: their numbers are not those of the release")
    return pair(name, sides["blurry"], sides["sharp"], expected, notes)


def _layouts(place: Path, splits: dict[str, tuple[ExpectedClip, ...]]) -> list[tuple[str, dict[str, Tree]]]:
    suffixes = {s: {"blurry": [f"{s}_GT_blurred"], "sharp": [f"{s}_GT"]} for s in SPLITS}
    return [
        ("archive: <clip>/{input,GT}", by_split(sequence_tree(place, NAMES), splits)),
        ("<split>/<clip>/{input,GT}", {s: sequence_tree(place / s, NAMES) for s in SPLITS}),
        ("<split>_GT and <split>_GT_blurred", {s: side_tree(place, suffixes[s]) for s in SPLITS}),
    ]
