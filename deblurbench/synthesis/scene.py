"""A scene: a photograph behind, soft-edged pieces of photographs in front, and a camera that moves over them.

Coordinates are pixels of the rendered frame with the frame's centre as origin; a layer's own origin is its centre.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from deblurbench.synthesis.dice import Dice
from deblurbench.synthesis.photos import Photo
from deblurbench.synthesis.recipe import Recipe
from deblurbench.synthesis.trajectory import Trajectory, shake

MARGIN = 4  # pixels around what the camera sees, for the bicubic kernel


@dataclass(frozen=True)
class Layer:
    """A picture, (3, h, w) or (4, h, w) with premultiplied colours and alpha, and where it lies at each sub-frame."""

    picture: Tensor
    motion: Trajectory


@dataclass(frozen=True)
class Scene:
    """What the camera sees of one clip: the background, objects from back to front, sub-frames per exposure."""

    background: Layer
    objects: tuple[Layer, ...]
    window: int
    height: int
    width: int
    origin: str

    def __len__(self) -> int:
        """Sub-frames in all."""
        return len(self.background.motion)

    def render(self, first: int, count: int) -> Tensor:
        """Sub-frames `first` to `first + count - 1`: (count, 3, height, width) in [0, 1], in the layers' dtype."""
        span = slice(first, first + count)
        frames = _sample(self.background, span, self.height, self.width, "reflection").clamp_(0, 1)
        for layer in self.objects:
            piece = _sample(layer, span, self.height, self.width, "zeros")
            alpha = piece[:, 3:].clamp_(0, 1)
            frames = torch.addcmul(piece[:, :3], frames, 1 - alpha).clamp_(0, 1)
        return frames


def draw_scene(
    dice: Dice,
    photos: list[Photo],
    recipe: Recipe,
    frames: int,
    height: int,
    width: int,
    dtype: torch.dtype = torch.float32,
) -> Scene:
    """Draw one clip of `frames` exposures from the photographs; everything follows from the dice."""
    window, speed = dice.pick(recipe.windows), dice.log_uniform(*recipe.speed)
    radius = math.hypot(height, width) / 2
    camera = shake(dice, window * frames, window, speed, radius, dice.uniform(*recipe.twist))
    photo = dice.pick(photos)
    gain = dice.log_uniform(*recipe.gain) if dice.chance(recipe.gained) else 1.0
    background = Layer(_background(dice, photo, recipe, camera, height, width, gain, dtype), camera)
    objects = tuple(
        _object(dice, dice.pick(photos), recipe, camera, window, speed, height, width, gain, dtype)
        for _ in range(dice.integer(*recipe.objects))
    )
    origin = f"{photo.name} seed {'/'.join(map(str, dice.key))} window {window} speed {speed:.1f}"
    return Scene(background, objects, window, height, width, origin)


def _background(
    dice: Dice, photo: Photo, recipe: Recipe, camera: Trajectory, height: int, width: int, gain: float, dtype: torch.dtype
) -> Tensor:
    """The part of a photograph that the camera will see, scaled; mirrored at its borders where it is too small."""
    wide, high = camera.reach(width / 2, height / 2)
    box = (2 * math.ceil(high) + 2 * MARGIN, 2 * math.ceil(wide) + 2 * MARGIN)
    return _cut(dice, photo, recipe, box, gain, dtype)


def _object(
    dice: Dice,
    photo: Photo,
    recipe: Recipe,
    camera: Trajectory,
    window: int,
    speed: float,
    height: int,
    width: int,
    gain: float,
    dtype: torch.dtype,
) -> Layer:
    """A blob of a photograph that moves on its own in front of the camera, and with the camera's shake."""
    size = dice.uniform(*recipe.object_size) * min(height, width)
    own = shake(dice, len(camera), window, speed * dice.uniform(*recipe.object_speed), size)
    x, y = dice.uniform(-0.5, 0.5) * width, dice.uniform(-0.5, 0.5) * height
    still = np.zeros(len(camera))
    place = Trajectory(still + x, still + y, still, still)
    side = 2 * math.ceil(size * 1.8)
    picture = _cut(dice, photo, recipe, (side, side), gain, dtype)
    mask = _blob(dice, size, dice.uniform(*recipe.edge), picture)
    return Layer(torch.cat([picture * mask, mask]), place.plus(own).plus(camera, dice.uniform(0.8, 1.4)))


def _cut(dice: Dice, photo: Photo, recipe: Recipe, box: tuple[int, int], gain: float, dtype: torch.dtype) -> Tensor:
    """A random box (height, width) of a photograph as floats, scaled down by a random factor, perhaps mirrored."""
    H, W = photo.pixels.shape[-2:]
    room = max(1.0, min(H / box[0], W / box[1]))
    low = min(recipe.shrink[0], room)
    shrink = dice.log_uniform(low, max(low, min(recipe.shrink[1], room)))
    h, w = min(H, round(box[0] * shrink)), min(W, round(box[1] * shrink))
    y, x = dice.integer(0, H - h), dice.integer(0, W - w)
    piece = photo.pixels[:, y : y + h, x : x + w].to(dtype).mul_(gain / 255.0).clamp_(0, 1)
    piece = shrink_to(piece, min(box[0], round(h / shrink)), min(box[1], round(w / shrink)))
    return piece.flip(-1) if dice.chance(0.5) else piece


def shrink_to(picture: Tensor, height: int, width: int) -> Tensor:
    """Scale (C, h, w) down to (C, height, width) with a triangle filter as wide as the scale needs."""
    down, across = _filter(picture.shape[-2], height, picture), _filter(picture.shape[-1], width, picture)
    return down @ picture @ across.T


def _filter(size: int, wanted: int, like: Tensor) -> Tensor:
    """(wanted, size) weights; each row sums to 1."""
    scale = size / wanted
    centres = (torch.arange(wanted, device=like.device, dtype=like.dtype) + 0.5) * scale - 0.5
    distance = torch.arange(size, device=like.device, dtype=like.dtype)[None] - centres[:, None]
    weights = (1 - distance.abs() / scale).clamp_(min=0)
    return weights / weights.sum(1, keepdim=True)


def _blob(dice: Dice, radius: float, edge: float, like: Tensor) -> Tensor:
    """Alpha (1, h, w) of a smooth random blob about the picture's centre, with an edge `edge` pixels wide."""
    h, w = like.shape[-2:]
    y = torch.arange(h, device=like.device, dtype=like.dtype)[:, None] - (h - 1) / 2
    x = torch.arange(w, device=like.device, dtype=like.dtype)[None] - (w - 1) / 2
    angle, border = torch.atan2(y, x), torch.ones(h, w, device=like.device, dtype=like.dtype)
    for wave in range(1, 6):
        border += dice.uniform(-0.35, 0.35) / wave * torch.cos(wave * angle + dice.uniform(0, 2 * math.pi))
    inside = ((border * radius - torch.hypot(x, y)) / edge + 0.5).clamp_(0, 1)
    rim = torch.minimum((w / 2 - 2 - x.abs()), (h / 2 - 2 - y.abs())).clamp_(0, 1)
    return (inside * inside * (3 - 2 * inside) * rim)[None]


def _sample(layer: Layer, span: slice, height: int, width: int, border: str) -> Tensor:
    """The layer as the camera sees it at each sub-frame of the span: (n, C, height, width), bicubic."""
    picture = layer.picture
    grid = _grid(layer.motion, span, height, width, picture, of_object=border == "zeros")
    many = picture[None].expand(len(grid), -1, -1, -1)
    return F.grid_sample(many, grid, mode="bicubic", padding_mode=border, align_corners=False)


def _grid(motion: Trajectory, span: slice, height: int, width: int, like: Tensor, of_object: bool) -> Tensor:
    """Where each pixel of the frame lies in the layer's picture, in grid_sample's units: (n, height, width, 2)."""
    scale, angle = np.exp(motion.zoom[span]), motion.angle[span]
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    x, y = motion.x[span], motion.y[span]
    if of_object:  # the motion says where the object is, so the frame moves over it the other way
        x, y = -(cos * x - sin * y), -(sin * x + cos * y)
    matrix = np.stack([np.stack([cos, -sin, x], -1), np.stack([sin, cos, y], -1)], 1)
    half = np.array([like.shape[-1], like.shape[-2]])[None, :, None] / 2
    theta = torch.from_numpy(matrix / half).to(like)
    rows = torch.arange(height, device=like.device, dtype=like.dtype) - (height - 1) / 2
    columns = torch.arange(width, device=like.device, dtype=like.dtype) - (width - 1) / 2
    ones = torch.ones(height, width, device=like.device, dtype=like.dtype)
    base = torch.stack([columns.expand(height, width), rows[:, None].expand(height, width), ones], -1)
    return (base.view(1, -1, 3) @ theta.transpose(1, 2)).view(-1, height, width, 2)
