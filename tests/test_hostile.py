"""Every door with every hostile name: nothing gets out of its place."""

import csv
import json
import logging
import re
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.calling import call_command
from tests.factories import decision, full_run, machine, saved_pairs
from tests.hostile import NAMES, formulas, loose, named
from tests.report.test_paired import outcome, result
from yolo_perf import errors, escape
from yolo_perf.archive.benchmarks import read_benchmarks
from yolo_perf.archive.saved_run import BLOCK, block
from yolo_perf.machine.naming import slug
from yolo_perf.records import Comparison, Machine, Run
from yolo_perf.report import session, tables
from yolo_perf.report.export.openmetrics import render
from yolo_perf.report.markdown import markdown
from yolo_perf.report.page import _rounds
from yolo_perf.report.paired import document, paired
from yolo_perf.report.story import Story
from yolo_perf.session.terminal import Terminal

Call = Callable[..., tuple[int, str, str]]
hostile = pytest.mark.parametrize("name", NAMES, ids=ascii)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """Calls `yolo-perf` on a machine that is known; its exit code, output and errors."""

    def known_machine(**_: bool) -> Machine:
        return machine()

    monkeypatch.setattr("yolo_perf.machine.identity.identify", known_machine)
    monkeypatch.setenv("YOLO_PERF_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def called(*arguments: str) -> tuple[int, str, str]:
        return call_command(monkeypatch, capsys, *arguments)

    return called


def hostile_run(name: str, day: int = 1) -> Run:
    """A run of that day of January with figures of every kind, in which every name begins with this one."""
    found = full_run(created=f"2026-01-{day:02d}T00:00:00+00:00")
    return msgspec.convert(named(msgspec.to_builtins(found), name), Run, strict=False)


def write(path: Path, run: Run) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"benchmarks": [], BLOCK: block(run)}))
    return str(path)


@hostile
def test_what_is_printed_is_letters_and_no_command(call: Call, tmp_path: Path, name: str) -> None:
    base, head = (write(tmp_path / f"{n}.json", hostile_run(name, day=n)) for n in (1, 2))
    shelf = tmp_path / "baselines" / slug(machine())
    for number in range(2):
        write(shelf / f"{number:04d}_baseline.json", hostile_run(name, day=10 + number))
    here = ("--baselines", str(tmp_path / "baselines"))
    pairs = tmp_path / "ab.json"
    pairs.write_text(json.dumps(named(document(result()), name)))
    for arguments in (
        ("compare", base, head, *here),
        ("history", base, head, *here),
        ("history", *here),
        ("baseline", "list", *here),
        ("baseline", "show", base, *here),
        ("report", base, "--tables"),
        ("report", base, head),
        ("report", str(pairs)),
        ("export", base, "--format", "csv"),
        ("export", base, "--format", "openmetrics"),
    ):
        code, out, err = call(*arguments)
        assert code != 2, err
        assert not loose(out + err), arguments
        assert out, err


@hostile
@pytest.mark.parametrize("color", [False, True])
def test_tables_of_a_session_and_of_pairs(name: str, color: bool) -> None:
    run = hostile_run(name)
    found = result(
        sides=tuple(replace(side, name=name, commit=name) for side in result().sides),
        outcome=outcome(decisions=(decision(name, "regressed", reason=name),), complete=False, failure=name),
    )
    verdicts = (Comparison(label=name, metric="latency", verdict="regressed", reason=name, ratio=1.5),)
    texts = [
        tables.results(run, verdicts, color=color),
        tables.machine(run.machine, run.peaks, color=color),
        *session.whole_tables(run, color=color),
        *session.not_measured({name: name, f"n-{name}": f"unavailable: {name}"}),
        session.also_measured(run, escape.command("yolo-perf", "report", name)),
        paired(found, color=color),
    ]
    assert not loose(re.sub(r"\x1b\[[0-9;]*m", "", escape.terminal("\n".join(texts), color=color)))


@hostile
def test_no_cell_of_a_table_of_commas_is_a_formula(call: Call, tmp_path: Path, name: str) -> None:
    base, head = (write(tmp_path / f"{n}.json", hostile_run(name, day=n)) for n in (1, 2))
    here = ("--baselines", str(tmp_path / "baselines"))
    for arguments in (
        ("compare", base, head, "--csv", *here),
        ("history", base, head, "--csv", *here),
        ("baseline", "show", base, "--csv", *here),
        ("export", base, "--format", "csv"),
        ("export", base, "--format", "csv-rounds"),
    ):
        _, out, _ = call(*arguments)
        assert out.count("\n") > 1, arguments
        assert not formulas(out), arguments
        assert not loose(out), arguments


@hostile
def test_json_is_the_same_and_no_command(call: Call, tmp_path: Path, name: str) -> None:
    base = write(tmp_path / "a.json", hostile_run(name))
    code, out, _ = call("baseline", "show", base, "--json", "--baselines", str(tmp_path))
    assert code == 0
    assert json.loads(out)["machine"]["cpu_model"] == name + machine().cpu_model
    assert not loose(out)


@hostile
def test_names_of_files_and_words_of_the_command_line(call: Call, name: str) -> None:
    for arguments in (
        ("compare", "--", name, name),
        ("report", "--", name),
        ("baseline", "show", "--", name),
        ("export", "--format", name, "a.json"),
        ("history", "--", name),
        (f"no-{name}",),
        ("report", f"--{name}"),
    ):
        code, out, err = call(*arguments)
        assert code != 0 or out
        assert not loose(out + err), arguments


@hostile
def test_a_damaged_file_of_that_name(call: Call, tmp_path: Path, name: str) -> None:
    path = tmp_path / (name.replace("/", "_").replace("\0", "_") + ".json")
    path.write_text("{")
    for arguments in (("report", "--", str(path)), ("compare", "--", str(path)), ("history", "--", str(path))):
        code, out, err = call(*arguments)
        assert code != 0
        assert not loose(out + err), arguments


@hostile
def test_an_error_is_one_line_at_every_door(name: str) -> None:
    for kind in (errors.BaselineError, errors.UsageError, errors.BackendUnavailable):
        assert not loose(str(kind(f"{name} is no file.")))
        assert "\n" not in str(kind(f"{name} is no file."))


@hostile
def test_a_line_of_the_log(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    from yolo_perf.cli.terminal import status

    with status():
        logging.getLogger("yolo_perf.x").warning("%s", name)
        logging.getLogger("other").warning("%s\nmore", escape.printable(name))
    err = capsys.readouterr().err
    assert not loose(err)
    assert len(err.splitlines()) == 3


class Reporter:
    """Of pytest's terminal what a session needs."""

    def __init__(self, color: bool):
        self._tw = SimpleNamespace(hasmarkup=color)
        self.text = ""

    def write_line(self, text: str, **_: bool) -> None:
        self.text += text + "\n"


@hostile
@pytest.mark.parametrize("color", [False, True])
def test_lines_of_a_session_on_pytests_terminal(name: str, color: bool) -> None:
    reporter = Reporter(color)
    terminal = Terminal(reporter)  # type: ignore[arg-type]
    terminal.write(f"{escape.printable(name)}\n{escape.printable(name)}", red=True)
    assert not loose(re.sub(r"\x1b\[[0-9;]*m", "", reporter.text))


@hostile
def test_rounds_that_a_page_saves_are_no_formulas(name: str) -> None:
    cells = [str(cell) for cell, _ in _rounds(hostile_run(name))]
    stream = StringIO()
    csv.writer(stream).writerows([cell] for cell in cells)
    assert cells
    assert not formulas(stream.getvalue())


LIVE = re.compile(r"(?i)https?://|www\.|@\w|(?<!&)#\d|\bgh-\d|[<>|`*_\[\]~$]|mailto:")


@hostile
def test_markdown_holds_no_markup_of_a_name(name: str) -> None:
    shown = escape.markdown(name)
    assert shown.isprintable()
    assert not LIVE.search(shown)
    story = Story(
        subject=None,
        pairs=(saved_pairs(decision(name, "regressed", reason=name), libraries=({name: "1"}, {name: "2"})),),
    )
    assert all(line.isprintable() for line in markdown(story).split("\n"))
    before = markdown(story).split("Again:")[0].replace("<details>", "").replace("<summary>", "")
    assert "](http" not in before
    assert "<script" not in before


@hostile
def test_a_command_that_is_pasted_is_the_one_that_is_shown(name: str, tmp_path: Path) -> None:
    pairs = saved_pairs(decision(name), base=replace(saved_pairs().base, name=name))
    (again,) = [line for line in markdown(Story(subject=None, pairs=(pairs,))).splitlines() if "Again:" in line]
    found = re.fullmatch(r"Again: (`+)( ?)(.*)\2\1", again)
    assert found
    assert found[1] not in found[3].replace(found[1] + "`", "")
    program = f'yolo-perf() {{ printf "%s\\n" "$#"; }}; {found[3]}'.replace("yolo-perf", "yoloperf")
    done = subprocess.run(["bash", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    words = shlex.split(found[3])
    assert (done.stdout, done.stderr) == (f"{len(words) - 1}\n", "")
    assert list(tmp_path.iterdir()) == []


@hostile
def test_labels_of_a_scrape_stay_labels(tmp_path: Path, name: str) -> None:
    text = render([read_benchmarks(Path(write(tmp_path / "a.json", hostile_run(name))))]).decode()
    assert not loose(text)
    for line in text.splitlines():
        assert re.fullmatch(r'#.*|[a-z_0-9]+\{([a-z_]+="([^"\\]|\\\\|\\")*",?)*\} [-+.\de]+', line), line


@hostile
def test_a_command_of_githubs_log_is_one_line(name: str) -> None:
    text = escape.github("error", f"{name}%0A::error::x")
    assert "\n" not in text
    assert "\r" not in text
    data = text.removeprefix("::error::").replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")
    assert data == f"{name}%0A::error::x"  # as the runner reads it


@given(st.text())
def test_any_text(text: str) -> None:
    assert not loose(escape.terminal(text))
    assert not loose(escape.line(text))
    assert escape.spelled(escape.spelled(text)) == escape.spelled(text)
    assert not loose(f"x{escape.spelled(text)}")
    assert not formulas(escape.csv_text(["a"], [{"a": text}]))
    assert shlex.split(escape.command("x", text)) == ["x", escape.printable(text)]


@given(st.text(st.sampled_from(" \t:#[x\x1b[0m1;")))
def test_colours_alone_are_left_where_they_are_asked_for(text: str) -> None:
    shown = escape.terminal(text, color=True)
    assert not loose(re.sub(r"\x1b\[[0-9;]*m", "", shown))


def test_numbers_of_a_table_of_commas_stay_numbers() -> None:
    rows: list[dict[str, object]] = [
        {"a": -0.1, "b": None, "c": ["x", "y"], "d": True},
        {"a": 3, "b": "-1", "c": (), "d": "n-eager"},
    ]
    assert escape.csv_text(list("abcd"), rows) == "a,b,c,d\n-0.1,,x y,True\n3,'-1,,n-eager\n"
