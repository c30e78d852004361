"""docs/methods.md is generated from the cards; a stale one, or one that disagrees with `list`, fails here."""

from __future__ import annotations

import json
import re
from unittest.mock import ANY

from click.testing import CliRunner

from deblurbench.cli.catalogue import list_plugins
from deblurbench.registry.cards import MethodCard
from deblurbench.registry.discovery import plugins
from docs.generate import methods

HEAD = ("method", "title", "year", "kind", "parameters", "multiply-adds", "weights", "status", "paper")
WRITTEN = methods.FILE.read_text(encoding="utf-8")
CARDS = {name: found.card for name, found in plugins("methods").items() if isinstance(found.card, MethodCard)}


def test_the_page_is_up_to_date():
    assert methods.page(methods.stored(WRITTEN)) == WRITTEN, "run: python -m docs.generate.methods"


def test_page_and_list_agree():
    listed = json.loads(CliRunner().invoke(list_plugins, ["methods", "--json"], standalone_mode=False).stdout)
    rows, names = methods.rows(WRITTEN), []
    for method in listed:
        assert list(method["parameters"]) == (method["variants"] or ANY)
        for variant, parameters in method["parameters"].items():
            names.append(f"{method['method']}:{variant}" if method["variants"] else method["method"])
            cells = dict(zip(HEAD, rows[names[-1]], strict=True))
            assert method["title"] in cells["title"]
            assert (cells["year"], cells["kind"]) == (str(method["year"] or "-"), method["kinds"][variant])
            opens = method["without_weights"].startswith("runs ")
            assert cells["parameters"] == (f"{parameters:,}" if parameters else "the file's" if opens else "none")
            assert cells["status"] == (", ".join(f"{p}: {state}" for p, state in method["status"].items()) or "-")
            tag = cells["weights"].split(" ")[0]
            known = ("train it", "needs none", method["without_weights"] if opens else "")
            assert cells["weights"] in known or f"{variant}@{tag}" in method["weights"]
            numbers = [n for n in method["paper"] if n["variant"] in ("", variant)]
            assert (cells["paper"] == "-") == (not numbers)
            assert cells["paper"].count(": ") >= len({n["protocol"] for n in numbers})
            for n in numbers:
                told = re.findall(rf"\b{n['metric']} ([\d.]+)", cells["paper"])
                assert any(abs(float(value) - n["value"]) < 0.006 for value in told), n
        assert f"## {method['method']}\n" in WRITTEN and method["link"] in WRITTEN
    assert names == list(rows)


def test_multiply_adds_are_counted_for_every_variant_that_runs_in_torch_alone():
    counts = methods.stored(WRITTEN)
    for name, card in CARDS.items():
        for variant in card.variants:
            counted = counts[methods.row_name(card, variant)] is not None
            assert counted == (card.trainable and (name, variant) != ("dbn", "flow")), f"{name}:{variant}"


def test_every_learned_variant_says_how_large_it_is():
    for name, card in CARDS.items():
        for variant, chosen in card.variants.items():
            assert bool(chosen.parameter_count) == card.trainable, f"{name}:{variant}"


def test_multiply_adds_equal_a_count_by_hand():
    """9-1-5 with 64 and 32 channels; and IFI-RNN C2H3 as counted with another tool (188.7 G with F_B once a cell)."""
    counts = methods.stored(WRITTEN)
    assert counts["cnn:three"] == 1280 * 720 * (81 * 3 * 64 + 64 * 32 + 25 * 32 * 3)
    assert abs(counts["ifirnn:C2H3"] / 188.7e9 - 1) < 1e-3
    assert counts["wiener:estimated"] is None


def test_a_count_at_a_small_size_is_the_page_s_scaled_by_area():
    small = methods.multiply_adds(plugins("methods")["cnn"], "three", (64, 32))
    assert small * 1280 * 720 == methods.stored(WRITTEN)["cnn:three"] * 64 * 32
