"""What a worker reports while it works, as typed events; each crosses a pipe as one JSON line."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from deblurbench.results.manifest import Outcome


class Event(BaseModel):
    """Base of all events: unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Ready(Event):
    """The method is loaded. `absent` maps metrics that cannot be computed here to the reason."""

    event: Literal["ready"] = "ready"
    device: str
    runtime: dict[str, Any]
    parameters: int | None
    random: bool
    caveat: str
    absent: dict[str, str]
    environment: dict[str, str]
    implementations: dict[str, str]


class Begun(Event):
    """A worker takes up a clip."""

    event: Literal["begun"] = "begun"


class Alive(Event):
    """Nothing new, but the worker lives: a command may work for long without a frame."""

    event: Literal["alive"] = "alive"


class Frame(Event):
    """A frame was restored; `stem` is its file's name without suffix."""

    event: Literal["frame"] = "frame"
    stem: str


class Done(Event):
    """The clip ended, well or badly, and its part is written."""

    event: Literal["done"] = "done"
    outcome: Outcome


class Failed(Event):
    """The clip failed without leaving a part: the worker died, hung or could not be reached."""

    event: Literal["failed"] = "failed"
    kind: str
    reason: str
    traceback: str = ""


class Broken(Event):
    """The method cannot be loaded, so that none of its clips can be restored."""

    event: Literal["broken"] = "broken"
    kind: str
    reason: str
    traceback: str = ""


class Disk(Event):
    """Nothing can be written any more; the run has to stop."""

    event: Literal["disk"] = "disk"
    reason: str


AnyEvent: TypeAlias = Annotated[
    Ready | Begun | Alive | Frame | Done | Failed | Broken | Disk, Field(discriminator="event")
]
ENDS = (Done, Failed, Broken, Disk)
"""The events after which nothing more is reported of a clip."""
_ADAPTER: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)


def parse_event(line: str | bytes) -> AnyEvent:
    """Read an event from its JSON line.

    Raises:
        ValueError: the line holds no event.
    """
    return _ADAPTER.validate_json(line)
