"""Protocols: which frames are restored, which are scored, and on what data.

A protocol is immutable once results exist: its digest goes into every result, and a table refuses to mix digests.
Changing a field of a published protocol means raising `version`; a test pins the digests of all shipped ones.
"""

from __future__ import annotations

import hashlib
import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Protocol(BaseModel):
    """One way to evaluate on one dataset. Named `dataset` (its default) or `dataset:name`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="full name, e.g. 'gopro' or 'gopro:linear'")
    version: int = 1
    split: str = "test"
    blur: Literal["gamma", "linear", "captured", "as-found"] = "as-found"
    size: tuple[int, int] | None = Field(default=None, description="(width, height) of every frame, where it is fixed")
    leave_out: tuple[int, int] = Field(default=(0, 0), description="frames restored but not scored: (first, last)")
    select: Literal["all", "su30"] = "all"
    alignment: Literal["none", "koehler"] = "none"
    subset: str | None = Field(default=None, description="which part of the dataset, e.g. 'x4' or '1ms8ms'")
    clips: tuple[str, ...] | None = Field(default=None, description="the clips, where fewer than the split's")
    summary: str = ""
    source: str = ""

    def scored(self, count: int) -> list[int]:
        """Positions of the frames that are scored, of `count` that the run restores; empty where none is left."""
        first, last = self.leave_out
        positions = list(range(first, count - last))
        if self.select == "su30":
            chosen = su30_positions(count)
            positions = [p for p in positions if p in chosen]
        return positions

    def digest(self) -> str:
        """sha256 over every field that decides a number (not the prose), as 64 hexadecimal digits."""
        deciding = self.model_dump(mode="json", exclude={"summary", "source"})
        return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


def su30_positions(count: int) -> set[int]:
    """The DVD paper's 30 frames of a clip, floor(linspace(2, 97, 30)) counted from 1, as positions from 0.

    Source: Su et al., CVPR 2017, evaluation code. Clips shorter than 97 frames keep the positions that exist.
    """
    ones = [int(2 + k * (97 - 2) / 29) for k in range(30)]
    return {one - 1 for one in ones if one <= count}
