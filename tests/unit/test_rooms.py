"""The registry: where plugins are found, duplicates, broken ones, third-party packages."""

import importlib
import os
import sys

import pytest

from deblurbench import provenance
from deblurbench.errors import CardError, UsageError
from deblurbench.registry import discovery
from deblurbench.registry.cards import MethodCard
from deblurbench.registry.import_plugin import import_module_of, package_of
from deblurbench.registry.scaffold import write_method
from tests.conftest import write_plugin

CODE = """
from deblurbench.methods.base import FrameMethod
class Plugin(FrameMethod):
    def restore_frame(self, frame):
        return frame
"""


def test_the_shipped_plugins_are_found_and_whole():
    for room in ("methods", "datasets", "reports"):
        found = discovery.plugins(room)
        assert found and not [p.error for p in found.values() if p.error]
    assert {"identity", "ifirnn", "srn"} <= set(discovery.plugins("methods"))
    assert {"gopro", "dvd", "reds", "bsd", "folder", "mini", "synth"} <= set(discovery.plugins("datasets"))
    assert {"tables", "gallery"} <= set(discovery.plugins("reports"))


def test_a_private_folder_joins(plugin_folder):
    write_plugin(plugin_folder, "private_one", CODE)
    found = discovery.plugin("methods", "private_one")
    assert isinstance(found.card, MethodCard)
    assert found.load().__name__ == "Plugin"
    assert found.load().__module__ in sys.modules


def test_another_folder_of_the_same_name_runs_its_own_code(tmp_path, monkeypatch):
    for which in ("first", "second"):
        for name in ("moved", "moved_too"):
            code = CODE + "from .helper import WHERE\nPlugin.where = WHERE\n"
            place = write_plugin(tmp_path / which, name, code)
            (place / "helper.py").write_text(f"WHERE = {which!r}\n")
    for which in ("first", "second", "first"):
        monkeypatch.setenv("DEBLURBENCH_PLUGINS", str(tmp_path / which))
        assert [discovery.plugin("methods", name).load().where for name in ("moved", "moved_too")] == [which, which]


def test_two_of_a_name_are_an_error(plugin_folder):
    write_plugin(plugin_folder, "identity", CODE)
    with pytest.raises(CardError, match=r"two methods are called 'identity'.*identity.*identity"):
        discovery.plugins("methods")


def test_a_broken_card_is_listed_and_refused(plugin_folder):
    write_plugin(plugin_folder, "broken_card", CODE, "year: soon\n")
    found = discovery.plugins("methods")["broken_card"]
    assert found.card is None and "year" in (found.error or "")
    with pytest.raises(CardError, match=r"(?s)broken_card.*year"):
        discovery.plugin("methods", "broken_card")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import a_package_that_is_not_there", "a_package_that_is_not_there"),
        ("raise RuntimeError('at import')", "RuntimeError: at import"),
        ("class Other: pass", "Plugin"),
        ("def broken(:", "SyntaxError"),
    ],
)
def test_import_errors_are_never_swallowed(plugin_folder, code, said, request):
    name = f"bad_import_{abs(hash(request.node.name)) % 10**6}"
    write_plugin(plugin_folder, name, code)
    with pytest.raises(CardError, match=said):
        discovery.plugin("methods", name).load()


@pytest.mark.parametrize("name", ["image", "base", "layers", "page", "weights", "method", "torch", "json"])
def test_a_method_may_be_called_as_a_module_is(plugin_folder, name):
    place = write_plugin(plugin_folder, name, CODE + "from .kernel import SIZE\nPlugin.size = SIZE\n")
    (place / "kernel.py").write_text("SIZE = 3\n")
    made = discovery.plugin("methods", name).load()
    assert made.size == 3 and made.__module__.startswith("deblurbench_plugin_")
    assert importlib.import_module("deblurbench.methods.base").FrameMethod in made.__mro__


def test_what_new_method_writes_can_be_imported_whatever_its_name(plugin_folder):
    for kind, name in (("frame", "image"), ("window", "tiling"), ("recurrent", "adapter")):
        write_method(name, kind)
        discovery._scan.cache_clear()
        assert discovery.plugin("methods", name).load()().restore


def test_shipped_plugins_are_the_modules_that_bear_their_names():
    found = discovery.plugin("methods", "ifirnn")
    assert found.module("network") is importlib.import_module("deblurbench.methods.ifirnn.network")


def test_two_folders_of_one_name_stay_apart(tmp_path):
    made = []
    for side in ("one", "two"):
        (tmp_path / side / "mine").mkdir(parents=True)
        (tmp_path / side / "mine" / "__init__.py").write_text(f"SIDE = {side!r}\n")
        (tmp_path / side / "mine" / "part.py").write_text("from . import SIDE\n")
        made.append(import_module_of(tmp_path / side / "mine", "part", "deblurbench.methods").SIDE)
    assert made == ["one", "two"]


def test_a_package_that_fails_to_import_is_tried_again(tmp_path):
    (tmp_path / "__init__.py").write_text("raise RuntimeError('not yet')\n")
    with pytest.raises(RuntimeError, match="not yet"):
        package_of(tmp_path)
    (tmp_path / "__init__.py").write_text("")
    (tmp_path / "part.py").write_text("x = 1\n")
    importlib.invalidate_caches()
    assert import_module_of(tmp_path, "part").x == 1


def test_unknown_names_get_the_nearest():
    with pytest.raises(UsageError, match="Did you mean 'ifirnn'"):
        discovery.plugin("methods", "ifi-rnn")


def test_entry_points_bring_third_party_packages(tmp_path, monkeypatch):
    package = tmp_path / "site" / "some_package"
    write_plugin(package, "third_party", CODE)
    (package / "__init__.py").write_text("")
    info = tmp_path / "site" / "some_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[deblurbench.plugins]\nsome = some_package\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert discovery.plugin("methods", "third_party").load().__name__ == "Plugin"


def test_an_entry_point_whose_package_is_gone_is_told_once_and_left_out(tmp_path, monkeypatch, caplog):
    info = tmp_path / "gone_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gone-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[deblurbench.plugins]\nmine = gone_package.plugins\nyours = gone_too\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert discovery.plugins("reports") and discovery.plugins("methods")
    err = caplog.text
    assert err.count("mine = gone_package.plugins") == 1 and "No module named 'gone_package'" in err
    assert err.count("yours = gone_too") == 1 and "no module gone_too" in err


def test_data_in_a_plugins_folder_count_as_its_code(plugin_folder, monkeypatch):
    entry = f"{{tag: net, variant: default, file: weights/net.pth, sha256: {'ab' * 32}}}"
    folder = write_plugin(plugin_folder, "reading", CODE, f"weights: [{entry}]\n")
    found, digests = discovery.plugin("methods", "reading"), []

    def changes(name: str, content: str = "1") -> bool:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
        digests.append(found.code_digest())
        return digests[-1] not in digests[:-1]

    assert changes("kernel.npy") and changes("kernel.npy", "other") and changes("below/config.json")
    assert changes("_fast.so") and changes("method.py", CODE + "x = 1\n") and changes("weights/unnamed.pth")
    for name in ("card.yaml", "README.md", "weights/net.pth", "__pycache__/method.pyc", ".git/index", "tool.log"):
        assert not changes(name), name
    (folder / "runs" / "one").mkdir(parents=True)
    (folder / "runs" / "one" / "run.json").touch()
    assert not changes("runs/one/scores.csv") and not changes("runs/one/parts/identity/clip.json")
    monkeypatch.setattr(provenance, "LARGE", 5)
    assert changes("large.bin", "123456")
    os.utime(folder / "large.bin", ns=(1, 1))
    assert changes("time.log")  # by the other time, not by the log
    (folder / "gone").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "pipe")
    assert not changes("pipe.log")
