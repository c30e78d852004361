"""The strip of the first screen: input, best, second and ground truth where the methods differ most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from deblurbench.tables import ResultTable

from .pictures import GROUND_TRUTH, Gallery, Moment, Shot
from .shown import input_label
from .verdict import ranked
from .view import MomentView

SCALE = 4  # screen pixels of the viewer for a pixel of the picture, where a link opens it


@dataclass(frozen=True)
class StripShot:
    """A picture of the strip: its name and score, and the address that opens the viewer at this place."""

    shot: Shot
    title: str
    value: str
    link: str


@dataclass(frozen=True)
class Strip:
    """The pictures, their crop (x, y, width, height), and the place in words."""

    shots: tuple[StripShot, ...]
    crop: tuple[int, int, int, int]
    clip: str
    frame: str
    words: str


def strip(table: ResultTable, gallery: Gallery, views: Mapping[str, Sequence[MomentView]]) -> Strip | None:
    """The strip, or None where no frame has pictures of two methods."""
    best = [row.label for row in ranked(table, table.metrics[0])] if table.metrics else []
    blurry = input_label(table)
    places = [(clip, moment) for clip, moments in gallery.moments.items() for moment in moments if moment.crop]
    if not places:
        return None
    clip, moment = max(places, key=lambda place: place[1].variance)
    labels = _labels(moment, blurry, best)
    view = next(one for one in views[clip] if one.moment == moment)
    by_label = {one.shot.label: one for one in view.shots}
    assert moment.crop is not None
    shots = tuple(
        StripShot(by_label[one].shot, by_label[one].title, by_label[one].value, _link(clip, moment, one, labels))
        for one in labels
    )
    return Strip(shots, moment.crop, clip, moment.frame, f"clip {clip}, frame {moment.frame}, {view.crop}")


def address(clip: str, frame: str, **words: str) -> str:
    """The viewer's address of a frame, as static/address.js reads it."""
    return f"#{urlencode({'clip': clip, 'frame': frame} | words)}"


def _labels(moment: Moment, blurry: str, best: Sequence[str]) -> list[str]:
    """Input, best, second, ground truth: those of them that the frame has; other methods where none is ranked."""
    shown = [shot.label for shot in moment.shots]
    methods = [label for label in (*best, *shown) if label in shown and label not in (blurry, GROUND_TRUTH)]
    leading = list(dict.fromkeys(methods))[:2]
    return [label for label in (blurry, *leading, GROUND_TRUTH) if label in shown]


def _link(clip: str, moment: Moment, label: str, labels: Sequence[str]) -> str:
    """The viewer's address, as static/address.js reads it: the strip's methods side by side around the crop."""
    assert moment.crop is not None
    x, y, width, height = moment.crop
    zoom = f"{SCALE},{x + width / 2:g},{y + height / 2:g}"
    words = [("clip", clip), ("frame", moment.frame), ("mode", "side"), ("show", label)]
    words += [("methods", one) for one in labels]
    return f"#{urlencode([*words, ('zoom', zoom)])}"
