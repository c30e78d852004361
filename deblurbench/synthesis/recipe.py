"""What is varied from clip to clip, and how far."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from deblurbench.errors import UsageError, did_you_mean
from deblurbench.synthesis.exposure import Kind

Range = tuple[float, float]


@dataclass(frozen=True)
class Recipe:
    """Ranges that one clip's parameters are drawn from. Lengths are pixels of the rendered frame."""

    speed: Range = (2.0, 30.0)  # camera path per exposure, log-uniform
    windows: tuple[int, ...] = (7, 9, 11, 13)  # sub-frames averaged
    step: float = 2.5  # largest mean path from sub-frame to sub-frame: fast clips get the longer windows
    twist: Range = (0.0, 0.4)  # displacement by turning and zooming at the crop's corner, as a share of speed
    shrink: Range = (1.0, 2.5)  # photograph pixels per rendered pixel, log-uniform, as far as the photograph is large
    looks: int = 2  # places of a photograph that are looked at; the one with the most detail is taken
    oversample: float = 1.5  # pixels held per rendered pixel and side, so that bilinear sampling stays sharp
    objects: tuple[int, int] = (0, 2)  # how many move in front
    object_size: Range = (0.12, 0.4)  # radius as a share of the frame's shorter side
    object_speed: Range = (0.2, 1.5)  # own path per exposure as a share of the camera's
    edge: Range = (1.0, 4.0)  # width of an object's soft edge
    gain: Range = (0.8, 1.5)  # brightness; what exceeds white is clipped before averaging, as in a camera
    gained: float = 0.5  # share of the clips whose brightness is changed
    noise: float = 1.5 / 255  # largest standard deviation of the noise added to the blurry frames
    kinds: tuple[Kind, ...] = ("gamma", "linear")

    def windows_for(self, speed: float) -> tuple[int, ...]:
        """The windows whose sub-frames lie close enough at this speed not to be seen singly, or the largest."""
        fine = tuple(window for window in self.windows if speed <= self.step * window)
        return fine or (max(self.windows),)

    def changed(self, settings: dict[str, Any]) -> Recipe:
        """This recipe with some ranges replaced (lists become tuples).

        Raises:
            UsageError: no such range; the nearest name is given.
        """
        known = {field.name for field in fields(self)}
        for name in settings:
            if name not in known:
                raise UsageError(f"the synthesiser has no setting {name!r}. {did_you_mean(name, known)}")
        plain = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
        return Recipe(**{**asdict(self), **plain})
