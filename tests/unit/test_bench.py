"""Runtime as a measurement: the interval, the rounds, the counts, and what a failing method costs."""

import json
import math
import time
from pathlib import Path

import numpy as np
import pytest

from deblurbench.cli import bench
from deblurbench.errors import UsageError
from deblurbench.evaluation.plan import plan_method
from deblurbench.runtime import benchmark
from deblurbench.runtime.benchmark import Measured, Settings, measure, median_interval, parse_sizes
from deblurbench.runtime.ratios import Stored, since, together
from tests.conftest import write_plugin
from tests.e2e.inprocess import deblurbench, interrupt

CONV = """
import torch
from deblurbench.methods.base import {base}
class Plugin({base}):
    def __init__(self):
        self.network = torch.nn.Conv2d(3, 3, 3, padding=1, bias=False)
    {body}
"""
FRAME = "def restore_frame(self, frame): return self.network(frame[None])[0]"
WHOLE = """def restore(self, frames):
        frames = list(frames)
        yield from [self.network(frame[None])[0] for frame in frames for _ in range(2)][::2]"""
FAILS = "def restore_frame(self, frame): raise RuntimeError('not at this size')"


def test_the_median_interval_is_that_of_the_binomial():
    assert median_interval([1, 2, 3, 4, 5]) is None
    assert (median_interval([6, 1, 5, 2, 4, 3]).low, median_interval([6, 1, 5, 2, 4, 3]).high) == (1, 6)
    found = median_interval(range(1, 21))  # tables of order statistics: n = 20 gives ranks 6 and 15
    assert (found.low, found.high) == (6, 15)


def test_the_median_interval_covers_as_it_says():
    random, hits = np.random.default_rng(3), 0
    for _ in range(1000):
        found = median_interval(random.lognormal(0, 1, 15))
        hits += found.low <= 1 <= found.high
    assert 0.94 <= hits / 1000 <= 0.985  # exact: 0.9648


@pytest.mark.parametrize("text", ["", "1280", "1280x", "0x4", "axb", "-4x4", "4x4x4"])
def test_a_size_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match="--size"):
        parse_sizes(text)


def test_sizes_are_width_by_height():
    assert parse_sizes("1280x720, 64X48") == [(1280, 720), (64, 48)]


class Fake:
    """A stream whose rounds take the times it is told."""

    def __init__(self, name, times, order):
        self.found, self.times, self.order = Measured(name, None, False, 4, 4, 0), times, order

    def attempt(self, work):
        if not self.found.error:
            work()

    def warm_up(self):
        if not self.times:
            self.found.error = "out of memory"

    def round(self):
        self.order.append(self.found.method)
        seconds = self.times[len(self.found.rounds) % len(self.times)]
        self.found.samples.append(seconds)
        self.found.rounds.append(seconds)


def test_rounds_interleave_turn_and_stop_when_every_interval_is_narrow():
    order = []
    streams = [Fake("steady", [1.0], order), Fake("jumps", [1.0, 1.1, 1.0, 1.1, 1.0, 1.1] + [1.0] * 20, order),
               Fake("broken", [], order)]  # fmt: skip
    benchmark._rounds(streams, Settings(seconds=5), lambda text: None)
    assert order[:4] == ["steady", "jumps", "jumps", "steady"] and "broken" not in order
    steady, jumps, _ = (stream.found for stream in streams)
    assert len(steady.rounds) == len(jumps.rounds) > benchmark.MIN_ROUNDS and steady.settled and jumps.settled
    assert streams[2].found.error == "out of memory"


def test_rounds_stop_when_the_time_is_up_and_the_report_says_so():
    restless = Fake("restless", [1.0, 2.0], [])
    begin = time.monotonic()
    benchmark._rounds([restless], Settings(seconds=0.05), lambda text: None)
    assert time.monotonic() - begin < 5 and not restless.found.settled
    report = benchmark.Report("CPU", Settings(), [restless.found], [{"load": None}])
    assert any("time was up" in note and "restless at 4x4" in note for note in report.notes)


def test_percentile_and_plain_values():
    found = Measured("m", None, True, 8, 4, 10, samples=[float(n) for n in range(1, 101)], rounds=[50.0] * 6)
    plain = json.loads(json.dumps(found.as_dict()))
    assert (plain["median_seconds"], plain["p95_seconds"], plain["interval"]) == (50.0, 95.0, [50.0, 50.0])
    assert plain["fps"] == pytest.approx(1 / 50) and plain["random_weights"] is True


def test_clocks_that_disagree_are_told():
    found = Measured("m", None, False, 8, 4, 0, samples=[1.0], rounds=[1.0], events=[0.8])
    assert any("CUDA events" in note for note in benchmark.Report("GPU", Settings(), [found], []).notes)
    found.events = [0.99]
    assert not any("CUDA events" in note for note in benchmark.Report("GPU", Settings(), [found], []).notes)


def test_a_method_that_fails_after_its_first_round_is_a_failed_row():
    broken = measured("a", [1.0, 2.0], error="out of memory", events=[9.0])
    report = benchmark.Report("GPU", Settings(), [broken, measured("b", [1.0] * 9)], [])
    (_, (row, _)), *more = bench._tables(report, None)
    assert row[:3] == ("a", "8x4", "failed: out of memory") and not more
    assert not any("a at 8x4" in note for note in report.notes)
    assert bench.PAIRED not in bench._as_dict(report, ["a", "b"], None)["notes"]
    both = benchmark.Report("GPU", Settings(), [measured("a", [1.0] * 9), measured("b", [1.0] * 9)], [])
    assert bench.PAIRED in bench._as_dict(both, ["a,b"], None)["notes"]


@pytest.fixture
def methods(plugin_folder):
    card = "trainable: true\nneeds: {{multiple_of: 8, causal: {causal}}}\n"
    write_plugin(plugin_folder, "frames", CONV.format(base="FrameMethod", body=FRAME), card.format(causal="true"))
    write_plugin(plugin_folder, "whole", CONV.format(base="Method", body=WHOLE), card.format(causal="false"))
    write_plugin(plugin_folder, "fails", CONV.format(base="FrameMethod", body=FAILS), card.format(causal="true"))
    return plugin_folder


def test_counts_are_exact_and_a_failure_costs_its_own_row(methods):
    planned = [plan_method(name, random_weights=True) for name in ("frames", "whole", "fails")]
    report = measure(planned, [(62, 45), (128, 96)], Settings("cpu", frames=3, seconds=0))
    by = {(m.method, m.width): m for m in report.results}
    for width, pixels in ((62, 64 * 48), (128, 128 * 96)):
        assert by["frames", width].macs == pixels * 3 * 3 * 9  # padded to multiples of 8
        assert by["whole", width].macs == 2 * pixels * 3 * 3 * 9  # restores each frame twice
        assert by["frames", width].parameters == 81
        assert len(by["frames", width].samples) == 3 and len(by["whole", width].samples) == 1
        assert "not at this size" in by["fails", width].error and not by["fails", width].samples
        assert 0 < by["frames", width].median < 10 and by["frames", width].random_weights
    assert sum("RANDOM" in note for note in report.notes) == 3


def test_what_one_method_lacks_costs_its_own_row(methods, tmp_path, capsys):
    write_plugin(methods, "lacking", CONV.format(base="FrameMethod", body=FRAME), "requires: [no-such-package]\n")
    words = ("--size", "32x24", "--seconds", "0", "--device", "cpu", "--output", tmp_path / "out", "--json")
    deblurbench("bench", "--methods", "lacking,frames", *words, code=1)
    rows = {row["method"]: row for row in json.loads(capsys.readouterr().out)["results"]}
    assert "Install it: pip install 'no-such-package'" in rows["lacking"]["error"] and not rows["lacking"]["macs"]
    assert "error" not in rows["frames"] and rows["frames"]["median_seconds"] > 0
    deblurbench("bench", "--methods", "lacking", *words, code=3)
    assert "no-such-package" in capsys.readouterr().err


def test_what_is_no_restored_frame_is_not_timed(plugin_folder):
    body = "    def restore_frame(self, frame):\n        return frame[:, ::2]\n"
    code = "from deblurbench.methods.base import FrameMethod\nclass Plugin(FrameMethod):\n" + body
    write_plugin(plugin_folder, "half", code)
    (found,) = measure([plan_method("half")], [(64, 48)], Settings("cpu", frames=3, seconds=0)).results
    assert "expected (3, 48, 64)" in found.error and not found.samples


def test_memory_is_what_the_method_adds():
    with benchmark.Memory("cpu") as memory:
        block = np.ones(40_000_000, np.uint8)
    if memory.added is None:
        pytest.skip("this system does not count peak memory")
    assert block[-1] and 36e6 < memory.added < 80e6


def measured(name: str, rounds: list[float], **more) -> Measured:
    return Measured(name, None, False, 8, 4, 0, samples=list(rounds), rounds=list(rounds), **more)


def test_methods_of_one_bench_are_paired_round_by_round():
    """A machine that slows down fourfold half-way changes no ratio of a round."""
    drift = np.repeat([1.0, 4.0], 6)
    found = list(together([measured("a", list(drift)), measured("b", list(1.5 * drift)), measured("c", list(drift))]))
    assert [(r.method, r.against, r.verdict) for r in found] == [("b", "a", "slower"), ("c", "a", "tied")]
    assert (found[0].ratio, found[0].interval.low, found[0].interval.high) == (1.5, 1.5, 1.5)
    assert list(together([measured("identity", [1.0] * 9), measured("a", [1.0] * 9)])) == []
    broken = [measured("a", [1.0] * 9, error="out of memory"), measured("b", [1.0] * 9), measured("c", [0.5] * 5)]
    assert [(r.against, r.verdict) for r in together(broken)] == [("b", "too few rounds")]


def test_the_paired_interval_covers_as_it_says():
    random, hits = np.random.default_rng(5), 0
    for _ in range(600):
        common = random.lognormal(0, 0.5, 15)
        one, two = (measured(n, list(common * f * random.lognormal(0, 0.1, 15))) for n, f in (("a", 1), ("b", 1.2)))
        interval = next(iter(together([one, two]))).interval
        hits += interval.low <= 1.2 <= interval.high
    assert 0.94 <= hits / 600 <= 0.99  # exact: 0.9648


def test_now_and_then_is_no_narrower_than_what_both_intervals_allow():
    random, hits = np.random.default_rng(6), 0
    for _ in range(300):
        now, then = random.lognormal(0, 0.2, 15) * 0.9, random.lognormal(0, 0.2, 15)
        stored = Stored(Path(), ("a",), ((8, 4),), (measured("a", list(then)).as_dict(),))
        found = next(iter(since(benchmark.Report("CPU", Settings(), [measured("a", list(now))], []), stored)))
        hits += found.interval.low <= 0.9 <= found.interval.high
    assert hits / 300 >= 0.95
    assert list(since(benchmark.Report("CPU", Settings(), [measured("b", [1.0])], []), stored)) == []


def test_compare_measures_a_stored_bench_again_and_says_what_changed(methods, tmp_path, capsys):
    deblurbench("bench", "--methods", "frames", "--size", "32x24", "--seconds", "0.2", "--device", "cpu",
                "--output", tmp_path / "old")  # fmt: skip
    old = json.loads((tmp_path / "old" / "bench.json").read_text())
    old["environment"]["packages"]["torch"] = "1.0"
    (tmp_path / "old" / "bench.json").write_text(json.dumps(old))
    capsys.readouterr()
    deblurbench("bench", "--methods", "whole", "--compare", tmp_path / "old", "--seconds", "0.2", "--device", "cpu",
                "--output", tmp_path / "new", "--json")  # fmt: skip
    told = json.loads(capsys.readouterr().out)
    assert told["methods"] == ["whole", "frames"] and {r["width"] for r in told["results"]} == {32}
    assert [(r["method"], r["against"], r["how"]) for r in told["ratios"]] == [
        ("frames", "whole", "interleaved"), ("frames", "itself then", "then and now")]  # fmt: skip
    assert any("not interleaved" in note for note in told["notes"])
    assert any(note.startswith("changed since: torch was 1.0, is 2.") for note in told["notes"])
    assert "then and now" in (tmp_path / "new" / "bench.md").read_text()


def test_compare_with_a_run_takes_its_methods(methods, tmp_path, capsys):
    from tests import fake_run

    fake_run.write(tmp_path / "run", fake_run.Fake(methods={"frames": 0.5, "identity": 1.0}))
    deblurbench("bench", "--methods", "whole", "--compare", tmp_path / "run", "--size", "32x24", "--seconds", "0",
                "--device", "cpu", "--output", tmp_path / "new", "--json")  # fmt: skip
    told = json.loads(capsys.readouterr().out)
    assert told["methods"] == ["whole", "frames", "identity"]
    assert [(r["method"], r["against"]) for r in told["ratios"]] == [("frames", "whole")]
    assert any("is a run: its methods were measured anew" in note for note in told["notes"])


def test_compare_with_nothing_or_a_damaged_bench(tmp_path, capsys):
    deblurbench("bench", "--compare", tmp_path, code=3)
    assert "neither a bench (bench.json) nor a run" in capsys.readouterr().err
    (tmp_path / "bench.json").write_text('{"results": 3}')
    deblurbench("bench", "--compare", tmp_path, code=2)
    assert "bench.json: damaged, or no bench" in capsys.readouterr().err
    deblurbench("bench", code=2)
    assert "--methods A,B, or --compare RUN" in capsys.readouterr().err


def test_an_interruption_keeps_nothing_and_says_so(methods, tmp_path, capsys, monkeypatch):
    words = ("bench", "--methods", "frames", "--size", "32x24", "--seconds", "0", "--device", "cpu")
    monkeypatch.setattr(benchmark._Stream, "round", interrupt)  # the first round, after all is warm
    deblurbench(*words, "--output", tmp_path / "out", code=130)
    told = capsys.readouterr()
    assert told.err.endswith("warm\n\ninterrupted; nothing was kept, run it again\n") and not told.out
    assert not (tmp_path / "out").exists()


def test_the_command_writes_its_files(methods, tmp_path, capsys):
    words = ("bench", "--methods", "frames", "--size", "32x24", "--seconds", "0", "--device", "cpu")
    deblurbench(*words, "--output", tmp_path / "out", "--json")
    printed = json.loads(capsys.readouterr().out)
    written = json.loads((tmp_path / "out" / "bench.json").read_text())
    assert printed["results"] == written["results"] and math.isfinite(written["results"][0]["median_seconds"])
    assert "frames (random weights)" in (tmp_path / "out" / "bench.md").read_text()
    deblurbench("bench", "--methods", "fails", "--size", "32x24", "--output", tmp_path / "bad", code=1)
    assert "not at this size" in capsys.readouterr().out
