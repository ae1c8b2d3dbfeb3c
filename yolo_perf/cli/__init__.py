"""The command line: parse, call, print, exit code. Heavy imports wait for the command that needs them."""

import logging
import sys

import click

from yolo_perf import __version__
from yolo_perf.cli import (
    ab,
    accuracy,
    audit,
    baseline,
    best,
    calibrate,
    compare,
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
from yolo_perf.cli.output import INTERRUPTED_EXIT
from yolo_perf.errors import UsageError, YoloPerfError

USAGE_EXIT, FAILURE_EXIT = 2, 1


@click.group(context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "YOLO_PERF"})
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
)
for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    """The console script: errors of the user's as one line; exit code 2 for usage, 130 for Ctrl-C, else 1."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("yolo_perf").setLevel(logging.INFO)
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        sys.exit(INTERRUPTED_EXIT)
    except UsageError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(USAGE_EXIT)
    except (YoloPerfError, OSError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(FAILURE_EXIT)
    sys.exit(0)
