"""`--cluster`: real schedulers and Dask workers on this machine, some of which are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from deblurbench.errors import DeblurbenchError, MissingError, UsageError
from deblurbench.evaluation import RESULTS_VERSION, runner
from deblurbench.evaluation.execution import cluster
from deblurbench.evaluation.execution.cluster_task import Node
from deblurbench.evaluation.execution.events import Failed
from deblurbench.evaluation.plan import make_plan
from deblurbench.evaluation.progress import Listener
from deblurbench.results.manifest import Outcome, Request
from deblurbench.results.store import Store
from tests.conftest import ROOT, write_plugin
from tests.e2e.inprocess import deblurbench
from tests.e2e.test_jobs import DIES, unit
from tests.e2e.test_run import SLOW, children_of, wait_for
from tests.fakes import write_folder

pytest.importorskip("distributed")


class Notes(Listener):
    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.said: list[str] = []
        self.frames = 0

    def outcome(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def frame(self, method: str, clip: str, stem: str) -> None:
        self.frames += 1

    def say(self, text: str) -> None:
        self.said.append(text)


class Dask:
    """A scheduler and workers as their users start them, in processes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "scheduler.json"
        self.scheduler = self._start("scheduler", "--port", "0", "--no-dashboard", "--host", "127.0.0.1")
        self.workers: list[subprocess.Popen[bytes]] = []

    def add_worker(self, *words: str) -> subprocess.Popen[bytes]:
        self.workers.append(self._start("worker", "--nthreads", "1", "--no-dashboard", "--no-nanny", *words))
        return self.workers[-1]

    def _start(self, kind: str, *words: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{kind}.log").open("ab")
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--scheduler-file", str(self.file), *words],
            stdout=log, stderr=log, cwd=self.folder, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip

    def end(self) -> list[psutil.Process]:
        children = [child for process in [*self.workers, self.scheduler] for child in children_of(process)]
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait()
        return children


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[Dask]:
    running = Dask(tmp_path)
    assert wait_for(running.file.exists, 60)
    yield running
    running.end()


@pytest.fixture
def here(tmp_path: Path, plugin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_plugin(plugin_folder, "slow", SLOW)
    return write_folder(tmp_path / "data", clips=["one", "two", "three"])


def run(data: Path, output: str, methods: str = "slow", notes: Listener | None = None, **how: Any) -> runner.RunResult:
    request = Request(methods=methods.split(","), dataset="folder", data_root=str(data), metrics=["psnr"])
    return runner.run(make_plan(request), Path(output), listener=notes, **how)


def ended(processes: list[psutil.Process]) -> bool:
    return wait_for(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes), 20)


def test_a_dask_worker_killed_in_the_middle_costs_its_clip_once_more(here: Path, dask: Dask) -> None:
    run(here, "alone", in_process=True)
    victim = dask.add_worker()
    notes = Notes()
    killed: list[psutil.Process] = []

    def frame(method: str, clip: str, stem: str) -> None:
        if method == "slow" and not killed:
            dask.add_worker()
            killed.extend(children_of(victim))
            victim.kill()

    notes.frame = frame  # type: ignore[method-assign]
    result = run(here, "killed", notes=notes, cluster=str(dask.file), timeout=120)
    assert not result.failed and killed
    assert Path("killed/scores.csv").read_bytes() == Path("alone/scores.csv").read_bytes()
    frames = [sorted(str(f.relative_to(r)) for f in Path(r).rglob("frames/**/*.png")) for r in ("alone", "killed")]
    assert frames[0] == frames[1] and frames[0]
    assert ended(killed) and ended(dask.end())


def test_two_local_workers_give_the_bytes_of_one_job(here: Path, plugin_folder: Path) -> None:
    write_plugin(plugin_folder, "dies", DIES.format(limit=1.0))
    write_plugin(plugin_folder, "broken", "import no_such_package\n")
    run(here, "alone", in_process=True)
    notes = Notes()
    before = set(psutil.Process().children(recursive=True))
    result = run(here, "spread", "slow,dies,broken", notes, cluster="local:2", timeout=120)
    assert Path("spread/scores.csv").read_bytes() == Path("alone/scores.csv").read_bytes()
    kinds = {(o.method, o.kind) for o in result.failed}
    assert kinds == {("dies", "killed"), ("broken", "refused")} and len(notes.outcomes) == 12
    assert notes.frames >= 2 * 3 * 7  # identity and slow, and what `dies` did before it died
    assert {o.beside for o in result.manifest.outcomes if o.status == "ok"} == {1}
    after = [p for p in psutil.Process().children(recursive=True) if p not in before]
    assert ended([p for p in after if "multiprocessing.resource_tracker" not in " ".join(p.cmdline())])


def test_a_scheduler_that_ends_keeps_what_was_finished(here: Path, dask: Dask) -> None:
    dask.add_worker()
    notes = Notes()

    def outcome(outcome: Outcome) -> None:
        if outcome.method == "slow":
            dask.scheduler.send_signal(signal.SIGKILL)

    notes.outcome = outcome  # type: ignore[method-assign]
    with pytest.raises(MissingError, match=r"the scheduler has ended\. What was finished is kept"):
        run(here, "cut", notes=notes, cluster=str(dask.file), timeout=60)
    assert len(list(Path("cut/parts/slow").glob("*.json"))) >= 1
    assert Path("cut/scores.csv").read_text().count("slow") >= 7
    run(here, "cut", in_process=True)
    run(here, "alone", in_process=True)
    assert Path("cut/scores.csv").read_bytes() == Path("alone/scores.csv").read_bytes()


def test_a_killed_run_leaves_no_process_of_a_method(here: Path, dask: Dask, cli: Any) -> None:
    dask.add_worker()
    cli.variables["DEBLURBENCH_PLUGINS"] = os.environ["DEBLURBENCH_PLUGINS"]
    process = cli.start("run", "--methods", "slow", "--dataset", "folder", "--data-root", here, "--output", "out",
                        "--metrics", "psnr", "--cluster", dask.file, "--timeout", "60")  # fmt: skip
    assert wait_for(lambda: len(list((cli.folder / "out/parts").rglob("*.json"))) >= 4, 120)
    methods = children_of(dask.workers[0])
    assert methods
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130 and "deblurbench run --methods slow" in told and "Traceback" not in told, told
    assert ended(methods)
    cli("run", "--methods", "slow", "--dataset", "folder", "--data-root", here, "--output", "out", "--metrics", "psnr")


def test_what_a_cluster_lacks_is_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "--methods", "identity", "--dataset", "folder", "--data-root", "data", "--output", "out"]
    for more, code, said in (
        (["--cluster", "somewhere"], 2, "give tcp://HOST:PORT, local:N, or a scheduler file"),
        (["--cluster", "local:0"], 2, "give tcp://HOST:PORT"),
        (["--cluster", "no.json"], 3, "no.json: no such file. `dask scheduler --scheduler-file no.json` writes it"),
        (["--cluster", "local:2", "--jobs", "2"], 2, "--jobs is for this machine"),
        (["--cluster", "local:2", "--in-process"], 2, "--in-process works in one process"),
        (["--cluster", "local:2", "--device", "cuda:1"], 2, "names a GPU of this machine"),
    ):
        deblurbench(*words, *more, code=code)
        assert said in capsys.readouterr().err, said


@pytest.mark.parametrize(
    ("node", "kind", "said"),
    [
        (
            Node("n7", (cluster.__version__, RESULTS_VERSION), "9.9", ("/runs/out",)),
            MissingError,
            "node n7 does not see",
        ),
        (Node("n7", ("0.0.1", RESULTS_VERSION), "9.9", ()), UsageError, "node n7 has deblurbench 0.0.1"),
        (Node("n7", (cluster.__version__, 0), "9.9", ()), UsageError, "results version 0"),
        (ModuleNotFoundError("No module named 'deblurbench'"), MissingError, "tcp://n7 cannot run deblurbench"),
    ],
)
def test_nodes_that_cannot_take_part(node: Any, kind: type[DeblurbenchError], said: str) -> None:
    with pytest.raises(kind, match=said):
        cluster.check_nodes({"tcp://n7": node}, lambda text: None)


def test_nodes_with_another_torch_are_said_and_accepted() -> None:
    said: list[str] = []
    node = Node("n7", (cluster.__version__, RESULTS_VERSION), "1.2.3", ())
    cluster.check_nodes({"tcp://n7": node}, said.append)
    assert said and "n7 (1.2.3)" in said[0] and "marked as mixed" in said[0]


def test_a_folder_that_a_node_does_not_see_is_named(here: Path, dask: Dask) -> None:
    dask.add_worker()
    with pytest.raises(MissingError, match=r"does not see /not/mounted: mount the same shared folder there"):
        cluster.ClusterExecutor(
            str(dask.file), Store(Path("out").absolute()), {"/not/mounted": "/not/mounted"}, 60, "cpu", print
        )


def test_a_unit_with_which_three_dask_workers_died_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    executor, events = object.__new__(cluster.ClusterExecutor), []
    executor.pending, executor.deaths, executor.say = [], Counter(), events.append  # type: ignore[assignment]
    lost = unit("A", "1")
    for _ in range(cluster.TRIES):
        executor.pending.clear()
        executor._died(lost, cluster.Slot("tcp://n7:1", "n7", 0), lambda unit, event: events.append(event))
    assert "A on 1 is done once more" in events[0] and len(events) == cluster.TRIES and not executor.pending
    assert isinstance(events[-1], Failed) and events[-1].kind == "killed"


def test_units_are_pinned_to_gpus_where_workers_offer_them(here: Path, dask: Dask) -> None:
    """The GPUs are a claim of the worker's; the units ask for one each, and for the device of that number."""
    dask.add_worker("--resources", "GPU=2")
    executor = cluster.ClusterExecutor(str(dask.file), Store(Path("out").absolute()), {}, 60, "auto", print)
    try:  # the second one comes later: whether units ask for GPUs is settled by the workers that are there at the start
        dask.add_worker()
        until = time.monotonic() + 60
        while len(executor._workers()) < 2 and time.monotonic() < until:
            time.sleep(0.1)
        executor._refresh(lambda unit, event: None)
        assert executor.on_gpus and len(executor.slots) == 1  # one thread: one unit at a time
        (slot,) = executor.slots.values()
        assert slot.beside == 0
    finally:
        executor.close()
