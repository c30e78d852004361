"""Several workers at once: the same bytes as one, and one that dies costs its clip only."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, ClassVar

import pytest

from deblurbench.backends.load import MethodJob
from deblurbench.errors import DiskError, UsageError
from deblurbench.evaluation import runner
from deblurbench.evaluation.execution import pool
from deblurbench.evaluation.execution.events import AnyEvent, Begun, Broken, Disk, Done, Failed, Ready
from deblurbench.evaluation.execution.executor import next_unit
from deblurbench.evaluation.execution.jobs import ClipJob, Unit
from deblurbench.evaluation.execution.pool import WorkerPool
from deblurbench.evaluation.execution.supervisor import WorkerLost
from deblurbench.evaluation.plan import make_plan
from deblurbench.results.manifest import Outcome, Request
from deblurbench.results.run import Run
from tests.conftest import write_plugin
from tests.e2e.inprocess import deblurbench
from tests.e2e.test_run import SHARPEN
from tests.fakes import write_folder

DIES = """
import os, signal
from deblurbench.methods.base import FrameMethod
class Plugin(FrameMethod):
    def restore_frame(self, frame):
        if 0.4 < float(frame.mean()) < {limit}:
            os.kill(os.getpid(), signal.SIGKILL)
        return frame * 0.9
"""


def unit(method: str, clip: str, again: bool = False) -> Unit:
    job = MethodJob(
        id=method, name=method, variant="default", weights=None, output=".", dataset="mini", data_root=None,
        split="test", metrics=[], device="cpu", precision="fp32", tile=32 if again else None, again=again, seed=0,
    )  # fmt: skip
    return Unit(job, ClipJob(clip=clip, frames=1, scored=[], saved=[], key={}))


def order(pending: list[Unit], current: tuple[str, int | None] | None, taken: set[tuple[str, int | None]]) -> list[str]:
    names = []
    while pending:
        chosen = next_unit(pending, current, taken)
        current = chosen.worker_key
        names.append("".join(chosen.name) + ("*" if chosen.method.again else ""))
    return names


def test_a_worker_stays_with_its_method_then_takes_a_free_one_then_helps_where_most_is_left() -> None:
    units = [unit(method, clip) for method in "ABC" for clip in "12"] + [unit("A", "1", again=True)]
    assert order(list(units), None, set()) == ["A1", "A2", "A1*", "B1", "B2", "C1", "C2"]
    assert order(list(units), ("B", None), {("A", None)})[:4] == ["B1", "B2", "C1", "C2"]
    left = [unit("A", "2"), unit("B", "1"), unit("B", "2")]
    assert order(left, ("C", None), {("A", None), ("B", None)})[0] == "B1"


class FakeWorker:
    """What a Worker does, without a process: `script` maps clips to what happens."""

    script: ClassVar[dict[str, Any]] = {}
    started: ClassVar[list[str]] = []
    ended: ClassVar[list[str]] = []
    meet: ClassVar[threading.Barrier] = threading.Barrier(1)

    def __init__(self, job: MethodJob, log: Path, timeout: float, variables: object) -> None:
        self.job, self.events = job, []
        self.started.append(f"{job.id} on {job.device}, beside {job.beside}")

    def ready(self) -> AnyEvent:
        if self.job.id == "broken":
            return Broken(kind="refused", reason="no such method")
        return Ready(device=self.job.device, runtime={}, parameters=0, random=False, caveat="", absent={},
                     environment={}, implementations={})  # fmt: skip

    def start(self, clip: ClipJob) -> None:
        self.clip = clip.clip

    def next_event(self) -> AnyEvent:
        self.meet.wait(20)
        does = self.script.get(self.clip)
        if isinstance(does, BaseException):
            raise does
        return does or Done(outcome=Outcome(method=self.job.id, clip=self.clip, status="ok"))

    def kill(self) -> None:
        self.ended.append(self.job.id)

    close = kill


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeWorker]:
    class Fake(FakeWorker):
        started: ClassVar[list[str]] = []
        ended: ClassVar[list[str]] = []
        script: ClassVar[dict[str, Any]] = {}

    monkeypatch.setattr(pool, "Worker", Fake)
    return Fake


def work(units: list[Unit], devices: list[str], handle: Any = None) -> list[tuple[str, AnyEvent]]:
    seen: list[tuple[str, AnyEvent]] = []
    workers = WorkerPool(devices, lambda method: Path(method), 10)
    for each in units:
        workers.submit(each)
    try:
        workers.run(lambda of, event: (seen.append(("".join(of.name), event)), handle and handle(workers, of, event)))
    finally:
        workers.close()
    assert not any(slot.thread.is_alive() for slot in workers.slots)
    return seen


def test_workers_work_at_the_same_time_one_a_device(fake: type[FakeWorker]) -> None:
    fake.meet = threading.Barrier(2)  # each event waits for the other worker's
    seen = work([unit("A", "1"), unit("A", "2"), unit("B", "1"), unit("B", "2")], ["cuda:0", "cuda:1"])
    assert sorted(name for name, event in seen if isinstance(event, Done)) == ["A1", "A2", "B1", "B2"]
    assert sorted(fake.started) == ["A on cuda:0, beside 1", "B on cuda:1, beside 1"] or sorted(fake.started) == [
        "A on cuda:1, beside 1", "B on cuda:0, beside 1"]  # fmt: skip


def test_every_unit_ends_once_whatever_happens_to_its_worker(fake: type[FakeWorker]) -> None:
    fake.script = {"2": WorkerLost("killed", "signal 9")}
    seen = work([unit("A", "1"), unit("A", "2"), unit("A", "3"), unit("broken", "1"), unit("broken", "2")], ["cpu"])
    ends = [(name, type(event)) for name, event in seen if not isinstance(event, Begun | Ready)]
    assert ends == [("A1", Done), ("A2", Failed), ("A3", Done), ("broken1", Broken), ("broken2", Broken)]
    assert [line.partition(" ")[0] for line in fake.started] == ["A", "A", "broken"]  # anew after a death only
    assert sorted(fake.ended) == ["A", "A", "broken"]


def test_what_is_submitted_while_it_works_is_done_by_a_worker_of_its_kind(fake: type[FakeWorker]) -> None:
    def handle(workers: WorkerPool, of: Unit, event: AnyEvent) -> None:
        if isinstance(event, Done) and of.name == ("A", "1") and not of.method.again:
            workers.submit(unit("A", "1", again=True))

    seen = work([unit("A", "1"), unit("A", "2"), unit("B", "1")], ["cpu"], handle)
    assert [name for name, event in seen if isinstance(event, Done)] == ["A1", "A2", "A1", "B1"]
    assert len(fake.started) == 3


def test_what_goes_wrong_here_ends_all_workers_and_is_raised(fake: type[FakeWorker]) -> None:
    def handle(workers: WorkerPool, of: Unit, event: AnyEvent) -> None:
        if isinstance(event, Disk):
            raise DiskError(event.reason)

    fake.script = {"2": Disk(reason="full")}
    with pytest.raises(DiskError, match="full"):
        work([unit("A", "1"), unit("A", "2"), unit("B", "3")], ["cpu", "cpu"], handle)
    fake.script = {"1": MemoryError("in a thread")}
    with pytest.raises(MemoryError, match="in a thread"):
        work([unit("A", "1")], ["cpu"])
    assert sorted({*fake.ended}) == ["A", "B"] and len(fake.ended) >= len(fake.started)


def test_cores_are_shared_out_unless_the_user_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "usable_cores", lambda: 8)
    for name in pool.THREADS:
        monkeypatch.delenv(name, raising=False)
    assert pool.shared_threads(1) == {}
    assert set(pool.shared_threads(3).values()) == {"2"} and set(pool.shared_threads(9).values()) == {"1"}
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert "OMP_NUM_THREADS" not in pool.shared_threads(3)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("deblurbench.cli.main.signal.signal", lambda *_: None)
    return tmp_path


def run(data: Path, folder: str, methods: list[str], **how: Any) -> Run:
    request = Request(methods=methods, dataset="folder", data_root=str(data), metrics=["psnr"])
    runner.run(make_plan(request), Path(folder), **how)
    return Run.open(Path(folder))


def test_two_workers_give_the_bytes_of_one(here: Path, plugin_folder: Path) -> None:
    write_plugin(plugin_folder, "sharpen", SHARPEN)
    write_plugin(plugin_folder, "dies", DIES.format(limit=0.0))
    data = write_folder(here / "data", clips=["one", "two", "three"])
    methods = ["sharpen", "dies"]
    one, two = run(data, "one", methods), run(data, "two", methods, jobs=2)
    assert (here / "one" / "scores.csv").read_bytes() == (here / "two" / "scores.csv").read_bytes()
    files = [sorted(str(f.relative_to(r.folder)) for f in r.folder.rglob("frames/**/*.png")) for r in (one, two)]
    assert files[0] == files[1] and files[0]
    assert [clip.choice for clip in one.manifest.clips] == [clip.choice for clip in two.manifest.clips]
    assert {o.beside for o in one.manifest.outcomes} == {0} and {o.beside for o in two.manifest.outcomes} == {1}
    assert not one.manifest.warnings
    assert two.manifest.warnings == [
        "up to 2 workers ran side by side on one machine: times are longer than of one alone"
    ]


def test_a_worker_that_dies_beside_another_costs_its_clip_only(here: Path, plugin_folder: Path) -> None:
    write_plugin(plugin_folder, "sharpen", SHARPEN)
    write_plugin(plugin_folder, "dies", DIES.format(limit=1.0))
    data = write_folder(here / "data")
    opened = run(data, "out", ["sharpen", "dies"], jobs=2)
    states = {(o.method, o.status, o.kind) for o in opened.manifest.outcomes}
    assert states == {("identity", "ok", ""), ("sharpen", "ok", ""), ("dies", "failed", "killed")}


def test_what_jobs_and_devices_cannot_be(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "--methods", "identity", "--dataset", "mini", "--output", here / "out"]
    for more, said in (
        (["--jobs", "2", "--in-process"], "works in one process: leave it out, or --jobs and --cluster"),
        (["--device", "cuda:0,cuda:0"], "several devices are different GPUs"),
        (["--device", "cpu,cuda:0"], "several devices are different GPUs"),
        (["--device", "cuda:98,cuda:99"], "--device 'cuda:98' is not available"),
        (["--jobs", "0"], "0 is not in the range"),
    ):
        deblurbench(*words, *more, code=2)
        assert said in capsys.readouterr().err
    with pytest.raises(UsageError, match="leave it out"):
        run(write_folder(here / "data"), "out", ["identity"], in_process=True, jobs=2)
    assert not (here / "out").exists()
