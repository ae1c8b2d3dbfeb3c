"""The two streams of a command: colour, letters that they can show, how much is said, and the line of progress."""

import codecs
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import click

from yolo_perf import escape

LOGGER = logging.getLogger("yolo_perf")
VERBOSITY = "yolo_perf.verbosity"
PLAIN_LETTERS = str.maketrans("─━│…—–×→✓’“”", '--|~--x>v\'""')
"""One column each, so that tables keep their form."""
ENCODING_ERRORS, PLAIN_ASCII = "yolo-perf-plain", "plain_ascii"
CLEAR = "\r\033[K"


def is_live(stream: IO[str] | None) -> bool:
    """Whether a line on this stream can be taken back: a terminal that is not dumb."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


def has_color(stream: IO[str] | None) -> bool:
    """Whether to colour this stream: NO_COLOR, FORCE_COLOR, else as the terminal is. An empty one is not set."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or is_live(stream)


def say(text: str, *, err: bool = False) -> None:
    """Print one line in which names of files or machines may stand."""
    click.echo(escape.line(text), err=err)


class StatusHandler(logging.Handler):
    """Log records on stderr. Where that is a terminal, a step's line gives way to whatever comes next."""

    def __init__(self) -> None:
        super().__init__()
        self._open = False

    def emit(self, record: logging.LogRecord) -> None:
        """One line, or one that stays until the next."""
        own = record.name.partition(".")[0] == LOGGER.name  # what we say is one line; others say several
        text = escape.line(record.getMessage()) if own else escape.terminal(record.getMessage())
        self.clear()
        if getattr(record, "step", False) and is_live(sys.stderr):
            room = shutil.get_terminal_size((80, 24)).columns - 1
            click.echo(text if len(text) <= room else f"{text[: room - 1]}…", err=True, nl=False)
            self._open = True
        else:
            click.echo(text, err=True)

    def clear(self) -> None:
        """Take the step's line away."""
        if self._open:
            self._open = False
            click.echo(CLEAR, err=True, nl=False)


def end_step() -> None:
    """Take the line of progress away: what is printed next begins a line of its own."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, StatusHandler):
            handler.clear()


@contextmanager
def status(level: int = logging.INFO) -> Iterator[None]:
    """Show what the package logs on stderr for as long as this lasts; other libraries' warnings as well."""
    handler, before = StatusHandler(), LOGGER.level
    root = logging.getLogger()
    root.addHandler(handler)
    LOGGER.setLevel(level)
    try:
        yield
    finally:
        handler.clear()
        root.removeHandler(handler)
        LOGGER.setLevel(before)


def verbosity_options() -> tuple[click.Option, ...]:
    """-q and -v. They set how much is logged, and no command has to know of them."""
    return (
        click.Option(
            ["-q", "--quiet"],
            is_flag=True,
            expose_value=False,
            callback=_setter(logging.WARNING),
            help="Only results, warnings and errors.",
        ),
        click.Option(
            ["-v", "--verbose"],
            is_flag=True,
            expose_value=False,
            callback=_setter(logging.DEBUG),
            help="Say also what is built, read and planned, and why.",
        ),
    )


def _setter(level: int) -> Callable[[click.Context, click.Parameter, bool], None]:
    def set_level(context: click.Context, _: click.Parameter, given: bool) -> None:
        if not given or context.resilient_parsing:
            return
        if context.meta.setdefault(VERBOSITY, level) != level:
            raise click.UsageError("--quiet and --verbose: choose one.", context)
        LOGGER.setLevel(level)

    return set_level


def with_verbosity(command: click.Command) -> click.Command:
    """The command, and those below it, with -q and -v."""
    command.params.extend(verbosity_options())
    for each in command.commands.values() if isinstance(command, click.Group) else ():
        with_verbosity(each)
    return command


def show_what_can_be() -> None:
    """Let streams that have no box characters print plain ones instead of failing."""
    codecs.register_error(ENCODING_ERRORS, _plain)
    codecs.register(_plain_ascii)
    for stream in (sys.stdout, sys.stderr):
        encoding: str = getattr(stream, "encoding", None) or "utf-8"
        reconfigure: Any = getattr(stream, "reconfigure", None)
        if reconfigure is None or encoding.lower().startswith("utf"):
            continue
        plain = codecs.lookup(encoding).name == "ascii"
        reconfigure(encoding=PLAIN_ASCII if plain else encoding, errors=ENCODING_ERRORS)


def _plain_ascii(name: str) -> codecs.CodecInfo | None:
    """ASCII under another name: click takes the real one for a mistake, and prints UTF-8."""
    if name != PLAIN_ASCII:
        return None
    found = codecs.lookup("ascii")
    return codecs.CodecInfo(
        found.encode,
        found.decode,
        incrementalencoder=found.incrementalencoder,
        incrementaldecoder=found.incrementaldecoder,
        name=PLAIN_ASCII,
    )


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    """What stands for letters that an encoding does not have."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(PLAIN_LETTERS)
    return "".join(letter if letter.isascii() else "?" for letter in text), error.end


def settle_streams() -> None:
    """Write what is left; a stream that takes nothing is pointed at nothing, else Python complains once more."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except OSError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
