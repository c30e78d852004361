"""Where the trainings of shipped weights differ from their methods' `paper` recipes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deblurbench.datasets.synthesis.recipe import Recipe as Synthesis
from deblurbench.registry.cards import MethodCard
from deblurbench.training.recipe import Recipe, read_recipe
from docs.generate.training import stored
from docs.generate.training.claims import FREE
from docs.generate.training.markdown import NONE, in_words, plain, table
from docs.generate.training.shipped import Shipped, label, synthesised

_HEAD = """## Where ours differ from the papers', and why figures may

Keys of the recipes in which the trainings whose story was kept differ from the method's `paper` recipe. A key stands
here only where a training uses it. The `paper` recipes are for files; `synth` reads neither `noise` nor `augment`, and
its synthesiser's own noise and augmentation stand here instead. The noise's standard deviation is on the 8-bit scale
and drawn once for each clip; only the blurry side has noise.
"""
USED_BY = {
    "halve_every": ("schedule", ("halve",)),
    "power": ("schedule", ("polynomial",)),
    "final_learning_rate": ("schedule", ("polynomial", "cosine")),
    "kernel_rate": ("optimiser", ("muon",)),
    "loss_floor": ("loss", ("psnr",)),
}
"""Keys that count only under some values of another."""
TOLD_ELSEWHERE = {*FREE, "epochs", "noise", "augment", "protocol"}
EIGHT = "all eight flips and turns by 90 degrees"


def differences(folder: Path, weights: Shipped) -> str:
    """The section: one table a method, then what was written by hand."""
    stories = stored.read_json(folder / stored.TRAININGS, {})
    told = {name: story for name, story in stories.items() if "resolved" in story and name in weights}
    names = [name for name in weights if name in told and "paper" in weights[name][0].recipes]
    parts = [_HEAD]
    for method in dict.fromkeys(weights[name][0].name for name in names):
        ours = [name for name in names if weights[name][0].name == method]
        parts.append(_table(weights[ours[0]][0], {label(*weights[name]): told[name] for name in ours}))
    without = dict.fromkeys(f"`{weights[n][0].name}`" for n in weights if n in told and n not in names)
    parts += [f"There is no `paper` recipe of {in_words(list(without))} to compare with.\n"] if without else []
    silent = [label(*weights[name]) for name in weights if name not in told]
    parts += [f"No story was kept of {in_words(silent)}.\n"] if silent else []
    return "\n".join([*parts, _prose(folder / stored.DIFFERENCES)])


def tried(folder: Path) -> str:
    """What was written by hand about what was tried."""
    return _prose(folder / stored.TRIED)


def _prose(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _table(card: MethodCard, stories: Mapping[str, Mapping[str, Any]]) -> str:
    paper = in_words_of(read_recipe(card, "paper").model_dump(mode="json"))
    ours = {name: of_story(story) for name, story in stories.items()}
    usual = {key: plain(value) for key, value in Recipe().model_dump(mode="json").items()} | paper
    keys = dict.fromkeys(key for used in (paper, *ours.values()) for key in used)
    differing = [key for key in keys if any(key in used and used[key] != usual[key] for used in ours.values())]
    rows = [[key, paper.get(key, NONE), *(used.get(key, NONE) for used in ours.values())] for key in differing]
    return table((f"{card.name}: key", "paper", *ours), rows, right=99)


def of_story(story: Mapping[str, Any]) -> dict[str, str]:
    """The keys that a kept training used, in words."""
    recipe = {**Recipe().model_dump(mode="json"), **story["resolved"]}
    return in_words_of(recipe, story.get("steps"), synthesised(str(story.get("data", ""))))


def in_words_of(recipe: Mapping[str, Any], steps: int | None = None, on_synthesised: bool = False) -> dict[str, str]:
    """The keys of a recipe that a training uses, in words, with its length, noise and augmentation."""
    shown = {key: plain(value) for key, value in recipe.items() if _used(key, recipe, on_synthesised)}
    epochs = recipe.get("epochs") if not on_synthesised else None
    length = f"{epochs} epochs" if epochs else f"{steps} steps" if steps else NONE
    return {"length": length, **shown, **(_synthesisers(recipe) if on_synthesised else _files(recipe))}


def _used(key: str, recipe: Mapping[str, Any], on_synthesised: bool) -> bool:
    if key in TOLD_ELSEWHERE or (on_synthesised and key == "hold_out"):
        return False
    other, values = USED_BY.get(key, ("", ()))
    return not other or recipe[other] in values


def _files(recipe: Mapping[str, Any]) -> dict[str, str]:
    """What `FileSource` does to a clip."""
    noise = f"std \\|N(0, {recipe['noise']:g}²)\\|" if recipe["noise"] else "none"
    return {"noise": noise, "augmentation": EIGHT if recipe["augment"] == "symmetries" else "none"}


def _synthesisers(recipe: Mapping[str, Any]) -> dict[str, str]:
    """What the synthesiser does to a clip."""
    settings = {key: value for key, value in recipe["synthesis"].items() if key != "pool"}
    drawn, pooled = Synthesis().changed(settings), "pool" in recipe["synthesis"]
    turned = f"{EIGHT}, forwards and backwards in time" if pooled else "mirrored left to right only"
    (low, high), share = drawn.gain, drawn.gained
    return {
        "noise": f"std uniform in 0 to {drawn.noise * 255:g}",
        "augmentation": f"{turned}; brightness times {low:g} to {high:g} in {share:.0%} of clips",
    }
