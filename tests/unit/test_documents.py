"""Files from outside: whatever they hold, reading ends soon, with plain values or with one line."""

import json
import os
import struct
import time

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from deblurbench.errors import CardError, DeblurbenchError, UsageError
from deblurbench.methods.weights.files import _look_inside, _told_within, read_story
from deblurbench.registry import discovery
from deblurbench.registry.cards import DatasetCard, MethodCard
from deblurbench.registry.documents import DocumentError, parse_json, parse_yaml, plain, read_bytes, read_yaml
from deblurbench.registry.read_card import make_card, parse_card
from deblurbench.registry.single_file import read_single_file

CARD = "name: wrong\nentry: method:M\ntitle: A method\n"
BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10))
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i}\n  <<: [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10))
HOSTILE = {
    "aliases": (BOMB, "more than"),
    "merged mappings": (MERGES, "more than"),
    "a list that holds itself": ("a: &a [*a]", "holds itself"),
    "a mapping that holds itself": ("a: &a {b: *a}", "holds itself"),
    "brackets": ("[" * 100_000, "nest"),
    "dashes": ("- " * 100_000, "nested"),
    "keys within keys": ("\n".join(" " * i + "a:" for i in range(200)), "nested"),
    "many values": ("a: [" + "1," * 200_000 + "]", "more than"),
    "a long number": ("a: " + "9" * 5000, "limit"),
    "a long hexadecimal number": ("a: 0x" + "f" * 5000, "a: a whole number"),
    "a long number as a key": ("0x" + "f" * 900 + ": 1", "key"),
    "a number of 65 bits": (f"a: {2**64}", "a: a whole number"),
    "not a number": ("a: [1, .nan]", "a.1: nan"),
    "infinity": ("b: {c: -.inf}", "b.c: -inf"),
    "a date by its tag": ("a: !!timestamp 2001-01-01", "type date"),
    "an impossible date by its tag": ("a: !!timestamp 2001-99-99", "month"),
    "a tag that does not fit": ("a: !!int ''", "YAML"),
    "a set": ("a: !!set {b}", "type set"),
    "bytes": ("a: !!binary aGk=", "type bytes"),
    "an object": ("a: !!python/object:os.system {}", "tag"),
    "a key that is a number": ("1: 2", "key"),
    "a key that is a list": ("? [1]\n: 2", "key"),
    "a null byte": ('a: "x\\0"', "U+0000"),
    "an escape": ('"\\e[31m": 1', "U+001B"),
    "two documents": ("a: 1\n---\nb: 2", "document"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_yaml_is_refused_in_one_line_and_soon(kind):
    text, word = HOSTILE[kind]
    start = time.process_time()
    with pytest.raises(DocumentError) as caught:
        parse_yaml(text)
    assert time.process_time() - start < 5
    assert word in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("start: 2001-01-01", {"start": "2001-01-01"}),
        ("summary: 2001-99-99", {"summary": "2001-99-99"}),
        ("a: &a {b: 1}\nc: {<<: *a, d: [*a, *a]}", {"a": {"b": 1}, "c": {"b": 1, "d": [{"b": 1}, {"b": 1}]}}),
        ("", None),
        ("a: 'tab\there, ü, 漢\n  and more'", {"a": "tab\there, ü, 漢 and more"}),
        (f"a: {2**63 - 1}", {"a": 2**63 - 1}),
    ],
)
def test_plain_yaml_is_read(text, value):
    assert parse_yaml(text) == value


@pytest.mark.parametrize(
    "value", [{1}, b"x", 1j, {(1, 2): 3}, {None: 1}, [{"a": ...}], 10**30, "\x1b[0m", float("inf")]
)
def test_what_is_not_plain_is_refused(value):
    with pytest.raises(DocumentError):
        plain({"key": value})


def test_tuples_become_lists_and_records_may_hold_infinite_numbers():
    assert plain({"range": (0, (1.5, None, True))}) == {"range": [0, [1.5, None, True]]}
    assert plain([float("inf")], finite=False) == [float("inf")]


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "9" * 5000, "", '{"a": }', b"\xff"])
def test_json_that_cannot_be_read(text):
    with pytest.raises(DocumentError):
        parse_json(text)


def test_pipes_devices_and_folders_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("pipe", "/dev/zero", "loop", ".", "missing", "null\0byte"):
        with pytest.raises(DocumentError):
            read_bytes(tmp_path / name)


def test_large_files_are_refused(tmp_path):
    (tmp_path / "card.yaml").write_text("a: " + "x" * 2**20)
    with pytest.raises(DocumentError, match="larger than 1048576 bytes"):
        read_yaml(tmp_path / "card.yaml")


@pytest.mark.parametrize("kind", [*HOSTILE, "pipe", "encoding"])
def test_a_hostile_card_breaks_itself_only(plugin_folder, kind):
    wrong, good = plugin_folder / "methods" / "wrong", plugin_folder / "methods" / "good"
    wrong.mkdir()
    good.mkdir()
    (good / "card.yaml").write_text("name: good\nentry: method:M\ntitle: A method\n")
    if kind == "pipe":
        os.mkfifo(wrong / "card.yaml")
    elif kind == "encoding":
        (wrong / "card.yaml").write_bytes(b"title: \xff")
    else:
        (wrong / "card.yaml").write_text(HOSTILE[kind][0])
    found = discovery.plugins("methods")
    assert found["good"].card and "ifirnn" in found
    assert found["wrong"].card is None and str(wrong / "card.yaml") in str(found["wrong"].error)


def test_whatever_the_reader_does_not_foresee_breaks_one_card_only(plugin_folder, monkeypatch):
    def fail(path, model):
        raise KeyError("a fault of the reader")

    (plugin_folder / "methods" / "wrong").mkdir()
    (plugin_folder / "methods" / "wrong" / "card.yaml").write_text(CARD)
    monkeypatch.setattr(discovery, "read_card", fail)
    assert "KeyError: 'a fault of the reader'" in str(discovery.plugins("methods")["wrong"].error)


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ("requires: ['']", ["requires", "no requirement"]),
        ("requires: ['torch=>2']", ["requires", "torch=>2"]),
        ("requires: [1]", ["requires.0"]),
        ("requires: {torch: 2}", ["requires"]),
        ("variants: 5", ["variants"]),
        ("variants: [a]\nnetwork: a:B\nweights: net.pth", ["variants"]),
        ("variants: 5\nnetwork: a:B\nweights: net.pth", ["variants"]),
        ("variants: {a: {parameters: [1]}}", ["variants.a.parameters"]),
        ("variants: {a: {needs: {window: [1]}}}", ["window"]),
        ("needs: {multiple_of: 1000000000}", ["needs.multiple_of"]),
        ("needs: {window: -1}", ["needs.window"]),
        ("weights: {a: 1}\nnetwork: a:B", ["weights"]),
        ("command: [{}]", ["command"]),
        ("recipes: {quick: 5}", ["recipes.quick"]),
        ("\n".join(f"key{n}: 1" for n in range(1000)), ["1000 fault(s)"]),
    ],
)
def test_wrong_types_are_named(tmp_path, card, words):
    with pytest.raises(CardError) as caught:
        make_card(parse_card(CARD.replace("entry: method:M\n" if "network" in card else "?", "") + card,
                             tmp_path / "card.yaml"), tmp_path / "card.yaml", MethodCard)  # fmt: skip
    assert all(word in str(caught.value) for word in [*words, "card.yaml"])
    assert len(str(caught.value).splitlines()) <= 25


def head(value, payload=64):
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return struct.pack("<Q", len(text)) + text + bytes(payload)


WHOLE = {"weight": {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]}}
HEADS = {
    "text for numbers": head({"weight": {"dtype": "F32", "shape": [16], "data_offsets": ["0", "64"]}}),
    "deep": head(b"[" * 100_000 + b"]" * 100_000),
    "no shape": head({"bias": {"dtype": "F32", "data_offsets": [0, 64]}}),
    "a shape of text": head({"bias": {"dtype": "F32", "shape": "16", "data_offsets": [0, 64]}}),
    "a shape below zero": head({"bias": {"dtype": "F32", "shape": [-16], "data_offsets": [0, 64]}}),
    "one offset": head({"bias": {"dtype": "F32", "shape": [16], "data_offsets": [64]}}),
    "true": head({"bias": {"dtype": "F32", "shape": [True], "data_offsets": [0, 64]}}),
    "a list": head([1, 2]),
    "a number": head(b"5" * 5000),
    "a tensor that is text": head({"weight": "x"}),
    "longer than the file": struct.pack("<Q", 2**63) + b"{}" * 50,
    "cut short": head(WHOLE, 60),
}


@pytest.mark.parametrize("kind", HEADS)
def test_a_damaged_header_is_refused(tmp_path, kind):
    file = tmp_path / "w.safetensors"
    file.write_bytes(HEADS[kind])
    with pytest.raises(UsageError, match=r"w\.safetensors"):
        _look_inside(file)
    assert _told_within(file) == {}


@pytest.mark.parametrize("told", [{"trained_on": ["mini"], "note": [1]}, {"method": 5}, {"trained_on": "mini"}, [], 5])
def test_a_damaged_record_is_refused_wherever_it_stands(tmp_path, told):
    file = tmp_path / "w.safetensors"
    file.write_bytes(head({"__metadata__": {"deblurbench": json.dumps(told)}} | WHOLE))
    with pytest.raises(UsageError, match=r"w\.safetensors: its metadata"):
        _told_within(file)
    (tmp_path / "training.json").write_text(json.dumps(told))
    with pytest.raises(UsageError, match=r"training\.json"):
        read_story(tmp_path)


@pytest.mark.parametrize("text", ["[" * 100_000 + "]" * 100_000, '{"steps": ' + "9" * 5000 + "}", "nonsense"])
def test_a_hostile_training_json_is_named(tmp_path, text):
    (tmp_path / "training.json").write_text(text)
    with pytest.raises(UsageError, match=r"training\.json"):
        read_story(tmp_path)


NESTED = {
    "list": f"CARD = {'[' * 90}{']' * 90}\n",
    "brackets": f"x = {'(' * 5000}\n",
    "signs": f"x = {'-' * 50_000}1\n",
}
CODES = ["CARD = {'needs': {1, 2}}\n", "CARD = {'year': 10**5}\n", "CARD = {'a': b'x'}\n", *NESTED.values()]


@pytest.mark.parametrize("code", CODES, ids=["set", "power", "bytes", *NESTED])
def test_a_hostile_python_file_is_named(tmp_path, code):
    file = tmp_path / "mine.py"
    file.write_text(f"from deblurbench.methods.base import FrameMethod\n{code}class M(FrameMethod):\n    pass\n")
    with pytest.raises(UsageError, match=r"mine\.py"):
        read_single_file(file)


# --- chance ------------------------------------------------------------------------------------------------------

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.dates()
KEYS = st.sampled_from(
    [*MethodCard.model_fields, *DatasetCard.model_fields, "file", "tag", "window", "parameters", "x"]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5) | st.sets(st.integers(), max_size=2)
    ),
    max_leaves=12,
)
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(QUICK, max_examples=20_000)


def read_as_a_card(text, place):
    for model in (MethodCard, DatasetCard):
        try:
            make_card(parse_card(text, place), place, model)
        except DeblurbenchError as error:
            assert str(place) in str(error)


def check_any_card(raw, place, noise):
    text = yaml.safe_dump({"name": "m", "entry": "a:B", "title": "x", **raw}, allow_unicode=True)
    cut, insert = noise
    read_as_a_card(text, place)
    read_as_a_card(text[:cut] + insert + text[cut:], place)


def check_any_header(file, value, cut):
    try:
        body = head(json.dumps(value, default=str).encode())
    except ValueError:  # a number that is too long to be written
        return
    for content in (body, body[:cut]):
        file.write_bytes(content)
        for read in (_look_inside, _told_within):
            try:
                read(file)
            except UsageError as error:
                assert file.name in str(error)


CARDS = (
    st.dictionaries(KEYS, VALUES, max_size=6),
    st.tuples(st.integers(0, 300), st.text("{}[]&*!:-\n #'\"a1\0", max_size=4)),
)
HEADERS = (st.dictionaries(st.sampled_from(["__metadata__", "a", "b"]), VALUES | st.fixed_dictionaries(
    {"shape": VALUES, "data_offsets": VALUES, "dtype": st.just("F32")})), st.integers(0, 200))  # fmt: skip


@QUICK
@given(*CARDS)
def test_any_card_is_read_or_named(tmp_path_factory, raw, noise):
    check_any_card(raw, tmp_path_factory.getbasetemp() / "card.yaml", noise)


@QUICK
@given(*HEADERS)
@example({"__metadata__": {"deblurbench": "[]"}}, 3)
def test_any_header_is_read_or_named(tmp_path_factory, value, cut):
    check_any_header(tmp_path_factory.getbasetemp() / "any.safetensors", value, cut)


@QUICK
@given(VALUES)
def test_any_training_json_is_read_or_named(tmp_path_factory, value):
    folder = tmp_path_factory.getbasetemp()
    (folder / "training.json").write_text(json.dumps(value, default=str))
    try:
        assert isinstance(read_story(folder), dict)
    except UsageError as error:
        assert "training.json" in str(error)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@LONG
@given(*CARDS)
def test_any_card_is_read_or_named_for_long(tmp_path_factory, raw, noise):
    check_any_card(raw, tmp_path_factory.getbasetemp() / "card.yaml", noise)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@LONG
@given(*HEADERS)
def test_any_header_is_read_or_named_for_long(tmp_path_factory, value, cut):
    check_any_header(tmp_path_factory.getbasetemp() / "any.safetensors", value, cut)
