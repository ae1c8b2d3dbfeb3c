"""The nightly's own steps: real git in temporary repositories, a played `gh`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.factories import machine
from tools import nightly
from tools.nightly import fresh, session_options
from yolo_perf.machine.naming import slug

OWN = "amd-epyc-25-1-1-2c-9cf14f98"


def test_options_by_what_is_saved() -> None:
    assert session_options(0) == ["--perf-save"]
    assert session_options(1) == ["--benchmark-compare", "--perf-save"]
    assert session_options(4) == ["--benchmark-compare", "--perf-save"]
    assert session_options(5) == ["--benchmark-compare"]


def test_measure_runs_the_benchmarks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    called: list[list[str]] = []

    def run(words: list[str], *, check: bool) -> "subprocess.CompletedProcess[str]":
        called.append(words)
        return subprocess.CompletedProcess(words, 3)

    def known(**_: bool) -> Any:
        return machine()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setattr("yolo_perf.machine.identity.identify", known)
    assert nightly.main(["measure", "--junit-xml=junit.xml"]) == 3
    assert called == [["pytest", "benchmarks/", "--perf-full", "--junit-xml=junit.xml", "--perf-save"]]


def test_a_damaged_baseline_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def known(**_: bool) -> Any:
        return machine()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("yolo_perf.machine.identity.identify", known)
    put(tmp_path / "baselines" / slug(machine()) / "0001_baseline.json", "{")
    assert nightly.main(["measure"]) == 1
    assert capsys.readouterr().out.startswith("::error::")


def put(path: Path, text: str = "{}") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_only_new_files_of_a_baselines_name_are_proposed(tmp_path: Path) -> None:
    known, recorded = tmp_path / "known", tmp_path / "recorded"
    for folder in (known, recorded):
        put(folder / OWN / "0001_baseline.json")
        put(folder / "same-2c" / "0001_baseline.json")
    new = put(recorded / OWN / "0002_baseline.json")
    put(recorded / OWN / "run.sh")
    put(recorded / "reference" / "0001_baseline.json")
    put(recorded / ".github" / "0001_baseline.json")
    put(recorded / "0001_baseline.json")
    (recorded / OWN / "0003_baseline.json").symlink_to("/etc/passwd")
    (recorded / "linked").symlink_to(recorded / OWN)
    assert fresh(recorded, known) == {OWN: [new]}


def test_a_calibration_alone_is_proposed_once(tmp_path: Path) -> None:
    known, recorded = tmp_path / "known", tmp_path / "recorded"
    first = put(recorded / OWN / "calibration.json")
    assert fresh(recorded, known) == {OWN: [first]}
    put(known / OWN / "calibration.json", "[]")
    assert fresh(recorded, known) == {}
    baseline = put(recorded / OWN / "0002_baseline.json")
    assert fresh(recorded, known) == {OWN: [baseline, first]}


def git(folder: Path, *words: str) -> str:
    own = ("-c", "user.name=a", "-c", "user.email=a@example.invalid", "-c", "init.defaultBranch=main")
    return subprocess.run(
        ["git", *own, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.mark.skipif(sys.platform == "win32", reason="the played program is a script with a #! line")
def test_a_machine_has_one_branch_and_one_pull_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    origin, clone, recorded = tmp_path / "origin.git", tmp_path / "clone", tmp_path / "recorded"
    git(tmp_path, "init", "--quiet", "--bare", str(origin))
    git(tmp_path, "clone", "--quiet", str(origin), str(clone))
    put(clone / "baselines" / OWN / "0001_baseline.json")
    git(clone, "add", "-A")
    git(clone, "commit", "--quiet", "-m", "first")
    git(clone, "push", "--quiet", "origin", "HEAD:main")
    git(clone, "fetch", "--quiet", "origin")
    program = put(
        tmp_path / "bin" / "gh",
        f"#!{sys.executable}\nimport json, pathlib, sys\nfolder = pathlib.Path({str(tmp_path)!r})\n"
        "with (folder / 'calls').open('a') as stream: stream.write(json.dumps(sys.argv[1:]) + '\\n')\n"
        "if sys.argv[2] == 'list': print((folder / 'open').read_text())\n",
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    for name, value in (("SERVER_URL", "https://example.invalid"), ("REPOSITORY", "us/it"), ("RUN_ID", "7")):
        monkeypatch.setenv(f"GITHUB_{name}", value)
    monkeypatch.chdir(clone)

    put(tmp_path / "open", "[]")
    put(recorded / OWN / "0002_baseline.json", '{"a": 1}')
    put(recorded / "arm-4c" / "0001_baseline.json")
    assert nightly.main(["propose", str(recorded), "main"]) == 0
    assert git(origin, "show", f"baselines/{OWN}:baselines/{OWN}/0002_baseline.json") == '{"a": 1}'
    assert git(origin, "diff", "--name-only", "main", f"baselines/{OWN}") == f"baselines/{OWN}/0002_baseline.json"
    assert git(origin, "diff", "--name-only", "main", "baselines/arm-4c") == "baselines/arm-4c/0001_baseline.json"
    calls = [json.loads(line) for line in (tmp_path / "calls").read_text(encoding="utf-8").splitlines()]
    assert [call[1] for call in calls] == ["list", "create", "list", "create"]
    assert "https://example.invalid/us/it/actions/runs/7" in calls[3][-1]

    git(clone, "switch", "--quiet", "main")
    put(tmp_path / "open", '[{"number": 1}]')
    put(recorded / OWN / "0002_baseline.json", '{"a": 2}')
    assert nightly.main(["propose", str(recorded), "main"]) == 0
    assert git(origin, "show", f"baselines/{OWN}:baselines/{OWN}/0002_baseline.json") == '{"a": 2}'
    assert git(origin, "rev-list", "--count", f"main..baselines/{OWN}") == "1"
    calls = [json.loads(line) for line in (tmp_path / "calls").read_text(encoding="utf-8").splitlines()]
    assert [call[1] for call in calls[4:]] == ["list", "list"]


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert nightly.main([]) == 2
    assert "propose BASELINES DEFAULT_BRANCH" in capsys.readouterr().err
