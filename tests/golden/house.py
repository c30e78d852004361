"""What the command line gives today, written as golden files, so that moved and renamed code can be held to it.

    python -m tests.golden.house            # writes tests/golden/house_*.json; takes minutes
    python -m tests.golden.house FOLDER     # the same, and keeps the runs and reports in FOLDER (and resumes them)

Everything goes through `python -m deblurbench`: no module of the package is imported. test_house_golden.py compares.
Regenerate after new weights, or after a change that is meant to move a number, a table or a key, and look at the diff.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from hashlib import sha256
from math import fsum
from pathlib import Path
from typing import Any

from tests.e2e.conftest import Cli, read_scores

GOLDEN = Path(__file__).parent
TABLES = ("table.csv", "table.md", "table.tex", "ranks.csv")
SECONDS = "0.250000"
"""Stands for every measured time in the tables that are compared."""
MAPS = {
    "broken plugins", "coverage", "devices", "kinds", "notes", "packages", "parameters", "protocols", "source",
    "splits", "status", "variables", "variants",
}  # fmt: skip
"""Objects whose keys are data: names of variants, packages, protocols."""
FREE = {"recipes", "training"}
"""Objects that a new training of a method changes; what they hold is not compared."""


@dataclass(frozen=True)
class Scene:
    """A run to be compared. Every frame is saved, so that `score` can read them back."""

    name: str
    methods: str
    clips: str = ""

    def words(self) -> list[str]:
        clips = ["--clips", self.clips] if self.clips else []
        chosen = ["--methods", self.methods, "--dataset", "mini", *clips]
        return ["run", *chosen, "--save-frames", "all", "--gallery", "none", "--output", self.name]


QUICK = Scene("quick", "identity,unsharp,ifirnn", "coffee-near,motorcycle-far")
WHOLE = Scene("whole", "identity,ifirnn,srn,fba,unsharp")
SCENES = {scene.name: scene for scene in (QUICK, WHOLE)}

IN_MINI = ["--dataset", "mini", "--clips", QUICK.clips]
SMALL = ["--size", "32x24", "--seconds", "0", "--frames", "1", "--device", "cpu"]
COMMANDS: dict[str, tuple[list[str], int]] = {
    "list": (["list"], 0),
    "list methods": (["list", "methods"], 0),
    "show method": (["show", "ifirnn"], 0),
    "show variant": (["show", "ifirnn:C1H1"], 0),
    "show dataset": (["show", "gopro"], 0),
    "show protocol": (["show", "gopro:nah2019"], 0),
    "show metric": (["show", "psnr"], 0),
    "show report": (["show", "gallery"], 0),
    "check": (["check", "identity"], 0),
    "env": (["env", "--device"], 0),
    "data info": (["data", "info", "mini"], 0),
    "data verify": (["data", "verify", "mini"], 0),
    "run": (QUICK.words(), 0),
    "run --dry-run": ([*QUICK.words(), "--dry-run"], 0),
    "report": (["report", "quick", "--output", "again", "--kind", "tables"], 0),
    "verify": (["verify", "quick"], 0),
    "compare": (["compare", "quick", "quick"], 0),
    "compare --fail-if": (["compare", "quick", "quick", "--fail-if", "psnr<0.1"], 4),
    "score": (["score", "quick/frames/identity", *IN_MINI, "--name", "theirs", "--output", "scored"], 0),
    "bench": (["bench", "--methods", "identity,unsharp,ifirnn", *SMALL, "--output", "bench"], 0),
    "reproduce": (
        ["reproduce", "ifirnn", "--dataset", "mini", "--limit", "1", "--frames-per-clip", "6", "--output", "paper"], 0,
    ),
}  # fmt: skip
"""Every command that prints JSON without a network connection, with its exit code; they read the quick scene's run."""


def command_line(folder: Path) -> Cli:
    """Runs commands in `folder`, with one thread, no GPU, and no trunk of LPIPS, whatever this machine has."""
    cli = Cli(folder)
    cli.variables |= {"TORCH_HOME": str(folder / "torch"), "CUDA_VISIBLE_DEVICES": ""}
    return cli


def make_run(cli: Cli, scene: Scene) -> Path:
    cli(*scene.words())
    return cli.folder / scene.name


def read_manifest(run: Path) -> dict[str, Any]:
    return json.loads((run / "run.json").read_text())


def machine(cli: Cli) -> str:
    """Digest of what may move the last digits: the processor with its instruction sets, and the packages."""
    facts = json.loads(cli("env", "--json").stdout)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().split("\n\n")[0].splitlines() if cpuinfo.is_file() else []
    kept = [line for line in lines if re.match(r"model|cpu family|stepping|flags", line)]
    return sha256(json.dumps([facts["cpu"], facts["packages"], kept]).encode()).hexdigest()[:16]


def clip_means(run: Path) -> dict[str, dict[str, dict[str, float]]]:
    """The mean over frames: method -> clip -> metric."""
    values: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for row in read_scores(run):
        values[row["method"], row["clip"], row["metric"]].append(float(row["value"]))
    means: dict[str, dict[str, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for (method, clip, metric), numbers in values.items():
        means[method][clip][metric] = fsum(numbers) / len(numbers)
    return {method: dict(clips) for method, clips in means.items()}


def frame_digests(run: Path) -> dict[str, dict[str, str]]:
    """sha256 of the restored frames as run.json records it, shortened: method -> clip."""
    digests: dict[str, dict[str, str]] = defaultdict(dict)
    for outcome in read_manifest(run)["outcomes"]:
        digests[outcome["method"]][outcome["clip"]] = outcome["frames_sha256"][:16]
    return dict(digests)


def weights(run: Path) -> dict[str, str | None]:
    """method -> sha256 of its weights, None for a method that needs none."""
    return {method["id"]: method["weights_sha256"] for method in read_manifest(run)["methods"]}


def scores(run: Path) -> dict[str, Any]:
    means, digests = clip_means(run), frame_digests(run)
    return {
        method: {"weights_sha256": digest, "frames_sha256": digests[method], "means": means[method]}
        for method, digest in weights(run).items()
    }


def report(cli: Cli, run: Path) -> dict[str, list[str]]:
    """The report's tables and its page's numbers, file -> lines, from a copy of the run with plain circumstances."""
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / run.name
        shutil.copytree(run, copy, ignore=shutil.ignore_patterns("report", "frames", "logs", "digests"))
        _plain_manifest(copy / "run.json")
        _plain_timings(copy / "timings.csv")
        cli("report", copy, "--output", copy / "report", "--gallery", "none")
        files = {name: (copy / "report" / name).read_text().splitlines() for name in TABLES}
        return files | {"data.js": _page_data(copy / "report" / "data.js")}


def _plain_manifest(file: Path) -> None:
    """Overwrite what depends on the machine, the day and the checkout, so that the report does not."""
    manifest = json.loads(file.read_text())
    day = "2026-01-01T00:00:00+00:00"
    manifest |= {"deblurbench": "VERSION", "command": "COMMAND", "created": day, "finished": day, "device": "DEVICE"}
    manifest |= {"data_root": "DATA"}
    manifest["environment"] |= {"python": "VERSION", "packages": {"torch": "VERSION"}, "cpu": "CPU"}
    for metric in manifest["metrics"]:
        metric["absent"] = metric["absent"] and "no weights"
    file.write_text(json.dumps(manifest))


def _plain_timings(file: Path) -> None:
    with file.open(newline="") as source:
        rows = list(csv.DictReader(source))
    with file.open("w", newline="") as target:
        writer = csv.DictWriter(target, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | {"seconds": SECONDS} for row in rows)


def _page_data(file: Path) -> list[str]:
    """The value in data.js, a line for each method, metric and clip; its copies of the tables are left out."""
    data = json.loads(file.read_text().partition(" = ")[2].rstrip(";\n"))
    del data["tables"]
    return [
        f"{key}: {json.dumps(item)}"
        for key, value in data.items()
        for item in (value if isinstance(value, list) else [value])
    ]


def shape(samples: list[Any], key: str = "") -> Any:
    """Keys and types of the samples; a key that some lack ends in `?`, `*` stands for any key."""
    objects = [sample for sample in samples if isinstance(sample, dict)]
    lists = [sample for sample in samples if isinstance(sample, list)]
    kinds: list[Any] = sorted({_kind(sample) for sample in samples if not isinstance(sample, dict | list)})
    kinds = ["|".join(kinds)] if kinds else []
    if objects and key in FREE:
        kinds.append("object")
    elif objects and key in MAPS:
        kinds.append({"*": shape([value for one in objects for value in one.values()])})
    elif objects:
        names = dict.fromkeys(name for one in objects for name in one)
        kinds.append(dict(_member(objects, name) for name in names))
    if lists:
        kinds.append([shape([value for one in lists for value in one])])
    return kinds[0] if len(kinds) == 1 else kinds or "nothing"


def _member(objects: list[dict[str, Any]], name: str) -> tuple[str, Any]:
    values = [one[name] for one in objects if name in one]
    return name + "?" * (len(values) < len(objects)), shape(values, name)


def _kind(value: object) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "text", type(None): "null"}
    return names[type(value)]


def printed_shape(cli: Cli, name: str) -> Any:
    words, code = COMMANDS[name]
    return shape([json.loads(cli(*words, "--json", code=code).stdout)])


def golden(name: str) -> Any:
    return json.loads((GOLDEN / f"house_{name}.json").read_text())


def _write(name: str, value: Any, depth: int) -> None:
    (GOLDEN / f"house_{name}.json").write_text(_json(value, depth) + "\n")


def _json(value: Any, depth: int, indent: str = "") -> str:
    """JSON with its outer levels, `depth` of them, on lines of their own, so that a difference is short to read."""
    if depth == 0 or not value or not isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    inner = indent + " "
    if isinstance(value, dict):
        lines = [f"{json.dumps(key)}: {_json(item, depth - 1, inner)}" for key, item in value.items()]
    else:
        lines = [_json(item, depth - 1, inner) for item in value]
    start, end = "{}" if isinstance(value, dict) else "[]"
    return f"{start}\n{inner}" + f",\n{inner}".join(lines) + f"\n{indent}{end}"


def generate(folder: Path) -> None:
    cli = command_line(folder)
    runs = {name: make_run(cli, scene) for name, scene in SCENES.items()}
    _write("scores", {"machine": machine(cli), "methods": scores(runs["whole"])}, depth=4)
    _write("report", {name: report(cli, run) for name, run in runs.items()}, depth=3)
    _write("shapes", {name: printed_shape(cli, name) for name in COMMANDS}, depth=1)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
        generate(Path(sys.argv[1]).resolve())
    else:
        with tempfile.TemporaryDirectory() as place:
            generate(Path(place))
