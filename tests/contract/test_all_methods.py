"""Every registered method passes the contract tests that `deblurbench check` runs, with its default variant."""

import pytest

from deblurbench.checks.method import check_method
from deblurbench.registry.cards import MethodCard
from deblurbench.registry.discovery import plugins

HEAVY = 10_000_000


def cases():
    for name, found in plugins("methods").items():
        card = found.card
        counts = card.variants[card.default_variant].parameter_count if isinstance(card, MethodCard) else 0
        yield pytest.param(name, marks=[pytest.mark.slow] if (counts or 0) > HEAVY else [])


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", cases())
def test_contract(name):
    found = plugins("methods")[name]
    assert found.card is not None, found.error
    failed = [f"{label}: {detail}" for label, result, detail in check_method(name) if result == "FAILED"]
    assert not failed, "\n".join(failed)
