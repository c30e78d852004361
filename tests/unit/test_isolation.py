"""A method with a Python environment of its own: the same numbers, and nothing left behind whatever goes wrong."""

import ast
import errno
import json
import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from safetensors.torch import save_file

from deblurbench.backends import own_python, own_python_main
from deblurbench.backends.base import FailedElsewhere
from deblurbench.backends.failures import describe_failure
from deblurbench.backends.load import MethodJob, load_method
from deblurbench.backends.own_python import IsolatedMethod, environment_of
from deblurbench.checks.method import clip8
from deblurbench.errors import CardError, ContractError, FrameError, MissingError, UsageError
from deblurbench.evaluation.execution.events import Ready
from deblurbench.evaluation.execution.jobs import ClipJob
from deblurbench.evaluation.execution.supervisor import Worker, WorkerLost
from deblurbench.evaluation.plan import make_plan, plan_method
from deblurbench.evaluation.restore import restored_frames
from deblurbench.evaluation.settings import Settings
from deblurbench.registry.discovery import plugin
from deblurbench.results.manifest import Request
from deblurbench.runtime import benchmark
from deblurbench.runtime.benchmark import measure
from tests.conftest import ROOT, write_plugin
from tests.unit.test_supervisor import gone

BLOCKED = (
    "pydantic",
    "yaml",
    "click",
    "rich",
    "cv2",
    "safetensors",
    "pandas",
    "matplotlib",
    "numba",
    "skimage",
    "lpips",
)
NETWORK = """
import sys
import torch
from deblurbench.methods.base import RecurrentMethod
from .layers import halves

if "deblurbench.registry.discovery" not in sys.modules:  # a separate environment has none of the harness's packages
    for name in BLOCKED:
        try:
            __import__(name)
        except ImportError:
            continue
        raise SystemExit(f"{name} is there")


class Plugin(RecurrentMethod):
    def __init__(self, width=3):
        self.network = torch.nn.Sequential(torch.nn.Conv2d(3, width, 5, padding=2), torch.nn.Conv2d(width, 3, 1))

    def step(self, frame, state):
        state = frame if state is None else halves(state, frame)
        return torch.sigmoid(self.network(state[None])[0]), state
""".replace("BLOCKED", repr(BLOCKED))
FAULTY = """
import os, signal, time
from pathlib import Path
import torch
from deblurbench.methods.base import Method


class Plugin(Method):
    def __init__(self, notes="", does=""):
        self.notes, self.does = notes, does

    def restore(self, frames):
        Path(self.notes + ".new").write_text(str(os.getpid()))
        os.replace(self.notes + ".new", self.notes)  # the test may be reading
        for position, frame in enumerate(frames):
            dark = float(frame.max()) < 0.1
            if dark and position == 2:
                os.system("sleep 611 &")
                exec(self.does)
            yield frame
"""


DROPS = """
import torch
from deblurbench.methods.base import FrameMethod


class Plugin(FrameMethod):
    def __init__(self):
        self.nets = [torch.nn.Dropout()]

    def restore_frame(self, frame):
        restored = self.nets[0](frame)
        self.nets[0].train()
        return restored
"""


@pytest.fixture(scope="module")
def venv(tmp_path_factory) -> Path:
    """A real environment that sees torch and numpy of ours, and none of deblurbench's other packages."""
    folder = tmp_path_factory.mktemp("environments") / "old torch"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    site = next((folder / "lib").glob("python3*")) / "site-packages"
    (site / "ours.pth").write_text(str(Path(torch.__file__).parent.parent))
    (site / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({BLOCKED!r}))\n")
    return folder


def job(name, **more) -> MethodJob:
    given = {"weights": None, "tile": None, "variant": "default", "output": ""} | more
    return MethodJob(
        id=name, name=name, dataset="mini", data_root=None, split="test", metrics=[], device="cpu", precision="fp32",
        seed=0, **given,
    )  # fmt: skip


def restore(made, frames, multiple_of=1, tile=None):
    method, card = made
    settings = Settings(device="cpu", multiple_of=card.needs.multiple_of, tile=tile)
    return [(restored.rounded.frame, restored.seconds) for restored in restored_frames(method, frames, settings)]


def same(one, two) -> bool:
    return len(one) == len(two) and all(np.array_equal(a, b) for (a, _), (b, _) in zip(one, two, strict=True))


@pytest.fixture
def twins(plugin_folder, venv):
    """`ours` and `theirs`: the same network, here and under the other Python."""
    for name, own in (("ours", ""), ("theirs", f"python: {venv}\n")):
        card = f"{own}trainable: true\nneeds: {{multiple_of: 8}}\nvariants: {{default: {{parameters: {{width: 4}}}}}}\n"
        folder = write_plugin(plugin_folder, name, NETWORK, card)
        (folder / "layers.py").write_text("def halves(a, b):\n    return (a + b) / 2\n")
    return plugin_folder


def faulty(plugin_folder, venv, does, name="faulty"):
    notes = plugin_folder / "pid"
    card = f"python: {venv}\nvariants: {{default: {{parameters: {{notes: '{notes}', does: {json.dumps(does)}}}}}}}\n"
    write_plugin(plugin_folder, name, FAULTY, card)
    return notes


def dark(count):
    return [np.full((16, 16, 3), 9, np.uint8)] * count


def test_the_same_numbers_as_in_our_own_environment(twins, tmp_path):
    torch.manual_seed(1)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 5, padding=2), torch.nn.Conv2d(4, 3, 1))
    weights = tmp_path / "half.safetensors"
    save_file({name: tensor.half() for name, tensor in network.state_dict().items()}, weights)
    frames = clip8(6, 43, 59)
    ours = load_method(job("ours", weights=str(weights)), "cpu")
    theirs = load_method(job("theirs", weights=str(weights)), "cpu")
    assert isinstance(theirs[0], IsolatedMethod) and theirs[0].parameters == sum(
        p.numel() for p in network.parameters()
    )
    found = restore(theirs, frames)
    assert same(found, restore(ours, frames)) and same(found, restore(theirs, frames))
    assert all(0 < seconds < 10 for _, seconds in found)
    assert theirs[0].versions["torch"] == torch.__version__ and theirs[0].peak_memory > 1e7
    smaller = clip8(3, 20, 30)  # another size, in the same process
    assert same(restore(theirs, smaller), restore(ours, smaller))
    theirs[0].close()


def test_tiles_are_cut_there_and_give_the_same(twins):
    frames = clip8(3, 48, 80)
    ours, theirs = (
        load_method(job(name, random_weights=True, tile=tile), "cpu") for name, tile in (("ours", None), ("theirs", 32))
    )
    assert same(restore(theirs, frames), restore(ours, frames, tile=32))
    assert not same(restore(theirs, frames), restore(ours, frames))
    theirs[0].close()


def test_modules_outside_the_network_restore_in_evaluation_there(plugin_folder, venv):
    write_plugin(plugin_folder, "drops", DROPS, f"python: {venv}\n")
    made, (frame,) = load_method(job("drops"), "cpu"), clip8(1, 20, 30)
    assert all(np.array_equal(restore(made, [frame])[0][0], frame) for _ in range(2))
    made[0].close()


@pytest.mark.parametrize("where", ["os.posix_fallocate", "mmap.mmap"])
def test_without_memory_for_frames_the_clip_fails_and_the_next_one_is_restored(plugin_folder, venv, monkeypatch, where):
    def short(*_):
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    write_plugin(plugin_folder, "drops", DROPS, f"python: {venv}\n")
    made, frames = load_method(job("drops"), "cpu"), clip8(2, 20, 30)
    with monkeypatch.context() as patched, pytest.raises(FailedElsewhere) as failed:
        patched.setattr(where, short)
        restore(made, frames)
    found = describe_failure(failed.value)
    assert found["kind"] == "no room" and found["reason"].startswith("out of memory: no room for 0 MB of frames")
    assert "(Cannot allocate memory). End what else takes memory" in found["reason"]
    assert len(restore(made, frames)) == 2
    made[0].close()


def test_it_is_recorded_and_part_of_what_decides(twins, venv, monkeypatch):
    plan = make_plan(Request(methods=["theirs"], dataset="mini", limit=1, random_weights=True))
    method = plan.methods[1]
    told = method.record().environment
    assert told["executable"] == str(venv / "bin" / "python") and told["torch"] == torch.__version__
    assert {"python", "numpy"} <= told.keys()
    key = plan.key(method, plan.clips[0])["environment"]
    assert key["torch"] == torch.__version__ and "executable" not in key
    assert environment_of(plugin("methods", "ours")) == {}
    monkeypatch.setenv("DEBLURBENCH_PYTHON", f"other=/nowhere:ours={venv}")
    assert plan_method("ours", random_weights=True).environment == told


def test_a_crash_there_costs_its_clip_only(plugin_folder, venv):
    notes = faulty(plugin_folder, venv, "os.kill(os.getpid(), signal.SIGSEGV)")
    made = load_method(job("faulty"), "cpu")
    with pytest.raises(FailedElsewhere, match="SIGSEGV") as failed:
        restore(made, dark(5))
    first = int(notes.read_text())
    assert failed.value.kind == "crashed" and gone(first)
    assert len(restore(made, clip8(4, 16, 16))) == 4
    assert int(notes.read_text()) != first

    def damaged():
        yield from clip8(1, 16, 16)
        raise FrameError("half a file")

    with pytest.raises(FrameError, match="half a file"):
        restore(made, damaged())
    assert gone(int(notes.read_text())) and not _sleepers()


@pytest.mark.parametrize(
    ("does", "told"),
    [
        ("raise ValueError('on purpose')", "raised.*ValueError: on purpose.*Traceback.*method.py"),
        ("raise SystemExit(3)", r"left the method called sys\.exit\(3\)"),
        (
            "from deblurbench.methods.base import _pair; _pair(frame)",
            r"invalid output step must return \(frame, state\)",
        ),
        ("frame.resize_(3, 5, 16)", r"invalid output.*frame 3: the method yields \(3, 5, 16\)"),
    ],
)
def test_failures_are_told_as_everywhere(plugin_folder, venv, does, told):
    faulty(plugin_folder, venv, does)
    with pytest.raises((FailedElsewhere, ContractError)) as failed:
        restore(load_method(job("faulty"), "cpu"), dark(5))
    found = describe_failure(failed.value)
    assert re.search(told, " ".join((found["kind"], found["reason"], found["traceback"])), re.DOTALL), found


def _sleepers() -> list[psutil.Process]:
    """What the method's `sleep 611 &` started and is still there (it has our session's folder no more)."""
    time.sleep(0.5)
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        if process.info["cmdline"] == ["sleep", "611"] and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def test_a_hang_and_a_killed_worker_leave_no_process(plugin_folder, venv, tmp_path):
    notes = faulty(plugin_folder, venv, "time.sleep(600)")
    (method := plugin_folder / "methods" / "faulty" / "method.py").write_text(
        method.read_text().replace("if dark and position == 2", "if position == 2")
    )
    worker = Worker(job("faulty", output=str(tmp_path / "run")), tmp_path / "log", timeout=120)
    assert isinstance(worker.ready(), Ready), (tmp_path / "log").read_text()
    worker.timeout = 5.0
    worker.start(ClipJob(clip="astronaut-far", frames=4, scored=[], saved=[], key={}))
    with pytest.raises(WorkerLost) as lost:
        while True:
            worker.next_event()
    assert lost.value.kind == "timeout"
    assert gone(int(notes.read_text())) and not _sleepers()


def test_two_thousand_frames_need_no_more_memory_than_a_hundred(plugin_folder, venv):
    write_plugin(
        plugin_folder,
        "plain",
        FAULTY,
        f"python: {venv}\nvariants: {{default: {{parameters: {{notes: {os.devnull}}}}}}}\n",
    )
    made = load_method(job("plain"), "cpu")
    given = 0

    def endless(count):
        nonlocal given
        for _ in range(count):
            given += 1
            yield bright

    bright = np.full((64, 64, 3), 200, np.uint8)
    assert len(restore(made, endless(100))) == 100
    before, given, ahead = made[0].peak_memory, 0, 0
    settings = Settings(device="cpu")
    for position, _ in enumerate(restored_frames(made[0], endless(2000), settings), start=1):
        ahead = max(ahead, given - position)
    assert position == 2000 and ahead <= 2 * own_python.SLOTS + 1
    assert made[0].peak_memory - before < 2_000_000  # 2000 frames are 98 MB as floats
    made[0].close()


def test_what_is_wrong_with_an_environment(plugin_folder, tmp_path):
    write_plugin(plugin_folder, "lost", FAULTY, "python: venvs/lost\n")
    place = plugin_folder / "methods" / "lost" / "venvs" / "lost"

    def fault(kind=MissingError) -> str:
        own_python.probe.cache_clear()
        with pytest.raises(kind) as error:
            plan_method("lost")
        assert "'lost'" in str(error.value) or str(place) in str(error.value)
        return str(error.value)

    text = fault()
    assert "does not exist" in text and f"python3 -m venv {place}" in text and "DEBLURBENCH_PYTHON=lost=PATH" in text
    place.mkdir(parents=True)
    assert "without bin/python" in fault()
    python = place / "bin" / "python"
    python.parent.mkdir()
    for answer, expected, kind in (
        ("echo hello", "does not run as a Python interpreter", MissingError),
        ("""echo '{"python": "3.7.2", "torch": "1.4"}'""", "has Python 3.7.2; 3.9 or newer is needed", UsageError),
        ("""echo '{"python": "3.12.1", "numpy": "2"}'""", "(Python 3.12.1) has no torch", MissingError),
    ):
        python.write_text(f"#!/bin/sh\n{answer}\n")
        python.chmod(python.stat().st_mode | stat.S_IXUSR)
        assert expected in fault(kind)


def test_a_setting_that_is_none(monkeypatch, plugin_folder):
    write_plugin(plugin_folder, "plain", FAULTY)
    monkeypatch.setenv("DEBLURBENCH_PYTHON", "/just/a/path")
    with pytest.raises(UsageError, match="METHOD=PATH"):
        plan_method("plain")


def test_an_environment_in_the_methods_folder_is_no_code_of_it(plugin_folder):
    from deblurbench.provenance import folder_digest

    folder = write_plugin(plugin_folder, "plain", FAULTY)
    before = folder_digest(folder)
    (folder / "venv" / "lib").mkdir(parents=True)
    (folder / "venv" / "pyvenv.cfg").touch()
    (folder / "venv" / "lib" / "other.py").write_text("x = 1")
    assert folder_digest(folder) == before
    (folder / "other.py").write_text("x = 1")
    assert folder_digest(folder) != before


@pytest.mark.parametrize(
    "name",
    [
        "backends/own_python_main.py",
        "backends/device.py",
        "backends/random_weights.py",
        "registry/import_plugin.py",
        "text.py",
        "methods/tiling.py",
        "frames/convert.py",
        "errors.py",
        "methods/base.py",
        "methods/layers.py",
        "methods/adapter.py",
    ],
)
def test_what_runs_there_is_python_3_9(name):
    tree = ast.parse((ROOT / "deblurbench" / name).read_text(), feature_version=(3, 9))
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        assert not any(word.arg == "strict" for word in call.keywords if getattr(call.func, "id", "") == "zip")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance":
            assert not isinstance(node.args[1], ast.BinOp), "isinstance(x, A | B) is of Python 3.10"
    futures = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    assert futures, "X | None is an annotation of Python 3.10"


NET = """
import torch


class Net(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        self.a, self.b = torch.nn.Conv2d(15, width, 3, padding=1), torch.nn.Conv2d(width, 3, 1)

    def forward(self, frames):
        return [self.b(self.a(frames)), None]
"""


def test_a_network_by_a_card_alone_with_a_checkpoint(plugin_folder, venv, tmp_path):
    torch.manual_seed(2)
    needs = "needs: {window: 2, causal: false, stack: channels, range: [-1, 1], colours: bgr, output: 0}\n"
    network = "network: oldrepo.net:Net\nvariants: {default: {parameters: {width: 4}}}\nweights: net.pth\n"
    shapes = {"a.weight": (4, 15, 3, 3), "a.bias": (4,), "b.weight": (3, 4, 1, 1), "b.bias": (3,)}
    state = {f"module.{key}": torch.randn(shape) / 8 for key, shape in shapes.items()}
    for name, own in (("ours", ""), ("theirs", f"python: {venv}\n")):
        folder = write_plugin(plugin_folder, name, "")
        (folder / "card.yaml").write_text(f"name: {name}\ntitle: x\n{network}{needs}{own}")
        (folder / "oldrepo").mkdir()
        (folder / "oldrepo" / "net.py").write_text(NET)
        torch.save({"state_dict": state}, folder / "net.pth")
    planned = [plan_method(name) for name in ("ours", "theirs")]
    made = [load_method(job(each.id, weights=str(each.weights.file)), "cpu") for each in planned]
    frames = clip8(4, 20, 28)
    assert isinstance(made[1][0], IsolatedMethod) and same(*(restore(one, frames) for one in made))
    made[1][0].close()


def test_a_single_file_whose_weights_would_be_random(plugin_folder, venv, tmp_path, monkeypatch):
    file = tmp_path / "alone.py"
    file.write_text(NETWORK.replace("from .layers import halves", "halves = lambda a, b: (a + b) / 2"))
    monkeypatch.setenv("DEBLURBENCH_PYTHON", f"alone={venv}")
    with pytest.raises(MissingError, match="random weights, and these are not scored"):
        load_method(job(str(file)), "cpu")
    with pytest.raises(UsageError, match=r"bench measures all methods in one process"):
        measure([plan_method(str(file))], [(8, 8)], benchmark.Settings(device="cpu"))


def test_a_network_outside_and_another_window_are_refused_there_too(plugin_folder, venv):
    code = (
        "import torch\nfrom deblurbench.methods.base import WindowMethod\nclass Plugin(WindowMethod):\n    radius = 1\n"
        "    def __init__(self):\n        self.net = torch.nn.Conv2d(3, 3, 1)\n"
    )
    write_plugin(plugin_folder, "hides", code, card=f"python: {venv}\nneeds: {{window: 1}}\n")
    write_plugin(plugin_folder, "wider", code, card=f"python: {venv}\nneeds: {{window: 2}}\n")
    with pytest.raises(UsageError, match=r"parameters in self\.net, outside self\.network"):
        load_method(job("hides"), "cpu")
    made = load_method(job("hides", random_weights=True), "cpu")[0]
    assert made.parameters == 12 and made.outside == ["self.net"]
    made.close()
    with pytest.raises(CardError, match=r"needs\.window of variant 'default' is 2, but the class has radius = 1"):
        load_method(job("wider"), "cpu")


def test_weights_that_do_not_fit_are_told(twins, tmp_path):
    weights = tmp_path / "other.safetensors"
    save_file({"weight": torch.zeros(1), "empty": torch.zeros(0), "scalar": torch.tensor(2.5)}, weights)
    read = own_python_main.read_safetensors(str(weights))
    assert read["scalar"] == 2.5 and read["empty"].shape == (0,)
    with pytest.raises(own_python_main.Fault, match=r"another architecture or variant.*bias"):
        own_python_main.load(torch.nn.Linear(1, 1), str(weights))
    (tmp_path / "no.safetensors").write_text("<html>")
    with pytest.raises(UsageError, match="web page"):
        load_method(job("theirs", weights=str(tmp_path / "no.safetensors")), "cpu")
