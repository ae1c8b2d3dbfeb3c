"""Does a case's latency depend on what its process did before? A benchmark of the suite itself.

    YOLO_PERF_DATA=FOLDER python tools/independence.py --sizes n,s,m,l,x --sets 2

One process, the veteran, measures every case as a session does; then each case once more, last of all. Beside it a
fresh process measures that case alone. Rounds alternate in drawn order, the idle process stopped. A case is
independent where the two agree within 3 %. Exit status 1 where one is not.
"""

import argparse
import math
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

from yolo_perf.analysis.rounds import low_quantile
from yolo_perf.backends.registry import choose
from yolo_perf.errors import YoloPerfError
from yolo_perf.pairing.processes import Process, SideError, alone, processes
from yolo_perf.pairing.sides import Side, own_tree
from yolo_perf.settings import ALLOCATORS, parse_names, parse_sizes
from yolo_perf.signals import ended_by_signals
from yolo_perf.verdict.stats import hodges_lehmann

CHILD = str(Path(__file__).with_name("independence_child.py"))
TIME_LIMIT_S = 600.0
HISTORY_ROUNDS = 3
ROUNDS_S, MIN_ROUNDS, MAX_ROUNDS = 3.0, 6, 40
WITHIN = 0.03

Name = tuple[str, str]  # size, optimisation


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One case in one pair of processes: seconds a round, and page faults a round."""

    alone_s: tuple[float, ...]
    last_s: tuple[float, ...]
    alone_faults: float
    last_faults: float

    @property
    def difference(self) -> float:
        """The centre of ln(last / alone) over neighbouring rounds."""
        pairs = zip(self.last_s, self.alone_s, strict=True)
        return hodges_lehmann([math.log(last / alone) for last, alone in pairs])


def main() -> None:
    """Measure, print the table, and say by the exit status whether every case is independent."""
    options = _options()
    cases = [(s, b.name) for s in parse_sizes(options.sizes) for b in choose(parse_names(options.optimizations))]
    found: dict[Name, list[Found]] = {}
    with ended_by_signals(), alone():
        for _ in range(options.sets):
            for case, each in _one_set(cases, options):
                found.setdefault(case, []).append(each)
    print("case                      alone ms  last ms  last/alone %  each set           faults a round")
    for case, sets in found.items():
        print(_row(case, sets))
    dependent = [case for case, sets in found.items() if not independent(sets)]
    print(f"{len(found) - len(dependent)} of {len(found)} within {WITHIN:.0%} (allocator {options.allocator})")
    sys.exit(1 if dependent or not found else 0)


def independent(sets: Sequence[Found]) -> bool:
    """Whether a case's mean difference over its sets of processes is within 3 %."""
    return abs(math.expm1(fmean(each.difference for each in sets))) <= WITHIN


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="n", help="model sizes [n]")
    parser.add_argument("--optimizations", default="", help="optimisations [all]")
    parser.add_argument("--sets", type=int, default=2, help="veterans, and fresh processes of each case [2]")
    parser.add_argument("--data", default=None, help="folder with pictures and weights")
    parser.add_argument("--allocator", default=ALLOCATORS[0], choices=ALLOCATORS, help="the policy [keep]")
    return parser.parse_args()


def _one_set(cases: Sequence[Name], options: argparse.Namespace) -> Iterator[tuple[Name, Found]]:
    """Each case in a fresh process beside one veteran of all of them."""
    sizes = tuple(dict.fromkeys(size for size, _ in cases))
    with processes(_side("veteran"), time_limit_s=TIME_LIMIT_S, script=CHILD, forms={}) as (veteran,):
        _open(veteran, sizes, options)
        for case in random.sample(cases, len(cases)):
            veteran.ask(do="history", rounds=HISTORY_ROUNDS, **_named(case))
        veteran.rest()
        for case in cases:
            with processes(_side("alone"), time_limit_s=TIME_LIMIT_S, script=CHILD, forms={}) as (fresh,):
                _open(fresh, sizes, options)
                if each := _case(fresh, veteran, case):
                    yield case, each


def _open(process: Process, sizes: Sequence[str], options: argparse.Namespace) -> None:
    process.ask(do="open", sizes=sizes, data=options.data, allocator=options.allocator)


def _case(fresh: Process, veteran: Process, case: Name) -> Found | None:
    """One case in both, rounds in turn; None where it cannot run here."""
    ready = []
    for process in (fresh, veteran):
        process.wake()
        ready.append(process.ask(do="case", **_named(case)))
        process.rest()
    if any("unavailable" in each for each in ready):
        print(f"{case[0]}-{case[1]}: {ready[0].get('unavailable')}", file=sys.stderr)
        return None
    rounds = min(max(int(ROUNDS_S / max(each["seconds"] for each in ready)), MIN_ROUNDS), MAX_ROUNDS)
    seconds: tuple[list[float], list[float]] = ([], [])
    faults: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for number in random.sample((0, 1), 2):
            process = (fresh, veteran)[number]
            process.wake()
            reply = process.ask(do="round")
            process.rest()
            seconds[number].append(reply["seconds"])
            faults[number].append(reply["faults"] or 0)
    veteran.wake()
    if "unavailable" in veteran.ask(do="end"):
        raise SideError(f"{case}: it could not be ended.")
    veteran.rest()
    return Found(
        alone_s=tuple(seconds[0]),
        last_s=tuple(seconds[1]),
        alone_faults=fmean(faults[0]),
        last_faults=fmean(faults[1]),
    )


def _named(case: Name) -> dict[str, str]:
    return {"size": case[0], "optimization": case[1]}


def _side(name: str) -> Side:
    return Side(name=name, tree=own_tree(), python=Path(sys.executable))


def _row(case: Name, sets: Sequence[Found]) -> str:
    alone_ms, last_ms = (1e3 * median(low_quantile(s) for s in side) for side in _sides(sets))
    mean = math.expm1(fmean(each.difference for each in sets))
    each_set = " ".join(f"{100 * math.expm1(each.difference):+.1f}" for each in sets)
    faults = f"{fmean(s.alone_faults for s in sets):,.0f} -> {fmean(s.last_faults for s in sets):,.0f}"
    mark = "" if independent(sets) else "  DEPENDS"
    name = "-".join(case)
    return f"{name:<24} {alone_ms:>9.2f} {last_ms:>8.2f} {100 * mean:>+13.1f}  {each_set:<18} {faults}{mark}"


def _sides(sets: Sequence[Found]) -> tuple[list[tuple[float, ...]], list[tuple[float, ...]]]:
    return [each.alone_s for each in sets], [each.last_s for each in sets]


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except YoloPerfError as error:
        print(error, file=sys.stderr)
        sys.exit(2)  # 1 is a case that depends
