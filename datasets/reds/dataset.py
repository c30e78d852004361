"""REDS: train and val with ground truth, at full size or reduced by 4."""

from __future__ import annotations

from pathlib import Path

from deblurbench.datasets.base import Clip, Dataset, Found
from deblurbench.datasets.layouts import Tree, broken, child, expected_clips, pair, places, side_tree
from deblurbench.errors import MissingError
from deblurbench.registry.protocol import Protocol

SPLITS = ("train", "val", "test")
REDUCED = {"x4": ("_bicubic", "X4")}


class Reds(Dataset):
    """REDS. The protocol's subset `x4` reads the folders `*_bicubic/X4`; test has no ground truth."""

    def find(self, protocol: Protocol) -> Found:
        """Recognise `<split>/<split>_blur/<clip>` or `<split>_blur/<clip>` and the sharp folders beside them.

        Raises:
            MissingError: neither is there.
        """
        for place in places(self.root, "REDS", "reds"):
            for layout, inner in (("<split>/<split>_blur", True), ("<split>_blur", False)):
                trees = {s: _tree(place / s if inner else place, s, protocol.subset) for s in SPLITS}
                if any(trees.values()):
                    splits = {s: self._clips(s, tree) for s, tree in trees.items() if tree}
                    return Found(_name(layout, protocol), place, splits)
        raise MissingError(
            f"dataset 'reds': no clip of protocol {protocol.name!r} ({_name('<split>/<split>_blur', protocol)}) "
            f"found in {self.root}.{self._other_size(protocol)}\n{self.how_to_get()}"
        )

    def _clips(self, split: str, tree: Tree) -> tuple[Clip, ...]:
        released = expected_clips(self.card.splits.get(split, ()))
        return tuple(
            broken(name, f"split {split!r} has no sharp frames of this clip", released.get(name))
            if released and "sharp" not in sides
            else pair(name, sides["blurry"], sides.get("sharp"), released.get(name))
            for name, sides in tree.items()
            if "blurry" in sides
        )

    def _other_size(self, protocol: Protocol) -> str:
        """A hint where the other size of the frames is there."""
        subset = None if protocol.subset else "x4"
        here = [p for p in places(self.root, "REDS") for s in SPLITS if _tree(p / s, s, subset) or _tree(p, s, subset)]
        if not here:
            return ""
        other = "reds:x4" if subset else "reds"
        return f" {here[0]} holds the frames of {other!r}: run --dataset {other}."


def _tree(folder: Path, split: str, subset: str | None) -> Tree:
    if subset is None:
        return side_tree(folder, {"blurry": [f"{split}_blur"], "sharp": [f"{split}_sharp"]})
    suffix, inner = REDUCED[subset]
    blurry, sharp = (child(folder, [f"{split}_{side}{suffix}"]) for side in ("blur", "sharp"))
    tree: Tree = {}
    for side, place in (("blurry", blurry), ("sharp", sharp)):
        for name, sides in (side_tree(place, {"any": [inner]}) if place else {}).items():
            tree.setdefault(name, {})[side] = sides["any"]
    return tree


def _name(layout: str, protocol: Protocol) -> str:
    return layout if protocol.subset is None else layout.replace("_blur", "_{blur,sharp}_bicubic/X4")
