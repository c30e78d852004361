"""What a path given to --methods becomes: single files, folders, files that a method opens; found without importing."""

import errno
import hashlib
import sys
from pathlib import Path

import pytest

from deblurbench.errors import CardError, MissingError, UsageError
from deblurbench.evaluation.plan import plan_method, plan_methods
from deblurbench.registry.by_path import absolute, find_method, short, split_method
from deblurbench.registry.discovery import plugins

HEAD = "from deblurbench.methods.base import FrameMethod, RecurrentMethod, WindowMethod\n"
FRAME = "class {name}(FrameMethod):\n    def restore_frame(self, frame):\n        return frame\n"
MINE = '"""My own method.\n\nMore about it.\n"""\n' + HEAD + FRAME.format(name="Mine")


@pytest.fixture
def write(tmp_path):
    def writer(text: str, name: str = "my_method.py") -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    return writer


def test_a_file_without_a_card_gets_one_of_its_own(write):
    file = write(MINE, "My Method.py")
    card = find_method(str(file)).card
    assert (card.name, card.title, card.licence, card.kind) == ("my-method", "My own method", "unstated", "image")
    assert card.needs.causal and not card.needs_weights and card.variants.keys() == {"default"}
    assert find_method(str(file)).load().__name__ == "Mine"


@pytest.mark.parametrize(
    ("body", "kind", "window", "causal"),
    [
        ("class A(WindowMethod):\n    radius = 3\n", "window", 3, False),
        ("class A(WindowMethod):\n    radius: int = 1\n", "window", 1, False),
        ("class A(WindowMethod):\n    pass\n", "window", 2, False),
        ("class A(RecurrentMethod):\n    pass\n", "recurrent", 0, True),
        ("from deblurbench.methods.base import Method as Whole\nclass A(Whole):\n    pass\n", "video", 0, False),
        ("import deblurbench.methods.base as base\nclass A(base.FrameMethod):\n    pass\n", "image", 0, True),
        ("class Base(FrameMethod):\n    pass\nclass A(Base):\n    pass\n", "image", 0, True),
    ],
)
def test_the_form_says_what_a_card_would(write, body, kind, window, causal):
    card = find_method(str(write(HEAD + body))).card
    assert (card.entry, card.kind, card.needs.window, card.needs.causal) == ("my_method:A", kind, window, causal)


def test_reading_a_file_runs_nothing_in_it(write, tmp_path):
    file = write(f"open({str(tmp_path / 'ran')!r}, 'w')\nimport a_package_that_is_not_there\n{MINE}")
    assert plan_method(str(file)).id == "my_method" and not (tmp_path / "ran").exists()
    with pytest.raises(CardError, match=r"a_package_that_is_not_there.*pip install a_package_that_is_not_there"):
        find_method(str(file)).load()
    assert (tmp_path / "ran").exists()


CARD = "CARD = {'name': 'other', 'licence': 'MIT', 'needs': {'multiple_of': 8}, 'variants': {'a': {}, 'b': {}}}\n"
YAML = '"""Title.\n\n---\nname: other\nlicence: MIT\nneeds: {multiple_of: 8}\nvariants: {a: {}, b: {}}\n"""\n'


@pytest.mark.parametrize("text", [HEAD + CARD + FRAME.format(name="A"), YAML + HEAD + FRAME.format(name="A")])
def test_a_card_in_the_file_is_taken(write, text):
    file = write(text)
    card = find_method(str(file)).card
    assert (card.name, card.licence, card.needs.multiple_of, card.needs.causal) == ("other", "MIT", 8, True)
    assert plan_method(f"{file}:b").id == "other:b"
    with pytest.raises(UsageError, match="no variant 'c'"):
        plan_method(f"{file}:c")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + FRAME.format(name="A") + FRAME.format(name="B"), "2 methods in one file: A, B.*CARD = {'entry': 'A'}"),
        ("x = 1\n", "no method in it.*FrameMethod.*restore_frame"),
        ("", "no method in it"),
        ("def broken(:\n", "line 1: invalid syntax"),
        ("x = '\0'\n", "not Python"),
        (HEAD + "CARD = dict(name='a')\n" + FRAME.format(name="A"), "line 2: CARD.*must be a literal"),
        (HEAD + "CARD = ['a']\n" + FRAME.format(name="A"), "CARD is a dict of a card's keys, found list"),
        (HEAD + "CARD = {'titel': 'a'}\n" + FRAME.format(name="A"), "titel.*Did you mean 'title'"),
        (HEAD + "CARD = {'entry': 'C'}\n" + FRAME.format(name="A"), "entry names 'C'"),
        (YAML + HEAD + CARD + FRAME.format(name="A"), "keep one of them"),
        (HEAD + "CARD = {'needs': {'range': [0, 255]}}\n" + FRAME.format(name="A"), "networks from outside"),
    ],
)
def test_what_is_no_method_is_told_why(write, text, said):
    file = write(text)
    with pytest.raises(UsageError, match=f"(?s)my_method.py.*{said}"):
        find_method(str(file))


def test_one_of_several_is_chosen_by_the_card(write):
    file = write(HEAD + "CARD = {'entry': 'B'}\n" + FRAME.format(name="A") + FRAME.format(name="B"))
    assert find_method(str(file)).load().__name__ == "B"


def test_a_name_of_the_registry_is_refused(write):
    with pytest.raises(UsageError, match=r"srn\.py: would be called 'srn', as the method in .*Rename it"):
        find_method(str(write(MINE, "srn.py")))


def test_two_files_of_one_name_are_refused(write):
    one, two = write(MINE, "a/mine.py"), write(MINE, "b/mine.py")
    with pytest.raises(UsageError, match="two methods would both be called 'mine'"):
        plan_methods([str(one), str(two)], False)


def test_digests_are_those_of_the_file_and_of_what_it_imports_beside_it(write):
    file = write("from helper import x\n" + MINE)
    helper = write("import further\nx = 1\n", "helper.py")
    further, stranger = write("y = 1\n", "further.py"), write("z = 1\n", "stranger.py")
    record = plan_method(str(file)).record()
    assert record.card_sha256 == hashlib.sha256(file.read_bytes()).hexdigest() and record.source == str(file)
    stranger.write_text("z = 2\n")
    assert plan_method(str(file)).record() == record
    for changed in (helper, further, file):
        before = plan_method(str(file)).record().code_sha256
        changed.write_text(changed.read_text() + "\nchanged = 1\n")
        assert plan_method(str(file)).record().code_sha256 != before
    assert find_method(str(file)).load().__name__ == "Mine"
    sys.path.remove(str(file.parent))


def test_paths_variants_and_weights_are_told_apart(tmp_path, monkeypatch):
    folder = tmp_path / "with @ and : in it"
    folder.mkdir()
    (folder / "m.py").write_text(MINE)
    path = str(folder / "m.py")
    assert split_method(path) == (path, None, None)
    assert split_method(f"{path}:v") == (path, "v", None)
    assert split_method(f"{path}:v@w.safetensors") == (path, "v", "w.safetensors")
    assert split_method("ifirnn:C1H1@runs/x") == ("ifirnn", "C1H1", "runs/x")
    assert split_method("onnx@./net.onnx") == ("onnx@./net.onnx", None, None)
    assert short(f"{path}:v") == "m.py:v" and short("ifirnn@runs/x") == "ifirnn@runs/x"
    monkeypatch.chdir(folder)
    assert absolute("./m.py:v") == f"{path}:v" and absolute("ifirnn@runs/x") == "ifirnn@runs/x"
    for bad in (f"{path}:", f"{path}@", "onnx@", ""):
        with pytest.raises(UsageError, match="is no method"):
            split_method(bad)


def test_a_folder_with_a_card_is_a_method(write):
    write("name: there\nentry: method:A\ntitle: A\n", "there/card.yaml")
    write(HEAD + FRAME.format(name="A"), "there/method.py")
    folder = write("", "there/other").parent
    planned = plan_method(str(folder))
    assert planned.id == "there" and planned.record().source == str(folder)
    assert planned.plugin.load().__name__ == "A"


def test_a_folder_called_as_one_of_the_registry_keeps_its_own_code(write):
    write("name: mine\nentry: method:Identity\ntitle: A\n", "identity/card.yaml")
    write("from .other import Identity\n", "identity/method.py")
    folder = write(HEAD + FRAME.format(name="Identity") + "    mine = True\n", "identity/other.py").parent
    plugins("methods")["identity"].load()
    assert plan_method(str(folder)).plugin.load().mine


def test_a_folder_of_the_registry_is_the_method_itself():
    identity = plugins("methods")["identity"]
    assert find_method(str(identity.folder)) is identity


def test_wrong_paths_say_what_would_be_right(write, tmp_path):
    file = write(MINE)
    with pytest.raises(MissingError, match=r"no such file or folder.*Did you mean 'my_method\.py'"):
        find_method(str(file.with_name("my_metod.py")))
    with pytest.raises(UsageError, match=r"no kind of file.*\.py, a folder with card\.yaml, .*\.onnx \(onnx\)"):
        find_method(str(write("hello", "notes.txt")))
    with pytest.raises(UsageError, match="'deblurbench score'"):
        find_method(str(tmp_path))


def test_an_unreadable_file_is_said(write, monkeypatch):
    file = write(MINE)

    def refuse(path, *words, **more):  # root may read all
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UsageError, match=r"my_method\.py: cannot be read \("):
        find_method(str(file))


def test_a_card_beside_a_file_says_how_it_is_called(write):
    net = write("", "net.onnx")
    plain = find_method(str(net))
    assert (plain.name, plain.reference, plain.opened) == ("net", f"onnx@{net}", net)
    assert find_method(f"onnx@{net}") == plain
    write("title: A net\nneeds: {window: 2, multiple_of: 8}\n", "net.yaml")
    card = find_method(str(net)).card
    assert (card.title, card.kind, card.needs.window, card.needs.causal) == ("A net", "window", 2, False)
    assert card.needs.multiple_of == 8 and card.licence == "unstated"
    record = plan_method(str(net)).record()
    assert record.weights == "net" and record.weights_sha256 == hashlib.sha256(b"").hexdigest()
    write("entry: method:A\n", "net.yaml")
    with pytest.raises(CardError, match=r"net\.yaml: entry is not for a card beside a file"):
        find_method(str(net))


def test_what_opens_files_needs_one(write):
    with pytest.raises(UsageError, match=r"runs files \(\.onnx\); name one"):
        plan_method("onnx")
    with pytest.raises(UsageError, match="holds its weights itself"):
        plan_method(f"{write('', 'net.onnx')}@w.safetensors")


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ("requires: [no-such-package-here>=2]\n", "pip install 'no-such-package-here>=2'"),
        ("requires: [no-such-package-here]\ninstall: make it so\n", "Install it: make it so"),
        ("requires: [no-such-package-here|pyyaml]\n", ""),
        ("requires: ['pyyaml>=5', numpy]\n", ""),
    ],
)  # fmt: skip
def test_missing_packages_are_named_before_anything_runs(write, card, said):
    write(f"name: there\nentry: method:A\ntitle: A\n{card}", "there/card.yaml")
    folder = write(HEAD + FRAME.format(name="A"), "there/method.py").parent
    if not said:
        assert plan_method(str(folder)).id == "there"
        return
    with pytest.raises(MissingError, match=said):
        plan_method(str(folder))
