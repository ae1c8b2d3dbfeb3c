"""Where a command's result goes, and in which form: a table, JSON or CSV; the terminal or a file."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click

from yolo_perf import escape, files
from yolo_perf.cli.terminal import end_step, has_color
from yolo_perf.errors import UsageError, YoloPerfError

Row = Mapping[str, object]
LEAST_WIDTH = 40
"""Prose in fewer columns is a list of words."""

output_option = click.option(
    "--output",
    "output_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write there instead of to the terminal.",
)
"""Of a command that has but one form; the others take `output_options`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """The chosen form and place."""

    form: Literal["table", "json", "csv"]
    path: Path | None

    def show(
        self,
        table: "Callable[..., str]",
        document: "object | Callable[[], object]",
        rows: "Sequence[Row] | Callable[[], Sequence[Row]]" = (),
    ) -> None:
        """Print one form. `table` takes `width` and `color`; `rows` hold scalars under the same keys each.

        What is dear to make is given as a function, and made where it is asked for.
        """
        if self.form == "json":
            text = json.dumps(document() if callable(document) else document, indent=2, allow_nan=False)
            text = text.replace("##[", r"\u0023#[")  # the same to whoever reads JSON, and no command in a log
        elif self.form == "csv":
            text = csv_text(rows() if callable(rows) else rows)
        else:
            text = table(**style(to_terminal=self.path is None))
        end_step()
        if self.path is None:
            print_result(text)
            return
        write_text(self.path, (escape.terminal(text) if self.form == "table" else text) + "\n")


def emit(content: bytes, path: Path | None) -> None:
    """Write a file's content to a path, whole or not at all; to standard output where there is no path."""
    if path is None:
        print_result(content)
        return
    check_writable(path)
    write_file(path, content)


def print_result(text: str | bytes) -> None:
    """Print a result; a text with a line end, as `escape.terminal` leaves it. A reader that went away is no error.

    Raises YoloPerfError where it cannot be printed.
    """
    color = has_color(sys.stdout)
    shown = escape.terminal(text, color=color) if isinstance(text, str) else text
    try:
        click.echo(shown, color=color, nl=isinstance(text, str))
    except BrokenPipeError:
        raise
    except OSError as error:
        raise YoloPerfError(f"Cannot write the result: {error.strerror or error}.") from error


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8 as `write_file` does."""
    write_file(path, text.encode(errors="backslashreplace"))


def write_file(path: Path, content: bytes) -> None:
    """Write a file as `files.write` does. Raises YoloPerfError where it cannot be written."""
    try:
        files.write(path, content)
    except OSError as error:
        raise YoloPerfError(f"Cannot write {path}: {error.strerror or error}.") from error


def output_options(*, table: bool = True) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Options --json, --csv (for what is a table) and --output; the command gets them as `output`."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def with_output(
            *args: Any, as_json: bool, as_csv: bool = False, output_path: Path | None, **kwargs: Any
        ) -> None:
            if as_json and as_csv:
                raise UsageError("--json and --csv: choose one.")
            if output_path is not None:
                check_writable(output_path)
            form: Literal["table", "json", "csv"] = "json" if as_json else "csv" if as_csv else "table"
            command(*args, output=Output(form=form, path=output_path), **kwargs)

        with_output.__name__, with_output.__doc__ = command.__name__, command.__doc__
        with_output.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
        found: Callable[..., None] = output_option(with_output)
        if table:
            found = click.option("--csv", "as_csv", is_flag=True, help="Print CSV, in SI units.")(found)
        return click.option("--json", "as_json", is_flag=True, help="Print JSON, in SI units.")(found)

    return decorate


def check_writable(path: Path) -> None:
    """Raise UsageError where a file cannot come to be at `path`: better before a measurement than after it."""
    through = files.written_through(path)
    target = path if through else Path(os.path.realpath(path))
    asked = [target] if through else [*([target] if target.exists() else []), target.parent]
    if target.is_dir() or not target.parent.is_dir() or not all(os.access(each, os.W_OK) for each in asked):
        raise UsageError(f"Cannot write {path}. Name a file in a folder that exists and can be written.")


def csv_text(rows: Sequence[Row]) -> str:
    """Rows as CSV with a heading; sequences as their items between blanks, None as nothing."""
    return escape.csv_text(list(rows[0]) if rows else [], rows).rstrip("\n")


def style(*, to_terminal: bool = True) -> dict[str, Any]:
    """Width of the terminal, 80 columns where there is none, and whether to colour; a file is never coloured.

    A table that needs more columns has more: what it holds is never cut off. Prose keeps to the width.
    """
    width = shutil.get_terminal_size((80, 24)).columns
    return {"width": max(LEAST_WIDTH, width), "color": to_terminal and has_color(sys.stdout)}
