"""Modules import downwards, wing by wing, at import time and inside functions alike."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "yolo_perf"
WINGS = (  # from the ground up
    ("escape",),
    ("errors", "files", "records", "signals", "units"),
    ("pace",),
    ("yolov5",),
    ("settings",),
    ("pipeline",),
    ("machine",),
    ("backends",),
    ("analysis",),
    ("verdict",),
    ("report",),
    ("guest",),
    ("options", "progress", "summary"),
    ("session",),
    ("cli", "plugin"),
)
LEVEL = {name: level for level, names in enumerate(WINGS) for name in names}


def imported(path: Path) -> set[str]:
    """Wings and ground modules of this package that a file imports anywhere."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            found.update(
                [node.module] if node.module != "yolo_perf" else [f"yolo_perf.{a.name}" for a in node.names]
            )
    return {name.split(".")[1] for name in found if name.startswith("yolo_perf.")}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_downwards(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "__init__":
        return
    for name in imported(path) - {own, "__version__"}:
        assert LEVEL[name] < LEVEL[own], f"{own} imports {name}"


def test_only_the_doors_know_pytest() -> None:
    doors = {"guest.py", "plugin.py", "options.py", "progress.py", "session.py"}
    for path in PACKAGE.rglob("*.py"):
        names = {
            (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
        }
        if any(name.split(".")[0] in ("pytest", "pytest_benchmark", "_pytest") for name in names):
            assert path.name in doors, path
