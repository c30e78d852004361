"""Write docs/methods.md: `python -m docs.generate.methods [--recount]`.

Everything but the multiply-adds is read from the cards, so a stale page is found, and written anew, without building a
network. The multiply-adds of a variant are counted once and kept in the page; `--recount` counts all of them again.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping
from pathlib import Path

from deblurbench.metrics import METRICS
from deblurbench.registry.cards import MethodCard, Published
from deblurbench.registry.discovery import Plugin, plugins

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docs" / "methods.md"
SIZE = (1280, 720)
NOT_COUNTED = "-"

_HEAD = """# Methods

<!-- Written by `python -m docs.generate.methods`; edit the methods' card.yaml instead. -->

One row a variant; `deblurbench run --methods` takes these names. `deblurbench list methods` lists the same methods,
`deblurbench show NAME` prints a card. Each method's section below has its paper, what was filled in, and where the
paper's numbers come from.

* **Parameters** are those at inference; tests hold each network to its number.
* **Multiply-adds** are for one 1280x720 frame of the steady state, padded as a run pads it: half of the FLOPs that
  torch's counter finds while the method restores frames on the meta device, which computes shapes only. They are exact
  at that size. Normalisation, resizing and additions are not in them; `-` marks what does not run in torch alone.
* **Status** says how a method stands against its paper under a protocol: it `reproduces` the number, it `runs` with
  the paper's layers but another training, or something `differs`.
* **Paper** numbers hold under the protocol named and under no other.

{table}
"""


def page(counts: Mapping[str, int | None]) -> str:
    """The whole document as Markdown, with the multiply-adds of each variant as `count_all` or `stored` give them."""
    parts = [_HEAD.format(table=_table(counts)), *(_section(card) for card in _cards())]
    return "\n".join(parts)


def row_name(card: MethodCard, variant: str) -> str:
    """A variant as `run` and its tables call it: the method's name alone where it has one variant."""
    return f"{card.name}:{variant}" if len(card.variants) > 1 else card.name


def count_all(known: Mapping[str, int | None]) -> dict[str, int | None]:
    """Multiply-adds of every variant by row name, as in `known` or counted; None where nothing can be counted."""
    counts: dict[str, int | None] = {}
    for found in plugins("methods").values():
        card = found.card
        if not isinstance(card, MethodCard):
            continue
        for variant in card.variants:
            name = row_name(card, variant)
            counts[name] = known[name] if name in known else multiply_adds(found, variant)
    return counts


def multiply_adds(found: Plugin, variant: str, size: tuple[int, int] = SIZE) -> int | None:
    """Multiply-adds of one frame of (width, height) in the steady state, counted on the meta device.

    None without a network, and where a method leaves torch (classical filters, optical flow by OpenCV).
    """
    card = found.card
    assert isinstance(card, MethodCard)
    if not card.trainable:
        return None
    needs = card.needs_of(variant)
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from deblurbench.frames.convert import pad_to_multiple

    with torch.inference_mode(), torch.device("meta"):
        method = found.load()(**card.variants[variant].parameters)
        method.network.eval()
        frame = pad_to_multiple(torch.empty(3, size[1], size[0]), needs.multiple_of)
        try:
            walk = iter(method.restore(itertools.repeat(frame)))
            for _ in range(2 + needs.window):
                next(walk)
            with FlopCounterMode(display=False) as counter:
                next(walk)
        except NotImplementedError:  # a meta tensor has no values to hand to another library
            return None
    return round(counter.get_total_flops() / 2)


def stored(text: str) -> dict[str, int | None]:
    """The multiply-adds that a page holds, by row name."""
    counted = {name: cells[5] for name, cells in rows(text).items()}
    return {name: None if cell == NOT_COUNTED else int(cell.replace(",", "")) for name, cell in counted.items()}


def rows(text: str) -> dict[str, list[str]]:
    """The cells of each row of a page's table, by row name."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines]
    return {row[0].strip("`"): row for row in cells}


def _cards() -> list[MethodCard]:
    return [p.card for p in plugins("methods").values() if isinstance(p.card, MethodCard)]


def _table(counts: Mapping[str, int | None]) -> str:
    head = ("method", "title", "year", "kind", "parameters", "multiply-adds", "weights", "status", "paper")
    lines = [f"| {' | '.join(head)} |", "|---|---|---:|---|---:|---:|---|---|---|"]
    lines += [f"| {' | '.join(_row(card, v, counts))} |" for card in _cards() for v in card.variants]
    return "\n".join(lines)


def _row(card: MethodCard, variant: str, counts: Mapping[str, int | None]) -> list[str]:
    name, chosen = row_name(card, variant), card.variants[variant]
    macs, tags = counts.get(name), [f"{w.tag} ({w.origin})" for w in card.weights if w.variant == variant]
    return [
        f"`{name}`",
        f"[{card.title}](#{card.name})",
        str(card.year or "-"),
        card.kind_of(variant),
        f"{chosen.parameter_count:,}" if chosen.parameter_count else "the file's" if card.opens else "none",
        f"{macs:,}" if macs else NOT_COUNTED,
        ", ".join(tags) or card.without_weights,
        ", ".join(f"{protocol}: {status.state}" for protocol, status in card.status.items()) or "-",
        _numbers([p for p in card.paper if p.variant in ("", variant)]) or "-",
    ]


def _numbers(published: list[Published]) -> str:
    by_protocol: dict[str, list[str]] = {}
    for number in published:
        by_protocol.setdefault(number.protocol, []).append(_number(number))
    return "; ".join(f"{protocol}: {', '.join(numbers)}" for protocol, numbers in by_protocol.items())


def _number(published: Published) -> str:
    known = METRICS.get(published.metric)
    value = f"{published.value:.{known.decimals}f}" if known else f"{published.value:g}"
    return f"{published.metric} {value}"


def _section(card: MethodCard) -> str:
    venue = f"{card.venue} {card.year or ''}".strip()
    link = card.url or (f"https://doi.org/{card.doi}" if card.doi else "")
    paper = ". ".join(filter(None, [card.authors.rstrip("."), card.paper_title, venue, f"<{link}>" if link else ""]))
    lines = [f"## {card.name}", "", f"**{card.title}.** {card.summary}".strip(), ""]
    lines += [f"*Paper.* {paper}.", ""] if paper else []
    lines += [f"* `{row_name(card, v)}`: {_variant(card, v)}" for v in card.variants if _variant(card, v)]
    lines += [f"* {protocol}, {status.state}: {_flat(status.note)}" for protocol, status in card.status.items()]
    lines += [f"* {line}" for line in _sources(card)]
    return "\n".join(lines).rstrip() + "\n"


def _variant(card: MethodCard, variant: str) -> str:
    chosen = card.variants[variant]
    ours = "" if chosen.of_the_paper else "not of the paper"
    return "; ".join(filter(None, [_flat(chosen.summary), ours]))


def _sources(card: MethodCard) -> list[str]:
    """Where the paper's numbers come from, and those that are not of a variant of this card."""
    by_source: dict[str, list[Published]] = {}
    for number in card.paper:
        by_source.setdefault(": ".join(filter(None, [number.source, number.note])), []).append(number)
    return [
        f"numbers of {source}: " + "; ".join(f"{n.variant or card.name} {n.protocol} {_number(n)}" for n in numbers)
        for source, numbers in by_source.items()
    ]


def _flat(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    earlier = {} if "--recount" in sys.argv or not FILE.is_file() else stored(FILE.read_text(encoding="utf-8"))
    FILE.write_text(page(count_all(earlier)), encoding="utf-8")
