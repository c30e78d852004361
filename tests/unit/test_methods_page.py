"""docs/methods.md is generated from the cards; a stale one, or one that disagrees with `list`, fails here."""

from __future__ import annotations

import json

from click.testing import CliRunner

from deblurbench.cards import MethodCard
from deblurbench.commands.catalogue import list_plugins
from deblurbench.methods import page
from deblurbench.rooms import plugins

WRITTEN = page.FILE.read_text(encoding="utf-8")
CARDS = {name: found.card for name, found in plugins("methods").items() if isinstance(found.card, MethodCard)}


def test_the_page_is_up_to_date():
    assert page.page(page.stored(WRITTEN)) == WRITTEN, "run: python -m deblurbench.methods.page"


def test_page_and_list_agree():
    listed = json.loads(CliRunner().invoke(list_plugins, ["methods", "--json"], standalone_mode=False).stdout)
    rows, names = page.rows(WRITTEN), []
    for method in listed:
        for variant in filter(None, method["variants"].split(", ")) if method["variants"] else [""]:
            names.append(f"{method['method']}:{variant}" if variant else method["method"])
            cells = rows[names[-1]]
            assert method["title"] in cells[1]
            assert (
                cells[6] == method["weights"]
                or cells[6] == "train it"
                or f"{variant}@{cells[6].split(' ')[0]}" in method["weights"]
            )
    assert names == list(rows)


def test_every_learned_variant_says_how_large_it_is():
    for name, card in CARDS.items():
        for variant, chosen in card.variants.items():
            assert bool(chosen.parameter_count) == card.trainable, f"{name}:{variant}"


def test_multiply_adds_equal_a_count_by_hand():
    """9-1-5 with 64 and 32 channels; and IFI-RNN C2H3 as counted with another tool (188.7 G with F_B once a cell)."""
    counts = page.stored(WRITTEN)
    assert counts["cnn:three"] == 1280 * 720 * (81 * 3 * 64 + 64 * 32 + 25 * 32 * 3)
    assert abs(counts["ifirnn:C2H3"] / 188.7e9 - 1) < 1e-3
    assert counts["wiener:estimated"] is None


def test_a_count_at_a_small_size_is_the_page_s_scaled_by_area():
    small = page.multiply_adds(plugins("methods")["cnn"], "three", (64, 32))
    assert small * 1280 * 720 == page.stored(WRITTEN)["cnn:three"] * 64 * 32
