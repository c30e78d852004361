"""What a check of a run found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "DIFFERS", "not checked"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    what: str
    state: State
    detail: str = ""


def _same(what: str, recorded: str, now: str) -> Check:
    if recorded == now:
        return Check(what, "ok", now[:12])
    return Check(what, "DIFFERS", f"sha256 is {now[:12]} now, {recorded[:12]} in run.json")
