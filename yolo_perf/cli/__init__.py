"""The command line: parse, call, print, exit code. Heavy imports wait for the command that needs them."""

import contextlib
import signal
import sys
from io import StringIO

import click

from yolo_perf import __version__, escape
from yolo_perf.cli import (
    ab,
    accuracy,
    audit,
    baseline,
    best,
    calibrate,
    compare,
    completion,
    export,
    fetch,
    history,
    layers,
    machine,
    memory,
    models,
    pictures,
    profile,
    prove_gate,
    report,
    schema,
    stages,
)
from yolo_perf.cli.group import Commands, ReaderGoneError
from yolo_perf.cli.terminal import (
    end_step,
    say,
    settle_streams,
    show_what_can_be,
    status,
    verbosity_options,
    with_verbosity,
)
from yolo_perf.errors import UsageError, YoloPerfError
from yolo_perf.signals import INTERRUPTED_EXIT, ended_by_signals, exit_status

USAGE_EXIT, FAILURE_EXIT = 2, 1
PIPE_EXIT = 128 + getattr(signal, "SIGPIPE", 13)
"""What a shell says of a program whose reader went away; 1 would be taken for a verdict."""


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "YOLO_PERF"}
)
@click.version_option(__version__, prog_name="yolo-perf")
def cli() -> None:
    """Measure YOLOv5 inference on CPUs, and see what it could reach.

    The benchmarks themselves run under pytest: pytest benchmarks/
    """


COMMANDS = (
    machine.machine,
    models.models,
    layers.layers,
    profile.profile,
    stages.stages,
    memory.memory,
    accuracy.accuracy,
    audit.audit,
    compare.compare,
    history.history,
    best.best,
    ab.ab,
    calibrate.calibrate,
    prove_gate.prove_gate,
    baseline.baseline,
    report.report,
    fetch.fetch,
    export.export,
    schema.schema,
    pictures.detect,
    completion.completion,
)
cli.params.extend(verbosity_options())
for command in COMMANDS:
    cli.add_command(with_verbosity(command))


def main() -> None:
    """The console script: errors of the user's as one line; exit code 2 for usage, 130 for Ctrl-C, else 1."""
    show_what_can_be()
    with status(), ended_by_signals():
        code = _run()
    settle_streams()
    sys.exit(exit_status(code))


def _run() -> int:
    """The exit code of the command that was asked for."""
    try:
        cli(standalone_mode=False)
    except SystemExit as ended:
        return int(ended.code or 0)
    except ReaderGoneError:
        return PIPE_EXIT
    except click.ClickException as error:
        end_step()
        text = StringIO()
        error.show(text)
        click.echo(escape.terminal(text.getvalue()), err=True, nl=False)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _failed("Interrupted.", INTERRUPTED_EXIT)
    except (YoloPerfError, OSError) as error:
        return _failed(f"Error: {error}", USAGE_EXIT if isinstance(error, UsageError) else FAILURE_EXIT)
    return 0


def _failed(message: str, code: int) -> int:
    """The exit code, once it was said why on a line of its own, where anybody can still be told."""
    with contextlib.suppress(OSError):
        end_step()
        say(message, err=True)
    return code
