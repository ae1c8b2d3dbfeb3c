"""The action's steps, with a played `yolo-perf` and pip."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CalledProcessError, CompletedProcess
from typing import Any

import pytest

from tests.report.test_paired import result
from tools import gate_action
from tools.gate_action import ActionError, command, data_folder, executable, read_inputs, verdict_of
from yolo_perf.cli.ab import ab
from yolo_perf.pipeline.images import open_dataset
from yolo_perf.report.paired import document

Gate = Callable[..., tuple[int, dict[str, str], list[str]]]
posix = pytest.mark.skipif(sys.platform == "win32", reason="the played program is a script with a #! line")
PLAYED = """\
#!{python}
import pathlib, sys
if sys.argv[1] == "report":
    for word in sys.argv[3:]:
        pathlib.Path(word.partition("=")[2]).write_text("report")
    sys.exit({reports})
pathlib.Path({said!r}).write_text("\\n".join(sys.argv[1:]))
found = [word.partition("=")[2] for word in sys.argv if word.startswith("--json=")]
if {content!r}:
    pathlib.Path(found[0]).write_text({content!r})
sys.exit({status})
"""


def content(*verdicts: str) -> str:
    return json.dumps({"yolo_perf_ab": {"decisions": [{"verdict": verdict} for verdict in verdicts]}})


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Runs the step `gate`; its exit status, its outputs, and what `yolo-perf` was called with."""
    work, workspace = tmp_path / "work", tmp_path / "workspace"
    workspace.mkdir()
    monkeypatch.chdir(workspace)
    outputs, said = tmp_path / "outputs", tmp_path / "said"

    def run(written: str, status: int, reports: int = 0, **inputs: str) -> tuple[int, dict[str, str], list[str]]:
        program = executable(work / "tool", "yolo-perf")
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(
            PLAYED.format(python=sys.executable, said=str(said), content=written, status=status, reports=reports),
            encoding="utf-8",
        )
        program.chmod(0o755)
        monkeypatch.setenv("YOLO_PERF_WORK", str(work))
        monkeypatch.setenv("GITHUB_OUTPUT", str(outputs))
        for name, value in inputs.items():
            monkeypatch.setenv(f"INPUT_{name.upper()}", value)
        code = gate_action.main(["gate"])
        lines = outputs.read_text(encoding="utf-8").splitlines() if outputs.exists() else []
        called = said.read_text(encoding="utf-8").splitlines() if said.exists() else []
        return code, dict(line.split("=", 1) for line in lines), called

    return run


# Inputs


def test_every_input_becomes_an_option_that_ab_has(tmp_path: Path) -> None:
    given = {
        "INPUT_BASE": "ref:main\n env:A=1 \n",
        "INPUT_HEAD": "path:.",
        "INPUT_SIZES": "n, s",
        "INPUT_OPTIMIZATIONS": "onnx",
        "INPUT_IMAGE_SIZE": "320",
        "INPUT_THREADS": "2",
        "INPUT_BATCH": "4",
        "INPUT_PAIRS": "12",
        "INPUT_BUDGET": "60",
        "INPUT_BASELINES": "baselines",
        "INPUT_STRICT": "True",
        "INPUT_DATA": "pictures",
    }
    inputs = read_inputs(given)
    found = command(inputs, tmp_path, Path("pictures"))
    assert found[1:] == [
        "ab",
        "--base=ref:main",
        "--base=env:A=1",
        "--head=path:.",
        "--sizes=n, s",
        "--optimizations=onnx",
        "--image-size=320",
        "--threads=2",
        "--batch=4",
        "--pairs=12",
        "--budget=60",
        "--baselines=baselines",
        "--data=pictures",
        "--strict",
        f"--json={tmp_path / 'result' / 'ab.json'}",
    ]
    parsed = ab.make_context("ab", found[2:]).params
    assert parsed["base"] == ("ref:main", "env:A=1")
    assert (parsed["pairs"], parsed["budget"], parsed["strict"]) == (12, 60.0, True)


def test_what_is_not_given_is_left_to_ab(tmp_path: Path) -> None:
    found = command(
        read_inputs({"INPUT_BASE": "ref:main", "INPUT_STRICT": "", "INPUT_SIZES": " "}), tmp_path, None
    )
    assert found[1:] == ["ab", "--base=ref:main", f"--json={tmp_path / 'result' / 'ab.json'}"]


def test_a_value_cannot_pass_for_an_option(tmp_path: Path) -> None:
    found = command(read_inputs({"INPUT_BASE": "--json=/etc/passwd", "INPUT_SIZES": "--strict"}), tmp_path, None)
    parsed = ab.make_context("ab", [word for word in found[2:] if not word.startswith("--sizes")]).params
    assert parsed["base"] == ("--json=/etc/passwd",)
    assert parsed["json_path"] == tmp_path / "result" / "ab.json"
    assert "--sizes=--strict" in found


def test_strict_is_true_or_false() -> None:
    with pytest.raises(ActionError, match="true or false, not 'maybe'"):
        read_inputs({"INPUT_STRICT": "maybe"})


# Environments


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str]]]:
    called: list[tuple[list[str], dict[str, str]]] = []

    def run(words: list[str], *, check: bool, env: dict[str, str] | None = None) -> CompletedProcess[str]:
        called.append((words, env or {}))
        if "broken" in words:
            raise CalledProcessError(1, words)
        return CompletedProcess(words, 0)

    monkeypatch.setattr("subprocess.run", run)
    return called


def installed(called: list[tuple[list[str], dict[str, str]]]) -> list[tuple[str, list[str]]]:
    """The environments' names, and what was installed in each."""
    return [
        (Path(words[0]).parent.parent.name, words[4:])
        for words, _ in called
        if words[1:4] == ["-m", "pip", "install"]
    ]


def test_one_environment_with_the_tested_versions(pip: Any, tmp_path: Path) -> None:
    gate_action.install(read_inputs({"INPUT_TORCH_INDEX": "https://torch.invalid/cpu"}), tmp_path)
    suite = str(gate_action.SUITE)
    assert installed(pip) == [("tool", ["-c", str(gate_action.SUITE / "constraints.txt"), suite])]
    assert pip[1][1]["PIP_EXTRA_INDEX_URL"] == "https://torch.invalid/cpu"
    assert Path(suite, "action.yml").is_file()


def test_requirements_of_one_side_give_both_an_environment(
    pip: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    inputs = read_inputs(
        {"INPUT_REQUIREMENTS_HEAD": "onnxruntime==1.32.0\nnumpy==2.4.6", "INPUT_HEAD": "threads:1"}
    )
    gate_action.install(inputs, tmp_path)
    lines = tmp_path / "requirements-head.txt"
    suite = str(gate_action.SUITE)
    rest = str(tmp_path / "constraints.txt")
    assert installed(pip)[1:] == [
        ("base", ["-c", rest, suite]),
        ("head", ["-c", rest, suite, "-r", str(lines)]),
    ]
    assert lines.read_text(encoding="utf-8") == "onnxruntime==1.32.0\nnumpy==2.4.6\n"
    sides = [word for word in command(inputs, tmp_path, None) if word.startswith(("--base", "--head"))]
    assert sides == [
        f"--base=python:{tmp_path / 'base'}",
        "--head=threads:1",
        f"--head=python:{tmp_path / 'head'}",
    ]


def test_what_no_side_names_has_the_tested_version_on_both(
    pip: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = tmp_path / "suite"
    suite.mkdir()
    tested = "# why\nnumpy==2.4.6\nonnxruntime==1.32.0\npy-cpuinfo2==10.1.1\ntorch==2.13.0\n"
    (suite / "constraints.txt").write_text(tested, encoding="utf-8")
    monkeypatch.setattr(gate_action, "SUITE", suite)
    base, head = "--no-deps\nOnnxRuntime[x]>=1.20 # old\nPy_CPUinfo2", "torch"
    gate_action.install(read_inputs({"INPUT_REQUIREMENTS_BASE": base, "INPUT_REQUIREMENTS_HEAD": head}), tmp_path)
    assert (tmp_path / "constraints.txt").read_text(encoding="utf-8") == "# why\nnumpy==2.4.6\n"


def test_a_requirements_file_is_used_where_it_lies(
    pip: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.txt").write_text("torch\n", encoding="utf-8")
    gate_action.install(read_inputs({"INPUT_REQUIREMENTS_BASE": "old.txt"}), tmp_path)
    assert installed(pip)[1][1][-2:] == ["-r", "old.txt"]
    with pytest.raises(ActionError, match=r"no file of requirements 'new.txt'"):
        gate_action.install(read_inputs({"INPUT_REQUIREMENTS_BASE": "new.txt"}), tmp_path)


def test_a_failed_installation_is_one_line(
    pip: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gate_action, "SUITE", "broken")
    monkeypatch.setattr(gate_action, "install", lambda *_: gate_action._make(tmp_path / "base", ["broken"], ""))
    monkeypatch.setenv("YOLO_PERF_WORK", str(tmp_path / "work"))
    assert gate_action.main(["install"]) == 2
    assert "::error::The environment 'base' could not be installed: see pip above." in capsys.readouterr().out


# A checkpoint of one's own


def test_a_checkpoint_lies_under_its_size_beside_the_callers_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("best.pt").write_bytes(b"own")
    Path("shop/images").mkdir(parents=True)
    Path("shop/images/a.jpg").write_bytes(b"picture")
    Path("shop/weights").mkdir()
    Path("shop/weights/yolov5s.pt").write_bytes(b"official")
    inputs = read_inputs({"INPUT_CHECKPOINT": "best.pt", "INPUT_SIZES": "s", "INPUT_DATA": "shop"})
    folder = data_folder(inputs, tmp_path / "work")
    assert folder is not None
    assert folder.name == "shop"
    assert (folder / "weights" / "yolov5s.pt").read_bytes() == b"own"
    assert [path.name for path in open_dataset(folder).paths] == ["a.jpg"]
    assert Path("shop/weights/yolov5s.pt").read_bytes() == b"official"


def test_pictures_are_drawn_for_a_checkpoint_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("best.pt").write_bytes(b"own")
    folder = data_folder(read_inputs({"INPUT_CHECKPOINT": "best.pt"}), tmp_path / "work")
    assert folder is not None
    assert (folder / "weights" / "yolov5n.pt").is_file()
    assert len(open_dataset(folder)) == 16


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"INPUT_CHECKPOINT": "no.pt"}, "no checkpoint 'no.pt'"),
        ({"INPUT_CHECKPOINT": "best.pt", "INPUT_SIZES": "n,s"}, "A checkpoint is of one size"),
        ({"INPUT_CHECKPOINT": "best.pt", "INPUT_DATA": "none"}, "no folder 'none'"),
    ],
)
def test_mistakes_with_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inputs: dict[str, str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("best.pt").write_bytes(b"own")
    with pytest.raises(ActionError, match=message):
        data_folder(read_inputs(inputs), tmp_path / "work")


def test_data_alone_is_passed_on_as_it_is(tmp_path: Path) -> None:
    assert data_folder(read_inputs({"INPUT_DATA": "shop"}), tmp_path) == Path("shop")
    assert data_folder(read_inputs({}), tmp_path) is None


# The comparison


@posix
@pytest.mark.parametrize(
    ("verdicts", "status", "verdict"),
    [
        (("unchanged", "new", "improved"), 0, "passed"),
        (("unchanged", "inconclusive"), 0, "undecided"),
        (("incomparable",), 0, "undecided"),
        (("unchanged", "regressed"), 1, "regressed"),
        (("missing",), 1, "failed"),
        (("inconclusive",), 3, "undecided"),
        (("regressed",), 4, "unfair-host"),
        ((), 77, "failed"),
    ],
)
def test_the_verdict_and_the_exit_status(gate: Gate, verdicts: tuple[str, ...], status: int, verdict: str) -> None:
    code, outputs, called = gate(content(*verdicts), status, base="ref:main")
    assert code == status
    assert outputs["verdict"] == verdict
    assert Path(outputs["json"]).name == "ab.json"
    assert Path(outputs["report"]).read_text(encoding="utf-8") == "report"
    assert called[:2] == ["ab", "--base=ref:main"]


@posix
def test_without_a_document_nothing_passed(gate: Gate) -> None:
    code, outputs, _ = gate("", 0)
    assert (code, outputs) == (0, {"verdict": "undecided", "json": "", "report": ""})
    code, outputs, _ = gate("", 2)
    assert (code, outputs["verdict"]) == (2, "usage")


@posix
def test_a_report_that_cannot_be_made_leaves_the_verdict(gate: Gate, capfd: pytest.CaptureFixture[str]) -> None:
    code, outputs, _ = gate(content("unchanged"), 0, reports=1)
    assert (code, outputs["verdict"]) == (0, "passed")
    assert "::warning::No report could be made of ab.json." in capfd.readouterr().out


@posix
def test_an_input_that_cannot_be_used_ends_with_2(gate: Gate, capfd: pytest.CaptureFixture[str]) -> None:
    code, outputs, called = gate("", 0, checkpoint="no.pt")
    assert (code, outputs, called) == (2, {}, [])
    assert "::error::There is no checkpoint 'no.pt'" in capfd.readouterr().out


def test_a_real_document_and_damaged_ones(tmp_path: Path) -> None:
    path = tmp_path / "ab.json"
    path.write_text(json.dumps(document(result())), encoding="utf-8")
    assert verdict_of(1, path) == "regressed"
    for text in ("", "[]", '{"yolo_perf_ab": 1}', '{"yolo_perf_ab": {"decisions": [1]}}'):
        path.write_text(text, encoding="utf-8")
        assert verdict_of(1, path) == "failed"
        assert verdict_of(0, path) == "undecided"


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert gate_action.main([]) == 2
    assert "install|gate" in capsys.readouterr().err
