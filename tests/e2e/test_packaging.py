"""sdist and wheel: built, installed into an empty environment, and used from another folder."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile

import pytest

from tests.conftest import ROOT
from tests.fakes import write_folder


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel built from the sdist, with the packages that are here: offline."""
    out = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return out


@pytest.fixture(scope="module")
def python(built, tmp_path_factory):
    """An environment with the wheel alone; its dependencies are those of this one, without the checkout."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=True)
    interpreter = place / "bin" / "python"
    site = next(place.glob("lib/python*/site-packages"))
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    wheel = next(built.glob("*.whl"))
    # Without PYTHONPATH: pip would take a checkout found there for the package, already installed.
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run(
        [interpreter, "-m", "pip", "install", "-q", "--no-index", "--no-deps", str(wheel)], check=True, env=clean
    )
    return interpreter


def test_nothing_else_is_installed_at_the_top(built):
    names = zipfile.ZipFile(next(built.glob("*.whl"))).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"deblurbench"} | {t for t in tops if t.endswith(".dist-info")}
    for needed in (
        "deblurbench/methods/ifirnn/card.yaml",
        "deblurbench/methods/ifirnn/network.py",
        "deblurbench/datasets/mini/card.yaml",
        "deblurbench/reports/gallery/card.yaml",
        "deblurbench/methods/base.py",
    ):
        assert needed in names
    assert [n for n in names if n.startswith("deblurbench/reports/gallery/templates/")]
    assert [n for n in names if n.endswith(".safetensors")]


def test_the_sdist_holds_the_rooms_and_the_tests(built):
    import tarfile

    names = tarfile.open(next(built.glob("*.tar.gz"))).getnames()
    for needed in ("methods/srn/card.yaml", "tests/e2e/test_packaging.py", "LICENSE", "constraints.txt"):
        assert any(name.endswith(needed) for name in names), needed


def test_the_installed_wheel_lists_and_runs_from_another_folder(python, tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    program = python.parent / "deblurbench"
    listed = subprocess.run([program, "list"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "ifirnn" in listed and "mini" in listed and "BROKEN" not in listed
    where = subprocess.run(
        [python, "-c", "import deblurbench; print(deblurbench.__file__)"], cwd=tmp_path, capture_output=True, text=True,
        check=True,
    ).stdout  # fmt: skip
    assert str(python.parent.parent) in where and str(ROOT) not in where
    root = write_folder(tmp_path / "data", clips=["one"], frames=2)
    done = subprocess.run(
        [program, "run", "--methods", "ifirnn", "--dataset", "folder", "--data-root", root, "--metrics", "psnr",
         "--output", "out"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "report" / "index.html").is_file()
