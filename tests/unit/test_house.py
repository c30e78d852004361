"""The house itself: imports run one way, nothing heavy is on the path of --help and list."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LEVELS = [
    {"errors", "__init__", "keeper", "kept", "downloads"},
    {"frames", "protocol"},
    {"cards", "packages", "rooms", "singlefile", "outside", "imagefiles", "provenance"},
    {"metrics"},
    {
        "methods",
        "datasets",
        "tiling",
        "weights",
        "tfcheckpoint",
        "synthesis",
        "elsewhere",
        "isolated",
        "commanding",
    },
    {"manifest", "choosing", "store", "claiming", "listening"},
    {
        "importing",
        "isolating",
        "failures",
        "restoring",
        "selection",
        "planning",
        "keeping",
        "job",
        "contract",
        "scaffold",
    },
    {"worker", "supervisor", "runner"},
    {"statistics", "ranking", "tables", "figures", "reports", "training"},
    {"matching", "scoring", "comparing", "auditing", "disguising", "benching", "pairing", "reproducing"},
    {"terminal", "commands", "cli", "__main__"},
]
RANK = {name: rank for rank, names in enumerate(LEVELS) for name in names}


def modules():
    return sorted((ROOT / "deblurbench").rglob("*.py"))


def part(file: Path) -> str:
    return file.relative_to(ROOT / "deblurbench").with_suffix("").parts[0]


@pytest.mark.parametrize("file", modules(), ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_run_one_way(file):
    assert part(file) in RANK, (
        f"{part(file)} has no place in the house: name its level here and in docs/architecture.md"
    )
    for node in ast.walk(ast.parse(file.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("deblurbench"):
            words = node.module.split(".")
            names = [words[1]] if len(words) > 1 else [a.name for a in node.names]
        elif isinstance(node, ast.Import):
            names = [a.name.split(".")[1] for a in node.names if a.name.startswith("deblurbench.")]
        for name in names:
            if name in RANK and not _names_a_type_only(file, node):
                assert RANK[name] <= RANK[part(file)], f"{file.name} imports {name}, which stands above it"


def _names_a_type_only(file: Path, node: ast.AST) -> bool:
    """Imports under `if TYPE_CHECKING` cost nothing and make no cycle."""
    for guard in ast.walk(ast.parse(file.read_text())):
        if isinstance(guard, ast.If) and isinstance(guard.test, ast.Name) and guard.test.id == "TYPE_CHECKING":
            return any(getattr(child, "lineno", 0) == node.lineno for child in ast.walk(guard))
    return False


def test_the_harness_names_no_plugin():
    plugins = {folder.name for room in ("methods", "datasets") for folder in (ROOT / room).iterdir() if folder.is_dir()}
    for file in modules():
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                words = node.module.split(".")
                if words[:2] in (["deblurbench", "methods"], ["deblurbench", "datasets"]) and len(words) > 2:
                    assert words[2] not in plugins, f"{file} imports the plugin {node.module}"


@pytest.mark.parametrize(
    "words", [["--help"], ["list"], ["list", "methods", "--json"], ["show", "ifirnn"], ["run", "-h"]]
)
def test_light_commands_do_not_import_heavy_packages(words):
    code = (
        "import sys\nfrom deblurbench.cli.main import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit as done:\n    assert done.code in (0, None), done.code\n"
        "heavy = {'torch', 'pandas', 'matplotlib', 'skimage', 'cv2', 'numba', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
