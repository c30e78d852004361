"""How far a run has come, and the learning rate there."""

from __future__ import annotations

import math

from deblurbench.training.recipe import Recipe


def position(step: int, steps: int | None, elapsed: float, minutes: float | None) -> float:
    """Share of the run that is done, in [0, 1]: the larger of the shares of steps and of time (seconds elapsed).

    So a schedule given in steps ends with a time budget, too. With a time budget the learning rates depend on the
    machine's speed, and only runs without one are repeatable to the bit.
    """
    done = step / steps if steps else 0.0
    return min(1.0, max(done, elapsed / (60 * minutes) if minutes else 0.0))


def learning_rate(recipe: Recipe, step: int, at: float) -> float:
    """The learning rate of a step at a position in [0, 1] of the run."""
    first, last = recipe.learning_rate, recipe.final_learning_rate
    rate = first
    if recipe.schedule == "halve":
        rate = first * 0.5 ** int(at * (recipe.epochs or 1) / recipe.halve_every)
    elif recipe.schedule == "polynomial":
        rate = last + (first - last) * (1 - at) ** recipe.power
    elif recipe.schedule == "cosine":
        rate = last + (first - last) * 0.5 * (1 + math.cos(math.pi * at))
    return rate * min(1.0, (step + 1) / (recipe.warmup + 1))
