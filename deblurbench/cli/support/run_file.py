"""A comparison written down in a YAML file: `deblurbench run FILE.yaml`, and `show RUN --as-config` gives one back."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deblurbench.datasets.base import absolute_roots
from deblurbench.datasets.opening import open_dataset
from deblurbench.errors import DeblurbenchError, UsageError
from deblurbench.evaluation.plan import plan_method
from deblurbench.metrics import metric
from deblurbench.registry.by_path import absolute
from deblurbench.registry.read_card import read_raw_card
from deblurbench.results.manifest import Request
from deblurbench.results.store import folder_name
from deblurbench.text import did_you_mean

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class DatasetEntry(_Part):
    """A dataset of the file: `name` or `name:protocol` alone, or a mapping of these keys."""

    name: str
    data_root: str | None = None
    split: str | None = None
    clips: list[str] | None = None
    partial: bool = False

    @model_validator(mode="before")
    @classmethod
    def _of_a_name(cls, raw: Any) -> Any:
        return {"name": raw} if isinstance(raw, str) else raw


class Engine(_Part):
    """How the work is done; none of it changes a number but the device."""

    device: str = "auto"
    jobs: int | None = Field(default=None, ge=1)
    cluster: str | None = None
    timeout: float = Field(default=900.0, ge=1)
    in_process: bool = False


class ReportPart(_Part):
    """How much the page shows."""

    gallery: Literal["all", "sample", "none"] = "sample"
    budget: int = Field(default=50, ge=1, description="megabytes")


class RunFile(_Part):
    """The keys of the file; those that are left out have the defaults of `deblurbench run`."""

    methods: list[str] = Field(min_length=1)
    datasets: list[DatasetEntry] = Field(min_length=1)
    metrics: list[str] | None = None
    precision: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32"
    tile: int | None = Field(default=None, ge=32)
    limit: int | None = Field(default=None, ge=1)
    frames_per_clip: int | None = Field(default=None, ge=1)
    save_frames: Literal["none", "sample", "all"] = "sample"
    seed: int = Field(default=0, ge=0, lt=2**32)
    random_weights: bool = False
    engine: Engine = Engine()
    report: ReportPart = ReportPart()
    output: str | None = None


def read_run_file(path: Path) -> RunFile:
    """Read a file; environment variables are put in, and its paths are taken from the folder that it lies in.

    Raises:
        UsageError: not readable, or faults in it, all of them with their keys.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file. A comparison is a YAML file with `methods` and `datasets`.")
    raw = read_raw_card(path)
    try:
        file = RunFile.model_validate(_with_variables(raw, path))
    except ValidationError as error:
        raise UsageError(f"{path}: faults in this file:\n" + "\n".join(_lines(error))) from error
    with contextlib.chdir(path.parent):
        faults = list(_unknown(file))
        if faults:
            raise UsageError(f"{path}: faults in this file:\n" + "\n".join(f"  {fault}" for fault in faults))
        return _with_absolute_paths(file)


def _with_variables(value: Any, path: Path) -> Any:
    """The same value with $NAME and ${NAME} replaced in its texts."""

    def replaced(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in os.environ:
            raise UsageError(f"{path}: {match[0]}: the environment variable {name} is not set. Set it and run again.")
        return os.environ[name]

    if isinstance(value, str):
        return _VARIABLE.sub(replaced, value)
    if isinstance(value, list):
        return [_with_variables(each, path) for each in value]
    return {key: _with_variables(each, path) for key, each in value.items()} if isinstance(value, dict) else value


def _lines(error: ValidationError) -> Iterator[str]:
    parts: dict[str, type[BaseModel]] = {"datasets": DatasetEntry, "engine": Engine, "report": ReportPart}
    for fault in error.errors():
        *above, last = fault["loc"] or ("(whole file)",)
        line = f"  {'.'.join(map(str, [*above, last]))}: {fault['msg']}"
        if fault["type"] == "extra_forbidden":
            model = parts.get(str(above[0]), RunFile) if above else RunFile
            yield f"{line}. {did_you_mean(str(last), model.model_fields)}"
        else:
            yield line if fault["type"] == "missing" else f"{line} (found {str(fault['input'])[:60]!r})"


def _unknown(file: RunFile) -> Iterator[str]:
    """Names in the file that nothing has, or data that are not there, one line each."""
    checks: list[tuple[str, Callable[[], object]]] = []
    for number, text in enumerate(file.methods):
        if text != "all":
            checks.append((f"methods.{number}", lambda text=text: plan_method(text, file.random_weights, True)))  # type: ignore[misc]
    for number, entry in enumerate(file.datasets):
        checks.append((f"datasets.{number}", lambda entry=entry: open_dataset(entry.name, entry.data_root)))  # type: ignore[misc]
    for number, name in enumerate(file.metrics or ()):
        checks.append((f"metrics.{number}", lambda name=name: metric(name)))  # type: ignore[misc]
    for key, check in checks:
        try:
            check()
        except DeblurbenchError as error:
            yield f"{key}: {str(error).splitlines()[0]}"


def _with_absolute_paths(file: RunFile) -> RunFile:
    datasets = [entry.model_copy(update={"data_root": absolute_roots(entry.data_root)}) for entry in file.datasets]
    output = str(Path(file.output).expanduser().absolute()) if file.output else None
    methods = [absolute(text) for text in file.methods]
    return file.model_copy(update={"methods": methods, "datasets": datasets, "output": output})


def requests_of(file: RunFile, given: Mapping[str, Any]) -> list[Request]:
    """One request a dataset. `given` holds the options of the command line, which win over the file's."""
    shared = file.model_dump(exclude={"datasets", "engine", "report", "output"}) | {"device": file.engine.device}
    over = {key: value for key, value in given.items() if key in Request.model_fields}
    entries = file.datasets
    if "dataset" in over:
        entries = [entry for entry in entries if entry.name == over["dataset"]] or [DatasetEntry(name=over["dataset"])]
    return [
        Request(**{**shared, **entry.model_dump(exclude={"name"}), **over, "dataset": entry.name}) for entry in entries
    ]


def folder_of(request: Request, output: Path | None, several: bool) -> Path | None:
    """Where a request's run goes: the file's output, below it a folder a dataset where there are several."""
    return output / folder_name(request.dataset) if output and several else output


def as_config(request: Request) -> dict[str, Any]:
    """The keys of a file that asks for the same run; those with their default values are left out."""
    values = request.model_dump(exclude_defaults=True, exclude={"shard"})  # a share of the work, not what is asked
    entry = {key: values.pop(key) for key in ("data_root", "split", "clips", "partial") if key in values}
    dataset = values.pop("dataset")
    device = values.pop("device", None)
    config = {"methods": values.pop("methods"), "datasets": [{"name": dataset} | entry if entry else dataset], **values}
    return config | ({"engine": {"device": device}} if device else {})
