"""The Python interface: evaluate methods, read runs, restore clips, score frames. `import deblurbench` offers it."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deblurbench.datasets import opening
from deblurbench.datasets.base import Clip, Dataset, absolute_roots
from deblurbench.errors import UsageError
from deblurbench.evaluation.in_memory import LoadedMethod, load_method
from deblurbench.evaluation.plan import make_plan
from deblurbench.evaluation.progress import Listener
from deblurbench.metrics.function import MetricFunction, metric
from deblurbench.registry.by_path import absolute, short
from deblurbench.registry.cards import MethodCard
from deblurbench.registry.given import GivenMethod, given_plugin, offered
from deblurbench.registry.protocol import Protocol
from deblurbench.results import run as stored
from deblurbench.results.manifest import Outcome, Request
from deblurbench.results.store import folder_name, in_runs
from deblurbench.text import did_you_mean

__all__ = [
    "LoadedMethod",
    "MetricFunction",
    "OpenedDataset",
    "Run",
    "evaluate",
    "load_method",
    "metric",
    "open_dataset",
    "open_run",
    "wrap",
]

log = logging.getLogger("deblurbench")


@dataclass(frozen=True)
class Run(stored.Run):
    """A stored run: its scores, times, saved frames and manifest. In a notebook it is shown as its table."""

    @property
    def failures(self) -> list[Outcome]:
        """How each method x clip ended that failed: `.method`, `.clip`, `.kind`, `.reason`."""
        return [outcome for outcome in self.manifest.outcomes if outcome.status == "failed"]

    def _repr_html_(self) -> str:
        from deblurbench import tables
        from deblurbench.tables.notebook import html

        return html(tables.build([self]))


def open_run(path: str | Path) -> Run:
    """The run in a folder that `deblurbench run`, `score` or `evaluate` wrote.

    Raises:
        UsageError: there is no run, or its run.json is damaged or of a newer version.
    """
    return Run.open(Path(path))


def evaluate(
    methods: Sequence[object] | Mapping[str, object] | str,
    dataset: str,
    *,
    data_root: str | Path | None = None,
    output: str | Path | None = None,
    fresh: bool = False,
    in_process: bool = False,
    jobs: int | None = None,
    timeout: float = 900.0,
    listener: Listener | None = None,
    **options: Any,
) -> Run:
    """Restore and score a dataset's clips with every method; what `deblurbench run` does, without the report.

    What `output` already holds of the same request is not computed again. A method that fails costs its own rows
    only: see `Run.failures`. Progress goes to the logger `deblurbench`, or to `listener`.

    Args:
        methods: names or paths as the command line takes them, methods from `wrap`, instances of `Method`, or torch
            modules that take and return (1, 3, H, W) in [0, 1]. A mapping names those that are objects. Objects are
            evaluated in this process, as copies; names and paths in worker processes.
        dataset: `name` or `name:protocol`, as `deblurbench list protocols` shows them.
        data_root: the dataset's folder, or the one that holds it; DEBLURBENCH_DATA where it is None.
        output: the run's folder; by default `runs/<date>-<dataset>-<methods>`.
        fresh: delete the run in `output` first.
        in_process: run every method in this process, for debugging.
        jobs: worker processes side by side; by default one a device.
        timeout: seconds without a frame after which a worker counts as hung.
        listener: is called as the run goes on.
        options: `metrics`, `split`, `clips`, `partial`, `device`, `precision`, `tile`, `limit`, `frames_per_clip`,
            `save_frames`, `seed` and `random_weights`, as the options of `deblurbench run`.

    Raises:
        UsageError: an unknown name, or `output` holds the run of another request; nothing was computed.
        MissingError: data, weights or a package are missing.
        DiskError: the disk is full; what was finished is kept.
    """
    from deblurbench.evaluation import runner

    given, texts = _sorted_out(methods)
    roots = str(data_root) if data_root is not None else None
    request = _request({**options, "methods": texts, "dataset": dataset, "data_root": absolute_roots(roots)})
    with offered(given):
        plan = make_plan(request)
        folder = Path(output) if output is not None else default_folder(request)
        result = runner.run(
            plan, folder, command="deblurbench.evaluate", fresh=fresh, in_process=in_process, jobs=jobs,
            timeout=timeout, listener=listener or LogListener(),
        )  # fmt: skip
    return open_run(result.folder)


def _request(asked: Mapping[str, Any]) -> Request:
    from pydantic import ValidationError

    for name in asked.keys() - Request.model_fields.keys():
        raise UsageError(f"evaluate has no argument {name!r}. {did_you_mean(name, Request.model_fields)}")
    try:
        return Request(**asked)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, f['loc']))}: {f['msg']}" for f in error.errors())
        raise UsageError(f"evaluate: {faults}") from error


def _sorted_out(methods: Sequence[object] | Mapping[str, object] | str) -> tuple[list[GivenMethod], list[str]]:
    """The methods that are objects, and the texts by which all of them are named in a request."""
    given: list[GivenMethod] = []
    texts: list[str] = []
    pairs: Iterable[tuple[str, object]]
    if isinstance(methods, Mapping):
        pairs = methods.items()
    else:
        pairs = (("", each) for each in ([methods] if isinstance(methods, str) else methods))
    for name, each in pairs:
        if isinstance(each, str | Path):
            texts.append(absolute(str(each)))
            continue
        given.append(each if isinstance(each, GivenMethod) else wrap(each, name))
        texts.append(given[-1].reference)
    return given, texts


def default_folder(request: Request) -> Path:
    """`runs/<date>-<dataset>-<methods>`, shortened with a digest where it would be long."""
    methods = folder_name("+".join(short(text).strip("<>") for text in request.methods))
    if len(methods) > 60:
        methods = f"{methods[:50]}-{hashlib.sha256(methods.encode()).hexdigest()[:8]}"
    return in_runs(f"{folder_name(request.dataset)}-{methods}")


class LogListener(Listener):
    """Progress as records of the logger `deblurbench`: clips at INFO, failures at WARNING."""

    def clip(self, method: str, clip: str, frames: int) -> None:
        """A method begins a clip."""
        log.info("%s restores %s (%d frames)", method, clip, frames)

    def outcome(self, outcome: Outcome) -> None:
        """A clip ended."""
        if outcome.status == "failed":
            log.warning("%s failed on %s: %s", outcome.method, outcome.clip, outcome.reason.partition("\n")[0])

    def say(self, text: str) -> None:
        """A message for the user."""
        log.info("%s", text)


def wrap(given: object, name: str = "", *, title: str = "", licence: str = "unstated", **needs: Any) -> GivenMethod:
    """A method object or a torch module as a method that `evaluate` takes.

    Args:
        given: an instance of `Method`, or a torch.nn.Module that restores frames as its `needs` say.
        name: what tables call it: small letters, digits, `-` and `_`; by default made from the class's name.
        title: a longer name; by default the class's name.
        licence: the licence of its code.
        needs: `multiple_of`, `window`, `causal` and `min_size` of any method; of a module also `form`, `stack`,
            `range`, `colours`, `size` and `output` (docs/outside.md).

    Raises:
        UsageError: neither a method nor a module, or needs that do not fit it.
    """
    from pydantic import ValidationError

    from deblurbench.methods.adapter import GivenNetwork
    from deblurbench.methods.base import RecurrentMethod, WindowMethod
    from deblurbench.registry.cards import FOREIGN, Needs

    own = type(given).__name__
    try:
        if not hasattr(given, "restore") and callable(given):
            method: Any = GivenNetwork(given, Needs(**needs))
            window, form = method.radius, method.form
        elif hasattr(given, "restore"):
            method, window = given, given.radius if isinstance(given, WindowMethod) else 0
            form = "window" if window else "recurrent" if isinstance(given, RecurrentMethod) else "frame"
        else:
            raise UsageError(f"{own}: neither a torch.nn.Module nor an instance of deblurbench.Method")
        own_needs = {key: value for key, value in needs.items() if key not in FOREIGN or method is given}
        kind = "image" if form == "frame" else form
        own_needs = {"window": window, "causal": not window} | own_needs
        card = MethodCard(
            name=name or _plain(own), entry=f"given:{own}", title=title or own, licence=licence, kind=kind,
            needs=Needs(**own_needs),
        )  # fmt: skip
    except ValidationError as error:
        fault = error.errors()[0]
        raise UsageError(f"{own}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}") from error
    return given_plugin(method, card)


def _plain(name: str) -> str:
    """A class's name as a method's: `MyNet` becomes `my-net`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower().strip("_") or "method"


@dataclass(frozen=True)
class OpenedDataset:
    """A dataset under one of its protocols: a sequence of clips, found also by name."""

    dataset: Dataset
    protocol: Protocol
    clips: tuple[Clip, ...]

    def __len__(self) -> int:
        return len(self.clips)

    def __iter__(self) -> Iterator[Clip]:
        return iter(self.clips)

    def __getitem__(self, key: str | int) -> Clip:
        """A clip by its name or position: `.blurry` and `.sharp` are walked frame by frame, `.stems` names them.

        Raises:
            UsageError: no clip of this name; the nearest one is given. IndexError: no such position.
        """
        if isinstance(key, int):
            return self.clips[key]
        known = {clip.name: clip for clip in self.clips}
        if key not in known:
            raise UsageError(f"{self.protocol.name} has no clip {key!r}. {did_you_mean(key, known)}")
        return known[key]


def open_dataset(name: str, data_root: str | Path | None = None, *, split: str | None = None) -> OpenedDataset:
    """The clips of a dataset, not yet decoded.

    >>> clips = open_dataset("mini")
    >>> len(clips), len(clips["astronaut-far"].stems)
    (8, 12)

    Args:
        name: `dataset` or `dataset:protocol`.
        data_root: the dataset's folder, or the one that holds it; DEBLURBENCH_DATA where it is None.
        split: another split than the protocol's.

    Raises:
        UsageError: an unknown name; the nearest one is given. MissingError: the data are not there.
    """
    dataset, protocol = opening.open_dataset(name, str(data_root) if data_root is not None else None)
    return OpenedDataset(dataset, protocol, tuple(dataset.clips(protocol, split)))
