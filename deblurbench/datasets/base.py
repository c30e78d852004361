"""What a dataset gives to the harness: clips of lazily decoded frames, and what it knows about its own completeness."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from typing import Protocol as Interface

from deblurbench.errors import FrameError, MissingError, UsageError
from deblurbench.frames.convert import Frame8
from deblurbench.frames.files import resolved
from deblurbench.frames.images import read_frame
from deblurbench.registry.cards import DatasetCard
from deblurbench.registry.protocol import Protocol
from deblurbench.text import counted, did_you_mean


class FrameSource(Interface):
    """A sequence of frames that is decoded as it is walked, never held as a whole."""

    @property
    def stems(self) -> Sequence[str]:
        """Names of the frames, in order, as they appear in scores.csv."""
        ...

    def __iter__(self) -> Iterator[Frame8]:
        """Decode the frames in order: uint8 (H, W, 3) RGB."""
        ...

    def first(self, count: int | None) -> FrameSource:
        """The same source cut to its first `count` frames (all for None)."""
        ...

    def fingerprint(self) -> list[tuple[str, int, int]]:
        """(name, size in bytes, modification time in ns) of each file, to notice data that changed between runs."""
        ...


@dataclass(frozen=True)
class ImageFiles:
    """Frames that lie in one file each."""

    paths: tuple[Path, ...]

    @property
    def stems(self) -> Sequence[str]:
        """File names without their suffix."""
        return [path.stem for path in self.paths]

    def __iter__(self) -> Iterator[Frame8]:
        """Decode file by file.

        Raises:
            FrameError: a file is damaged, or its size differs from the first frame's.
        """
        size: tuple[int, ...] | None = None
        for path in self.paths:
            frame = read_frame(path)
            if size is not None and frame.shape != size:
                raise FrameError(
                    f"{path}: {frame.shape[1]}x{frame.shape[0]} pixels, but the clip began with {size[1]}x{size[0]}; "
                    "all frames of a clip must have one size",
                    "size",
                )
            size = frame.shape
            yield frame

    def fingerprint(self) -> list[tuple[str, int, int]]:
        """Name, size and modification time of each file; a missing file has size -1."""
        return [_stamp(path) for path in self.paths]

    def first(self, count: int | None) -> ImageFiles:
        """The first `count` frames (all for None)."""
        return ImageFiles(self.paths[:count])


@dataclass(frozen=True)
class Clip:
    """One clip: blurry frames, and sharp ones where there is ground truth. Nothing is decoded yet.

    `released` is how many frames the dataset's authors released for it (None where nobody knows), so that partial
    copies show in figures. `problems` are reasons why the clip cannot be run as it lies there.
    """

    name: str
    blurry: FrameSource
    sharp: FrameSource | None
    released: int | None = None
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def stems(self) -> Sequence[str]:
        """Names of the blurry frames, in order."""
        return self.blurry.stems

    def __len__(self) -> int:
        return len(self.blurry.stems)


@dataclass(frozen=True)
class Found:
    """What a dataset recognised under its root: the layout's name, and its clips by split."""

    layout: str
    root: Path
    splits: dict[str, tuple[Clip, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class Dataset:
    """Base of all datasets. A subclass says how its files lie (`find`); the card says what should be there."""

    def __init__(self, card: DatasetCard, root: Path | None, **parameters: Any) -> None:
        self.card = card
        self.root = root
        self.parameters = parameters

    def find(self, protocol: Protocol) -> Found:
        """Recognise the layout under the root and list its clips, without decoding a frame.

        Raises:
            MissingError: nothing recognisable is there.
        """
        raise NotImplementedError

    def prepare(self, protocol: Protocol, progress: Any = None, output: Path | None = None) -> None:
        """Make what the protocol needs and can be made (synthesis); nothing for most datasets.

        `progress(done, total)` is called as it goes on. `output` is the folder to make, beside the data by default.
        """

    def clips(self, protocol: Protocol, split: str | None = None) -> list[Clip]:
        """The clips of a split (the protocol's by default), in natural order.

        Raises:
            UsageError: the dataset has no split of this name (the nearest name is given).
            MissingError: the split is not there.
        """
        recognised = self.find(protocol)
        chosen = split or protocol.split
        present = {name: clips for name, clips in recognised.splits.items() if clips}
        if chosen not in present:
            raise self._no_split(chosen, recognised.root, present)
        return list(present[chosen])

    def _no_split(self, chosen: str, root: Path, present: Mapping[str, Sequence[Clip]]) -> UsageError | MissingError:
        """Why there are no clips of a split, and what to do instead."""
        known = {*self.card.splits, *present, *(p.split for p in self.card.protocols)}
        if chosen not in known:
            return UsageError(f"dataset {self.card.name!r} has no split {chosen!r}. {did_you_mean(chosen, known)}")
        hint = ""
        strange = [name for name in present if name not in self.card.splits]
        if strange and self.card.splits:
            hint = (
                f"These are no clips of the release: run them as they lie with --split {strange[0]}, or as clips of "
                f"your own with --dataset folder --data-root {root}.\n"
            )
        return MissingError(
            f"{root}: no clips of split {chosen!r} (found: {splits_in_words(present)}).\n{hint}{self.how_to_get()}"
        )

    def how_to_get(self) -> str:
        """Where the data come from and how they must lie, for messages."""
        return how_to_get(self.card)


def folders_of(root: str | Path | None) -> list[Path]:
    """The folders that a data root names, absolute: one, or several joined with the path separator as in PATH."""
    text = str(root or "")
    parts = [text] if os.path.exists(Path(text).expanduser()) else text.split(os.pathsep)  # noqa: PTH110
    return [resolved(Path(part)) for part in parts if part]


def absolute_roots(root: str | None) -> str | None:
    """A data root as an absolute path; several, joined as in PATH, each; None where none is given."""
    return os.pathsep.join(map(str, folders_of(root))) if root else None


def splits_in_words(splits: Mapping[str, Sequence[Clip]]) -> str:
    """`train (22 clips), test (1 clip)`: the splits that have clips; `none` where there is no such."""
    return ", ".join(f"{name} ({counted(len(clips), 'clip')})" for name, clips in splits.items() if clips) or "none"


def how_to_get(card: DatasetCard) -> str:
    """Where a dataset comes from and how it must lie; which one needs no data, for those that ask for another."""
    lines = [card.obtain.strip(), "Expected layout:", card.layout.rstrip()]
    return "\n".join(lines + ["Without the data: --dataset mini needs nothing."] * (card.name != "mini"))


def _stamp(path: Path) -> tuple[str, int, int]:
    try:
        stat = path.stat()
    except OSError:
        return path.name, -1, 0
    return path.name, stat.st_size, stat.st_mtime_ns
