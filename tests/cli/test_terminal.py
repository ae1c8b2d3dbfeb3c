"""What a command says, how loudly, and on which streams: terminals, pipes, full disks, plain letters."""

import io
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import click
import pytest
from click.testing import CliRunner

from tests.cli.terminals import ROOT, command, environment, on_a_terminal
from yolo_perf import cli
from yolo_perf.cli.terminal import (
    CLEAR,
    StatusHandler,
    end_step,
    has_color,
    is_live,
    show_what_can_be,
    status,
    with_verbosity,
)
from yolo_perf.pace import STEP

posix = pytest.mark.skipif(sys.platform == "win32", reason="there is no pty")
LOGGER = logging.getLogger("yolo_perf.tests")
LIST = ("baseline", "list")
SPEAK = """
import logging, sys, time
from yolo_perf.cli.output import Output
from yolo_perf.cli.terminal import status
from yolo_perf.pace import STEP
log = logging.getLogger("yolo_perf.x")
with status():
    log.info("pair 1 of 3, about 4 min left: " + "n-eager +0.1 %, " * 9, extra=STEP)
    log.info("pair 2 of 3", extra=STEP)
    log.warning("it is slow")
    log.info("pair 3 of 3", extra=STEP)
    Output(form="table", path=None).show(lambda **style: "the table", None)
"""


class Tty(io.StringIO):
    """A terminal that remembers what it was sent."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    return monkeypatch.setenv


# Colour


@pytest.mark.parametrize(
    ("stream", "variables", "color"),
    [
        (Tty(), {}, True),
        (io.StringIO(), {}, False),
        (None, {}, False),
        (Tty(), {"NO_COLOR": "1"}, False),
        (Tty(), {"NO_COLOR": ""}, True),  # empty is not set: no-color.org
        (io.StringIO(), {"FORCE_COLOR": "1"}, True),
        (io.StringIO(), {"FORCE_COLOR": ""}, False),
        (Tty(), {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        (Tty(), {"TERM": "dumb"}, False),
        (Tty(), {"TERM": "dumb", "FORCE_COLOR": "1"}, True),
    ],
)
def test_colour_is_the_users_then_the_terminals(
    plain_environment: Callable[..., None], stream: IO[str] | None, variables: dict[str, str], color: bool
) -> None:
    for name, value in variables.items():
        plain_environment(name, value)
    assert has_color(stream) is color


@posix
@pytest.mark.parametrize(
    ("variables", "color"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_a_terminal_has_colour(variables: dict[str, str], color: bool) -> None:
    show = (
        "from yolo_perf.cli.output import Output; Output(form='table', path=None).show("
        "lambda color, **_: '\\x1b[1mbest\\x1b[0m' if color else 'best', None)"
    )
    program = [sys.executable, "-c", show]
    assert on_a_terminal(program, variables) == (0, "\x1b[1mbest\x1b[0m\n" if color else "best\n")
    for forced, shown in (("1", b"\x1b[1mbest\x1b[0m\n"), ("", b"best\n")):
        piped = subprocess.run(program, env=environment(FORCE_COLOR=forced), capture_output=True, check=False)
        assert piped.stdout == shown


# The line of progress


def test_off_a_terminal_every_step_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with status():
        LOGGER.info("pair %d of %d", 1, 2, extra=STEP)
        LOGGER.info("pair %d of %d", 2, 2, extra=STEP)
        LOGGER.debug("why")
        end_step()
    assert capsys.readouterr().err == "pair 1 of 2\npair 2 of 2\n"
    LOGGER.info("nobody shows this any more")
    assert capsys.readouterr().err == ""


def test_on_a_terminal_a_step_gives_way(
    plain_environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = Tty()
    monkeypatch.setattr("sys.stderr", shown)
    with status():
        LOGGER.info("pair 1", extra=STEP)
        LOGGER.info("p" * 100, extra=STEP)
        LOGGER.warning("slow")
        LOGGER.info("pair 3", extra=STEP)
        end_step()
        end_step()
    assert shown.getvalue() == f"pair 1{CLEAR}{'p' * 78}…{CLEAR}slow\npair 3{CLEAR}"


def test_a_dumb_terminal_cannot_take_a_line_back(plain_environment: Callable[..., None]) -> None:
    assert is_live(Tty())
    plain_environment("TERM", "dumb")
    assert not is_live(Tty())


@posix
@pytest.mark.parametrize("columns", [80, 60])
def test_a_real_terminal_is_left_with_the_result_alone(columns: int) -> None:
    code, text = on_a_terminal([sys.executable, "-c", SPEAK], columns=columns)
    assert code == 0
    first, *rest = text.split(CLEAR)
    assert len(first) == columns - 1
    assert first.startswith("pair 1 of 3, about 4 min left: n-eager +0.1 %")
    assert rest == ["pair 2 of 3", "it is slow\npair 3 of 3", "the table\n"]


# -q and -v


@click.group()
def group() -> None:
    """A group."""


@group.command()
def speak() -> None:
    """Say something on every level."""
    for level in (logging.DEBUG, logging.INFO, logging.WARNING):
        LOGGER.log(level, logging.getLevelName(level))


with_verbosity(group)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["speak"], ["INFO", "WARNING"]),
        (["-q", "speak"], ["WARNING"]),
        (["speak", "--quiet"], ["WARNING"]),
        (["-q", "speak", "-q"], ["WARNING"]),
        (["-v", "speak"], ["DEBUG", "INFO", "WARNING"]),
        (["speak", "--verbose"], ["DEBUG", "INFO", "WARNING"]),
    ],
)
def test_quiet_and_verbose_go_before_the_command_and_after_it(arguments: list[str], said: list[str]) -> None:
    level = logging.getLogger("yolo_perf").level
    runner = CliRunner()
    with runner.isolation() as (_, err, _), status():
        group.main(arguments, standalone_mode=False)
    assert err.getvalue().decode().split() == said
    assert logging.getLogger("yolo_perf").level == level


@pytest.mark.parametrize("arguments", [["-q", "speak", "-v"], ["-qv", "speak"], ["speak", "-v", "-q"]])
def test_quiet_and_verbose_at_once_are_a_usage_error(arguments: list[str]) -> None:
    found = CliRunner().invoke(group, arguments)
    assert found.exit_code == 2
    assert "--quiet and --verbose: choose one." in found.output


def test_every_command_takes_them_and_none_has_them_twice() -> None:
    def every(found: click.Command) -> list[click.Command]:
        below = found.commands.values() if isinstance(found, click.Group) else ()
        return [found, *(each for one in below for each in every(one))]

    commands = every(cli.cli)
    assert len(commands) > len(cli.COMMANDS)
    for each in commands:
        names = [name for parameter in each.params for name in parameter.opts]
        assert [names.count(name) for name in ("-q", "--quiet", "-v", "--verbose")] == [1, 1, 1, 1], each.name
        assert len(names) == len(set(names))


# Pipes, full disks, plain letters


@posix
@pytest.mark.parametrize("arguments", [LIST, ("--help",), ("compare", "--help")])
def test_a_reader_that_goes_away_ends_it_quietly(arguments: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    found = subprocess.run(
        command(*arguments), stdout=writer, stderr=subprocess.PIPE, env=environment(), cwd=ROOT, check=False
    )
    os.close(writer)
    assert (found.returncode, found.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (LIST, "Error: Cannot write the result: No space left on device.\n"),
        (("--help",), "Error: [Errno 28] No space left on device\n"),
    ],
)
def test_a_full_disk_is_one_message(arguments: tuple[str, ...], message: str) -> None:
    with Path("/dev/full").open("w") as full:
        found = subprocess.run(
            command(*arguments),
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(),
            cwd=ROOT,
            text=True,
            check=False,
        )
    assert (found.returncode, found.stderr) == (1, message)


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("ascii", "- ~ x ?\n"), ("latin-1", "- ~ × é\n"), ("cp1252", "- … × é\n"), ("utf-8", "─ … × é\n")],
)
def test_a_terminal_without_box_characters_gets_plain_ones(encoding: str, shown: str) -> None:
    show = (
        "from yolo_perf.cli.output import Output; from yolo_perf.cli.terminal import show_what_can_be; "
        "show_what_can_be(); Output(form='table', path=None).show(lambda **_: '─ … × é', None)"
    )
    found = subprocess.run(
        [sys.executable, "-c", show], env=environment(PYTHONIOENCODING=encoding), capture_output=True, check=False
    )
    assert (found.returncode, found.stderr, found.stdout.decode(encoding)) == (0, b"", shown)


def test_letters_that_have_no_plain_form_are_question_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    for name in ("sys.stdout", "sys.stderr"):
        monkeypatch.setattr(name, stream)
    show_what_can_be()
    click.echo("─ é 犬 …")
    assert stream.buffer.getvalue() == b"- ? ? ~\n"


def test_a_handler_of_somebody_else_is_left_alone() -> None:
    before = list(logging.getLogger().handlers)
    with status():
        (own,) = set(logging.getLogger().handlers) - set(before)
        assert isinstance(own, StatusHandler)
    assert logging.getLogger().handlers == before
