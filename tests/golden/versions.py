"""Numbers of every metric, every shipped method and the tiling, beside the versions that results declare for them.

    python -m tests.golden.versions   # writes versions.json; refuses numbers that moved without a version

A stored result counts as long as its versions are the present ones (RESULTS_VERSION, Metric.version, the digest of a
plugin's code). So a number that moves needs another version, and test_versions.py fails until it has one. Networks have
weights of a fixed seed here: what is pinned is what the code computes, whichever weights are shipped.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deblurbench import provenance
from deblurbench.backends.device import seed_everything
from deblurbench.evaluation import RESULTS_VERSION
from deblurbench.evaluation.restore import restored_frames
from deblurbench.evaluation.settings import Settings
from deblurbench.methods.parameters import put_into_evaluation
from deblurbench.metrics import METRICS
from deblurbench.registry.cards import MethodCard
from deblurbench.registry.discovery import Plugin, plugins
from tests.golden.image_pairs import image_pairs
from tests.golden.lpips_twin import lpips_package, trunk_state

FILE = Path(__file__).with_name("versions.json")
PAIRS = ("blurred", "noisy", "odd-sized")
SAME = 1e-9
ELSEWHERE = 1e-4
"""Relative tolerance where the processor or a package is another, since kernels sum in another order. Measured with SSE
alone (ATEN_CPU_CAPABILITY, ONEDNN_MAX_CPU_ISA, NUMBA_CPU_NAME): methods move by up to 1.1e-5, metrics by 3.2e-7."""
TILE = 32


def machine() -> str:
    """Digest of what may move the last digits: processor with its instruction sets, Python, packages."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.is_file() else ""
    return provenance.environment_digest(json.dumps(re.findall(r"^flags.*", text, re.MULTILINE)[:1]))


@contextmanager
def random_trunks() -> Iterator[None]:
    """Trunks of a fixed seed in the place where LPIPS and DISTS look for theirs; one thread."""
    before, threads = os.environ.get("DEBLURBENCH_LPIPS"), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name in ("alex", "vgg", "squeeze"):
                torch.save(trunk_state(lpips_package(name, seed=11)), Path(folder, f"{name}.pth"))
            os.environ["DEBLURBENCH_LPIPS"] = folder
            yield
    finally:
        torch.set_num_threads(threads)
        os.environ.pop("DEBLURBENCH_LPIPS")
        os.environ |= {} if before is None else {"DEBLURBENCH_LPIPS": before}


def metric_values(id: str) -> dict[str, float]:
    """A metric on a few pairs of frames; one of whole clips on three frames, each moved on by one pixel or two."""
    pairs, entry = image_pairs(40), METRICS[id]
    load = entry.load()
    values = {}
    for name in PAIRS:
        if entry.level == "frame":
            values[name] = float(load(*pairs[name]))
            continue
        clip = load()
        for step in range(3):
            clip.add(*(np.roll(frame, step * by, 1).copy() for by, frame in zip((1, 2), pairs[name], strict=True)))
        values[name] = float(clip.result())
    return values


def frames(count: int = 3, height: int = 64, width: int = 96) -> list[np.ndarray]:
    """8-bit frames of a pattern that moves by two pixels."""
    scene = image_pairs(40)["blurred"][0][:height, :width]
    return [np.roll(scene, 2 * step, 1).copy() for step in range(count)]


def own_methods() -> dict[str, tuple[Plugin, str]]:
    """The shipped methods that can be made without a file, by `name:variant`."""
    return {
        f"{name}:{variant}": (plugin, variant)
        for name, plugin in plugins("methods").items()
        if isinstance(plugin.card, MethodCard) and not (plugin.card.opens or plugin.card.command)
        for variant in plugin.card.variants
    }


def make_method(plugin: Plugin, variant: str) -> Any:
    """The method with weights of a fixed seed, none of them zero."""
    assert isinstance(plugin.card, MethodCard)
    seed_everything(0)
    method = plugin.load()(**plugin.card.variants[variant].parameters)
    put_into_evaluation(method)
    if method.network is not None:
        for parameter in method.network.parameters():
            parameter.requires_grad_(False)
            parameter += 0.02 * torch.randn(parameter.shape)
    method.place("cpu", "fp32")
    return method


def method_values(plugin: Plugin, variant: str) -> list[float]:
    """What a method makes of three frames: for each the mean and the mean under weights that differ by position."""
    assert isinstance(plugin.card, MethodCard)
    method = make_method(plugin, variant)
    clip = [torch.from_numpy(frame).permute(2, 0, 1).float() / 255 for frame in frames()]
    weights = torch.linspace(-1, 1, clip[0].numel(), dtype=torch.float64).reshape(clip[0].shape)
    with torch.inference_mode():
        restored = [frame.double() for frame in method.restore(iter(clip))]
    return [float(mean) for frame in restored for mean in (frame.mean(), (frame * weights).mean())]


def tiled_values(plugin: Plugin, variant: str) -> list[float]:
    """The 8-bit frames' means of a clip whose sides no tile and no multiple divides, restored in tiles."""
    assert isinstance(plugin.card, MethodCard)
    needs = plugin.card.needs_of(variant)
    settings = Settings("cpu", tile=TILE, multiple_of=needs.multiple_of, window=needs.window)
    walk = restored_frames(make_method(plugin, variant), iter(frames(3, 61, 93)), settings)
    return [float(restored.rounded.frame.mean()) for restored in walk]


def measure() -> dict[str, Any]:
    """All numbers and versions of this checkout, as versions.json holds them."""
    with random_trunks():
        metrics = {id: {"version": METRICS[id].version, "values": metric_values(id)} for id in METRICS}
        methods = {
            id: {"code": plugin.code_digest(), "values": method_values(plugin, variant)}
            for id, (plugin, variant) in own_methods().items()
        }
        tiled = {id: tiled_values(*own_methods()[id]) for id in ("unsharp:mild", "ifirnn:C1H1")}
    return {"machine": machine(), "results_version": RESULTS_VERSION, "metrics": metrics, "methods": methods,
            "tiled": tiled}  # fmt: skip


def undeclared(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What moved between two measurements without a new version, in a sentence each."""
    same = old["machine"] == new["machine"]
    raise_it = "raise RESULTS_VERSION in deblurbench/evaluation/__init__.py"
    faults = []
    for id, entry in new["metrics"].items():
        before = old["metrics"].get(id)
        if before and before["version"] == entry["version"] and moved(before["values"], entry["values"], same):
            faults.append(f"metric {id} gives other numbers: raise its version in deblurbench/metrics/__init__.py")
    if old["results_version"] != new["results_version"]:
        return faults
    for id, entry in new["methods"].items():
        before = old["methods"].get(id)
        if before and before["code"] == entry["code"] and moved(before["values"], entry["values"], same):
            faults.append(f"{id} gives other numbers, and its own code is the same: {raise_it}")
    for id, values in new["tiled"].items():
        if moved(old["tiled"].get(id, values), values, same) and (
            old["methods"][id]["code"] == new["methods"][id]["code"]
        ):
            faults.append(f"{id} in tiles gives other numbers, and its own code is the same: {raise_it}")
    return faults


def moved(old: Any, new: Any, same: bool) -> bool:
    """Whether numbers, or lists or objects of them, differ by more than the machine explains."""
    one, two = ([*values.values()] if isinstance(values, dict) else values for values in (old, new))
    if len(one) != len(two):
        return True
    tolerance = SAME if same else ELSEWHERE
    return not np.allclose(one, two, rtol=tolerance, atol=tolerance, equal_nan=True)


def main() -> None:
    """Write versions.json, unless numbers moved without a version."""
    new = measure()
    faults = undeclared(json.loads(FILE.read_text()), new) if FILE.is_file() else []
    if faults:
        sys.exit("\n".join([*faults, f"{FILE.name} is left as it is."]))
    FILE.write_text(json.dumps(new, indent=1) + "\n")


if __name__ == "__main__":
    main()
