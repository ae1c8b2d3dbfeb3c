"""The two sides of a paired measurement: an interpreter, a source tree, an environment, threads, an injection."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from yolo_perf import files
from yolo_perf.backends.artefacts import cache_folder
from yolo_perf.errors import UsageError

KINDS = ("ref", "python", "path", "env", "threads", "inject")
INJECTIONS = ("spin", "convolution", "intermittent")
PACKAGE = "yolo_perf"
KEPT_TREES = 20
MOST_SAID = 600
"""Characters of what git says that are repeated."""
THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
"""Variables that say nothing here: every engine is told how many threads it has."""
HELP = (
    "ref:GITREF, path:FOLDER, python:INTERPRETER, env:NAME=VALUE,..., threads:N, or inject:KIND=AMOUNT[@CASE]; "
    "repeat the option to combine them"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """A slow-down put into a side on purpose: by `amount` of a call's time, in one case or in all."""

    kind: str
    amount: float
    case: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side. What is None is this process's own."""

    name: str  # as the user wrote it
    tree: Path
    python: Path
    environment: tuple[tuple[str, str], ...] = ()
    threads: int | None = None
    inject: tuple[Injection, ...] = ()
    commit: str = ""


def parse_side(words: Sequence[str], folder: Path, *, whole: Path | None = None) -> Side:
    """A side of words such as "ref:main" and "env:A=1,B=2", each kind but `env` and `inject` once.

    `folder` is where relative names and git are looked up. A side's tree is its `yolo_perf` package; where `whole`
    names the tree that asks, it is any project's, and that one unless a word names another. Raises UsageError
    naming the word.
    """
    given: dict[str, str] = {}
    environment: dict[str, str] = {}
    injections: list[Injection] = []
    for word in words:
        kind, separator, value = word.partition(":")
        if not separator or kind not in KINDS or not value:
            raise UsageError(f"A side reads {HELP}; got {word!r}.")
        if kind == "env":
            environment.update(_environment(value))
        elif kind == "inject":
            injections.append(_injection(value))
        elif kind in given:
            raise UsageError(f"A side has one {kind}; got {given[kind]!r} and {value!r}.")
        else:
            given[kind] = value
    if "ref" in given and "path" in given:
        raise UsageError("A side has a ref or a path: both name its source tree.")
    commit = ""
    tree = whole or own_tree()
    if "ref" in given:
        commit, tree = checked_out(given["ref"], folder, part="" if whole else PACKAGE)
    elif "path" in given:
        tree = _folder(folder / given["path"]) if whole else _tree(folder / given["path"])
    return Side(
        name=" ".join(words) or "as installed",
        tree=tree,
        python=_python(folder, given["python"]) if "python" in given else Path(sys.executable),
        environment=tuple(environment.items()),
        threads=_threads(given["threads"]) if "threads" in given else None,
        inject=tuple(injections),
        commit=commit,
    )


def own_tree() -> Path:
    """The folder that holds the package that is running."""
    return Path(__file__).resolve().parent.parent.parent


def top_of(folder: Path) -> Path:
    """The top of the work tree of git that a folder is in; the folder where it is in none."""
    try:
        return Path(_git(folder, "rev-parse", "--show-toplevel").strip()).resolve()
    except UsageError:
        return folder.resolve()


def checked_out(reference: str, folder: Path, *, part: str = PACKAGE) -> tuple[str, Path]:
    """A commit's id and a folder with its files, all or those of a `part`, kept in the cache.

    Raises UsageError where git has none.

    The files come from `git archive`, so that the repository itself is left as it is.
    """
    top = _git(folder, "rev-parse", "--show-toplevel").strip()
    try:
        commit = _git(folder, "rev-parse", "--verify", "--end-of-options", f"{reference}^{{commit}}").strip()
    except UsageError as error:
        cure = _cure(folder, reference)
        raise UsageError(f"ref:{reference} is no commit that git has in {folder}.{cure}") from error
    target = cache_folder() / "trees" / (commit if part else f"{commit}-whole")
    if not (target / part).is_dir():
        try:
            _extract(Path(top), commit, target, part)
        except (OSError, tarfile.TarError) as error:
            raise UsageError(
                f"Cannot take commit {commit[:10]} out of git into {target.parent}: {error}."
            ) from error
    with contextlib.suppress(OSError):  # a cache that may only be read keeps what it has
        os.utime(target)
    _prune(target.parent)
    return commit, target.resolve()


def _cure(folder: Path, reference: str) -> str:
    """What may help where git has no such commit."""
    words = ""
    if _git(folder, "rev-parse", "--is-shallow-repository").strip() == "true":
        words += (
            " This clone is shallow, so older commits are not here: git fetch --unshallow, or in GitHub Actions "
            "actions/checkout with fetch-depth: 0."
        )
    names = _git(folder, "for-each-ref", "--format=%(refname:short)").splitlines()
    near = get_close_matches(reference, names, n=3)
    return f"{words} Names like it: {', '.join(near)}." if near else words


def why_no_commit(folder: Path) -> str:
    """Why git tells no commit of a folder, in its words; "" where it tells one."""
    try:
        _git(folder, "rev-parse", "--verify", "HEAD")
    except UsageError as error:
        return str(error)
    return ""


def _extract(top: Path, commit: str, target: Path, part: str) -> None:
    """The commit's files, or those of a part, into that folder, in one step."""
    if part and not _git(top, "ls-tree", "--name-only", commit, f"{part}/__init__.py"):
        raise UsageError(f"commit {commit[:10]} holds no yolo_perf package to measure.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with files.scratch(target.parent) as scratch:
        scratch.mkdir()
        archive = scratch / "tree.tar"
        _git(top, "archive", "--format=tar", f"--output={archive}", commit, *([part] if part else []))
        with tarfile.open(archive) as members:
            members.extractall(scratch / "tree", filter="data")
        try:
            (scratch / "tree").replace(target)
        except OSError:
            if not (target / part).is_dir():  # another run was quicker: its tree is the same
                raise


def _prune(folder: Path) -> None:
    """Keep the trees that were used last."""
    trees = sorted(folder.glob("[0-9a-f]*"), key=lambda tree: tree.stat().st_mtime)
    for tree in trees[:-KEPT_TREES]:
        shutil.rmtree(tree, ignore_errors=True)


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=120
        )
    except FileNotFoundError as error:
        raise UsageError("git is not installed: a commit can be named only with it.") from error
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        said = " ".join(str(getattr(error, "stderr", "") or error).split())  # all of it: the cure may stand last
        raise UsageError(f"git {arguments[0]}: {said[:MOST_SAID] or 'failed'} (in {folder})") from error
    return done.stdout


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise UsageError(f"{path} is no folder.")
    return path.resolve()


def _tree(path: Path, named: str = "") -> Path:
    if not (path / "yolo_perf" / "__init__.py").is_file():
        raise UsageError(f"{named or path} holds no yolo_perf package to measure.")
    return path.resolve()


def _python(folder: Path, value: str) -> Path:
    path = folder / value
    if path.is_dir():  # a virtual environment
        path = path / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not path.is_file() or not os.access(path, os.X_OK):
        raise UsageError(f"python:{value} is no interpreter that can be run.")
    return path.absolute()  # not resolved: a virtual environment's python is a link


def _threads(value: str) -> int:
    from yolo_perf.settings import parse_count

    return parse_count(value, "threads", 1024)


def _environment(value: str) -> dict[str, str]:
    """ "A=1,B=x,y" to {"A": "1", "B": "x,y"}: a comma parts two variables only ahead of a NAME=."""
    found: dict[str, str] = {}
    for item in re.split(r",(?=[A-Za-z_]\w*=)", value):
        name, separator, content = item.partition("=")
        if not separator or not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise UsageError(f"env reads NAME=VALUE,...; got {item!r}.")
        if name in THREADS:
            raise UsageError(
                f"env:{name} has no effect: every engine is told how many threads it has. Write threads:N."
            )
        found[name] = content
    return found


def _injection(value: str) -> Injection:
    """ "spin=3%@n-onnx" to its parts."""
    match = re.fullmatch(r"(\w+)=([\d.]+)(%?)(?:@(.+))?", value)
    try:
        amount = float(match[2]) / (100 if match[3] else 1) if match else -1.0
    except ValueError:
        amount = -1.0
    if not match or match[1] not in INJECTIONS or not 0 < amount <= 100:
        raise UsageError(
            f"inject reads KIND=AMOUNT[@CASE] with a kind of {', '.join(INJECTIONS)}, as in spin=3%@n-onnx; "
            f"got {value!r}."
        )
    return Injection(kind=match[1], amount=amount, case=match[4] or "")
