"""What produced a run: machine, packages, code. Read without importing any of the heavy packages."""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import json
import os
import platform
import stat
import subprocess
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

import deblurbench
from deblurbench.errors import MissingError

PACKAGES = (
    "torch", "numpy", "scipy", "scikit-image", "opencv-python-headless", "numba", "pandas", "lpips", "av",
    "imageio-ffmpeg", "torchmetrics",
    "onnxruntime", "spandrel", "spandrel_extra_arches",
)  # fmt: skip
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "CUBLAS_WORKSPACE_CONFIG")
TEXTS = {".md", ".rst", ".log"}
"""Suffixes in a plugin's folder of what is for people only."""
NO_SOURCES = (
    {"pyvenv.cfg"}, {"run.json", "scores.csv"}, {"training.json", "weights.safetensors"}, {"bench.json", "bench.md"},
)  # fmt: skip
"""Files by which a folder in a plugin's is known as an environment, or as what `run`, `train` or `bench` wrote."""
LARGE = 64 * 2**20  # bytes above which a file counts by its size and time


def environment() -> dict[str, Any]:
    """Machine, interpreter, packages, source state, as plain JSON values."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "packages": package_versions(),
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "source": source_state(),
    }


def package_versions() -> dict[str, str]:
    """Versions of the packages that may change a number; missing ones are left out."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def environment_digest(extra: str = "") -> str:
    """Short digest of what may change numbers between two halves of a run: packages, processor, and `extra`."""
    body = json.dumps([package_versions(), cpu_name(), platform.python_version(), extra], sort_keys=True)
    return hashlib.sha256(body.encode()).hexdigest()[:16]


@cache
def cpu_name() -> str:
    """The processor's name as the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@cache
def driver_version() -> str:
    """The version of NVIDIA's driver as nvidia-smi tells it; empty where it does not."""
    words = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout.splitlines() or [""])[0].strip() if done.returncode == 0 else ""


@cache
def source_state() -> dict[str, Any]:
    """Version, and where it is a git checkout its commit and whether files differ from it."""
    state: dict[str, Any] = {"version": deblurbench.__version__}
    top = Path(__file__).resolve().parent.parent
    if (top / ".git").exists():
        commit = _git(top, "rev-parse", "HEAD")
        if commit:
            state |= {"commit": commit, "dirty": bool(_git(top, "status", "--porcelain", "--untracked-files=no"))}
    return state


def _git(top: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(top), *words], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def folder_digest(folder: Path) -> str:
    """sha256 over the code of a plugin's folder: every .py file, by relative name, as `code_digest` reads it."""
    return _digest_files(_python_files(folder), folder)


def plugin_digest(folder: Path, apart: Collection[Path] = ()) -> str:
    """sha256 over a plugin's folder: its code, and every other file that it may read, but those in `apart`.

    Left out are hidden files, texts for people, environments, and what our own commands wrote there. A file of more
    than 64 MB counts by its size and time.
    """
    left_out = {file.resolve() for file in apart}
    return _digest_files([file for file in _plugin_files(folder) if file.resolve() not in left_out], folder)


@cache
def package_digest(place: Path) -> str:
    """sha256 over the code of an installed package's folder or module, read once."""
    return _digest_files(_python_files(place), place if place.is_dir() else place.parent)


@cache
def _code_digest(file: Path, size: int, changed: int) -> bytes:
    return code_digest(file.read_bytes())


def code_digest(source: bytes) -> bytes:
    """sha256 over what Python source does: its syntax tree without positions, comments and docstrings.

    Renaming, reordering and every changed number change it; layout and prose do not. It is the same under all Python
    versions that parse the source to the same tree. Source that is no Python, nests too deeply, or reads a docstring
    by `__doc__` counts by its bytes.
    """
    words: list[str] = []
    if b"__doc__" not in source:
        try:
            _list_syntax(ast.parse(source), words)
            return hashlib.sha256("\0".join(words).encode()).digest()
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            pass
    return hashlib.sha256(source).digest()


def _list_syntax(value: Any, words: list[str]) -> None:
    """Append the names and constants of a syntax tree, in order; fields that are empty are left out.

    `ast.dump` prints such fields in one Python version and not in another.
    """
    if isinstance(value, ast.AST):
        words.append(type(value).__name__)
        for name in value._fields:
            item = getattr(value, name, None)
            if name != "kind" and (item or isinstance(value, ast.Constant)):
                words.append(name)
                _list_syntax(item, words)
        words.append(")")
    elif isinstance(value, list):
        for item in value:
            if not _is_text(item):
                _list_syntax(item, words)
        words.append("]")
    else:
        words.append(f"{type(value).__name__} {value!r}")


def _is_text(statement: Any) -> bool:
    """Whether a statement is a docstring, or another text that nothing reads."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def file_sha256(file: Path) -> str:
    """sha256 of a file as 64 hexadecimal digits.

    Raises:
        MissingError: it is not there, or cannot be read.
    """
    try:
        if not stat.S_ISREG(file.stat().st_mode):  # a pipe would be waited for, a device never ends
            raise MissingError(f"{file}: not an ordinary file.")
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise MissingError(f"{file}: cannot be read ({error.strerror}).") from error


def known_sha256(file: Path) -> str:
    """The same, read again only where the file's size or time is another.

    Raises:
        MissingError: it is not there, or cannot be read.
    """
    try:
        status = file.stat()
    except OSError as error:
        raise MissingError(f"{file}: cannot be read ({error.strerror}).") from error
    return _sha256_of(file, status.st_size, status.st_mtime_ns)


@cache
def _sha256_of(file: Path, size: int, changed: int) -> str:
    return file_sha256(file)


def text_digest(*words: str) -> str:
    """sha256 over a few words."""
    return hashlib.sha256("\0".join(words).encode()).hexdigest()


def _python_files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    files: list[Path] = []
    for folder, below, names in os.walk(place):
        if "pyvenv.cfg" in names:  # an environment that lies in a plugin's folder is no code of it
            below.clear()
            continue
        files += [Path(folder) / name for name in names if name.endswith(".py")]
    return sorted(files)


def _plugin_files(place: Path) -> list[Path]:
    files: list[Path] = []
    for folder, below, names in os.walk(place):
        below[:] = [name for name in below if _holds_sources(Path(folder, name))]
        files += [Path(folder, name) for name in names if not name.startswith(".")]
    return sorted(file for file in files if file.suffix.lower() not in TEXTS and file.is_file())


def _holds_sources(folder: Path) -> bool:
    if folder.name == "__pycache__" or folder.name.startswith("."):
        return False
    return not any(all((folder / name).is_file() for name in known) for known in NO_SOURCES)


def _digest_files(files: list[Path], base: Path) -> str:
    total = hashlib.sha256()
    for file in files:
        total.update(os.fsencode(file.relative_to(base)) + b"\0")
        total.update(_content_digest(file))
    return total.hexdigest()


def _content_digest(file: Path) -> bytes:
    """Digest of Python code, of a file's bytes, or of a large file's size and time; empty where it is unreadable."""
    try:
        status = file.stat()
        if status.st_size > LARGE:
            return hashlib.sha256(f"{status.st_size} {status.st_mtime_ns}".encode()).digest()
        if file.suffix == ".py":
            return _code_digest(file, status.st_size, status.st_mtime_ns)
        return bytes.fromhex(known_sha256(file))
    except (OSError, MissingError):
        return b""
