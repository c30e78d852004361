"""BSD (beam-splitter deblurring): captured pairs at three exposures, one folder each."""

from __future__ import annotations

from pathlib import Path

from deblurbench.datasets.base import Clip, Dataset, Found
from deblurbench.datasets.layouts import broken, pair, places, sides_of, subfolders
from deblurbench.errors import MissingError
from deblurbench.registry.protocol import Protocol

SPLITS = ("train", "valid", "test")
SIDES = {"blurry": ["Blur"], "sharp": ["Sharp"]}
RELEASED_TEST, OLDER_TEST = 150, 100


class Bsd(Dataset):
    """BSD. The protocol's subset names the exposure pair, and with it the folder `BSD_<subset>`."""

    def find(self, protocol: Protocol) -> Found:
        """Recognise `BSD_<exposure>/<split>/<clip>/{Blur,Sharp}/RGB`.

        Raises:
            MissingError: the exposure's folder is missing; the existing ones are named.
        """
        for place in self._places(protocol.subset or ""):
            splits = {split: _clips(place / split) for split in SPLITS}
            splits = {split: clips for split, clips in splits.items() if clips}
            if splits:
                return Found("BSD_<exposure>/<split>/<clip>/{Blur,Sharp}/RGB", place, splits, _notes(splits))
        present = [p.name for place in places(self.root, "BSD") for p in subfolders(place) if p.name.startswith("BSD_")]
        hint = f" There: {', '.join(present)}." if present else ""
        raise MissingError(
            f"dataset 'bsd': no clip of BSD_{protocol.subset} found in {self.root}.{hint}\n{self.how_to_get()}"
        )

    def _places(self, exposure: str) -> list[Path]:
        """The exposure's folder below the root, or the root itself unless its name says another exposure."""
        existing = places(self.root, f"BSD_{exposure}", f"BSD/BSD_{exposure}")
        other = (
            existing and existing[0].name.lower().startswith("bsd_") and existing[0].name.lower() != f"bsd_{exposure}"
        )
        return existing[1:] if other else existing


def _clips(folder: Path) -> tuple[Clip, ...]:
    clips = []
    for place in subfolders(folder):
        sides = sides_of(place, SIDES)
        if sides:
            clips.append(_clip(place, sides))
    return tuple(clips)


def _clip(place: Path, sides: dict[str, Path | tuple[Path, ...]]) -> Clip:
    inner = {
        side: sides_of(where, {"RGB": ["RGB"]}).get("RGB") for side, where in sides.items() if isinstance(where, Path)
    }
    blurry, sharp = inner.get("blurry"), inner.get("sharp")
    if blurry is None or sharp is None:
        return broken(place.name, f"no folder {'Blur' if blurry is None else 'Sharp'}/RGB (RAW frames are not read)")
    return pair(place.name, blurry, sharp)


def _notes(splits: dict[str, tuple[Clip, ...]]) -> tuple[str, ...]:
    test = splits.get("test", ())
    if test and all(len(clip) == OLDER_TEST for clip in test):
        return (f"the older archive: {OLDER_TEST} frames a test clip, not {RELEASED_TEST}",)
    return ()
