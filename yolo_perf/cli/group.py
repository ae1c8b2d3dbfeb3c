"""The group of all commands: listed by purpose, and quiet where a pipe breaks."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("The machine and the models", ("machine", "models", "detect")),
    ("Measure", ("layers", "profile", "stages", "memory", "accuracy", "audit")),
    ("Decide", ("ab", "best", "compare")),
    ("Look after baselines", ("baseline", "calibrate", "history", "prove-gate")),
    ("Pass on", ("report", "export", "schema")),
    ("Set up", ("fetch", "completion")),
)
"""Headings and their commands, in order; what is in none of them stands under OTHER."""
OTHER = "Other"


class ReaderGoneError(Exception):
    """Nobody reads what is printed any more. Of a broken pipe itself click makes an exit code, 1: a verdict's."""


class Commands(click.Group):
    """A group that lists its commands by purpose."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """As click does, which prints help here. Raises ReaderGoneError."""
        with _pipes():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, context: click.Context) -> Any:
        """As click does. Raises ReaderGoneError."""
        with _pipes():
            return super().invoke(context)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """A heading for each purpose, a line for each command."""
        known = [name for _, names in GROUPS for name in names]
        others = tuple(name for name in self.list_commands(context) if name not in known)
        widest = max(map(len, self.commands), default=0)
        room = formatter.width - formatter.current_indent - widest - 4
        for heading, names in (*GROUPS, (OTHER, others)):
            found = [self.commands[name] for name in names if name in self.commands]
            rows = [(f"{c.name:{widest}}", c.get_short_help_str(room)) for c in found if not c.hidden]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)


@contextmanager
def _pipes() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise ReaderGoneError from error
