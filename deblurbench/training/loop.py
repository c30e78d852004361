"""The training loop. Reads top to bottom: prepare, step, watch, save, validate, finish."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deblurbench import provenance
from deblurbench.errors import INTERRUPTED, DeblurbenchError, UsageError
from deblurbench.results.lock import hold
from deblurbench.training import checkpoint as saved
from deblurbench.training.export import export
from deblurbench.training.figure import draw_log
from deblurbench.training.log import Log
from deblurbench.training.pace import Pace, spent
from deblurbench.training.recipe import TrainRequest
from deblurbench.training.run import Run
from deblurbench.training.schedule import learning_rate, position
from deblurbench.training.setup import prepare
from deblurbench.training.sources import Ahead, Batch
from deblurbench.training.validation import validate

messages = logging.getLogger("deblurbench.training")
LOG_EVERY = 20
LENGTH = "norm of the gradient"


class InterruptedTraining(DeblurbenchError):
    """SIGTERM or Ctrl-C; the run was saved."""

    exit_code = INTERRUPTED


class NonFiniteLoss(DeblurbenchError):
    """The loss became NaN or infinite; the last good checkpoint is kept."""


def train(request: TrainRequest) -> Path:
    """Train a method, save, validate, and export the best weights. Returns the output folder.

    The folder then holds checkpoint.pt (everything, for --resume), log.jsonl, weights.safetensors (the best by
    validation so far) and training.json.

    Raises:
        UsageError, MissingError: see `prepare`, or another process trains there. NonFiniteLoss: with step and batch.
        DiskError: the last good checkpoint survives. InterruptedTraining: after SIGTERM or SIGINT, saved.
    """
    if request.threads:
        torch.set_num_threads(request.threads)
    provenance.source_state()  # as it is now: the code that runs, whatever is committed while it does
    run = prepare(request)
    with hold(request.output) if run.ranks.rank == 0 else contextlib.nullcontext():  # for all that torchrun started
        return _train(run)


def _train(run: Run) -> Path:
    request = run.request
    first, every = run.step, run.recipe.validate_every
    _tell_other_data(run)
    log = Log(request.output / "log.jsonl", first=first, every=every, quiet=request.quiet, active=run.ranks.rank == 0)
    if run.steps is None and request.minutes is None and request.limit_steps is None:
        raise UsageError(f"recipe {request.recipe!r} has no end here: give --minutes, --limit-steps or --set steps=N")
    with contextlib.closing(log), _parallel(run) as step_module, _signals() as stop:
        if run.step == 0:
            _check(run, log)
        _loop(run, step_module, log, stop)
        if stop.is_set():
            raise InterruptedTraining(f"stopped after step {run.step}; saved in {run.checkpoint_file}.")
        if run.step % every or not run.step:  # else the loop has just done it
            _check(run, log)
    _finish(run, log)
    return request.output


def _tell_other_data(run: Run) -> None:
    """Say so where a recipe is written for a protocol, and another one's data are trained on."""
    meant = run.recipe.protocol
    if meant and run.data.name != meant and run.ranks.rank == 0 and not run.request.quiet:
        messages.info(
            "note: recipe %r of %r is written for --dataset %s; this training is on %s, which is another experiment "
            "than the paper's.",
            run.request.recipe, run.card.name, meant, run.data.name,
        )  # fmt: skip


def _finish(run: Run, log: Log) -> None:
    """Draw the run's curves, over all of its parts, and say what share of the time the model computed."""
    if run.ranks.rank == 0:
        draw_log(log.path, run.request.output / "training")
        if not run.request.quiet:
            messages.info("%s", spent(run.pace))


def _loop(run: Run, module: nn.Module, log: Log, stop: threading.Event) -> None:
    """Steps until the end of the schedule, the limit, or a signal; saves on the way and at the end."""
    recipe = run.recipe
    source = run.data.source
    workers = getattr(source, "workers", 1)
    ahead = Ahead(source, run.step, workers=workers, rank=run.ranks.rank, world=run.ranks.world)
    pace, last_saved = Pace(run.pace, ahead, run.device), time.monotonic()
    try:
        while not _agree(run, stop) and not _done(run):
            at = position(run.step, run.steps, run.elapsed, run.request.minutes)
            rate = learning_rate(recipe, run.step, at)
            with pace.step(), _memory(run):
                _seed(run)
                run.sums.add(take_step(run, module, ahead.next(), rate))
            run.step += 1
            run.elapsed += pace.last
            if run.step % LOG_EVERY == 0 or run.step <= 3:
                log.write(step=run.step, **run.sums.means(), lr=rate, **pace.figures(), seconds=round(run.elapsed, 1))
            if run.step % recipe.validate_every == 0:
                _check(run, log)
            if time.monotonic() - last_saved > 60 * recipe.save_minutes:
                _save(run)
                last_saved = time.monotonic()
    finally:
        ahead.close()
    _save(run)


def take_step(run: Run, module: nn.Module, batch: Batch, rate: float) -> dict[str, float]:
    """Forward, backward, and one step. Returns the loss's parts, and the blurry input's own content term."""
    run.optimiser.set_rate(rate)
    with _precision(run):
        loss = module(batch.blurry, batch.sharp)
    run.optimiser.zero_grad()
    loss["total"].backward()
    length = _clip(module, run.recipe.clip_norm)
    with torch.no_grad():
        parts = {**loss, "input": run.method.content(batch.blurry, batch.sharp), LENGTH: length}
    told = dict(zip(parts, _read(parts.values()), strict=True))
    for name, what in (("total", "loss"), (LENGTH, "norm of the gradient")):
        if not math.isfinite(told[name]):
            raise NonFiniteLoss(_what_to_try(run, batch, told[name], what))
    run.optimiser.step()
    if run.average:
        run.average.update(run.network, run.step)
    return {"loss" if name == "total" else name: value for name, value in told.items() if name != LENGTH}


def _read(scalars: Iterable[Tensor]) -> list[float]:
    """Values of tensors of one element, waiting for the device once."""
    values: list[float] = torch.stack([scalar.detach().double().reshape(()) for scalar in scalars]).tolist()
    return values


def _clip(module: nn.Module, most: float | None) -> Tensor:
    """Norm of the gradient, before it was clipped to `most`."""
    if most:
        return nn.utils.clip_grad_norm_(module.parameters(), most)
    return nn.utils.get_total_norm([p.grad for p in module.parameters() if p.grad is not None])


def _seed(run: Run) -> None:
    """Under torchrun: random numbers that differ between the processes and follow from the step, also when resumed."""
    if run.ranks.world > 1:
        torch.manual_seed((run.request.seed * 1_000_003 + run.step) * run.ranks.world + run.ranks.rank)


def _agree(run: Run, stop: threading.Event) -> bool:
    """Whether to stop. Several processes agree on it and on the time, so that all take the same steps."""
    if run.ranks.world > 1:
        told = torch.tensor([run.elapsed, float(stop.is_set())], dtype=torch.float64, device=run.device)
        torch.distributed.all_reduce(told, torch.distributed.ReduceOp.MAX)
        run.elapsed = float(told[0])
        if bool(told[1]):
            stop.set()
    return stop.is_set()


def _done(run: Run) -> bool:
    at = position(run.step, run.steps, run.elapsed, run.request.minutes)
    limit = run.request.limit_steps
    return at >= 1.0 or (limit is not None and run.step >= limit)


def _check(run: Run, log: Log) -> None:
    """Validate; the best weights so far are exported, never the untrained ones of step 0, which are the yardstick.

    Without held-out clips the last weights are exported.
    """
    if run.ranks.rank != 0:
        return
    if not run.data.held:
        if run.step:
            export(run, {})
        return
    averaged = run.average.inside(run.network) if run.average else contextlib.nullcontext()
    with averaged, _memory(run, validating=True):
        found = validate(run.method, run.data.held, run.device, run.card.needs_of(run.variant))
    figures = dataclasses.asdict(found)
    log.write(step=run.step, **figures)
    if run.step and found.pooled > run.best.get("pooled", -math.inf):
        run.best = {**figures, "step": run.step}
        export(run, run.best)


def _save(run: Run) -> None:
    if run.ranks.rank == 0:
        saved.save(run.checkpoint(), run.checkpoint_file)


def _precision(run: Run) -> contextlib.AbstractContextManager[Any]:
    kind = run.device.split(":")[0]
    half = run.recipe.precision == "bf16" or (run.recipe.precision == "auto" and kind == "cuda")
    return torch.autocast(kind, torch.bfloat16, enabled=half)


@contextlib.contextmanager
def _parallel(run: Run) -> Iterator[nn.Module]:
    """The module that a step calls: compiled if the recipe says so, and shared out under torchrun."""
    module: nn.Module = run.module
    if run.recipe.compile:
        module = torch.compile(module)  # type: ignore[assignment]
    if run.ranks.world == 1:
        yield module
        return
    kind = run.device.split(":")[0]
    torch.distributed.init_process_group("nccl" if kind == "cuda" else "gloo")
    try:
        devices = [run.ranks.local] if kind == "cuda" else None
        unused = run.recipe.frames == 1  # a recurrence has parameters that only a second frame reaches
        yield nn.parallel.DistributedDataParallel(module, device_ids=devices, find_unused_parameters=unused)
    finally:
        torch.distributed.destroy_process_group()


@contextlib.contextmanager
def _signals() -> Iterator[threading.Event]:
    """SIGTERM and SIGINT set the event; the loop saves and leaves. A second SIGINT leaves at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(signum: int, _frame: Any) -> None:
        if stop.is_set() and signum == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _what_to_try(run: Run, batch: Batch, value: float, what: str = "loss") -> str:
    return (
        f"the {what} is {value} at step {run.step} (batch from {'; '.join(batch.origin)}). Nothing was saved after it: "
        f"{run.checkpoint_file} is the last good state, if one was saved. Try a lower rate "
        f"(--set learning_rate={run.recipe.learning_rate / 2:g}), --set clip_norm=1, or --set precision=fp32."
    )


@contextlib.contextmanager
def _memory(run: Run, validating: bool = False) -> Iterator[None]:
    """Say what to make smaller where memory runs out, on a GPU or on the CPU."""
    try:
        yield
    except MemoryError as error:
        raise UsageError(_smaller(run, validating)) from error
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error):
            raise UsageError(_smaller(run, validating)) from error
        raise


def _smaller(run: Run, validating: bool) -> str:
    recipe = run.recipe
    kept = f" What was trained so far can begin it: --start-from {run.request.output}, another --output." * bool(
        run.best
    )
    if validating:
        return f"out of memory while validating on whole frames at step {run.step}: use --set validation_clips=0.{kept}"
    fits = [f"--set batch={recipe.batch // 2}"] * (recipe.batch > 1) + [f"--set frames={recipe.frames // 2}"] * (
        recipe.frames > 1
    )
    needs = run.card.needs_of(run.variant)
    each = math.lcm(16, needs.multiple_of)
    crop = int(recipe.crop / 1.42) // each * each
    fits += [f"--set crop={crop}"] * (crop >= max(16, needs.min_size))
    return (
        f"out of memory at batch {recipe.batch} of {recipe.frames} frames, {recipe.crop}x{recipe.crop}, in step "
        f"{run.step}. About half of it is needed with any of {', '.join(fits) or 'a smaller variant'}.{kept}"
    )
