"""GOPRO_Large in each layout that users have, and its 960x540 version made from the 240 fps frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

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
from deblurbench.datasets.numbering import frame_number
from deblurbench.errors import MissingError
from deblurbench.registry.cards import ExpectedClip
from deblurbench.registry.protocol import Protocol

SPLITS = ("train", "test")
PLACES = ("GOPRO_Large", "GOPRO", "GOPRO_Large/GOPRO_Large")
SYNTHESISED = "GOPRO_nah2019"
RECIPE_FILE = "recipe.json"
FOLDER = {"linear": "blur", "gamma": "blur_gamma"}
ORIGINAL = {"linear": ["blur"], "gamma": ["blur_gamma"], "sharp": ["sharp"]}
BY_SIDE = {
    "unknown": ["input", "blurry", "lq", "blur"],
    "gamma": ["blur_gamma"],
    "sharp": ["target", "gt", "sharp", "hq"],
}


class Layout(NamedTuple):
    """A way the frames lie: its name, and how its tree is read from a place, by split."""

    name: str
    read: Callable[[Path, dict[str, tuple[ExpectedClip, ...]]], dict[str, Tree]]


class GoPro(Dataset):
    """GOPRO_Large. The blur kind is the protocol's: `gamma` reads blur_gamma, `linear` reads blur."""

    def find(self, protocol: Protocol) -> Found:
        """Recognise the layout; for the 960x540 protocols the folder that `data prepare` made.

        Raises:
            MissingError: nothing is recognised, or the protocol's blur kind is not there and the other one is.
        """
        synthesised = protocol.subset is not None
        for place in self._places(synthesised):
            for layout in LAYOUTS:
                trees = layout.read(place, self.card.splits)
                if any(trees.values()):
                    return self._found(layout, place, trees, protocol)
        what = (
            f"no {SYNTHESISED} folder (made by: deblurbench data prepare {protocol.name})" if synthesised else "no clip"
        )
        raise MissingError(f"dataset 'gopro': {what} found in {self.root}.\n{self.how_to_get()}")

    def prepare(self, protocol: Protocol, progress: Any = None, output: Path | None = None) -> None:
        """Make the 960x540 frames of `gopro:nah2019` and `gopro:estrnn` (see `prepare.synthesise`); else nothing."""
        if protocol.subset is None:
            return
        from .prepare import synthesise

        synthesise(self, protocol, output, progress)

    def sharp_files(self, split: str) -> dict[str, tuple[Path, ...]]:
        """The released sharp frames of each clip of a split, where GOPRO_Large itself is there too."""
        near = places(self.root, *PLACES) + (places(self.root.parent, *PLACES)[1:] if self.root else [])
        for place in near:
            tree = sequence_tree(place / split, {**ORIGINAL, "any": ["sharp"]})
            if tree:
                return {name: files_of(sides["sharp"])[0] for name, sides in tree.items() if "sharp" in sides}
        return {}

    def _places(self, synthesised: bool) -> list[Path]:
        if self.root is None or not synthesised:
            return places(self.root, *PLACES)
        near = [*places(self.root, SYNTHESISED)[1:], *places(self.root.parent, SYNTHESISED)[1:]]
        return [self.root, *near] if (self.root / RECIPE_FILE).is_file() else near

    def _found(self, layout: Layout, place: Path, trees: dict[str, Tree], protocol: Protocol) -> Found:
        self._refuse_other_kind(place, trees, protocol)
        splits = {split: self._clips(split, tree, protocol) for split, tree in trees.items() if tree}
        notes = [note for clips in splits.values() for clip in clips for note in clip.notes]
        if protocol.subset is not None:
            from .prepare import notes_of

            notes += notes_of(place)
        return Found(layout.name, place, splits, tuple(dict.fromkeys(notes)))

    def _clips(self, split: str, tree: Tree, protocol: Protocol) -> tuple[Clip, ...]:
        released = expected_clips(self.card.splits.get(split, ()))
        return tuple(_clip(name, sides, protocol, released.get(name)) for name, sides in tree.items())

    def _refuse_other_kind(self, place: Path, trees: dict[str, Tree], protocol: Protocol) -> None:
        """Say which protocol fits where only the other average is there."""
        kinds = {kind for tree in trees.values() for sides in tree.values() for kind in sides if kind != "sharp"}
        if protocol.blur not in FOLDER or protocol.blur in kinds or "unknown" in kinds:
            return
        other = kinds.pop()
        fitting = [p for p in self.card.protocols if p.blur == other and p.subset == protocol.subset]
        best = next((p for p in fitting if p.leave_out == protocol.leave_out), fitting[0] if fitting else None)
        advice = f"Run --dataset {best.name}, which uses it, or add the missing folders" if best else "Add them"
        raise MissingError(
            f"dataset 'gopro': protocol {protocol.name!r} needs the folders '{FOLDER[protocol.blur]}' ({protocol.blur} "
            f"average), and {place} has only '{FOLDER[other]}' ({other} average). {advice}: the two differ by about "
            f"3 dB.\n{self.how_to_get()}"
        )


def _clip(name: str, sides: dict[str, Frames], protocol: Protocol, expected: ExpectedClip | None) -> Clip:
    kind, note = _kind(sides, protocol)
    if kind is None:
        present = ", ".join(repr(FOLDER.get(side, side)) for side in sides)
        return broken(
            name, f"no folder {FOLDER[protocol.blur]!r} for protocol {protocol.name!r}, only {present}", expected
        )
    if "sharp" not in sides:
        return broken(name, "no folder of sharp frames beside the blurry ones", expected)
    clip = pair(name, sides[kind], sides["sharp"], expected, [note] if note else [])
    if is_renumbered(clip.stems, expected) or _counts_from_zero(clip):
        clip = _with_note(clip, "frames are renumbered: their numbers are not those of the release")
    return clip


def _kind(sides: dict[str, Frames], protocol: Protocol) -> tuple[str | None, str]:
    if protocol.blur in sides:
        return protocol.blur, ""
    if "unknown" in sides:
        kind = protocol.blur
        return "unknown", f"blur kind unknown, taken as the protocol's ({kind}), not verified; see 'data verify'"
    return (None, "") if protocol.blur in FOLDER else (next(s for s in sides if s != "sharp"), "")


def _counts_from_zero(clip: Clip) -> bool:
    """GOPRO_Large counts from 1: its frame k averages the 240 fps frames (k-1)*n+1 to k*n."""
    return bool(clip.stems) and frame_number(clip.stems[0]) == 0


def _with_note(clip: Clip, note: str) -> Clip:
    return replace(clip, notes=(*clip.notes, note))


def _original(place: Path, splits: dict[str, tuple[ExpectedClip, ...]]) -> dict[str, Tree]:
    return {split: sequence_tree(place / split, ORIGINAL) for split in SPLITS}


def _sequences(place: Path, splits: dict[str, tuple[ExpectedClip, ...]]) -> dict[str, Tree]:
    return by_split(sequence_tree(place, ORIGINAL), splits)


def _split_suffix(place: Path, splits: dict[str, tuple[ExpectedClip, ...]]) -> dict[str, Tree]:
    names = {split: {"unknown": [f"{split}_GT_blurred"], "sharp": [f"{split}_GT"]} for split in SPLITS}
    return {split: side_tree(place, names[split]) for split in SPLITS}


def _sides_in_split(place: Path, splits: dict[str, tuple[ExpectedClip, ...]]) -> dict[str, Tree]:
    return {split: side_tree(place / split, BY_SIDE) for split in SPLITS}


def _sides(place: Path, splits: dict[str, tuple[ExpectedClip, ...]]) -> dict[str, Tree]:
    return by_split(side_tree(place, BY_SIDE), splits)


LAYOUTS = (
    Layout("original: <split>/<clip>/{blur,blur_gamma,sharp}", _original),
    Layout("one split: <clip>/{blur,blur_gamma,sharp}", _sequences),
    Layout("<split>_GT and <split>_GT_blurred", _split_suffix),
    Layout("<split>/{input,target} or <split>/{blur,gt}", _sides_in_split),
    Layout("{blur,gt}/<clip>", _sides),
)
