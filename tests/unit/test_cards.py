"""Cards refuse what they do not know, and say everything that is wrong at once."""

import pytest

from deblurbench.errors import CardError
from deblurbench.registry.cards import DatasetCard, MethodCard
from deblurbench.registry.read_card import read_card

GOOD = "name: a\nentry: method:A\ntitle: A method\n"


def write(tmp_path, text):
    file = tmp_path / "card.yaml"
    file.write_text(text)
    return file


def test_the_least_card(tmp_path):
    card = read_card(write(tmp_path, GOOD), MethodCard)
    assert card.default_variant == "default" and not card.needs_weights


def test_all_faults_at_once_with_their_paths(tmp_path):
    text = GOOD + "year: soon\nneeds: {multiple_of: 0, window: x}\ntitel: typo\nweights: [{tag: t}]\n"
    with pytest.raises(CardError) as error:
        read_card(write(tmp_path, text), MethodCard)
    message = str(error.value)
    for part in ("year", "needs.multiple_of", "needs.window", "titel", "weights.0.sha256", "Did you mean 'title'"):
        assert part in message, message
    assert str(tmp_path / "card.yaml") in message


def test_cards_are_frozen(tmp_path):
    card = read_card(write(tmp_path, GOOD), MethodCard)
    with pytest.raises(Exception, match="frozen"):
        card.name = "b"


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "name: [unclosed", "\x00"])
def test_what_is_no_mapping_is_refused(tmp_path, text):
    with pytest.raises(CardError, match=r"card\.yaml"):
        read_card(write(tmp_path, text), MethodCard)


@pytest.mark.parametrize("name", ["UPPER", "a b", "../x", "", "-a"])
def test_bad_names_are_refused(tmp_path, name):
    with pytest.raises(CardError, match="name"):
        read_card(write(tmp_path, GOOD.replace("name: a", f"name: '{name}'")), MethodCard)


def test_weights_and_default_must_name_a_variant(tmp_path):
    text = GOOD + "variants: {x: {}}\ndefault: {variant: y}\n"
    with pytest.raises(CardError, match="'y'"):
        read_card(write(tmp_path, text), MethodCard)


@pytest.mark.parametrize(
    ("needs", "words"),
    [("{windw: 1}", "needs.windw: no such key. Did you mean 'window'"), ("{window: -1}", "variant 'x', needs.window")],
)
def test_a_variants_own_needs_are_checked(tmp_path, needs, words):
    with pytest.raises(CardError, match=words):
        read_card(write(tmp_path, GOOD + f"variants: {{x: {{needs: {needs}}}}}\n"), MethodCard)


def test_a_variants_own_needs_and_kind_stand_over_the_cards(tmp_path):
    variants = "variants: {x: {}, y: {kind: window, needs: {window: 1, causal: false}}}\n"
    card = read_card(write(tmp_path, GOOD + "kind: image\nneeds: {multiple_of: 8}\n" + variants), MethodCard)
    assert card.needs_of("x") == card.needs and card.kind_of("x") == "image"
    own = card.needs_of("y")
    assert (own.multiple_of, own.window, own.causal) == (8, 1, False) and card.kind_of("y") == "window"


def test_protocols_belong_to_their_dataset(tmp_path):
    text = "name: d\nentry: dataset:D\ntitle: D\nprotocols: [{name: 'other:x'}]\n"
    with pytest.raises(CardError, match="other:x"):
        read_card(write(tmp_path, text), DatasetCard)


def test_unknown_protocol_gets_the_nearest(tmp_path):
    text = "name: d\nentry: dataset:D\ntitle: D\nprotocols: [{name: d}, {name: 'd:linear'}]\n"
    card = read_card(write(tmp_path, text), DatasetCard)
    assert card.protocol(None).name == "d" and card.protocol("linear").name == "d:linear"
    with pytest.raises(CardError, match="Did you mean 'd:linear'"):
        card.protocol("linaer")
