"""Completion as click offers it, and as a shell makes it of the script."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from tests.cli.terminals import ROOT, START, environment
from yolo_perf import cli
from yolo_perf.backends.registry import backends
from yolo_perf.cli.completion import PROGRAM, SHELLS, VARIABLE

BASELINES = ROOT / "baselines"


def offered(*words: str) -> list[str]:
    """What stands for the last word, files as "(file)"."""
    *before, incomplete = words
    found = ShellComplete(cli.cli, {}, PROGRAM, VARIABLE).get_completions(before, incomplete)
    return [item.value if item.type == "plain" else f"({item.type})" for item in found]


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (("cal",), ["calibrate"]),
        (("layers", ""), ["n", "s", "m", "l", "x"]),
        (("detect", "--size", "m"), ["m"]),
        (("ab", "--sizes", "n,"), ["n,s", "n,m", "n,l", "n,x"]),
        (("models", "--sizes", ""), ["n", "s", "m", "l", "x"]),
        (("layers", "n", "--backend", "onnx-s"), ["onnx-static-int8"]),
        (("profile", "n", "--backend", "eager-b"), ["eager-bf16"]),
        (("stages", "n", "--optimizations", "onnx,onnx-"), ["onnx,onnx-dynamic-int8", "onnx,onnx-static-int8"]),
        (("best", "--optimizations", "warp"), []),
        (("layers", "n", "--verb"), ["--verbose"]),
        (("-v", "calib"), ["calibrate"]),
        (("completion", ""), ["bash", "zsh", "fish"]),
    ],
)
def test_names_are_completed(words: tuple[str, ...], values: list[str]) -> None:
    assert offered(*words) == values


def test_every_optimisation_is_offered_with_what_it_is() -> None:
    found = ShellComplete(cli.cli, {}, PROGRAM, VARIABLE).get_completions(["layers", "n", "--backend"], "")
    assert {item.value: item.help for item in found} == {name: each.summary for name, each in backends().items()}


def test_machines_are_those_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    (own,) = (path.name for path in BASELINES.iterdir() if path.name != "reference")
    assert offered("compare", "") == ["(file)", "ryzen-7-6800hs", own]
    assert offered("compare", own, "ryz") == ["(file)", "ryzen-7-6800hs"]
    assert offered("baseline", "show", own[:3]) == ["(file)", own]
    assert offered("baseline", "prune", "") == [own]
    monkeypatch.chdir(tmp_path)
    assert offered("baseline", "prune", "") == []
    assert offered("baseline", "prune", "--baselines", str(BASELINES), "") == [own]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_calls_this_program(shell: str) -> None:
    found = CliRunner().invoke(cli.cli, ["completion", shell])
    assert found.exit_code == 0
    assert f"{VARIABLE}={shell}_complete" in found.output
    assert PROGRAM in found.output


def test_an_unknown_shell_is_a_usage_error() -> None:
    found = CliRunner().invoke(cli.cli, ["completion", "tcsh"])
    assert found.exit_code == 2
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in found.output


@pytest.mark.skipif(shutil.which("bash") is None or sys.platform == "win32", reason="there is no bash")
def test_bash_completes_once_it_has_read_the_script(tmp_path: Path) -> None:
    program = tmp_path / PROGRAM
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{START}" "$@"\n')
    program.chmod(0o755)
    script = f"""
        eval "$({PROGRAM} completion bash)"
        COMP_WORDS=({PROGRAM} stages n --optimizations eager,openvino-)
        COMP_CWORD=4
        _yolo_perf_completion {PROGRAM}
        printf '%s\\n' "${{COMPREPLY[@]}}"
        complete -p {PROGRAM}
    """
    found = subprocess.run(
        ["bash", "--norc", "--noprofile", "-c", script],
        env=environment(PATH=f"{tmp_path}:{environment()['PATH']}"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stderr == ""
    assert found.stdout.splitlines() == [
        "eager,openvino-bf16",
        "eager,openvino-int8",
        f"complete -o nosort -F _yolo_perf_completion {PROGRAM}",
    ]


def test_completing_loads_no_engine() -> None:
    code = (
        "import sys; from click.shell_completion import ShellComplete; from yolo_perf.cli import cli; "
        "complete = ShellComplete(cli, {}, 'yolo-perf', 'X').get_completions; "
        "assert complete(['layers', 'n', '--backend'], 'onnx'); assert complete(['compare'], ''); "
        "print(*{'torch', 'numpy', 'onnxruntime', 'openvino', 'cv2', 'scipy', 'rich'} & {*sys.modules})"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment(), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (found.stdout, found.stderr) == ("\n", "")
