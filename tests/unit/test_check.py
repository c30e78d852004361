"""`check all`: one line a method, and the exit code."""

import json
import sys

import pytest
from click.testing import CliRunner

from deblurbench.backends.load import refuse_other_window
from deblurbench.checks.method import check_method
from deblurbench.cli import catalogue, main
from deblurbench.errors import CardError, UsageError
from deblurbench.methods.base import WindowMethod
from deblurbench.registry.discovery import plugin
from tests.conftest import write_plugin

CODE = """
from deblurbench.methods.base import FrameMethod

class Plugin(FrameMethod):
    def restore_frame(self, frame):
        return frame[:, :-1] if {crops} else frame
"""


@pytest.fixture
def three(plugin_folder, monkeypatch):
    """Only a good, a wrong and a broken method are registered."""
    write_plugin(plugin_folder, "good", CODE.format(crops=False))
    write_plugin(plugin_folder, "wrong", CODE.format(crops=True))
    write_plugin(plugin_folder, "torn", CODE, card="nonsense: 1\n")
    known = catalogue.plugins("methods")
    monkeypatch.setattr(catalogue, "plugins", lambda _: {k: known[k] for k in ("good", "torn", "wrong")})


def check(*words):
    return CliRunner().invoke(catalogue.check, words, standalone_mode=False)


def test_all_prints_a_line_a_method(three):
    done = check("all")
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert list(lines) == ["good", "torn", "wrong"] and done.return_value == 1
    assert lines["good"].startswith("ok") and "skipped" in lines["good"]
    assert lines["torn"].startswith("FAILED") and "card and import" in lines["torn"]
    assert lines["wrong"].startswith("FAILED") and "shape and range" in lines["wrong"]


def test_red_and_blue_changed_over_are_noticed(plugin_folder):
    write_plugin(plugin_folder, "bgr", CODE.replace("frame[:, :-1] if {crops} else frame", "frame.flip(0)"))
    findings = {label: (state, detail) for label, state, detail in check_method("bgr")}
    state, detail = findings["colours in order"]
    assert state == "FAILED" and "came back as [40, 120, 200]: BGR instead of RGB?" in detail


def test_what_is_not_written_yet_is_named(plugin_folder):
    code = "from deblurbench.methods.base import FrameMethod\nclass Plugin(FrameMethod):\n    pass\n"
    write_plugin(plugin_folder, "empty", code)
    findings = {label: detail for label, _, detail in check_method("empty")}
    assert "Plugin has no restore_frame: write it" in findings["shape and range"]


def test_all_in_json_has_every_check(three):
    rows = json.loads(check("all", "--json").stdout)
    assert {row["method"] for row in rows} == {"good", "torn", "wrong"} and len(rows) > 20


def test_all_passes_where_every_method_does(three, monkeypatch):
    good = catalogue.plugins("methods")["good"]
    monkeypatch.setattr(catalogue, "plugins", lambda _: {"good": good})
    assert check("all").return_value == 0


def test_an_unknown_variant_is_a_wrong_word(plugin_folder):
    write_plugin(plugin_folder, "good", CODE.format(crops=False))
    with pytest.raises(UsageError, match=r"'good' has no variant 'defualt'.*'default'"):
        check_method("good", "defualt")


def test_a_method_is_told_its_place(plugin_folder):
    body = "    def place(self, device, precision):\n        self.told = (device, precision)\n"
    body += restoring("return frame if self.told == ('cpu', 'fp32') else None")
    assert "FAILED" not in {state for state, _ in findings(plugin_folder, body).values()}


def findings(folder, body, head="from deblurbench.methods.base import FrameMethod", form="FrameMethod", card=""):
    write_plugin(folder, "tried", f"import sys\nimport torch\n{head}\n\nclass Plugin({form}):\n{body}", card=card)
    return {label: (state, detail) for label, state, detail in check_method("tried")}


def restoring(line):
    return f"    def restore_frame(self, frame):\n        {line}\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("return frame * 255", "does it return [0, 255]?"),
        ("return frame * 2 - 1", "does it return [-1, 1]?"),
        ("return frame * 30 - 15", "values from -10.3"),
    ],
)
def test_values_far_outside_the_range_are_told_with_the_likely_reason(plugin_folder, line, said):
    state, detail = findings(plugin_folder, restoring(line))["shape and range"]
    assert state == "FAILED" and said in detail


@pytest.mark.parametrize("line", ["return 0.5 + (frame - 0.5) * 2", "return frame - 0.1", "return frame * 1.4"])
def test_an_overshoot_is_no_wrong_range(plugin_folder, line):
    assert findings(plugin_folder, restoring(line))["shape and range"] == ("ok", "48x32")


def test_random_weights_may_overshoot(plugin_folder):
    body = "    def __init__(self):\n        self.network = torch.nn.Conv2d(3, 3, 1)\n"
    state, detail = findings(plugin_folder, body + restoring("return frame * 255"))["shape and range"]
    assert state == "ok" and "does it return [0, 255]? Or because its weights are random." in detail


def test_sys_exit_is_told_once(plugin_folder):
    found = findings(plugin_folder, restoring("sys.exit(3)"))
    assert found["shape and range"] == ("FAILED", "the method called sys.exit(3)")
    assert found["odd sizes"] == ("skipped", "fails as 'shape and range' did")
    assert [state for state, _ in found.values()].count("FAILED") == 1


def test_sys_exit_while_it_is_made_is_told(plugin_folder):
    body = "    def __init__(self):\n        sys.exit(3)\n"
    assert findings(plugin_folder, body)["card and import"] == ("FAILED", "the method called sys.exit(3)")


def test_after_a_failed_import_nothing_else_is_tried(plugin_folder):
    found = findings(plugin_folder, restoring("return frame"), head="import a_package_that_is_not_there")
    state, detail = found.pop("card and import")
    assert state == "FAILED" and "pip install a_package_that_is_not_there" in detail
    assert set(found.values()) == {("skipped", "not tried, since 'card and import' failed")}


def test_what_is_missing_is_told_once(plugin_folder):
    found = findings(plugin_folder, "    pass\n")
    assert [label for label, (state, _) in found.items() if state == "FAILED"] == ["shape and range"]


def test_state_in_self_is_no_question_of_causality(plugin_folder):
    body = "    last = 0\n" + restoring("self.last = 0.5 * (frame.mean() + self.last); return frame + self.last")
    found = findings(plugin_folder, body, card="needs: {causal: true}\n")
    assert found["deterministic"] == ("ok", "")
    assert found["no state between clips"][0] == "FAILED" and "state" in found["no state between clips"][1]
    assert found["causal, as the card says"] == ("skipped", "cannot be told, since 'no state between clips' failed")


def test_chance_is_called_chance(plugin_folder):
    found = findings(plugin_folder, restoring("import os; return frame + os.urandom(1)[0] / 999"))
    assert found["deterministic"][0] == "FAILED" and "chance" in found["deterministic"][1]
    assert found["no state between clips"] == ("skipped", "cannot be judged, since 'deterministic' failed")


def test_what_a_seed_decides_is_deterministic(plugin_folder):
    found = findings(plugin_folder, restoring("return frame + 0.1 * torch.rand_like(frame)"))
    assert {found[label][0] for label in ("deterministic", "no state between clips")} == {"ok"}


def test_colours_and_order_of_a_random_network_are_not_judged(plugin_folder):
    body = "    def __init__(self):\n        self.network = torch.nn.Conv2d(3, 3, 3, padding=1)\n"
    found = findings(plugin_folder, body + restoring("return self.network(frame[None])[0]"))
    assert {found[label][0] for label in ("colours in order", "frames in order", "weights load strictly")} == {
        "skipped"
    }
    assert all(
        "random" in found[label][1] for label in ("colours in order", "frames in order", "weights load strictly")
    )


def test_a_module_of_the_plugin_is_not_sought_in_a_registry(plugin_folder):
    head = "try:\n    from .ops import correlation\nexcept ImportError:\n    import correlation\n"
    write_plugin(plugin_folder, "tried", f"{head}{CODE.format(crops=False)}")
    folder = next(plugin_folder.rglob("tried"))
    (folder / "ops").mkdir()
    (folder / "ops" / "correlation.py").write_text("import kernel_compiler\n")
    label, state, detail = check_method("tried")[0]
    assert (label, state) == ("card and import", "FAILED") and "pip install" not in detail
    assert "ops/correlation.py" in detail and "kernel_compiler" in detail


def test_a_torchvision_of_another_torch_is_explained(plugin_folder, monkeypatch):
    folder = plugin_folder.parent / "site"
    (folder / "torchvision").mkdir(parents=True)
    (folder / "torchvision" / "__init__.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    (folder / "torchvision-0.9.0.dist-info").mkdir()
    (folder / "torchvision-0.9.0.dist-info" / "METADATA").write_text("Name: torchvision\nVersion: 0.9.0\n")
    monkeypatch.syspath_prepend(folder)
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    head = "import torchvision\nfrom deblurbench.methods.base import FrameMethod"
    state, detail = findings(plugin_folder, restoring("return frame"), head=head)["card and import"]
    assert state == "FAILED" and "torchvision 0.9.0 does not fit torch" in detail
    assert "--force-reinstall --no-deps 'torchvision==0." in detail


def test_prints_stay_out_of_the_json(plugin_folder, capfd):
    body = restoring("print('loud'); import os; os.write(1, b'louder'); return frame")
    write_plugin(
        plugin_folder, "tried", f"from deblurbench.methods.base import FrameMethod\nclass Plugin(FrameMethod):\n{body}"
    )
    with pytest.raises(SystemExit):
        main.main(["check", "tried", "--json"])
    out, error = capfd.readouterr()
    assert len(json.loads(out)) > 5 and "loud" in error and "louder" in error


ORDERS = {
    "reversed": "yield from [*frames][::-1]",
    "sorted": "yield from sorted(frames, key=lambda frame: float(frame.mean()))",
    "one late": "frames = [*frames]; yield from [*frames[:1], *frames[:-1]]",
    "one early": "frames = [*frames]; yield from [*frames[1:], *frames[-1:]]",
    "all the same": "frames = [*frames]; yield from [frames[0]] * len(frames)",
    "late and noisy": "frames = [*frames]; yield from (f + 0.03 for f in [*frames[:1], *frames[:-1]])",
}


@pytest.mark.parametrize("order", ORDERS)
def test_frames_in_another_order_are_noticed(plugin_folder, order):
    body = f"    def restore(self, frames):\n        {ORDERS[order]}\n"
    state, detail = findings(plugin_folder, body)["frames in order"]
    said = "frames come back 1 " if order.split()[-1] in ("late", "early", "noisy") else "are frames exchanged?"
    assert state == "FAILED" and said in detail


@pytest.mark.parametrize("place", ["0", "-1"])
def test_a_window_around_another_frame_is_noticed(plugin_folder, place):
    body = f"    radius = 2\n    def restore_window(self, frames):\n        return frames[{place}]\n"
    head, card = "from deblurbench.methods.base import WindowMethod", "needs: {window: 2}\n"
    state, detail = findings(plugin_folder, body, head, "WindowMethod", card)["frames in order"]
    assert (state, detail) == ("FAILED", f"frames come back 2 {'late' if place == '0' else 'early'}")


@pytest.mark.parametrize("line", ["frames.mean(0)", "frames.amax(0)", "frames[self.radius] * 1.4"])
def test_mixing_neighbours_or_brightening_leaves_frames_in_order(plugin_folder, line):
    body = f"    radius = 3\n    def restore_window(self, frames):\n        return {line}\n"
    head, card = "from deblurbench.methods.base import WindowMethod", "needs: {window: 3}\n"
    assert findings(plugin_folder, body, head, "WindowMethod", card)["frames in order"] == ("ok", "")


def test_a_state_that_mixes_in_the_frames_before_leaves_frames_in_order(plugin_folder):
    head = "from deblurbench.methods.base import RecurrentMethod"
    body = "    def step(self, frame, state):\n"
    body += "        state = frame if state is None else 0.4 * frame + 0.6 * state\n        return state, state\n"
    assert findings(plugin_folder, body, head, "RecurrentMethod")["frames in order"] == ("ok", "")


def test_the_order_of_an_untrained_method_cannot_be_told(plugin_folder):
    body = "    def __init__(self):\n        self.network = torch.nn.Conv2d(3, 3, 1)\n" + restoring("return frame * 0")
    found = findings(plugin_folder, body, card="trainable: true\n")
    assert found["frames in order"] == found["colours in order"] == ("skipped", "no weights yet: train it")


WINDOW = "    radius = {}\n    def restore_window(self, frames):\n        return frames[self.radius]\n"


@pytest.mark.parametrize(("radius", "told", "fits"), [(1, 1, True), (2, 1, False), (1, 2, False), (2, 0, False)])
def test_card_and_class_tell_the_same_window(plugin_folder, radius, told, fits):
    head, card = "from deblurbench.methods.base import WindowMethod", f"needs: {{window: {told}}}\n"
    found = findings(plugin_folder, WINDOW.format(radius), head, "WindowMethod", card)
    state, detail = found["card and import"]
    assert (state == "ok") == fits
    assert fits or f"needs.window of variant 'default' is {told}, but the class has radius = {radius}" in detail


def test_a_variant_may_have_a_window_of_its_own(plugin_folder):
    head = "from deblurbench.methods.base import WindowMethod"
    card = "needs: {window: 2}\nvariants: {a: {needs: {window: 1}}, b: {}}\n"
    assert findings(plugin_folder, WINDOW.format(1), head, "WindowMethod", card)["card and import"][0] == "ok"
    method = type("Narrow", (WindowMethod,), {"radius": 1})()
    refuse_other_window(plugin("methods", "tried").card, "a", method)
    with pytest.raises(CardError, match="variant 'b' is 2, but the class has radius = 1"):
        refuse_other_window(plugin("methods", "tried").card, "b", method)
