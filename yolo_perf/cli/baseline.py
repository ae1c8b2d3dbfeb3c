"""`yolo-perf baseline`: what is saved, one saved run, and which runs are kept."""

import sys
from pathlib import Path

import click

from yolo_perf import settings as parse
from yolo_perf.cli.common import baselines_option, checked
from yolo_perf.cli.completion import machines, saved_runs
from yolo_perf.cli.output import Output, output_options
from yolo_perf.cli.terminal import say
from yolo_perf.errors import BaselineError

DAMAGED_EXIT = 1
KEEP = 5


@click.group(short_help="See, add and thin out the saved runs.")
def baseline() -> None:
    """See, add and thin out the saved runs that later ones are compared with."""


@baseline.command("list")
@baselines_option
@output_options()
def list_(baselines: Path, output: Output) -> None:
    """List every machine's baselines, and the published machines.

    The exit code is 1 where a file cannot be used.
    """
    from yolo_perf.archive.baselines import inventory
    from yolo_perf.machine.identity import identify
    from yolo_perf.machine.naming import slug
    from yolo_perf.report import plain
    from yolo_perf.report.baselines import listing

    shelves = inventory(baselines)
    here = slug(identify(with_torch=False))
    rows = plain.shelf_rows(shelves, here)
    output.show(lambda **style: listing(shelves, here, **style), rows, rows)
    if any(shelf.damaged for shelf in shelves):
        sys.exit(DAMAGED_EXIT)


@baseline.command()
@click.argument("name", required=False, shell_complete=saved_runs)
@baselines_option
@output_options()
def show(name: str | None, baselines: Path, output: Output) -> None:
    """Show one saved run, and how far sessions lie apart.

    NAME is a file, or the name of a machine in the folder of baselines, whose newest it then is. Without it: the
    newest of this machine.
    """
    from yolo_perf.archive.baselines import locate_saved
    from yolo_perf.archive.histories import sessions, spreads
    from yolo_perf.archive.saved_run import read_run
    from yolo_perf.report import plain
    from yolo_perf.report.baselines import saved_run

    path = _newest_here(baselines) if name is None else locate_saved(name, baselines)
    run = read_run(path)
    unusable = ""
    try:
        others = [each for _, each in sessions(baselines, run.machine)]
    except BaselineError as error:
        others, unusable = [], str(error)
    between = spreads(others, run.measurements)
    output.show(
        lambda **style: saved_run(path, run, between, **style),
        lambda: plain.saved_document(path, run, between),
        lambda: plain.saved_rows(run, between),
    )
    if unusable:
        say(f"Without the spread between sessions: {unusable}", err=True)
        sys.exit(DAMAGED_EXIT)


@baseline.command("promote")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--shrink", is_flag=True, help="Even where it has fewer cases than the newest baseline.")
@click.option("--anyway", is_flag=True, help="Even where other work ran beside its cases.")
@baselines_option
def promote_run(run: Path, shrink: bool, anyway: bool, baselines: Path) -> None:
    """Make a saved run its machine's newest baseline.

    RUN is a file, which is copied: what pytest benchmarks/ leaves as last-run.json, or writes with
    --benchmark-json. It may come from another machine.
    """
    from yolo_perf.archive.baselines import promote
    from yolo_perf.archive.saved_run import read_run
    from yolo_perf.machine.naming import describe

    path = promote(run, baselines, shrink=shrink, anyway=anyway)
    say(f"Saved as the newest baseline of {describe(read_run(path).machine)}: {path}")


@baseline.command()
@click.argument("machine", required=False, shell_complete=machines)
@click.option(
    "--keep",
    default=str(KEEP),
    show_default=True,
    callback=checked(parse.parse_count, "The number of sessions"),
    help="Newest sessions of each machine that stay.",
)
@click.option("--dry-run", is_flag=True, help="Only say which would be deleted.")
@baselines_option
def prune(machine: str | None, keep: int, dry_run: bool, baselines: Path) -> None:
    """Delete all but the newest sessions.

    Of every machine, or of MACHINE, a name that `baseline list` shows. Published machines and files that cannot
    be read stay.
    """
    from yolo_perf.archive.baselines import outdated, remove

    paths = outdated(baselines, keep=keep, machine=machine)
    for path in paths:
        if not dry_run:
            remove(path)
        say(f"{'Would delete' if dry_run else 'Deleted'} {path}")
    if not paths:
        say(f"Nothing to delete: {machine or 'every machine'} has no more than {keep}.")


def _newest_here(baselines: Path) -> Path:
    """This machine's newest baseline."""
    from yolo_perf.archive.baselines import find_baseline, machines_in
    from yolo_perf.machine.identity import identify
    from yolo_perf.machine.naming import describe

    machine = identify(with_torch=False)
    path = find_baseline(baselines, machine)
    if path is None:
        others = ", ".join(machines_in(baselines))
        raise BaselineError(
            f"No baseline for this machine ({describe(machine)}) in {baselines}"
            + (f"; there are some for {others}" if others else "")
            + ". Record one: pytest benchmarks/ --perf-save"
        )
    return path
