"""What the steps of `action.yml` run: `install` under any Python, then `gate` under the one that it installed.

Inputs are environment variables named INPUT_*: nothing that a caller writes is ever part of a shell's text.
`install` needs the standard library alone.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SUITE = Path(__file__).resolve().parent.parent
VERDICTS = {2: "usage", 3: "undecided", 4: "unfair-host", 130: "interrupted"}
"""By the exit status of `yolo-perf ab`. For 0 and 1 its document says more."""
FAILED = "failed"
JSON, MARKDOWN, HTML = "ab.json", "report.md", "report.html"
PASSED_ON = ("sizes", "optimizations", "image-size", "threads", "batch", "pairs", "budget", "baselines")
"""Inputs that are options of `yolo-perf ab` under the same name."""


class ActionError(Exception):
    """An input that cannot be used, or an installation that failed: one line, without a traceback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The action's inputs. What is empty was not given; paths are relative to the caller's workspace."""

    base: tuple[str, ...]  # words of a side: "ref:main"
    head: tuple[str, ...]
    requirements: tuple[str, str]  # base, head: a file's name, or lines of one
    options: tuple[tuple[str, str], ...]  # of `yolo-perf ab`, by name
    data: str
    checkpoint: str
    strict: bool
    torch_index: str

    @property
    def environments(self) -> bool:
        """Whether each side has a virtual environment of its own. With requirements for one, the other has, too.

        Else it would be compared with the action's pinned versions, and not with what differs in one line.
        """
        return any(self.requirements)

    @property
    def sizes(self) -> tuple[str, ...]:
        """The model sizes that are asked for."""
        return tuple(dict(self.options).get("sizes", "n").replace(",", " ").split())


def read_inputs(environment: Mapping[str, str]) -> Inputs:
    """The inputs of INPUT_* variables. Raises ActionError for what is neither true nor false."""

    def given(name: str) -> str:
        return environment.get(f"INPUT_{name.replace('-', '_').upper()}", "").strip()

    strict = given("strict").lower()
    if strict not in ("", "true", "false"):
        raise ActionError(f"The input strict is true or false, not {strict!r}.")
    return Inputs(
        base=_lines(given("base")),
        head=_lines(given("head")),
        requirements=(given("requirements-base"), given("requirements-head")),
        options=tuple((name, given(name)) for name in PASSED_ON if given(name)),
        data=given("data"),
        checkpoint=given("checkpoint"),
        strict=strict == "true",
        torch_index=given("torch-index"),
    )


def install(inputs: Inputs, work: Path) -> None:
    """Make the virtual environments: the tool's with tested versions, the sides' as their requirements say.

    What neither side names has the tested version in both, so that the sides differ in nothing else.
    """
    suite, tested = str(SUITE), SUITE / "constraints.txt"
    _make(work / "tool", ["-c", str(tested), suite], inputs.torch_index)
    if not inputs.environments:
        return
    sides = dict(zip(("base", "head"), inputs.requirements, strict=True))
    files = {
        side: requirements_file(given, work / f"requirements-{side}.txt") for side, given in sides.items() if given
    }
    named = set().union(*(names(file.read_text(encoding="utf-8")) for file in files.values()))
    rest = work / "constraints.txt"
    lines = (line for line in tested.read_text(encoding="utf-8").splitlines() if not names(line) & named)
    rest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for side in sides:
        asked = ["-r", str(files[side])] if side in files else []
        _make(work / side, ["-c", str(rest), suite, *asked], inputs.torch_index)


def names(requirements: str) -> set[str]:
    """The packages that lines of requirements name, in their normal form: "Typing_Extensions>=4" is one."""
    found = (re.match(r"\s*([A-Za-z0-9][\w.-]*)", line) for line in requirements.splitlines())
    return {re.sub(r"[-_.]+", "-", match[1]).lower() for match in found if match}


def requirements_file(given: str, written: Path) -> Path:
    """The file that an input names, or `written` with its lines."""
    if "\n" not in given and Path(given).is_file():
        return Path(given)
    if "\n" not in given and given.endswith(".txt"):
        raise ActionError(f"There is no file of requirements {given!r} in {Path.cwd()}.")
    written.write_text(given + "\n", encoding="utf-8")
    return written


def data_folder(inputs: Inputs, work: Path) -> Path | None:
    """The folder of pictures and weights for both sides; None where neither was given.

    With a checkpoint it is one of links to what the caller's holds, and the checkpoint under the name of its
    size in place of any weights there. Pictures are drawn where the caller has none.
    """
    if not inputs.checkpoint:
        return Path(inputs.data) if inputs.data else None
    checkpoint = Path(inputs.checkpoint)
    if not checkpoint.is_file():
        raise ActionError(f"There is no checkpoint {inputs.checkpoint!r} in {Path.cwd()}.")
    if len(inputs.sizes) != 1:
        raise ActionError("A checkpoint is of one size: name it, as in sizes: s.")
    own = Path(inputs.data).resolve() if inputs.data else None
    folder = work / "data" / (own.name if own else "drawn")
    shutil.rmtree(folder.parent, ignore_errors=True)
    (folder / "weights").mkdir(parents=True)
    shutil.copyfile(checkpoint, folder / "weights" / f"yolov5{inputs.sizes[0]}.pt")
    if own is None:
        _draw(folder / "images")
        return folder
    if not own.is_dir():
        raise ActionError(f"There is no folder {inputs.data!r} in {Path.cwd()}.")
    for entry in own.iterdir():
        if entry.name != "weights":
            (folder / entry.name).symlink_to(entry)
    return folder


def command(inputs: Inputs, work: Path, data: Path | None) -> list[str]:
    """The command line of the comparison. Every value is part of its option: none can pass for another one."""
    sides = {"base": list(inputs.base), "head": list(inputs.head)}
    if inputs.environments:
        for name, words in sides.items():
            words.append(f"python:{work / name}")
    return [
        str(executable(work / "tool", "yolo-perf")),
        "ab",
        *(f"--{name}={word}" for name, words in sides.items() for word in words),
        *(f"--{name}={value}" for name, value in inputs.options),
        *([f"--data={data}"] if data else []),
        *(["--strict"] if inputs.strict else []),
        f"--json={work / 'result' / JSON}",
    ]


def gate(inputs: Inputs, work: Path, outputs: Path | None) -> int:
    """Compare, write the reports, name them in the file of outputs; the exit status of the comparison."""
    result = work / "result"
    shutil.rmtree(result, ignore_errors=True)
    result.mkdir(parents=True)
    data = data_folder(inputs, work)
    status = subprocess.run(command(inputs, work, data), check=False).returncode
    found = result / JSON
    verdict = verdict_of(status, found)
    if found.is_file():
        _report(work, found)
    print(f"verdict: {verdict}", flush=True)
    if outputs is not None:
        html = result / HTML
        named = {
            "verdict": verdict,
            "json": found if found.is_file() else "",
            "report": html if html.is_file() else "",
        }
        with outputs.open("a", encoding="utf-8") as stream:
            stream.writelines(f"{name}={value}\n" for name, value in named.items())
    return status


def verdict_of(status: int, document: Path) -> str:
    """One word for an exit status and what the document says of its cases.

    "passed" is only what is decided as a whole: where the caller is not strict, an undecided case fails nothing,
    but it is none that passed. "failed" is whatever ends with 1 and has no case that regressed.
    """
    decided = _verdicts(document)
    if status == 0:
        return "undecided" if decided is None or decided & {"inconclusive", "incomparable"} else "passed"
    if status == 1:
        return "regressed" if decided and "regressed" in decided else FAILED
    return VERDICTS.get(status, FAILED)


def _verdicts(document: Path) -> set[str] | None:
    """The verdicts that a comparison holds; None where it is none."""
    try:
        decisions = json.loads(document.read_text(encoding="utf-8"))["yolo_perf_ab"]["decisions"]
        return {str(each["verdict"]) for each in decisions}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def executable(environment: Path, name: str) -> Path:
    """A program of a virtual environment."""
    return environment / ("Scripts" if os.name == "nt" else "bin") / name


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _make(folder: Path, packages: Sequence[str], index: str) -> None:
    """A fresh virtual environment with these packages."""
    print(f"::group::Install {folder.name}", flush=True)
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    if index:
        environment["PIP_EXTRA_INDEX_URL"] = index
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        python = str(executable(folder, "python"))
        subprocess.run([python, "-m", "pip", "install", *packages], check=True, env=environment)
        subprocess.run([python, "-m", "pip", "freeze"], check=True, env=environment)
    except subprocess.CalledProcessError as error:
        raise ActionError(f"The environment {folder.name!r} could not be installed: see pip above.") from error
    finally:
        print("::endgroup::", flush=True)


def _draw(folder: Path) -> None:
    """The suite's drawn pictures as files."""
    from yolo_perf.pipeline.images import synthetic

    folder.mkdir()
    for number, picture in enumerate(synthetic().encoded):
        (folder / f"{number:03d}.jpg").write_bytes(picture)


def _report(work: Path, document: Path) -> None:
    """Markdown and HTML beside the document. Without them the verdict stands as it is."""
    program = str(executable(work / "tool", "yolo-perf"))
    files = [f"--markdown={document.with_name(MARKDOWN)}", f"--html={document.with_name(HTML)}"]
    if subprocess.run([program, "report", str(document), *files], check=False).returncode:
        print(f"::warning::No report could be made of {document.name}.", flush=True)


def main(arguments: Sequence[str]) -> int:
    """The exit status of one step; 2 for an input that cannot be used."""
    steps = ("install", "gate")
    if len(arguments) != 1 or arguments[0] not in steps:
        print(f"Usage: gate_action.py {'|'.join(steps)}", file=sys.stderr)
        return 2
    work = Path(os.environ["YOLO_PERF_WORK"])
    work.mkdir(parents=True, exist_ok=True)
    try:
        inputs = read_inputs(os.environ)
        if arguments[0] == "install":
            install(inputs, work)
            return 0
        outputs = os.environ.get("GITHUB_OUTPUT")
        return gate(inputs, work, Path(outputs) if outputs else None)
    except ActionError as error:
        # A line break in a name would begin a line of its own, which may be a command.
        said = str(error).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        print(f"::error::{said}", flush=True)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
