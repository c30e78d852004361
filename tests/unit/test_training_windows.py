"""Methods that read neighbouring frames: their clips are long enough in training, and in validation."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from deblurbench.datasets.base import Clip, ImageFiles
from deblurbench.errors import UsageError
from deblurbench.methods.base import Method, WindowMethod
from deblurbench.registry.cards import MethodCard, Needs
from deblurbench.registry.discovery import plugin, plugins
from deblurbench.registry.protocol import Protocol
from deblurbench.training.recipe import TrainRequest, read_recipe
from deblurbench.training.setup import _check_length, resolve
from deblurbench.training.validation import first_frames_of, held_out, validate
from tests.fakes import write_frames

WINDOW = Needs(window=1, causal=False)


def recipe(**changed):
    settings = [f"{key}={value}" for key, value in {"validation_frames": 2, "validation_clips": 1, **changed}.items()]
    return read_recipe(plugin("methods", "srn").card, "window", settings)


class Later(Method):
    """Gives each frame's later neighbour; the last one has none."""

    def restore(self, frames):
        window = list(frames)
        yield from [*window[1:], window[-1]]


def test_the_last_frame_that_validation_scores_has_its_later_neighbours(tmp_path):
    frames = [np.full((16, 16, 3), 20 * n, np.uint8) for n in range(9)]
    write_frames(tmp_path / "sharp", frames)
    side = ImageFiles(tuple(sorted((tmp_path / "sharp").iterdir())))
    protocol = Protocol(name="p", leave_out=(4, 1))
    (held,) = first_frames_of([Clip("one", side, side)], protocol, recipe(), WINDOW)
    assert held.scored == (4, 5) and len(held.blurry) == len(held.sharp) == 7
    found = validate(Later(), [held], needs=WINDOW)
    assert found.pooled == pytest.approx(20 * np.log10(255 / 20), abs=1e-6)  # every scored frame differs by a step
    (held,) = first_frames_of([Clip("one", side, side)], protocol, recipe(), Needs(window=1))
    assert len(held.blurry) == 6  # a causal method needs none after


class Endless:
    """A dataset whose clips are black, and as long as they are asked for."""

    def training_source(self, protocol, *, frames, **settings):
        side = torch.zeros(1, frames, 3, 16, 16)
        batch = SimpleNamespace(blurry=side, sharp=side, origin=["made"])
        return SimpleNamespace(batch=lambda number: batch)


def test_synthesised_clips_go_on_after_the_last_frame_scored():
    protocol = Protocol(name="p", leave_out=(4, 1))
    assert [len(held.blurry) for held in held_out(Endless(), protocol, recipe(), WINDOW)] == [7]
    assert [len(held.blurry) for held in held_out(Endless(), protocol, recipe())] == [6]


def test_a_length_in_epochs_and_in_steps_is_refused_where_both_count():
    both = recipe(epochs=2, steps=5)
    files = SimpleNamespace(source=SimpleNamespace(steps_per_epoch=7))
    with pytest.raises(UsageError, match=r"in epochs \(2\) and in steps \(5\).*epochs=null"):
        _check_length(SimpleNamespace(recipe=both, data=files, request=SimpleNamespace(recipe="paper")))
    _check_length(SimpleNamespace(recipe=both, data=SimpleNamespace(source=object())))  # endless: no epochs


def test_clips_without_neighbours_are_refused_and_the_variants_own_recipe_named(tmp_path):
    asked = dict(method="srn", dataset="mini", output=tmp_path)
    with pytest.raises(UsageError, match=r"shows clips of 1 frame, but 'srn:narrow-window' reads 1 .*--recipe window"):
        resolve(TrainRequest(variant="narrow-window", recipe="quick", **asked))
    assert resolve(TrainRequest(variant="narrow-window", recipe="window", **asked))[3].frames > 1
    assert resolve(TrainRequest(variant="narrow", recipe="quick", **asked))[3].frames == 1


def test_every_variants_usual_recipe_is_there_and_has_clips_for_its_window(tmp_path):
    for name, found in plugins("methods").items():
        card = found.card
        for variant in card.variants if isinstance(card, MethodCard) and card.trainable else ():
            told = TrainRequest(
                method=name, variant=variant, dataset="mini", output=tmp_path, recipe=card.variants[variant].recipe
            )
            resolve(told)


def test_every_variant_reads_the_window_that_its_card_tells():
    for name, found in plugins("methods").items():
        card = found.card
        if not isinstance(card, MethodCard) or card.kind != "window" or card.opens or card.network:
            continue
        for variant, chosen in card.variants.items():
            with torch.device("meta"):
                method = found.load()(**chosen.parameters)
            assert isinstance(method, WindowMethod)
            assert method.radius == card.needs_of(variant).window, f"{name}:{variant}"
