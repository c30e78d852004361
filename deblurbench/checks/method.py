"""The contract tests of a method, for its author: `deblurbench check NAME`.

Every check runs on small synthetic frames on the CPU and is told in one line: ok, FAILED with what was found, or
skipped with the reason.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from deblurbench.backends.base import Elsewhere
from deblurbench.backends.device import reason_of, seed_everything
from deblurbench.backends.own_python import environment_of
from deblurbench.errors import DeblurbenchError, MissingError
from deblurbench.evaluation.restore import restored_frames
from deblurbench.evaluation.settings import Settings
from deblurbench.frames.convert import Frame8
from deblurbench.methods.base import Method
from deblurbench.methods.parameters import how_to_store, put_into_evaluation
from deblurbench.registry.by_path import find_method
from deblurbench.registry.cards import MethodCard

if TYPE_CHECKING:
    import torch

    from deblurbench.backends.load import MethodJob
    from deblurbench.methods.weights.files import WeightsFile

UNTRAINED = "no weights yet: train it"
RANDOM = "cannot be judged: its weights are random, since nobody trained it or named a file"
IMPORT, DETERMINISTIC, NO_STATE = "card and import", "deterministic", "no state between clips"
FAR, OVERSHOOT, SHARE, DARK = 2.0, 0.1, 0.25, 0.25
"""What no overshoot reaches; what it may reach; the share of values that may lie beyond; a mean too low for it."""
LEVELS = (120, 40, 200, 80, 160)
HELD, CLEARLY = 3, 0.5
"""Greys of `frames in order`, how many frames each is held at least, and the share of an error that is clearly less."""
Finding = tuple[str, str, str]


class Skipped(Exception):
    """A check that does not apply, with the reason."""


class Broken(Exception):
    """What a check found that breaks the contract."""


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Broken(otherwise)


def check_method(name: str, variant: str | None = None, weights: str | None = None) -> list[Finding]:
    """Run all contract tests on a method's variant (the default one for None): (check, ok|FAILED|skipped, detail).

    Raises:
        UsageError: no such method or variant; the nearest name is given.
    """
    found = find_method(name)
    card = found.card
    assert isinstance(card, MethodCard)
    if card.opens and found.opened is None:
        return [("card and import", "skipped", f"runs files: check one, {name}@PATH ({', '.join(card.opens)})")]
    subject = _Subject(name, card, card.known_variant(variant), weights)
    for label, check in subject.checks():
        subject.findings.append(_one(label, check, subject.findings))
    return subject.findings


def _one(label: str, check: Callable[[], str], before: list[Finding]) -> Finding:
    """One check's finding. What failed before for the same reason, or made all others impossible, is told once."""
    if _failed(IMPORT, before):
        return label, "skipped", f"not tried, since {IMPORT!r} failed"
    try:
        return label, "ok", check()
    except Skipped as reason:
        return label, "skipped", str(reason)
    except Broken as fault:
        told = str(fault)
    except DeblurbenchError as error:
        told = str(error)
    except (Exception, SystemExit) as error:  # a plugin may raise anything; the author is told what
        told = reason_of(error)
    first = next((other for other, state, detail in before if (state, detail) == ("FAILED", told)), None)
    return (label, "skipped", f"fails as {first!r} did") if first else (label, "FAILED", told)


def _failed(label: str, findings: list[Finding]) -> bool:
    return any(finding[:2] == (label, "FAILED") for finding in findings)


def clip8(frames: int, height: int, width: int, seed: int = 0) -> list[Frame8]:
    """A small moving pattern: `frames` frames of (height, width, 3) uint8."""
    noise = np.random.default_rng(seed).uniform(40, 215, (height // 4 + 16, width // 4 + 16, 3))
    big = noise.repeat(4, axis=0).repeat(4, axis=1)
    return [np.ascontiguousarray(big[t : t + height, 2 * t : 2 * t + width].astype(np.uint8)) for t in range(frames)]


class _Subject:
    """One method under test."""

    def __init__(self, name: str, card: MethodCard, variant: str, weights: str | None) -> None:
        self.name, self.card, self.variant, self.weights = name, card, variant, weights
        self.needs = card.needs_of(variant)
        self.side = max(32, self.needs.min_size, 2 * self.needs.multiple_of)
        self.elsewhere = bool(environment_of(find_method(name)) or card.command)
        self.made: Method | None = None
        self.is_random: bool | None = None
        self.findings: list[Finding] = []

    def checks(self) -> Iterator[tuple[str, Callable[[], str]]]:
        """Every check by its label, in the order they are told."""
        yield IMPORT, self.imports
        yield "weights load strictly", self.loads
        yield "shape and range", self.shape
        yield "odd sizes", self.odd_sizes
        for count in (1, 2, 7):
            yield f"{count} frame(s)", lambda count=count: self.counts(count)  # type: ignore[misc]
        yield "colours in order", self.colours
        yield "frames in order", self.order
        yield DETERMINISTIC, self.deterministic
        yield NO_STATE, self.no_state
        yield "causal, as the card says", self.causal
        yield "one training step lowers the loss", self.trains

    def found_weights(self) -> WeightsFile | None:
        """The weights of the variant, or those asked for; None where it has none yet."""
        from deblurbench.methods.weights.files import find_weights

        try:
            return find_weights(find_method(self.name), self.variant, self.weights)
        except MissingError:
            return None

    def fresh(self) -> Method:
        """A new instance of the method, with its weights where it has any."""
        from deblurbench.backends.load import give_weights

        if self.elsewhere:
            return self.fresh_elsewhere()
        seed_everything(0)
        found = find_method(self.name)
        method: Method = found.load()(**self.card.variants[self.variant].parameters)
        if method.network is not None:
            file = self.found_weights()
            if file:
                give_weights(found, method, file.file)
        if isinstance(method, Method):
            put_into_evaluation(method)
            method.place("cpu", "fp32")
        return method

    def fresh_elsewhere(self) -> Method:
        """The same for a command, or under a Python of its own: made ready as a run does it."""
        from deblurbench.backends.load import load_method

        return load_method(self.job(), "cpu")[0]

    def job(self) -> MethodJob:
        """The method as a run would ask for it."""
        from deblurbench.evaluation.execution.jobs import job_outside_run
        from deblurbench.evaluation.plan import PlannedMethod

        planned = PlannedMethod(self.name, find_method(self.name), self.variant, self.found_weights())
        return job_outside_run(planned, "cpu")

    def restore(self, frames: list[Frame8]) -> list[Frame8]:
        self.made = self.made or self.fresh()
        settings = Settings(device="cpu", multiple_of=self.needs.multiple_of)
        seed_everything(0)  # as before every clip of a run
        return [restored.rounded.frame for restored in restored_frames(self.made, frames, settings)]

    def imports(self) -> str:
        """The class is a Method, and its parameters and its window are those that the card declares."""
        from deblurbench.backends.load import count_parameters, refuse_other_window

        method = self.fresh()
        _require(isinstance(method, Method), f"{type(method).__name__} is no deblurbench.methods.base.Method")
        refuse_other_window(self.card, self.variant, method)
        count = count_parameters(method)
        declared = self.card.variants[self.variant].parameter_count
        _require(declared in (None, count), f"the card says {declared} parameters, the network has {count}")
        hidden = count is None or (self.card.opens and not count)  # what another library runs cannot be counted
        told = "nobody knows how many" if hidden else f"{count:,}"
        return f"{self.card.name}:{self.variant}, {told} parameters"

    def loads(self) -> str:
        """The weights load strictly, where there are any, and no parameters are out of their reach."""
        from deblurbench.backends.load import random_outside

        outside = random_outside(self.job(), self.fresh())
        _require(not outside, how_to_store(outside))
        if not self.card.needs_weights:
            raise Skipped(
                "its weights are random: it loads none, and no file was named" if self.random() else "needs no weights"
            )
        file = self.found_weights()
        if file is None:
            raise Skipped(UNTRAINED)
        self.fresh()
        return file.tag

    def shape(self) -> str:
        """The restored frames have the blurry ones' shapes, and values not far outside [0, 1]."""
        frames = clip8(3, self.side, self.side + 16)
        self.made = self.made or self.fresh()
        with _watched(self.made) as seen:
            restored = self.restore(frames)
        _require([r.shape for r in restored] == [f.shape for f in frames], f"shapes {[r.shape for r in restored]}")
        beyond = _beyond(seen)
        _require(not beyond or self.random(), beyond)
        told = f"; {beyond} Or because its weights are random." if beyond else ""
        return f"{self.side + 16}x{self.side}{told}"

    def random(self) -> bool:
        """Whether the method was tried with random weights."""
        from deblurbench.backends.load import is_random

        if self.is_random is None:
            self.is_random = is_random(self.job(), self.fresh())
        return self.is_random

    def odd_sizes(self) -> str:
        height, width = self.side + 5, self.side + 11
        restored = self.restore(clip8(2, height, width))
        _require(restored[0].shape == (height, width, 3), f"found {restored[0].shape}, expected {(height, width, 3)}")
        return f"{width}x{height}"

    def counts(self, count: int) -> str:
        found = len(self.restore(clip8(count, self.side, self.side)))
        _require(found == count, f"{found} frames came back")
        return ""

    def colours(self) -> str:
        """A frame of one colour comes out nearer to itself than to itself with red and blue changed over."""
        self.skip_untrained()
        frame = np.empty((self.side, self.side, 3), np.uint8)
        frame[:] = (200, 120, 40)
        mean = self.restore([frame])[0].astype(float).mean(axis=(0, 1))
        kept, swapped = abs(mean - frame[0, 0]).sum(), abs(mean - frame[0, 0, ::-1]).sum()
        _require(
            kept <= swapped, f"(200, 120, 40) came back as {mean.round().astype(int).tolist()}: BGR instead of RGB?"
        )
        return ""

    def skip_untrained(self) -> None:
        """Leave out a check of what comes back where nobody has taught the network anything."""
        if self.card.needs_weights and self.found_weights() is None:
            raise Skipped(UNTRAINED)
        if self.random():
            raise Skipped(RANDOM)

    def order(self) -> str:
        """Of constant grey frames the dark ones stay dark and the bright ones bright, at their places."""
        self.skip_untrained()
        held = max(HELD, 2 * self.needs.window + 1)  # in the middle of each a window sees no other level
        given = np.repeat(LEVELS, held)
        restored = self.restore([np.full((self.side, self.side, 3), level, np.uint8) for level in given])
        means = np.array([frame.mean() for frame in restored])
        middle = means[held // 2 :: held]
        told = f"greys {list(LEVELS)} came back as {middle.round().astype(int).tolist()}: are frames exchanged?"
        _require(np.array_equal(np.argsort(middle), np.argsort(LEVELS)), told)
        late = _late(means, given, held // 2)
        _require(not late, f"frames come back {abs(late)} {'late' if late > 0 else 'early'}")
        return ""

    def deterministic(self) -> str:
        """Two instances restore a clip alike, each as its first and from the same seed."""
        _require(
            _equal(*(self.first_pass(clip8(3, self.side, self.side)) for _ in range(2))),
            "two new instances restore the same clip differently from the same seed: chance from elsewhere (the clock, "
            "a generator of its own without a seed), or state outside the object",
        )
        return ""

    def first_pass(self, frames: list[Frame8]) -> list[Frame8]:
        """A clip restored by a new instance, which the checks after this one go on with."""
        if isinstance(self.made, Elsewhere):
            self.made.close()
        self.made = self.fresh()
        return self.restore(frames)

    def no_state(self) -> str:
        """A clip restored after others comes out as it does first."""
        if _failed(DETERMINISTIC, self.findings):
            raise Skipped(f"cannot be judged, since {DETERMINISTIC!r} failed")
        frames = clip8(3, self.side, self.side)
        before = self.first_pass(frames)
        self.restore(clip8(3, self.side, self.side, seed=1))
        _require(
            _equal(before, self.restore(frames)),
            "the result depends on the clips before: state must start anew in restore()",
        )
        return ""

    def causal(self) -> str:
        """Frames do not change when later ones do, where the card claims it."""
        if not self.needs.causal:
            raise Skipped("the card does not claim it")
        unsteady = [label for label in (DETERMINISTIC, NO_STATE) if _failed(label, self.findings)]
        if unsteady:
            raise Skipped(f"cannot be told, since {unsteady[0]!r} failed")
        frames = clip8(5, self.side, self.side)
        changed = [*frames[:3], *clip8(2, self.side, self.side, seed=2)]
        same = [np.array_equal(a, b) for a, b in zip(self.restore(frames), self.restore(changed), strict=True)]
        _require(all(same[:3]), "a frame changes when later frames change; set needs.causal: false")
        return ""

    def trains(self) -> str:
        """A few steps of Adam lower the loss on a small clip."""
        import torch

        if not self.card.trainable:
            raise Skipped("not trainable")
        if self.elsewhere:
            raise Skipped("has a Python of its own, in which nothing is trained")
        method = self.fresh()
        if method.network is None:
            raise Broken("a trainable method sets self.network")
        start = self.card.recipes.get("quick", {}).get("initialise")
        if start and not self.card.weights:
            method.initialise(**start)  # as its own recipe begins
        method.network.train()
        frames = torch.stack([torch.from_numpy(f).permute(2, 0, 1) / 255 for f in clip8(3, self.side, self.side)])[None]
        sharp = (frames * 0.9 + 0.02).float()
        optimiser = torch.optim.Adam(method.network.parameters(), lr=1e-4)
        losses = [_step(method, frames.float(), sharp, optimiser) for _ in range(4)]
        _require(losses[-1] < losses[0], f"the loss went from {losses[0]:.6f} to {losses[-1]:.6f}")
        return f"{losses[0]:.5f} -> {losses[-1]:.5f}"


@contextlib.contextmanager
def _watched(method: Method) -> Iterator[list[torch.Tensor]]:
    """The float frames that a method restores meanwhile, before they are clipped."""
    seen: list[torch.Tensor] = []
    restore = method.restore

    def watching(frames: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
        for restored in restore(frames):
            seen.append(restored)
            yield restored

    method.restore = watching  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        method.restore = restore  # type: ignore[method-assign]


def _beyond(restored: list[torch.Tensor]) -> str:
    """How values lie that are too far outside [0, 1] for an overshoot, with the likely reason; else nothing.

    Of `clip8`'s frames, which hold values from 0.16 to 0.84 around a mean of 0.5.
    """
    import torch

    values = torch.stack([frame.float() for frame in restored])
    lowest, highest, mean = float(values.min()), float(values.max()), float(values.mean())
    told = f"values from {lowest:.3g} to {highest:.3g} with a mean of {mean:.3g}, expected [0, 1] and about 0.5"
    if mean > FAR:
        return f"{told}: does it return [0, 255]?"
    if mean < DARK and float((values < -OVERSHOOT).float().mean()) > SHARE and lowest > -FAR:
        return f"{told}: does it return [-1, 1]?"
    return told if float(((values < -FAR) | (values > 1 + FAR)).float().mean()) > SHARE else ""


def _equal(one: list[Frame8], other: list[Frame8]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def _late(means: np.ndarray, given: np.ndarray, most: int) -> int:
    """By how many frames, at most `most`, restored means fit the given ones clearly better; early ones are negative.

    What mixes neighbours on both sides, or a little of the frames before, fits no other place clearly better.
    """
    places = np.arange(len(given))
    errors = {by: np.abs(means - given[(places - by).clip(0, places[-1])]).sum() for by in range(-most, most + 1)}
    best = min(errors, key=lambda by: errors[by])
    return best if errors[best] < CLEARLY * errors[0] else 0


def _step(method: Method, blurry: torch.Tensor, sharp: torch.Tensor, optimiser: torch.optim.Optimizer) -> float:
    import torch

    torch.manual_seed(0)
    loss = method.loss(blurry, sharp)
    total = loss["total"] if isinstance(loss, dict) else loss
    optimiser.zero_grad()
    total.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    return float(total.detach())
