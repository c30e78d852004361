"""The parent's side of a worker: it notices death, silence and full disks, and leaves no process behind."""

import io
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from deblurbench.backends.load import MethodJob
from deblurbench.evaluation.execution import supervisor
from deblurbench.evaluation.execution.events import Alive, Broken
from deblurbench.evaluation.execution.supervisor import Worker, WorkerLost
from deblurbench.processes.guarded import GuardedProcess, signal_name
from tests.conftest import ROOT

JOB = MethodJob(
    id="a", name="no-such-method", variant="default", weights=None, output=".", dataset="mini", data_root=None,
    split="test", metrics=[], device="cpu", precision="fp32", tile=None, seed=0,
)  # fmt: skip


@pytest.fixture
def worker_of(tmp_path, monkeypatch):
    """Starts a `Worker` whose process runs a few lines of Python instead of a method."""
    workers = []

    def start(lines, log=None, timeout=60.0):
        script = tmp_path / "worker"
        script.write_text(f"#!{sys.executable}\nimport json, os, signal, sys, time\n{lines}\n")
        script.chmod(0o755)
        monkeypatch.setattr(supervisor, "COMMAND", (str(script),))
        workers.append(Worker(JOB, log or tmp_path / "logs" / "a.log", timeout))
        return workers[-1]

    yield start
    for worker in workers:
        worker.kill()


def gone(pid: int, seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_death_is_noticed_though_a_child_holds_the_pipe_open(worker_of):
    worker = worker_of("""
child = os.fork()
if child == 0:
    time.sleep(600)
print(json.dumps({"event": "frame", "stem": str(child)}), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
""")
    child = int(worker.next_event().stem)
    began = time.monotonic()
    with pytest.raises(WorkerLost, match="signal 9") as lost:
        worker.next_event()
    assert lost.value.kind == "killed" and time.monotonic() - began < 20
    worker.kill()
    assert gone(child)


def test_a_method_that_leaves_while_getting_ready_is_broken_as_a_whole(worker_of):
    event = worker_of("sys.exit(0)").ready()
    assert isinstance(event, Broken) and event.kind == "left" and "getting ready" in event.reason


def test_silence_ends_the_worker(worker_of):
    worker = worker_of("time.sleep(600)", timeout=1.0)
    with pytest.raises(WorkerLost, match="--timeout") as lost:
        worker.next_event()
    assert lost.value.kind == "timeout" and gone(worker.guarded.process.pid)


def test_a_method_that_closes_the_pipe_of_results_is_ended(worker_of, monkeypatch):
    monkeypatch.setattr(supervisor, "ENDING", 0.3)
    worker = worker_of("os.close(1)\ntime.sleep(600)")
    with pytest.raises(WorkerLost, match="closed the pipe"):
        worker.next_event()
    assert gone(worker.guarded.process.pid)


def test_a_log_that_cannot_be_written_stops_nobody(worker_of, tmp_path):
    log = tmp_path / "logs" / "a.log"
    log.mkdir(parents=True)
    worker = worker_of('sys.stderr.write("x" * 3_000_000)\nprint(json.dumps({"event": "alive"}))', log)
    assert worker.next_event() == Alive()


def test_a_log_holds_what_all_its_workers_printed_up_to_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "LOG_LIMIT", 1000)
    log = tmp_path / "a.log"
    for _ in range(3):
        supervisor._write_log(io.BytesIO(b"x" * 99 + b"\n" + b"y" * 599 + b"\n"), log)
    text = log.read_text()
    assert text.count("x" * 99) == text.count("y" * 599) == 2
    assert text.endswith("\n[700 more bytes were printed and left out]\n")


def test_signals_without_a_name_have_one():
    assert signal_name(signal.SIGSEGV) == "SIGSEGV" and "real-time" in signal_name(40)


def test_files_of_the_current_folder_hide_no_module(tmp_path, monkeypatch):
    (tmp_path / "random.py").write_text("raise SystemExit('the wrong random')")
    monkeypatch.chdir(tmp_path)
    worker = Worker(JOB, tmp_path / "a.log", timeout=120)
    event = worker.ready()
    worker.close()
    assert "unknown method 'no-such-method'" in event.reason, (event, (tmp_path / "a.log").read_text())


STARTS = """
import os, signal, subprocess, sys
def start(seconds, **how):
    return subprocess.Popen(["sleep", seconds], stdout=subprocess.DEVNULL, **how).pid
print(start("600"), start("601", start_new_session=True), flush=True)
if not os.fork():  # a daemon: forks again, and its parent ends at once
    os.setsid()
    if not os.fork():
        print(start("602"), os.getpid(), flush=True)
        os.close(1)
        signal.pause()
    os._exit(0)
os.wait()
sys.stdin.readline()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has child subreapers")
@pytest.mark.parametrize("end", ["close", "kill", "leave"])
def test_what_a_process_started_ends_with_it_wherever_it_went(end):
    guarded = GuardedProcess([sys.executable, "-c", STARTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    started = [int(word) for _ in range(2) for word in guarded.process.stdout.readline().split()]
    assert len(started) == 4 and all(psutil.pid_exists(process) for process in started)
    if end == "leave":
        guarded.process.stdin.write(b"\n")
        guarded.process.stdin.flush()
        assert guarded.wait(10) == 0
    elif end == "kill":
        psutil.Process(started[0]).parent().kill()
        assert guarded.wait(10) == -signal.SIGKILL
    else:
        guarded.close()
    assert all(gone(process) for process in started)
    guarded.close()


def test_a_guard_in_a_guarded_process_still_removes_its_folder(tmp_path):
    (tmp_path / "frames").mkdir()
    code = f"""
import time
from pathlib import Path
from deblurbench.processes.guarded import GuardedProcess
guard = GuardedProcess([], folder=Path({str(tmp_path / "frames")!r}))
print("started", flush=True)
time.sleep(600)
"""
    outer = GuardedProcess([sys.executable, "-c", code], stdout=subprocess.PIPE,
                           environment={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    assert outer.process.stdout.readline() == b"started\n"
    outer.close()
    until = time.monotonic() + 10
    while (tmp_path / "frames").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not (tmp_path / "frames").exists()


def test_orphans_that_ended_are_reaped_while_the_process_works():
    code = "import os, sys\nfor _ in range(20):\n os.system('sleep 0 &')\nprint(flush=True)\nsys.stdin.read()"
    guarded = GuardedProcess([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    guarded.process.stdout.readline()
    until = time.monotonic() + 10
    while len(children := psutil.Process(guarded.process.pid).children()) > 1 and time.monotonic() < until:
        time.sleep(0.05)
    assert len(children) == 1
    guarded.close()
