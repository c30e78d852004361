"""What a training tells: its curves as a figure, TensorBoard's events, and where its time went."""

import json
import sys
import time

import pytest

from deblurbench.training.figure import curves, draw_log, smoothed, window_of
from deblurbench.training.log import EVENTS, Log, read_log
from deblurbench.training.pace import Pace, Spent, spent


def rows(steps=200, every=20, loss=0.01):
    yield {"step": 0, "psnr": 25.0, "identity": 25.0, "pooled": 24.0, "pooled_identity": 24.0, "frames": 8}
    for step in (1, 2, 3, *range(every, steps + 1, every)):
        yield {"step": step, "loss": loss * (1 + step % 3), "input": loss * 2, "lr": 1e-4, "seconds": step / 2}
        if step % 100 == 0:
            yield {"step": step, "psnr": 26.0, "identity": 25.0, "pooled": 25.0, "pooled_identity": 24.0, "frames": 8}


def write(folder, records):
    folder.mkdir(exist_ok=True)
    (folder / "log.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    return folder / "log.jsonl"


def test_the_figure_has_the_same_bytes_for_the_same_log(tmp_path):
    log = write(tmp_path, rows())
    for name in ("one", "two"):
        draw_log(log, tmp_path / name)
    assert (tmp_path / "one.png").read_bytes()[:4] == b"\x89PNG"
    for suffix in (".svg", ".png"):
        assert (tmp_path / f"one{suffix}").read_bytes() == (tmp_path / f"two{suffix}").read_bytes()
    draw_log(write(tmp_path, rows(loss=0.02)), tmp_path / "two", (".svg",))
    assert (tmp_path / "one.svg").read_bytes() != (tmp_path / "two.svg").read_bytes()


def test_the_figure_shows_loss_and_validation_beside_the_input_and_says_how_it_smooths():
    figure = curves(list(rows(steps=1000)))
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == "training loss,\neach line a mean of 5 log lines"
    assert titles[1:] == ["validation PSNR (dB),\nmean over frames", "validation PSNR (dB),\nof the pooled error"]
    labelled = [[line for line in axes.lines if not line.get_label().startswith("_")] for axes in figure.axes]
    assert [[line.get_label() for line in lines] for lines in labelled] == [
        ["loss", "blurry input's"], ["restored", "blurry input"], ["restored", "blurry input"],
    ]  # fmt: skip
    assert next(iter(labelled[0][0].get_xdata())) == 20  # steps 1 to 3 are no means
    assert list(labelled[2][0].get_ydata()) == [24.0] + [25.0] * 10
    assert figure.axes[0].get_yscale() == "log"


def test_a_log_without_validation_or_of_negative_losses_is_drawn(tmp_path):
    plain = [row for row in rows(loss=-3.0) if "loss" in row]
    assert [axes.get_yscale() for axes in curves(plain).axes] == ["linear"]
    draw_log(write(tmp_path, plain[:1]), tmp_path / "training", (".svg",))
    assert (tmp_path / "training.svg").is_file()


def test_nothing_is_drawn_without_a_step(tmp_path):
    draw_log(write(tmp_path, list(rows())[:1]), tmp_path / "training")
    assert not list(tmp_path.glob("training.*"))


def test_smoothing_is_a_centred_mean():
    assert smoothed([0.0, 3.0, 6.0, 0.0], 3) == [1.5, 3.0, 3.0, 3.0]
    assert smoothed([1.0, 2.0], 1) == [1.0, 2.0]
    assert [window_of(count) for count in (1, 19, 20, 55, 200)] == [1, 1, 3, 5, 21]


def test_tensorboard_reads_the_logs_numbers_once_after_resuming(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    log = Log(tmp_path / "log.jsonl", quiet=True)
    for record in rows(steps=100):
        log.write(**record)
    log.close()
    log = Log(tmp_path / "log.jsonl", first=60, quiet=True)
    for record in rows(steps=100):
        if record["step"] > 60:
            log.write(**record)
    log.close()
    events = reader.EventAccumulator(str(tmp_path / EVENTS)).Reload()
    told = {event.step: event.value for event in events.Scalars("training/loss")}
    wanted = {row["step"]: row["loss"] for row in read_log(tmp_path / "log.jsonl") if "loss" in row}
    assert len(events.Scalars("training/loss")) == len(wanted) == 8
    assert told == pytest.approx(wanted)
    assert [event.step for event in events.Scalars("validation/pooled")] == [0, 100]
    assert "validation/frames" not in events.Tags()["scalars"]


def test_without_tensorboard_the_log_is_whole(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", None)
    log = Log(tmp_path / "log.jsonl", quiet=True)
    log.write(step=1, loss=0.5)
    log.close()
    assert read_log(tmp_path / "log.jsonl") == [{"step": 1, "loss": 0.5}]
    assert not (tmp_path / EVENTS).exists()


class Waiting:
    waited = 0.0


def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_time_off_the_core_is_not_the_models(monkeypatch):
    """The step computes for 50 ms, waits 30 ms for a batch, and is off the core for 60 ms more without waiting."""
    total, ahead = Spent(), Waiting()
    pace = Pace(total, ahead, "cpu")
    for _ in range(2):
        with pace.step():
            burn(0.05)
            time.sleep(0.09)
            ahead.waited += 0.03
    assert total.steps == 2
    assert 0.1 <= total.computed < 0.13
    assert total.seconds >= 0.28
    assert total.waited == pytest.approx(0.06)
    told = pace.figures()
    assert (
        told["compute_share"] == pytest.approx(total.computed / total.seconds, abs=1e-3) and told["compute_share"] < 0.5
    )
    assert told["steps_per_s"] == pytest.approx(2 / total.seconds)
    assert pace.figures() == {"steps_per_s": 0.0}


def test_on_a_device_of_its_own_the_model_computes_when_it_does_not_wait():
    total, ahead = Spent(), Waiting()
    pace = Pace(total, ahead, "cuda:0")
    with pace.step():
        time.sleep(0.05)
        ahead.waited += 0.01
    assert total.computed == pytest.approx(total.seconds - 0.01)


def test_the_last_line_says_the_shares():
    line = spent(Spent(steps=100, seconds=600.0, computed=480.0, waited=30.0))
    assert line == "100 steps in 10.0 minutes: the model computed for 80% of the time and waited for data for 5%"
    assert spent(Spent()) == "no step was taken"
