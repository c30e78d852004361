"""Every learned method can learn one blurry clip by heart: what is taught arrives, and what is restored shows it.

The clip is a moving photograph and its averages; restoring goes through `restore` in evaluation, as in a run.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from deblurbench.registry.cards import MethodCard
from deblurbench.registry.discovery import plugin, plugins

WANTED = 35.0
AVERAGED = 5


class Setting(NamedTuple):
    """Learning rate, most steps, the clip's side and frames, the variant (default for empty).

    `last` judges the last frame alone, for a method whose loss teaches no other. `falls` lets the rate fall linearly to
    a fiftieth after a fifth of the steps.
    """

    rate: float
    steps: int
    side: int = 32
    frames: int = 3
    variant: str = ""
    last: bool = False
    falls: bool = False


QUICK = {
    "ifirnn": Setting(1e-3, 60),
}
SLOW = {
    "autoencoder": Setting(3e-3, 300),
    "banet": Setting(2e-3, 300),
    "cnn": Setting(3e-3, 1500, side=16),
    "dbn": Setting(1e-3, 300, variant="linear"),
    "deblurganv2": Setting(1e-3, 400, side=64, falls=True),  # its deepest normalisations see too few values of less
    "deepdeblur": Setting(3e-4, 150, side=16),
    "estrnn": Setting(1e-3, 300),
    "mb2d": Setting(1e-3, 300),
    "ovd": Setting(1e-3, 300),
    "radn": Setting(1e-3, 300),
    "rdn": Setting(5e-4, 400, frames=5, last=True),
    "srn": Setting(5e-4, 80, side=16),
}


def clip(frames: int, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Blurry and sharp (1, T, 3, side, side): a photograph that moves by three pixels a frame, one in its exposure."""
    photo = cv2.resize(data.astronaut()[:160, 160:400] / 255, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    blurry, sharp = [], []
    for left in range(10, 10 + 3 * frames, 3):
        fine = [photo[8 : 8 + side, left + k : left + k + side] for k in range(AVERAGED)]
        blurry.append(np.mean(fine, axis=0))
        sharp.append(fine[AVERAGED // 2])
    together = (torch.from_numpy(np.stack(side_)).permute(0, 3, 1, 2)[None].float() for side_ in (blurry, sharp))
    return next(together), next(together)


def psnr(restored: torch.Tensor, sharp: torch.Tensor) -> float:
    return -10 * math.log10(float((restored - sharp).square().mean()))


def overfitted(name: str, setting: Setting) -> tuple[float, float]:
    """PSNR of the clip and of what is restored of it after training on it alone, at most `steps` steps."""
    torch.manual_seed(0)
    found = plugin("methods", name)
    card = found.card
    assert isinstance(card, MethodCard)
    method = found.load()(**card.variants[setting.variant or card.default_variant].parameters)
    method.initialise(**card.recipes["quick"].get("initialise", {}))
    modules = [m for m in (method.network, method.training_only) if m is not None]
    parameters = [p for module in modules for p in module.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=setting.rate)
    blurry, sharp = clip(setting.frames, setting.side)
    reached = 0.0
    for step in range(setting.steps):
        left = (setting.steps - step) / (0.8 * setting.steps)
        slower = min(1.0, max(0.02, left)) if setting.falls else 1.0
        optimiser.param_groups[0]["lr"] = setting.rate * min(1, (step + 1) / 10) * slower
        loss = method.loss(blurry, sharp)
        optimiser.zero_grad()
        (loss["total"] if isinstance(loss, dict) else loss).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        if step % 10 == 9:
            reached = restored_psnr(method, blurry, sharp, setting.last)
            if reached > WANTED:
                break
    return psnr(blurry, sharp), reached


@torch.inference_mode()
def restored_psnr(method, blurry, sharp, last):
    method.network.eval()
    restored = torch.stack(list(method.restore(iter(blurry[0]))))
    method.network.train()
    return psnr(restored[-1], sharp[0, -1]) if last else psnr(restored, sharp[0])


@pytest.mark.parametrize("name", QUICK)
def test_one_clip_is_learned_by_heart(name):
    before, after = overfitted(name, QUICK[name])
    assert before < 30 and after > WANTED


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_one_clip_is_learned_by_heart_slowly(name):
    before, after = overfitted(name, SLOW[name])
    assert before < 30 and after > WANTED


def test_every_learned_method_is_asked():
    learned = {name for name, p in plugins("methods").items() if isinstance(p.card, MethodCard) and p.card.trainable}
    assert learned == {*QUICK, *SLOW}
