"""The weights that ship and were trained here: which there are, and the page's section that tells how."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from deblurbench.datasets.synthesis.photos import shares
from deblurbench.errors import UsageError
from deblurbench.registry.cards import MethodCard, Weights
from deblurbench.registry.discovery import plugins
from docs.generate.training import stored
from docs.generate.training.markdown import NONE, flat, in_words, table

Shipped: TypeAlias = dict[str, tuple[MethodCard, Weights]]

ASKED_FIRST = ("ifirnn", "srn")
"""The methods that the project's first question is about: everywhere on the page before the others."""

_HEAD = """## The weights

One row a weight file that we trained; `deblurbench run --methods` takes the names. *Validation* is on held-out clips
that the recipe synthesises, whole frames, beside the blurry input's: PSNR as a mean over frames, and of the pooled
squared error, by which the weights were chosen.
"""


def shipped() -> Shipped:
    """All weights of ours that the cards ship, by the name of their evidence; ASKED_FIRST's come first."""
    cards = [p.card for p in plugins("methods").values() if isinstance(p.card, MethodCard)]
    cards.sort(key=lambda card: (not asked_first(card.name), card.name))
    return {
        stored.weights_name(card.name, w.variant, w.tag): (card, w)
        for card in cards
        for w in card.weights
        if w.origin == "ours"
    }


def asked_first(method: str) -> bool:
    """Whether the project's first question is about this method."""
    return method in ASKED_FIRST


def label(card: MethodCard, weights: Weights) -> str:
    """Weights as `--methods` takes them."""
    name = f"{card.name}:{weights.variant}" if len(card.variants) > 1 else card.name
    return f"`{name}@{weights.tag}`"


def marked(card: MethodCard, weights: Weights) -> str:
    """The same, with a remark where the network is not the paper's."""
    return label(card, weights) + ("" if card.variants[weights.variant].of_the_paper else " (not the paper's)")


def parent(weights: Weights, all_weights: Shipped) -> str | None:
    """The name of the weights that a training was started from, where they still ship."""
    told = weights.training.get("started_from") or {}
    return next((n for n, (_, w) in all_weights.items() if told.get("sha256") and w.sha256 == told["sha256"]), None)


def start(card: MethodCard, weights: Weights, all_weights: Shipped) -> str:
    """What a training was started from, in words; empty where it began anew."""
    told = weights.training.get("started_from")
    if not told:
        return ""
    still = parent(weights, all_weights)
    if still:
        return f"from {label(*all_weights[still])}"
    digest = f" (sha256 {told['sha256'][:12]})" if told.get("sha256") else ""
    if told["name"] == Path(weights.file).name:
        return f"from its former weights{digest}"
    place = next((w for w in card.weights if Path(w.file).name == told["name"]), None)
    return f"from former weights of {label(card, place)}{digest}" if place else f"from {told['name']}{digest}"


def synthesised(dataset: str) -> bool:
    """Whether a dataset's clips (`name` or `name:protocol`) are made from photographs, not filmed."""
    found = plugins("datasets").get(dataset.partition(":")[0])
    return found is not None and hasattr(found.load(), "training_source")


def weights_section(folder: Path, weights: Shipped) -> str:
    """The table of the weights, the photographs, and what is particular to each."""
    head = ("weights", "recipe", "data", "device", "seed", "steps", "hours", "validation", "pooled")
    rows = [_row(card, w, weights) for card, w in weights.values()]
    notes = [f"* {label(card, w)}: {flat(w.note)}" for card, w in weights.values() if w.note]
    return "\n".join([_HEAD, table(head, rows, right=4), *photographs(folder), *notes, ""])


def _row(card: MethodCard, w: Weights, weights: Shipped) -> list[str]:
    told, checked = w.training, w.training.get("validation") or {}
    count = told.get("threads")
    threads = f", {count} thread{'s' if count != 1 else ''}" if count else ""
    return [
        marked(card, w),
        ", ".join(filter(None, [w.recipe, *told.get("settings", ()), start(card, w, weights)])),
        ", ".join(w.trained_on) or str(told.get("data", NONE)),
        f"{told.get('device', NONE)}{threads}",
        *(str(told.get(key, NONE)) for key in ("seed", "steps", "hours")),
        *(_beside(checked, *keys) for keys in (("psnr", "identity"), ("pooled", "pooled_identity"))),
    ]


def _beside(checked: dict[str, Any], ours: str, blurry: str) -> str:
    return f"{checked[ours]:.2f} ({checked[blurry]:.2f})" if ours in checked else NONE


def photographs(folder: Path) -> list[str]:
    """Which photographs the clips are made of, and how many of them each share has; nothing where none are told.

    Raises:
        UsageError: photographs.yaml has another form.
    """
    file = folder / stored.PHOTOGRAPHS
    if not file.is_file():
        return []
    try:
        told = yaml.safe_load(file.read_text(encoding="utf-8"))
        names = [str(name) for one in told["folders"].values() for name in one["names"]]
        unfit = set(map(str, told["unfit"]))
        texts = [f"`{name}` ({flat(one['what'])})" for name, one in told["folders"].items()]
        earlier = flat(told["earlier"])
    except (KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise UsageError(f"{file}: must have folders (what, names), unfit and earlier; found {error!r}") from error
    share = shares(names)
    flat_ones = sum(name in unfit for name in share["train"])
    text = (
        f"**Photographs.** The clips are made of photographs in {in_words(texts)}. A photograph's name decides its "
        f"share for good (`deblurbench/datasets/synthesis/photos.py`): of these {len(names)}, "
        f"{len(share['train'])} are for "
        f"training ({flat_ones} of them are too flat and passed over), {len(share['valid'])} for validation, and "
        f"{len(share['test'])}, the test share, are not trained on. {earlier}"
    )
    return [textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False) + "\n"]
