"""Run campaigns and print a row each. Exit status 1 where a fault did harm."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from tools.faults import Row

CAMPAIGNS = ("disk", "files", "four", "kills", "sides", "signals")


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status, once the rows are printed."""
    parser = argparse.ArgumentParser(prog="python -m tools.faults", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(CAMPAIGNS)} [all]")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds of each [60]")
    parser.add_argument("--seed", type=int, default=0, help="what is drawn [0]")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(CAMPAIGNS):
        parser.error(f"no campaign {', '.join(sorted(unknown))}")
    rows: list[Row] = []
    print("| kind | tried | failed | first |\n| --- | --- | --- | --- |")
    for name in options.names or CAMPAIGNS:
        row: Row = importlib.import_module(f"tools.faults.{name}").run(options.budget, options.seed)
        print(f"| {row.kind} | {row.tried} | {row.failed} | {row.first} |", flush=True)
        rows.append(row)
    return int(any(row.failed for row in rows))


if __name__ == "__main__":
    sys.exit(main())
