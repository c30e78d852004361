"""Single-image networks through the real spandrel, each test in a process where torchvision is a stub, or is broken.

torchvision does not import beside every build of torch; spandrel needs three names of it, for networks of no use here.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest
import torch

from deblurbench.errors import UsageError
from deblurbench.evaluation.plan import plan_method
from tests.conftest import ROOT
from tests.foreign_nets import PUBLISHED, TORCHVISION, write_published

HERE = importlib.util.find_spec("spandrel") is not None
needs_spandrel = pytest.mark.skipif(not HERE, reason="spandrel is not installed: pip install 'deblurbench[spandrel]'")
EXTRA = importlib.util.find_spec("spandrel_extra_arches") is not None
USE = """
import numpy as np
from deblurbench.checks.method import check_method
from deblurbench.evaluation.plan import plan_method
from tests.foreign_nets import as_8bit, clip, restore
from tests.unit.test_foreign import ready
planned = plan_method("spandrel@tiny.pth")
method, frames = ready(planned), clip(2, 32, 48)
for frame, found in zip(frames, restore(method, frames)):
    given = torch.from_numpy(frame).permute(2, 0, 1)[None] / 255
    alone = net(given)
    alone = alone[0] if isinstance(alone, (list, tuple)) else alone  # MPRNet gives its last stage first
    expected = as_8bit(alone[0].detach().permute(1, 2, 0).numpy()).astype(int)
    assert abs(expected - found).max() <= 1 and abs(expected - frame).max() > 10
    assert len(np.unique(expected)) > 50
print(planned.id, planned.card.needs.causal, [f for f in check_method("./tiny.pth") if f[1] == "FAILED"])
"""
TRY = """
import sys
from deblurbench.errors import DeblurbenchError
from deblurbench.evaluation.plan import plan_method
from tests.unit.test_foreign import ready
for file in sys.argv[1:]:
    try:
        ready(plan_method(file))
    except DeblurbenchError as error:
        print(type(error).__name__, error)
"""


@pytest.fixture
def python(tmp_path):
    """Runs code with a stub of torchvision (or the given content of its __init__) before the real one."""

    def run(code: str, *words: object, torchvision: str = "") -> str:
        for name, text in {**TORCHVISION, "torchvision/__init__.py": torchvision}.items():
            (tmp_path / "stub" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "stub" / name).write_text(text)
        paths = os.pathsep.join([str(tmp_path / "stub"), str(ROOT)])
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, words)], cwd=tmp_path, capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout.strip()

    return run


@needs_spandrel
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_checkpoint_restores_as_the_network_itself(python, name):
    if name != "NAFNet" and not EXTRA:
        pytest.skip("spandrel_extra_arches is not installed: pip install 'deblurbench[spandrel-extra]'")
    assert python(write_published(name, "tiny.pth") + USE) == "tiny True []"


@needs_spandrel
def test_without_the_companion_package_an_unknown_network_names_it(python, strangers):
    hidden = (
        "import importlib.util as u\nreal = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if 'extra' in name else real(name, *rest)\n"
    )
    found = python(hidden + TRY, strangers[0])
    assert "Restormer" in found and "deblurbench[spandrel-extra]" in found and "a card" in found


@pytest.fixture
def strangers(tmp_path) -> list[Path]:
    """A checkpoint of an unknown network, one that holds an object, an empty file."""
    torch.save({"a": torch.zeros(1)}, tmp_path / "unknown.pth")
    torch.save({"a": PurePosixPath("x")}, tmp_path / "object.pth")
    (tmp_path / "empty.pth").write_bytes(b"")
    return [tmp_path / f"{name}.pth" for name in ("unknown", "object", "empty")]


@needs_spandrel
def test_what_is_no_network_it_knows_is_told(python, strangers):
    unknown, held, empty = python(TRY, *strangers).splitlines()
    assert unknown.startswith("UsageError") and "does not know (1 tensors, a, ...)" in unknown
    assert held.startswith("UsageError") and "can run code when it is opened, so it was not" in held
    assert empty.startswith("UsageError") and "the file is empty" in empty


@needs_spandrel
def test_a_torchvision_that_does_not_import_is_told(python, strangers):
    broken = "raise RuntimeError('operator torchvision::nms does not exist')"
    found = python(TRY, strangers[0], torchvision=broken)
    assert found.startswith("MissingError") and "torchvision::nms" in found and "pip install" in found


def test_without_spandrel_the_way_to_install_it_is_told(tmp_path, monkeypatch):
    import importlib.metadata

    from deblurbench.errors import MissingError

    (tmp_path / "net.pth").write_bytes(b"x")
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == "spandrel":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(
        MissingError, match=r"needs spandrel, not installed here.*pip install 'deblurbench\[spandrel\]'"
    ):
        plan_method(str(tmp_path / "net.pth"))
    with pytest.raises(UsageError, match="opens a file"):
        plan_method(f"spandrel@{tmp_path}")
