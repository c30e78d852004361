"""`--methods all`: every method that has weights or needs none, and a reason for each other."""

import pytest

from deblurbench.cli.run import say_left_out
from deblurbench.evaluation.plan import left_out, plan_methods
from deblurbench.registry.cards import MethodCard
from deblurbench.registry.discovery import plugins
from deblurbench.training.recipe import read_recipe
from tests.conftest import write_plugin

CODE = """
from deblurbench.methods.base import FrameMethod

class Plugin(FrameMethod):
    def restore_frame(self, frame):
        return frame
"""


def test_every_method_is_planned_or_has_a_reason():
    planned, reasons = {m.card.name for m in plan_methods(["all"], False)}, left_out(["all"])
    assert planned | set(reasons) == set(plugins("methods"))
    assert not planned & set(reasons)
    for name, reason in reasons.items():
        card = plugins("methods")[name].card
        assert isinstance(card, MethodCard) and not card.weights
        if card.opens:
            assert reason.endswith(f"{name}@FILE")
            continue
        assert card.trainable
        assert f"deblurbench train {name}" in reason
        assert read_recipe(card, "quick").initialise is not None


def test_reasons_are_told(capsys):
    say_left_out(["all"])
    told = capsys.readouterr().err
    assert "not run:" in told and all(name in told for name in left_out(["all"]))
    say_left_out(["wiener"])
    assert not capsys.readouterr().err


def test_none_is_left_out_of_a_request_by_name():
    assert left_out(["identity", "wiener"]) == {}
    name = next(iter(left_out(["all"])))
    assert name not in left_out(["all", f"{name}@somewhere"])


def test_a_method_whose_python_is_gone_is_named_with_it(plugin_folder):
    write_plugin(plugin_folder, "lonely", CODE, card="python: ../nowhere\n")
    assert "lonely" not in {m.card.name for m in plan_methods(["all"], False)}
    assert "nowhere does not exist" in left_out(["all"])["lonely"]


def test_a_broken_plugin_is_named_with_its_fault(plugin_folder):
    write_plugin(plugin_folder, "torn", CODE, card="nonsense: 1\n")
    assert "torn" not in {m.card.name for m in plan_methods(["all"], False)}
    assert left_out(["all"])["torn"].startswith("broken: ")


@pytest.mark.parametrize("default", ["", "default: {variant: bare}\n"])
def test_a_default_variant_without_weights_gives_way_to_one_with(plugin_folder, default):
    import hashlib

    place = write_plugin(plugin_folder, "half", CODE, card=(
        f"trainable: true\nvariants: {{bare: {{}}, trained: {{}}}}\n{default}"
        f"weights: [{{tag: t, variant: trained, file: w.safetensors, sha256: {hashlib.sha256(b'x').hexdigest()}}}]\n"
    ))  # fmt: skip
    (place / "w.safetensors").write_bytes(b"x")
    assert "half:trained" in {m.id for m in plan_methods(["all"], False)}
