"""The house itself: imports run one way, nothing heavy is on the path of --help and list."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ORDER = """
text errors __init__
jit
frames provenance processes
registry
results methods
datasets backends
metrics
evaluation
analysis
tables
checks runtime
plots
training reports
api
cli __main__
"""
"""Modules and folders of the package, from the lowest to the highest; a line imports from itself and from above it."""
RANK = {name: level for level, line in enumerate(ORDER.strip().splitlines()) for name in line.split()}
MODULES_AT_ROOT, MODULES_IN_A_FOLDER, LINES = 7, 19, 400


def modules():
    return sorted((ROOT / "deblurbench").rglob("*.py"))


def part(file: Path) -> str:
    return file.relative_to(ROOT / "deblurbench").with_suffix("").parts[0]


@pytest.mark.parametrize("file", modules(), ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_run_one_way(file):
    assert part(file) in RANK, (
        f"{part(file)} has no place in the order of imports: add it here and to docs/architecture.md"
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
                assert RANK[name] <= RANK[part(file)], f"{file.name} imports {name}, a higher level"


def test_folders_are_small_enough_to_find_a_module():
    package = ROOT / "deblurbench"
    for folder in {file.parent for file in modules()}:
        count = len(list(folder.glob("*.py")))
        most = MODULES_AT_ROOT if folder == package else MODULES_IN_A_FOLDER
        assert count <= most, f"{folder.relative_to(ROOT)} holds {count} modules; at most {most} are meant"


@pytest.mark.parametrize("file", modules(), ids=lambda f: str(f.relative_to(ROOT)))
def test_modules_are_short(file):
    assert len(file.read_text().splitlines()) <= LINES


def test_imports_make_no_circle():
    """At any level, imports inside functions included; imports for type checking are left out."""
    names = {_dotted(file): file for file in modules()}
    edges = {name: {target for target in _imports(file, names) if target != name} for name, file in names.items()}
    while True:
        leaves = {name for name, targets in edges.items() if not targets & edges.keys()}
        if not leaves:
            break
        edges = {name: targets for name, targets in edges.items() if name not in leaves}
    assert not edges, f"these modules import each other, or one that does: {sorted(edges)}"


def _dotted(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imports(file: Path, names) -> set[str]:
    """Modules of the package that a file imports; `from package import module` counts as the module."""
    targets = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and not _names_a_type_only(file, node):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                targets.add(full if full in names else node.module)
        elif isinstance(node, ast.Import):
            targets |= {alias.name for alias in node.names}
    return targets & names.keys()


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


def test_the_page_names_every_folder_in_order():
    page = (ROOT / "docs" / "architecture.md").read_text().partition("## Folders")[2].partition("\n## ")[0]
    folders = [name for name in RANK if (ROOT / "deblurbench" / name).is_dir()]
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`(\w+)/`", row.split(" | ")[0])]
    assert sorted(named) == sorted(folders)
    assert [RANK[name] for name in named] == sorted(RANK[name] for name in named)


NO_NAMES = {"told", "found", "there", "mine", "wanted"}
"""Participles, adverbs and pronouns, which do not say what a variable holds (CONTRIBUTING.md, Names)."""
NOT_YET = {
    "analysis", "checks", "datasets", "methods", "metrics", "runtime", "tables", "training",
}  # fmt: skip
"""Folders that still hold such names. The list only shrinks."""


def _vague_names(file: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(file.read_text())))
    stored = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return (stored | {node.arg for node in nodes if isinstance(node, ast.arg)}) & NO_NAMES


@pytest.mark.parametrize("folder", sorted({part(file) for file in modules()}))
def test_names_are_of_the_field(folder):
    files = [file for file in modules() if part(file) == folder]
    vague = {str(file.relative_to(ROOT)): names for file in files if (names := _vague_names(file))}
    assert not vague or folder in NOT_YET
