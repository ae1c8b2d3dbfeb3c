import csv
import json
import os
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from yolo_perf import cli
from yolo_perf.cli.output import Output, check_writable, csv_text, output_options, style
from yolo_perf.errors import UsageError, YoloPerfError

ROWS: tuple[dict[str, object], ...] = (
    {"layer": "model.0", "seconds": 0.00025, "operators": ("Conv", "Mul"), "fused_into": None},
    {"layer": 'a "b", c', "seconds": None, "operators": [], "fused_into": "model.0"},
)
CSV = """\
layer,seconds,operators,fused_into
model.0,0.00025,Conv Mul,
"a ""b"", c",,,model.0"""
DOCUMENT = {"name": "n", "values": [1, 2.5, None]}


def table(**style: Any) -> str:
    return f"a table of {style['width']} columns, {'coloured' if style['color'] else 'plain'} — ✓"


@click.command()
@output_options()
def shown(output: Output) -> None:
    output.show(table, DOCUMENT, ROWS)


@click.command()
@output_options(table=False)
def single(output: Output) -> None:
    """Explain."""
    output.show(table, DOCUMENT)


@pytest.fixture
def run() -> Callable[..., Result]:
    return lambda *arguments, command=shown: CliRunner().invoke(command, arguments)


def test_csv_has_a_heading_and_one_line_a_row() -> None:
    assert csv_text(ROWS) == CSV
    read = list(csv.DictReader(StringIO(csv_text(ROWS))))
    assert [row["layer"] for row in read] == ["model.0", 'a "b", c']
    assert csv_text(()) == ""


def test_csv_refuses_a_value_without_a_heading() -> None:
    with pytest.raises(ValueError, match="unexpected"):
        csv_text(({"a": 1}, {"a": 1, "unexpected": 2}))


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ((), "a table of 80 columns, plain — ✓\n"),
        (("--json",), json.dumps(DOCUMENT, indent=2) + "\n"),
        (("--csv",), CSV + "\n"),
    ],
)
def test_each_form_goes_to_the_terminal_or_to_a_file(
    run: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: tuple[str, ...], text: str
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    to_terminal = run(*option)
    assert (to_terminal.exit_code, to_terminal.stdout) == (0, text)
    path = tmp_path / "result.txt"
    path.write_text("something longer that was there before\n" * 9, encoding="utf-8")
    to_file = run(*option, "--output", str(path))
    assert (to_file.exit_code, to_file.stdout) == (0, "")
    assert path.read_bytes() == text.encode()


def test_json_and_csv_at_once_are_an_error_ahead_of_the_work(tmp_path: Path) -> None:
    worked: list[str] = []

    @click.command()
    @output_options()
    def command(output: Output) -> None:
        worked.append("at all")

    found = CliRunner().invoke(command, ["--json", "--csv", "--output", str(tmp_path / "result")])
    assert isinstance(found.exception, UsageError)
    assert str(found.exception) == "--json and --csv: choose one."
    assert worked == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["models", "layers n"])
def test_json_and_csv_at_once_are_one_line_and_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.setattr("sys.argv", ["yolo-perf", *command.split(), "--json", "--csv"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    assert (ended.value.code, out, err) == (2, "", "Error: --json and --csv: choose one.\n")


def test_a_file_that_cannot_be_is_an_error_ahead_of_the_work(tmp_path: Path) -> None:
    worked: list[str] = []

    @click.command()
    @output_options()
    def command(output: Output) -> None:
        worked.append("at all")

    found = CliRunner().invoke(command, ["--output", str(tmp_path / "none" / "result")])
    assert isinstance(found.exception, UsageError)
    assert worked == []


def test_what_is_no_table_has_no_csv(run: Callable[..., Result]) -> None:
    assert "No such option" in run("--csv", command=single).output
    assert json.loads(run("--json", command=single).stdout) == DOCUMENT


def test_a_command_keeps_its_name_its_help_and_its_own_options(run: Callable[..., Result]) -> None:
    @click.command()
    @click.argument("size")
    @output_options()
    @click.option("--batch", type=int, default=1)
    def command(size: str, batch: int, output: Output) -> None:
        output.show(table, [size, batch, output.form])

    assert (single.name, single.help) == ("single", "Explain.")
    assert json.loads(run("n", "--batch", "3", "--json", command=command).stdout) == ["n", 3, "json"]
    names = [parameter.name for parameter in command.params]
    assert names == ["size", "as_json", "as_csv", "output_path", "batch"]


def test_no_number_that_json_does_not_know() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        Output(form="json", path=None).show(table, {"ratio": float("nan")})


def test_a_file_that_fails_after_all_is_named(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "result.json"  # its folder went between the check and the end
    with pytest.raises(YoloPerfError, match=r"Cannot write .*result\.json: No such file or directory"):
        Output(form="json", path=path).show(table, DOCUMENT)


def test_a_path_where_a_file_can_come_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    there = tmp_path / "there.json"
    there.touch()
    for path in (there, tmp_path / "new.json", Path("new.json")):
        check_writable(path)
    assert [path.name for path in tmp_path.iterdir()] == ["there.json"]  # looking leaves nothing behind
    assert there.read_bytes() == b""


@pytest.mark.parametrize("name", ["folder", "none/result.json", "file/result.json", "."])
def test_a_path_where_no_file_can_come_to_be(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"Cannot write .*\. Name a file in a folder that exists"):
        check_writable(tmp_path / name)


@pytest.mark.parametrize(("name", "asked"), [("there.json", "there.json"), ("new.json", "")])
def test_a_path_that_may_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, asked: str
) -> None:
    """Of a file that is there the file is asked, else its folder. Root may write anywhere, so it is told no."""
    (tmp_path / "there.json").touch()
    looked: list[tuple[Path, int]] = []

    def access(path: Path, mode: int) -> bool:
        looked.append((path, mode))
        return False

    monkeypatch.setattr("yolo_perf.cli.output.os.access", access)
    with pytest.raises(UsageError, match="Cannot write"):
        check_writable(tmp_path / name)
    assert looked == [(tmp_path / asked, os.W_OK)]


@pytest.mark.parametrize(
    ("columns", "terminal", "no_color", "to_terminal", "expected"),
    [
        (132, True, False, True, (132, True)),
        (60, True, False, True, (60, True)),
        (20, True, False, True, (40, True)),  # prose does not shrink below 40
        (132, True, True, True, (132, False)),
        (132, False, False, True, (132, False)),
        (80, True, False, False, (80, False)),
    ],
)
def test_width_and_colour_are_the_terminals(
    monkeypatch: pytest.MonkeyPatch,
    columns: int,
    terminal: bool,
    no_color: bool,
    to_terminal: bool,
    expected: tuple[int, bool],
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    found = style(to_terminal=to_terminal)
    assert (found["width"], found["color"]) == expected
