"""A scene: a photograph behind, soft-edged pieces of photographs in front, and a camera that moves over them.

A frame's coordinates are its pixels with its centre as origin. The camera maps them to the scene's plane, whose unit
is a pixel, too; every layer maps the plane to its own picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from deblurbench.datasets.synthesis.dice import Dice
from deblurbench.datasets.synthesis.photos import Photo
from deblurbench.datasets.synthesis.recipe import Recipe
from deblurbench.datasets.synthesis.trajectory import Curve, Trajectory, shake

MARGIN = 2  # pixels around what the camera sees
STANDING = 0.01  # speed of a camera that stands still, as a share of what it would be


class Box:
    """Rows and columns of a frame: y0 <= y < y1, x0 <= x < x1."""

    def __init__(self, y0: int, y1: int, x0: int, x1: int) -> None:
        self.y0, self.y1, self.x0, self.x1 = y0, y1, x0, x1

    @property
    def empty(self) -> bool:
        """Whether no pixel is in it."""
        return self.y0 >= self.y1 or self.x0 >= self.x1

    def of(self, frames: Tensor) -> Tensor:
        """That part of (..., H, W), as a view."""
        return frames[..., self.y0 : self.y1, self.x0 : self.x1]


@dataclass(frozen=True)
class Layer:
    """A picture and how the camera sees it.

    picture: (3, h, w), or (4, h, w) with premultiplied colours and alpha. maps: (N, 2, 3), at each sub-frame the
    affine map from a frame's coordinates to those of the layer. oversample: the picture's pixels per unit of these.
    """

    picture: Tensor
    maps: Curve
    oversample: float

    def sample(self, span: slice, box: Box, height: int, width: int, border: str) -> Tensor:
        """The layer at the sub-frames of `span` within `box` of a frame: (n, C, rows, columns), bilinear."""
        grid = self._grid(span, box, height, width)
        many = self.picture[None].expand(len(grid), -1, -1, -1)
        return F.grid_sample(many, grid, mode="bilinear", padding_mode=border, align_corners=False)

    def seen(self, span: slice, height: int, width: int) -> Box:
        """The part of a frame that the picture can touch during `span`."""
        maps = self.maps[span]
        centres = np.linalg.solve(maps[:, :, :2], -maps[:, :, 2:])[:, :, 0] + np.array([width / 2, height / 2])
        scale = np.sqrt(np.linalg.det(maps[:, :, :2])).min()
        reach = math.hypot(*self.picture.shape[-2:]) / 2 / self.oversample / scale + 1
        (x0, y0), (x1, y1) = np.floor(centres.min(0) - reach), np.ceil(centres.max(0) + reach)
        return Box(max(0, int(y0)), min(height, int(y1)), max(0, int(x0)), min(width, int(x1)))

    def _grid(self, span: slice, box: Box, height: int, width: int) -> Tensor:
        """Where each pixel of the box lies in the picture, in grid_sample's units: (n, rows, columns, 2)."""
        like = self.picture
        half = np.array([like.shape[-1], like.shape[-2]])[None, :, None] / (2 * self.oversample)
        theta = torch.from_numpy(self.maps[span] / half).to(like)
        y = torch.arange(box.y0, box.y1, device=like.device, dtype=like.dtype) - (height - 1) / 2
        x = torch.arange(box.x0, box.x1, device=like.device, dtype=like.dtype) - (width - 1) / 2
        points = torch.stack([x.expand(len(y), -1), y[:, None].expand(-1, len(x)), torch.ones_like(y[:, None] * x)])
        grid = theta.view(-1, 3) @ points.view(3, -1)
        return grid.view(-1, 2, len(y), len(x)).permute(0, 2, 3, 1)


@dataclass(frozen=True)
class Scene:
    """What the camera sees of one clip: the background, objects from back to front, sub-frames per exposure."""

    background: Layer
    objects: tuple[Layer, ...]
    window: int
    height: int
    width: int
    origin: str
    opened: int
    """Sub-frames of a window in which the shutter is open: those about its middle, an odd number unless all."""

    def __len__(self) -> int:
        """Sub-frames in all."""
        return len(self.background.maps)

    @property
    def closed(self) -> int:
        """Sub-frames of a window before the shutter opens."""
        return (self.window - self.opened) // 2

    def exposures(self, first: int, count: int) -> Tensor:
        """The sub-frames that exposures `first` to `first + count - 1` let in: (count, opened, 3, height, width)."""
        if count == 1:
            return self.render(first * self.window + self.closed, self.opened)[None]
        every = self.render(first * self.window, count * self.window).unflatten(0, (count, self.window))
        return every[:, self.closed : self.closed + self.opened]

    def render(self, first: int, count: int) -> Tensor:
        """Sub-frames `first` to `first + count - 1`: (count, 3, height, width) in [0, 1], in the layers' dtype."""
        span, whole = slice(first, first + count), Box(0, self.height, 0, self.width)
        frames = self.background.sample(span, whole, self.height, self.width, "reflection")
        for layer in self.objects:
            box = layer.seen(span, self.height, self.width)
            if not box.empty:
                piece = layer.sample(span, box, self.height, self.width, "zeros")
                box.of(frames).mul_(1 - piece[:, 3:]).add_(piece[:, :3])
        return frames.clamp_(0, 1)


def draw_scene(
    dice: Dice,
    photos: list[Photo],
    recipe: Recipe,
    frames: int,
    height: int,
    width: int,
    dtype: torch.dtype = torch.float32,
    behind: Photo | None = None,
) -> Scene:
    """Draw one clip of `frames` exposures from the photographs; everything follows from the dice.

    `behind` is the photograph in the background, where it is not to be drawn.
    """
    speed = dice.log_uniform(*recipe.speed)
    window = dice.pick(recipe.windows_for(speed))
    pace = speed * STANDING if recipe.still and dice.chance(recipe.still) else speed
    camera = shake(dice, window * frames, window, pace, math.hypot(height, width) / 2, dice.uniform(*recipe.twist))
    photo = behind or dice.pick(photos)
    scissors = Scissors(dice, recipe, dtype)
    wide, high = camera.reach(width / 2, height / 2)
    picture = scissors.cut(photo, 2 * math.ceil(high + MARGIN), 2 * math.ceil(wide + MARGIN))
    objects = []
    for _ in range(dice.integer(*recipe.objects)):
        size = dice.uniform(*recipe.object_size) * min(height, width)
        own = shake(dice, window * frames, window, speed * dice.uniform(*recipe.object_speed), size)
        place = dice.uniform(-0.5, 0.5) * width, dice.uniform(-0.5, 0.5) * height
        maps = chain(camera.maps(dice.uniform(0.8, 1.4)), away(own, place))
        objects.append(Layer(scissors.blob(dice.pick(photos), size), maps, recipe.oversample))
    origin = f"{photo.name} seed {'/'.join(map(str, dice.key))} window {window} speed {speed:.1f}"
    background = Layer(picture, camera.maps(), recipe.oversample)
    return Scene(background, tuple(objects), window, height, width, origin, _opened(dice, recipe, window))


def _opened(dice: Dice, recipe: Recipe, window: int) -> int:
    """How many sub-frames of a window are exposed; the dice are thrown only where the recipe leaves a choice."""
    if recipe.shutter == (1.0, 1.0):
        return window
    share = dice.uniform(*recipe.shutter)
    return min(window, 2 * round((share * window - 1) / 2) + 1)


def chain(first: Curve, second: Curve) -> Curve:
    """Affine maps (N, 2, 3): `second` after `first`."""
    linear = second[:, :, :2] @ first[:, :, :2]
    shift = second[:, :, :2] @ first[:, :, 2:] + second[:, :, 2:]
    return np.concatenate([linear, shift], axis=2)


def away(own: Trajectory, place: tuple[float, float]) -> Curve:
    """Maps (N, 2, 3) from the plane to the coordinates of an object that moves on its own about `place`."""
    turned = own.maps(0.0)
    centre = np.stack([own.x + place[0], own.y + place[1]], -1)[:, :, None]
    return np.concatenate([turned[:, :, :2], -turned[:, :, :2] @ centre], axis=2)


class Scissors:
    """Cuts pictures out of photographs, at scales and brightnesses that suit one clip."""

    def __init__(self, dice: Dice, recipe: Recipe, dtype: torch.dtype) -> None:
        self.dice, self.recipe, self.dtype = dice, recipe, dtype
        self.gain = dice.log_uniform(*recipe.gain) if dice.chance(recipe.gained) else 1.0

    def cut(self, photo: Photo, height: int, width: int) -> Tensor:
        """A random box of a photograph that fills (height, width), scaled down at random, perhaps mirrored.

        Smaller where the photograph is too small for it. Float (3, h, w), oversampled.
        """
        dice, (H, W) = self.dice, photo.pixels.shape[-2:]
        room = max(1.0, min(H / height, W / width))
        low = min(self.recipe.shrink[0], room)
        shrink = dice.log_uniform(low, max(low, min(self.recipe.shrink[1], room)))
        h, w = min(H, round(height * shrink)), min(W, round(width * shrink))
        corners = [(dice.integer(0, H - h), dice.integer(0, W - w)) for _ in range(self.recipe.looks)]
        y, x = max(corners, key=lambda corner: photo.busy(corner[0], corner[1], h, w))
        piece = photo.pixels[:, y : y + h, x : x + w].to(self.dtype).mul_(self.gain / 255.0).clamp_(0, 1)
        piece = rescale(piece, shrink, self.recipe.oversample)
        return piece.flip(-1) if dice.chance(0.5) else piece

    def blob(self, photo: Photo, radius: float) -> Tensor:
        """A soft-edged blob of a photograph: float (4, h, w), colours premultiplied by alpha, oversampled."""
        side = 2 * math.ceil(radius * 1.7 + MARGIN)
        picture = self.cut(photo, side, side)
        alpha = self._alpha(radius * self.recipe.oversample, picture)
        return torch.cat([picture * alpha, alpha])

    def _alpha(self, radius: float, like: Tensor) -> Tensor:
        """Alpha (1, h, w) of a random blob about the picture's centre; zero at the picture's rim."""
        dice, (h, w) = self.dice, like.shape[-2:]
        y = torch.arange(h, device=like.device, dtype=like.dtype)[:, None] - (h - 1) / 2
        x = torch.arange(w, device=like.device, dtype=like.dtype)[None] - (w - 1) / 2
        angle = torch.atan2(y, x)
        border = torch.ones_like(angle)
        for wave in range(1, 6):
            border += dice.uniform(-0.3, 0.3) / wave * torch.cos(wave * angle + dice.uniform(0, 2 * math.pi))
        edge = dice.uniform(*self.recipe.edge) * self.recipe.oversample
        inside = ((border * radius - torch.hypot(x, y)) / edge + 0.5).clamp_(0, 1)
        rim = (torch.minimum(w / 2 - 1 - x.abs(), h / 2 - 1 - y.abs()) / edge).clamp_(0, 1)
        return (inside * inside * (3 - 2 * inside) * rim)[None]


def rescale(picture: Tensor, shrink: float, oversample: float) -> Tensor:
    """Low-pass (C, h, w) for pixels `shrink` wide, and sample it `oversample` times as densely as these."""
    h, w = (max(1, round(side / shrink * oversample)) for side in picture.shape[-2:])
    down, across = _filter(picture.shape[-2], h, shrink, picture), _filter(picture.shape[-1], w, shrink, picture)
    return (down @ picture @ across.T).clamp_(0, 1)


def _filter(size: int, wanted: int, shrink: float, like: Tensor) -> Tensor:
    """(wanted, size) weights of a Catmull-Rom kernel, `shrink` pixels to its unit; each row sums to 1."""
    centres = (torch.arange(wanted, device=like.device, dtype=like.dtype) + 0.5) * (size / wanted) - 0.5
    d = (torch.arange(size, device=like.device, dtype=like.dtype)[None] - centres[:, None]).abs_() / shrink
    near, far = (1.5 * d - 2.5) * d * d + 1, ((-0.5 * d + 2.5) * d - 4) * d + 2
    weights = torch.where(d < 1, near, torch.where(d < 2, far, torch.zeros_like(d)))
    return weights / weights.sum(1, keepdim=True)
