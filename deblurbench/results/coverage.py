"""How much of a split a run covers, in figures, as every table says it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from deblurbench.text import counted

_TEXT = re.compile(
    r"(\d+) of (\d+) clips, (\d+) of (\d+) frames, (\d+) scored"
    r"(?:, and (\d+) clips? that the protocol does not know)?(?:, (at \d+x\d+ instead of \d+x\d+))?"
)


@dataclass(frozen=True)
class Coverage:
    """Clips of a protocol and their frames: how many are run, of how many; `unknown` clips are no part of it.

    `resized` says at which size, where it is not the protocol's.
    """

    clips: int
    of_clips: int
    frames: int
    of_frames: int
    scored: int
    unknown: int = 0
    resized: str = ""

    def __str__(self) -> str:
        """Such as `8 of 8 clips, 96 of 96 frames, 56 scored`."""
        text = f"{self.clips} of {self.of_clips} clips, {self.frames} of {self.of_frames} frames, {self.scored} scored"
        if self.unknown:
            text += f", and {counted(self.unknown, 'clip')} that the protocol does not know"
        return f"{text}, {self.resized}" if self.resized else text

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left out, added or resized."""
        complete = self.clips == self.of_clips and self.frames == self.of_frames
        return complete and not self.unknown and not self.resized

    @classmethod
    def read(cls, text: str) -> Coverage:
        """What `str` wrote.

        Raises:
            ValueError: another text.
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError(f"not a coverage: {text!r}")
        clips, of_clips, frames, of_frames, scored, unknown = (int(number or 0) for number in match.groups()[:6])
        return cls(clips, of_clips, frames, of_frames, scored, unknown, match[7] or "")


def joined(pieces: Sequence[Coverage]) -> Coverage:
    """What runs over disjoint clips of one split cover together."""
    return Coverage(
        clips=sum(piece.clips for piece in pieces),
        of_clips=pieces[0].of_clips,
        frames=sum(piece.frames for piece in pieces),
        of_frames=sum(piece.of_frames for piece in pieces),
        scored=sum(piece.scored for piece in pieces),
        unknown=sum(piece.unknown for piece in pieces),
        resized=next((piece.resized for piece in pieces if piece.resized), ""),
    )
