"""What counts as the whole benchmark: the clips and frames that were released, no fewer and no more."""

from dataclasses import replace

import numpy as np
import pytest

from deblurbench.datasets.base import Clip
from deblurbench.datasets.selection import PlannedClip, coverage_of, refuse_silent_partial
from deblurbench.errors import MissingError
from deblurbench.registry.discovery import plugin
from deblurbench.results.manifest import Request

CARD = plugin("datasets", "gopro").card
PROTOCOL = CARD.protocol(None)


class Frames:
    def __init__(self, count):
        self.stems = [f"{n:06d}" for n in range(1, count + 1)]

    def __iter__(self):
        return iter([np.zeros((2, 2, 3), np.uint8)] * len(self.stems))


def whole() -> tuple[PlannedClip, ...]:
    clips = [Clip(e.name, Frames(e.frames), Frames(e.frames), e.frames) for e in CARD.splits["test"]]
    return tuple(PlannedClip(clip, tuple(clip.stems[4:-1]), PROTOCOL.size, ()) for clip in clips)


def look(clips: tuple[PlannedClip, ...]) -> tuple[str, bool]:
    return coverage_of(CARD, PROTOCOL, "test", [planned.clip for planned in clips], clips)


def refused(clips: tuple[PlannedClip, ...]) -> str:
    with pytest.raises(MissingError) as caught:
        refuse_silent_partial(CARD, Request(methods=[], dataset="gopro"), PROTOCOL, "test", clips)
    return str(caught.value)


def of_length(planned: PlannedClip, count: int) -> PlannedClip:
    return replace(planned, clip=replace(planned.clip, blurry=Frames(count), sharp=Frames(count)))


def test_the_released_clips_are_the_benchmark():
    assert look(whole()) == ("11 of 11 clips, 1111 of 1111 frames, 1056 scored", False)
    refuse_silent_partial(CARD, Request(methods=[], dataset="gopro"), PROTOCOL, "test", whole())


def test_a_clip_more_is_not():
    stray = replace(whole()[0], clip=replace(whole()[0].clip, name="GOPR0372_07_00"))
    text, partial = look((*whole(), stray))
    assert partial and text.startswith("11 of 11 clips") and "1 clip that the protocol does not know" in text
    assert "clips that it does not know: GOPR0372_07_00" in refused((*whole(), stray))


def test_another_clip_in_place_of_one_is_not():
    stray = replace(whole()[0], clip=replace(whole()[0].clip, name="GOPR0372_07_00"))
    text, partial = look((*whole()[1:], stray))
    assert partial and text.startswith("10 of 11 clips")
    assert "missing clips" in refused((*whole()[1:], stray))


def test_without_a_list_of_clips_all_is_what_is_there():
    card = plugin("datasets", "folder").card
    there = [Clip(name, Frames(10), Frames(10)) for name in ("a", "b", "c")]
    planned = [PlannedClip(clip, tuple(clip.stems), (8, 8)) for clip in there]

    def folder(*clips: PlannedClip) -> tuple[str, bool]:
        return coverage_of(card, card.protocol(None), "all", there, clips)

    assert folder(*planned) == ("3 of 3 clips, 30 of 30 frames, 30 scored", False)
    assert folder(planned[0]) == ("1 of 3 clips, 10 of 10 frames, 10 scored", True)
    text, partial = folder(*[of_length(one, 4) for one in planned])
    assert partial and text.startswith("3 of 3 clips, 12 of 30 frames")


@pytest.mark.parametrize(("more", "said"), [(80, "more frames than were released"), (-1, "missing frames")])
def test_a_clip_of_another_length_is_not(more, said):
    first, *others = whole()
    clips = (of_length(first, len(first.clip) + more), *others)
    assert look(clips)[1] and said in refused(clips)
