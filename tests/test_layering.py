"""The house keeps its form: modules import downwards, verdicts are pure, nothing outgrows its walls."""

import ast
import re
from pathlib import Path

import pytest

from tests.sources import nodes_of, text_of, tree_of

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
    ("pairing",),
    ("archive",),
    ("proof",),
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
    for node in nodes_of(path):
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


def test_every_room_has_a_floor() -> None:
    """And the plan of the house, which `pytest tests/test_layering.py -rP` shows: doors above, ground below."""
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in PACKAGE.rglob("*.py")}
    for floor in reversed(WINGS):
        lines = {name: sum(_lines(path) for path in _files(name)) for name in floor}
        print("  ".join(f"{name} {count:,}" for name, count in lines.items()))  # noqa: T201 - to be seen
    assert rooms - {"__init__", "benchmarks"} == set(LEVEL)


def _files(room: str) -> list[Path]:
    return [*(PACKAGE / room).rglob("*.py"), *PACKAGE.glob(f"{room}.py")]


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_only_the_doors_know_pytest() -> None:
    doors = {"guest.py", "plugin.py", "options.py", "progress.py", "session"}
    a_side = PACKAGE / "pairing" / "lockstep.py"  # run by path in a side's own process: a pytest of its own
    for path in PACKAGE.rglob("*.py"):
        names = {
            (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
            for node in nodes_of(path)
            if isinstance(node, ast.Import | ast.ImportFrom)
        }
        if any(name.split(".")[0] in ("pytest", "pytest_benchmark", "_pytest") for name in names):
            assert path.relative_to(PACKAGE).parts[0] in doors or path == a_side, path


IMPURE = {
    *("asyncio", "ctypes", "fcntl", "glob", "io", "lzma", "mmap", "multiprocessing", "os", "pathlib", "psutil"),
    *("queue", "random", "shutil", "signal", "socket", "sqlite3", "subprocess", "sys", "tarfile", "tempfile"),
    *("threading", "time", "urllib", "zipfile"),
}
"""Modules by which a process is started, a file opened, a clock or a die read."""
ALLOWED = {"io.StringIO", "pathlib.PurePath", "pathlib.Path"}
"""`Path` to name its type: what is done with one, `CALLS` sees."""
CALLS = {
    *("open", "input", "now", "stat", "exists", "is_file", "is_dir", "iterdir", "resolve", "unlink", "mkdir"),
    *("read_text", "read_bytes", "write_text", "write_bytes"),
}


def reached(path: Path, *, lazily: bool) -> set[Path]:
    """This package's modules that a file imports; those imported inside of functions too, where `lazily`."""
    found: set[Path] = set()
    for node in nodes_of(path) if lazily else tree_of(path).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("yolo_perf"):
            place = PACKAGE.parent.joinpath(*str(node.module).split("."))
            for each in (place, *(place / name.name for name in node.names)):
                found.update(path for path in (each.with_suffix(".py"), each / "__init__.py") if path.is_file())
    return found


def impurities(path: Path) -> set[str]:
    """The modules and calls of a file by which it would reach outside of its arguments."""
    found: set[str] = set()
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            found.update(each.name for each in node.names if each.name.split(".")[0] in IMPURE)
        elif isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in IMPURE:
            found.update({f"{node.module}.{each.name}" for each in node.names} - ALLOWED)
        elif isinstance(node, ast.Call):
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            found.update({called} & CALLS)
    return found


@pytest.mark.parametrize("path", sorted((PACKAGE / "verdict").glob("*.py")), ids=lambda path: path.name)
def test_verdicts_are_pure(path: Path) -> None:
    """Nothing that decides starts a process, opens a file or reads a clock, nor does what it is made of."""
    seen, left = {path}, [(path, True)]
    while left:
        module, lazily = left.pop()
        assert impurities(module) == set(), f"{module.relative_to(PACKAGE)}, by way of {path.name}"
        new = reached(module, lazily=lazily) - seen
        seen |= new
        left += [(each, False) for each in new]


def test_what_is_impure_is_seen(tmp_path: Path) -> None:
    written = tmp_path / "written.py"
    written.write_text("import os.path\nfrom time import time\nfrom pathlib import Path\nPath('a').read_text()\n")
    assert impurities(written) == {"os.path", "time.time", "read_text"}
    assert PACKAGE / "session" / "state.py" in reached(PACKAGE / "plugin.py", lazily=True)
    assert PACKAGE / "analysis" / "stages.py" in reached(PACKAGE / "plugin.py", lazily=True)
    assert PACKAGE / "analysis" / "stages.py" not in reached(PACKAGE / "plugin.py", lazily=False)


MOST_LINES = {"file": 400, "class": 200, "function": 45}
REASON = re.compile(r"\blong, as \w+", re.IGNORECASE)
"""In the docstring of a function that is longer, with why."""
SOURCES = sorted(
    path
    for folder in ("yolo_perf", "tests", "tools", "benchmarks")
    for path in (PACKAGE.parent / folder).rglob("*.py")
    if not path.is_relative_to(PACKAGE / "benchmarks")
)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE.parent)))
def test_nothing_outgrows_its_walls(path: Path) -> None:
    assert text_of(path).count("\n") <= MOST_LINES["file"]
    for node in nodes_of(path):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= MOST_LINES[kind] or REASON.search(ast.get_docstring(node) or ""), (node.name, lines)
