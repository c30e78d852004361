"""What is varied from clip to clip, and how far."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, ConfigDict, Field, ValidationError

from deblurbench.datasets.synthesis.exposure import Kind
from deblurbench.errors import UsageError
from deblurbench.registry.cards import Frozen
from deblurbench.text import did_you_mean


def _in_order(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError("written as [least, most]")
    return pair


AboveZero: TypeAlias = Annotated[float, Field(gt=0)]
NotBelowZero: TypeAlias = Annotated[float, Field(ge=0)]
Count: TypeAlias = Annotated[int, Field(ge=0)]
Range: TypeAlias = Annotated[tuple[NotBelowZero, NotBelowZero], AfterValidator(_in_order)]
Positive: TypeAlias = Annotated[tuple[AboveZero, AboveZero], AfterValidator(_in_order)]
Share: TypeAlias = Annotated[
    tuple[Annotated[float, Field(gt=0, le=1)], Annotated[float, Field(gt=0, le=1)]], AfterValidator(_in_order)
]
Counts: TypeAlias = Annotated[tuple[Count, Count], AfterValidator(_in_order)]


class Recipe(Frozen):
    """Ranges that one clip's parameters are drawn from. Lengths are pixels of the rendered frame."""

    model_config = ConfigDict(allow_inf_nan=False)

    speed: Positive = (2.0, 30.0)  # camera path per exposure, log-uniform
    windows: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (7, 9, 11, 13)  # sub-frames
    step: AboveZero = 2.5  # largest mean path from sub-frame to sub-frame: fast clips get the longer windows
    twist: Range = (0.0, 0.4)  # displacement by turning and zooming at the crop's corner, as a share of speed
    shrink: Positive = (1.0, 2.5)  # photograph pixels per rendered pixel, log-uniform, as far as it is large
    looks: int = Field(default=2, ge=1)  # places of a photograph looked at; the one with the most detail is taken
    oversample: AboveZero = 1.5  # pixels held per rendered pixel and side, so that bilinear sampling stays sharp
    objects: Counts = (0, 2)  # how many move in front
    object_size: Range = (0.12, 0.4)  # radius as a share of the frame's shorter side
    object_speed: Range = (0.2, 1.5)  # own path per exposure as a share of the camera's
    edge: Positive = (1.0, 4.0)  # width of an object's soft edge
    gain: Range = (0.8, 1.5)  # brightness; what exceeds white is clipped before averaging, as in a camera
    gained: float = Field(default=0.5, ge=0, le=1)  # share of the clips whose brightness is changed
    noise: NotBelowZero = 1.5 / 255  # largest standard deviation of the noise added to the blurry frames
    kinds: Annotated[tuple[Kind, ...], Field(min_length=1)] = ("gamma", "linear")
    still: float = Field(default=0.0, ge=0, le=1)  # share of the clips whose camera stands still; objects move
    shutter: Share = (1.0, 1.0)  # share of a frame's time in which the shutter is open; odd numbers of sub-frames

    def windows_for(self, speed: float) -> tuple[int, ...]:
        """The windows whose sub-frames lie close enough at this speed not to be seen singly, or the largest."""
        fine = tuple(window for window in self.windows if speed <= self.step * window)
        return fine or (max(self.windows),)

    def changed(self, settings: dict[str, Any]) -> Recipe:
        """This recipe with some ranges replaced.

        Raises:
            UsageError: no such range (the nearest name is given), or a value that it cannot have.
        """
        for name in settings:
            if name not in Recipe.model_fields:
                raise UsageError(f"the synthesiser has no setting {name!r}. {did_you_mean(name, Recipe.model_fields)}")
        try:
            return Recipe(**{**self.model_dump(), **settings})
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise UsageError(f"the synthesiser's setting {key!r}: {first['msg']} (found {first['input']!r})") from error
