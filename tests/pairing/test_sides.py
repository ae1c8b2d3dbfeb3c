import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from yolo_perf.errors import UsageError
from yolo_perf.pairing import sides
from yolo_perf.pairing.sides import (
    INJECTIONS,
    KEPT_TREES,
    Injection,
    Side,
    checked_out,
    own_tree,
    parse_side,
    top_of,
)

Git = Callable[..., str]


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("YOLO_PERF_CACHE", str(folder))
    return folder


@pytest.fixture
def git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Git:
    """Calls git in the folder `repository`, as somebody, whatever the user's settings are."""
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "tester")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "tester@example.com")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("GIT_DIR", raising=False)
    folder = tmp_path / "repository"
    folder.mkdir()

    def call(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
        ).stdout.strip()

    call("init", "--quiet", "--initial-branch=main")
    return call


@pytest.fixture
def repository(git: Git, tmp_path: Path) -> Path:
    """Two commits: the first without the package, tagged `empty`, the second with it."""
    folder = tmp_path / "repository"
    (folder / "README").write_text("nothing yet")
    commit(git, "one")
    git("tag", "empty")
    package(folder, "VERSION = 1")
    commit(git, "two")
    return folder


def commit(git: Git, message: str) -> None:
    git("add", ".")
    git("commit", "--quiet", "--message", message)


def package(folder: Path, text: str = "") -> Path:
    """A tree that holds a package of our name."""
    (folder / "yolo_perf").mkdir(parents=True)
    (folder / "yolo_perf" / "__init__.py").write_text(text)
    return folder


def executable(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    path.chmod(0o755)
    return path


# What is asked for


def test_a_side_of_no_words_is_this_installation(tmp_path: Path) -> None:
    assert parse_side((), tmp_path) == Side(name="as installed", tree=own_tree(), python=Path(sys.executable))
    assert (own_tree() / "yolo_perf" / "pairing" / "sides.py").is_file()


def test_another_tree(tmp_path: Path) -> None:
    other = package(tmp_path / "other")
    assert parse_side(["path:other"], tmp_path).tree == other.resolve()
    assert parse_side([f"path:{other}"], Path("/")).tree == other.resolve()


def test_a_tree_behind_a_link_is_named_as_a_worker_will_find_it(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(package(tmp_path / "other"))
    assert parse_side(["path:link"], tmp_path).tree == (tmp_path / "other").resolve()


def test_another_interpreter(tmp_path: Path) -> None:
    found = executable(tmp_path / "python")
    assert parse_side(["python:python"], tmp_path).python == found


@pytest.mark.skipif(sys.platform == "win32", reason="Scripts/python.exe there")
def test_a_virtual_environments_python_is_not_followed(tmp_path: Path) -> None:
    """Where it links to, another environment's packages would be found."""
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    link = tmp_path / "venv" / "bin" / "python"
    link.symlink_to(executable(tmp_path / "system" / "python"))
    assert parse_side(["python:venv"], tmp_path).python == link


@pytest.mark.parametrize(
    ("words", "environment"),
    [
        (["env:A=1"], {"A": "1"}),
        (["env:A=1,B=2"], {"A": "1", "B": "2"}),
        (["env:A=x,y,B=2"], {"A": "x,y", "B": "2"}),
        (["env:KMP_AFFINITY=granularity=fine,compact,1,0"], {"KMP_AFFINITY": "granularity=fine,compact,1,0"}),
        (["env:A="], {"A": ""}),
        (["env:A=1", "env:B=2", "env:A=3"], {"A": "3", "B": "2"}),
    ],
)
def test_environment_variables(words: list[str], environment: dict[str, str], tmp_path: Path) -> None:
    assert dict(parse_side(words, tmp_path).environment) == environment


@pytest.mark.parametrize(
    ("word", "injection"),
    [
        ("spin=3%", Injection(kind="spin", amount=0.03)),
        ("spin=0.5@n-onnx", Injection(kind="spin", amount=0.5, case="n-onnx")),
        ("intermittent=4@s-onnx-static-int8", Injection(kind="intermittent", amount=4, case="s-onnx-static-int8")),
        ("convolution=100%", Injection(kind="convolution", amount=1)),
    ],
)
def test_injections(word: str, injection: Injection, tmp_path: Path) -> None:
    assert parse_side([f"inject:{word}"], tmp_path).inject == (injection,)


def test_all_kinds_at_once(tmp_path: Path) -> None:
    package(tmp_path / "other")
    executable(tmp_path / "python")
    words = ["path:other", "python:python", "env:A=1", "threads:3", "inject:spin=1%@n-eager", "inject:spin=2%"]
    found = parse_side(words, tmp_path)
    assert found == Side(
        name=" ".join(words),
        tree=(tmp_path / "other").resolve(),
        python=tmp_path / "python",
        environment=(("A", "1"),),
        threads=3,
        inject=(
            Injection(kind="spin", amount=0.01, case="n-eager"),
            Injection(kind="spin", amount=0.02),
        ),
    )


@pytest.mark.parametrize("word", ["main", "ref", "ref:", "branch:main", ":main", "", "REF:main", "threads 2"])
def test_a_word_of_no_kind_is_named(word: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^A side reads ref:GITREF, path:FOLDER, .*; got '" + word + "'"):
        parse_side([word], tmp_path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["threads:1", "threads:2"], "A side has one threads; got '1' and '2'."),
        (["path:a", "path:a"], "A side has one path; got 'a' and 'a'."),
        (["ref:main", "path:a"], "A side has a ref or a path: both name its source tree."),
        (["threads:0"], "threads must be a whole number from 1 to 1024, got '0'."),
        (["threads:many"], "threads must be a whole number from 1 to 1024, got 'many'."),
        (["env:A"], "env reads NAME=VALUE,...; got 'A'."),
        (["env:1A=2"], "env reads NAME=VALUE,...; got '1A=2'."),
        (["env:=2"], "env reads NAME=VALUE,...; got '=2'."),
        (["path:none"], "none holds no yolo_perf package to measure."),
        (["python:none"], "python:none is no interpreter that can be run."),
    ],
)
def test_what_cannot_be_meant_is_said(words: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        parse_side(words, tmp_path)
    assert str(raised.value).endswith(message)


@pytest.mark.parametrize(
    "word", ["spin", "spin=", "spin=0", "spin=0%", "spin=-1", "spin=1.2.3", "spin=101", "nap=1", "spin=1@", "=1"]
)
def test_a_wrong_injection_is_named(word: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        parse_side([f"inject:{word}"], tmp_path)
    assert ", ".join(INJECTIONS) in str(raised.value)
    assert str(raised.value).endswith(f"got {word!r}.")


def test_a_file_that_cannot_be_run_is_no_interpreter(tmp_path: Path) -> None:
    (tmp_path / "python").write_text("")
    (tmp_path / "venv").mkdir()
    for name in ("python", "venv"):
        with pytest.raises(UsageError, match=f"python:{name} is no interpreter that can be run"):
            parse_side([f"python:{name}"], tmp_path)


# Commits


def test_a_commits_tree_is_kept_in_the_cache(repository: Path, git: Git, cache: Path) -> None:
    package(repository / "later")  # not committed: no part of it
    found = parse_side(["ref:main"], repository)
    head = git("rev-parse", "main")
    assert (found.commit, found.tree, found.name) == (head, (cache / "trees" / head).resolve(), "ref:main")
    assert (found.tree / "yolo_perf" / "__init__.py").read_text() == "VERSION = 1"
    assert sorted(path.name for path in found.tree.iterdir()) == ["yolo_perf"]  # nothing else is needed
    assert [path.name for path in (cache / "trees").iterdir()] == [head]
    assert git("status", "--porcelain") == "?? later/"


def test_a_kept_tree_is_taken_as_it_is(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = checked_out("main", repository)
    monkeypatch.setattr("tarfile.open", None)
    assert checked_out("HEAD", repository) == first


def test_the_top_of_the_repository_is_meant_wherever_one_stands(repository: Path) -> None:
    _, tree = checked_out("main", repository / "yolo_perf")
    assert (tree / "yolo_perf" / "__init__.py").is_file()


def test_a_cache_behind_a_link_gives_a_tree_as_a_worker_will_find_it(
    repository: Path, cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "real").mkdir()
    cache.symlink_to(tmp_path / "real")
    _, tree = checked_out("main", repository)
    assert tree == tree.resolve()


@pytest.mark.parametrize("reference", ["nothing", "HEAD~9", "--upload-pack=x", "main:README"])
def test_an_unknown_commit_is_said(reference: str, repository: Path) -> None:
    with pytest.raises(
        UsageError, match=rf"^ref:{re.escape(reference)} is no commit that git has in {repository}\."
    ):
        checked_out(reference, repository)


def test_names_like_an_unknown_one_are_told(repository: Path) -> None:
    with pytest.raises(UsageError, match=r"Names like it: main\.$"):
        checked_out("mian", repository)


def test_a_shallow_clone_is_told_how_to_get_what_it_lacks(repository: Path, git: Git, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    git("clone", "-q", "--depth", "1", f"file://{repository}", str(shallow))
    with pytest.raises(UsageError, match=r"^ref:HEAD~1 is .* git fetch --unshallow, .* fetch-depth: 0\."):
        checked_out("HEAD~1", shallow)


def test_what_git_says_is_told_to_its_end(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cure of a repository of another owner stands last but one."""
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(UsageError, match=r"dubious ownership .* git config --global --add safe\.directory"):
        checked_out("main", repository)


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "MKL_NUM_THREADS"])
def test_a_setting_that_says_nothing_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"^env:{name} has no effect: .* Write threads:N\.$"):
        parse_side([f"env:A=1,{name}=2"], tmp_path)


def test_a_commit_without_the_package_is_said_and_not_kept(repository: Path, git: Git, cache: Path) -> None:
    with pytest.raises(UsageError, match=f"^commit {git('rev-parse', 'empty')[:10]} holds no yolo_perf package"):
        checked_out("empty", repository)
    assert not (cache / "trees").exists()


def test_the_trees_that_were_used_last_are_kept(repository: Path, cache: Path) -> None:
    for number in range(KEPT_TREES + 3):
        tree = cache / "trees" / f"{number:040x}" / "yolo_perf"
        tree.mkdir(parents=True)
        os.utime(tree.parent, (number, number))
    commit, _ = checked_out("main", repository)
    left = {path.name for path in (cache / "trees").iterdir()}
    assert commit in left
    assert len(left) == KEPT_TREES
    assert f"{KEPT_TREES + 2:040x}" in left
    assert f"{0:040x}" not in left


def test_a_cache_that_cannot_be_written_is_said(repository: Path, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "trees").write_text("a file in its place")
    with pytest.raises(UsageError, match=r"^Cannot take commit .* out of git into "):
        checked_out("main", repository)


def test_a_folder_that_is_no_repository_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.delenv("GIT_DIR", raising=False)
    with pytest.raises(UsageError, match=r"^git rev-parse: .*not a git repository"):
        checked_out("main", tmp_path)


def test_that_git_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="git is not installed"):
        checked_out("main", tmp_path)


def test_two_runs_that_extract_at_once_leave_one_tree(
    repository: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both see that there is none, and wait for each other before they put theirs in place."""
    together = threading.Barrier(2, timeout=30)
    check = sides._tree

    def checked(path: Path, named: str = "") -> Path:
        found = check(path, named)
        together.wait()
        return found

    monkeypatch.setattr(sides, "_tree", checked)
    found: list[tuple[str, Path]] = []
    threads = [threading.Thread(target=lambda: found.append(checked_out("main", repository))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert found[0] == found[1]
    assert list((cache / "trees").iterdir()) == [found[0][1]]


# Whole trees, of any project


def test_a_commit_of_any_project_is_taken_out_as_a_whole(repository: Path, cache: Path) -> None:
    side = parse_side(["ref:empty"], repository, whole=repository)
    assert (side.tree / "README").read_text() == "nothing yet"
    assert not (side.tree / "yolo_perf").exists()
    assert side.tree.name == f"{side.commit}-whole"
    with pytest.raises(UsageError, match="holds no yolo_perf package"):
        checked_out("empty", repository)


def test_the_whole_and_the_package_of_one_commit_lie_side_by_side(repository: Path) -> None:
    _, whole = checked_out("main", repository, part="")
    _, part = checked_out("main", repository)
    assert (whole / "README").is_file()
    assert not (part / "README").exists()
    assert (part / "yolo_perf").is_dir()


def test_a_whole_side_is_the_asking_tree_unless_a_word_names_another(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert parse_side(["env:A=1"], tmp_path, whole=tmp_path).tree == tmp_path
    assert parse_side(["path:other"], tmp_path, whole=tmp_path).tree == tmp_path / "other"
    with pytest.raises(UsageError, match=r"nowhere is no folder\.$"):
        parse_side(["path:nowhere"], tmp_path, whole=tmp_path)


def test_the_top_of_a_work_tree(repository: Path, tmp_path: Path) -> None:
    assert top_of(repository / "yolo_perf") == repository
    (tmp_path / "elsewhere").mkdir()
    assert top_of(tmp_path / "elsewhere") == tmp_path / "elsewhere"
