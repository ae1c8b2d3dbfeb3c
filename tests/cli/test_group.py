import click
import pytest
from click.testing import CliRunner

from yolo_perf import cli
from yolo_perf.cli.group import GROUPS, OTHER, Commands

HELP = CliRunner().invoke(cli.cli, ["--help"], terminal_width=80).output


@click.group(cls=Commands)
def group() -> None:
    """A group."""


@group.command("ab", short_help="Decide.")
def ab() -> None: ...


@group.command("new-one", short_help="Do what no group has yet.")
def new_one() -> None: ...


@group.command(hidden=True)
def secret() -> None: ...


def test_commands_stand_under_their_purpose_and_unknown_ones_under_other() -> None:
    text = CliRunner().invoke(group, ["--help"]).output
    assert text[text.index("Decide:") :] == (
        "Decide:\n  ab       Decide.\n\nOther:\n  new-one  Do what no group has yet.\n"
    )


def test_without_a_command_the_help_is_shown() -> None:
    found = CliRunner().invoke(cli.cli, [])
    assert (found.exit_code, found.output) == (2, HELP)


def test_no_summary_is_cut_off_at_80_columns() -> None:
    assert max(map(len, HELP.splitlines())) <= 80
    assert "..." not in HELP.partition("Options:")[2]


def test_every_command_is_listed_once_and_none_of_ours_is_other() -> None:
    listed = [line.split()[0] for line in HELP.splitlines() if line.startswith("  ") and "  " in line.strip()]
    assert [name for name in listed if name in cli.cli.commands] == [
        name for _, names in GROUPS for name in names if name in cli.cli.commands
    ]
    assert f"{OTHER}:" not in HELP


@pytest.mark.parametrize("name", sorted(cli.cli.commands))
def test_the_help_of_every_command_fits_80_columns(name: str) -> None:
    found = cli.cli.commands[name]
    below = [[name, each] for each in found.commands] if isinstance(found, click.Group) else []
    for words in ([name], *below):
        text = CliRunner().invoke(cli.cli, [*words, "--help"]).output
        assert [line for line in text.splitlines() if len(line) > 80] == []
