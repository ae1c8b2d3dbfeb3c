"""Which optimisation is the fastest on this machine, of those that are accurate and small enough.

All of them run in turn, round by round, each in a process of its own that stands still while another runs: an
engine's threads that go on spinning would else slow the next one down. Several sets of fresh processes show how
far the ratios move from one to the next.
"""

import logging
import math
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Annotated, Literal

import msgspec

from yolo_perf import files
from yolo_perf.analysis.rounds import low_quantile
from yolo_perf.backends.artefacts import DAMAGE, cache_folder
from yolo_perf.errors import UsageError, YoloPerfError
from yolo_perf.machine.naming import fingerprint
from yolo_perf.pairing.arena import Setup, opening, rounds_for
from yolo_perf.pairing.processes import Process, processes
from yolo_perf.pairing.sides import Side, own_tree
from yolo_perf.records import SEEDED, Accuracy, Case, Machine, Seconds
from yolo_perf.verdict.accuracy import Standing, lost, standing

log = logging.getLogger(__name__)

REFERENCE = "eager"
SETS = 3
WARMUP = 2
KEPT = "best"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a configuration may cost."""

    max_map_drop: float  # mAP50-95 against eager
    max_memory_bytes: int | None = None  # above its process's base


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One case of a contest: steady seconds an image in each set of processes, and what it costs."""

    case: Case
    set_seconds: Annotated[tuple[Seconds, ...], msgspec.Meta(min_length=1)]
    accuracy: Accuracy
    memory_bytes: int | None = None

    @property
    def latency_s(self) -> float:
        """Seconds an image: the median over the sets."""
        return median(self.set_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """One size's contenders in the order of tables, and who was left out.

    What it holds is what was measured; what follows of it is decided whenever it is read.
    """

    schema: Literal[2] = 2  # 1 held what was decided then, where accuracy was unknown, too
    created: str  # ISO 8601, UTC
    size: str
    limits: Limits
    reference: Accuracy  # eager's: what the others are judged against
    contenders: tuple[Contender, ...]  # none where nothing could be told of any
    skipped: tuple[str, ...] = ()

    @property
    def best(self) -> Contender | None:
        """The fastest that nothing stands against."""
        able = [each for each in self.contenders if not self.obstacle(each)]
        return min(able, key=lambda each: each.latency_s, default=None)

    @property
    def level(self) -> tuple[Contender, ...]:
        """Those that may be chosen as well, and that no set of processes tells from the best: sometimes faster."""
        best = self.best
        if best is None:
            return ()
        others = (each for each in self.contenders if each is not best and not self.obstacle(each))
        return tuple(
            each
            for each in others
            if any(own <= top for own, top in zip(each.set_seconds, best.set_seconds, strict=True))
        )

    def speed_ups(self, contender: Contender) -> tuple[float, ...]:
        """How many times as fast as eager, in each set of processes."""
        reference = next(each for each in self.contenders if each.case.backend == REFERENCE)
        return tuple(r / own for r, own in zip(reference.set_seconds, contender.set_seconds, strict=True))

    @property
    def front(self) -> tuple[Contender, ...]:
        """The Pareto front: no other is at least as good in latency, accuracy and memory, and better in one.

        Where accuracy is unknown, what does not agree with eager as far as it has to has no place on it.
        """
        able = []
        for each in self.contenders:
            stands = self._standing(each)
            if stands.basis == "labels" or not stands.fault:
                able.append(each)
        return tuple(each for each in able if not any(self._dominates(other, each) for other in able))

    @property
    def unknown(self) -> str:
        """Why the labels tell nothing of what is lost against eager; "" where they do."""
        return standing(self.reference, self.limits.max_map_drop).unknown

    def lost(self, contender: Contender) -> float | None:
        """The mAP50-95 that a contender loses against eager; None where that is unknown."""
        return lost(contender.accuracy, self.limits.max_map_drop)

    def obstacle(self, contender: Contender) -> str:
        """What stands against a contender; "" where nothing does."""
        return self._standing(contender).fault or self._too_large(contender)

    def _standing(self, contender: Contender) -> Standing:
        return standing(contender.accuracy, self.limits.max_map_drop)

    def _too_large(self, contender: Contender) -> str:
        most, memory = self.limits.max_memory_bytes, contender.memory_bytes
        if most is None:
            return ""
        if memory is None:
            return "memory unknown"
        return "too large" if memory > most else ""

    def _dominates(self, one: Contender, other: Contender) -> bool:
        """Whether `one` is nowhere worse and somewhere better. What is unknown of either is left out."""
        costs = [(one.latency_s, other.latency_s)]
        losses = self.lost(one), self.lost(other)
        if losses[0] is not None and losses[1] is not None:
            costs.append((losses[0], losses[1]))
        else:
            costs.append((-one.accuracy.box_agreement, -other.accuracy.box_agreement))
        if one.memory_bytes is not None and other.memory_bytes is not None:
            costs.append((one.memory_bytes, other.memory_bytes))
        return all(a <= b for a, b in costs) and any(a < b for a, b in costs)


def race(
    cases: Sequence[Case],
    setup: Setup,
    *,
    sets: int,
    time_limit_s: float,
    rng: random.Random,
    tell: Callable[[int], None] = lambda done: None,
) -> dict[str, tuple[float, ...]]:
    """Steady seconds an image of each case in each set of fresh processes, by optimisation. Raises SideError."""
    found: dict[str, list[float]] = {case.backend: [] for case in cases}
    sides = [Side(name=case.label, tree=own_tree(), python=Path(sys.executable)) for case in cases]
    for done in range(sets):
        with processes(*sides, time_limit_s=time_limit_s) as team:
            for name, seconds in _one_set(list(zip(cases, team, strict=True)), setup, rng).items():
                found[name].append(seconds)
        tell(done + 1)
    return {name: tuple(seconds) for name, seconds in found.items()}


def _one_set(team: list[tuple[Case, Process]], setup: Setup, rng: random.Random) -> dict[str, float]:
    """One set's rounds, in turns of all, in an order that is drawn anew for each."""
    left: dict[str, int] = {}
    for case, process in team:  # one after the other: models are large while they are loaded
        process.ask(**opening(process.side, setup, (case.size,)))
        process.ask(do="prepare", size=case.size, optimization=case.backend, label=case.label)
        seconds = [process.ask(do="time", label=case.label, warmup=0)["seconds"] for _ in range(WARMUP)]
        process.rest()
        left[case.backend] = rounds_for(min(seconds))
        log.debug("%s: %d rounds", case.label, left[case.backend])
    rounds: dict[str, list[float]] = {case.backend: [] for case, _ in team}
    while any(left.values()):
        for case, process in rng.sample(team, len(team)):
            if not left[case.backend]:
                continue
            process.wake()
            reply = process.ask(do="time", label=case.label, warmup=0 if rounds[case.backend] else WARMUP)
            process.rest()
            rounds[case.backend].append(reply["seconds"])
            left[case.backend] -= 1
    return {case.backend: low_quantile(rounds[case.backend]) / case.batch for case, _ in team}


def created_now() -> str:
    """The time as records have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def remember(contest: Contest, machine: Machine) -> None:
    """Keep a contest for this machine, where `known_best` finds it. Raises YoloPerfError where it cannot be."""
    path = _path(machine, contest.size)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, msgspec.json.encode(contest))
    except OSError as error:
        raise YoloPerfError(f"Cannot keep the result in {path} ({error.strerror or error}).") from error


def known_best(machine: Machine, size: str, weights: str = SEEDED) -> str:
    """The optimisation that was found fastest for a size on this machine. Raises UsageError where none was.

    It is decided anew from what was measured, by what is evidence now; what was found for weights of another
    source says nothing of what these lose.
    """
    try:
        contest = msgspec.json.decode(files.read(_path(machine, size)), type=Contest)
    except (OSError, *DAMAGE):
        raise UsageError(
            f"No best optimisation of yolov5{size} is known for this machine. Find it: "
            f"yolo-perf best --sizes {size}"
        ) from None
    found = contest.reference.weights.source
    if found != weights:
        raise UsageError(
            f"The best optimisation of yolov5{size} is known for the weights {found}, and these are {weights}. "
            f"Find it for them: yolo-perf best --sizes {size}, with the same --data"
        )
    best = contest.best
    if best is None:
        raise UsageError(
            f"yolo-perf best found none to recommend for yolov5{size} on this machine ({contest.created}). "
            "Name the optimisations to measure, or run it again with other pictures, weights or limits."
        )
    return best.case.backend


def _path(machine: Machine, size: str) -> Path:
    return cache_folder() / f"{KEPT}-{fingerprint(machine)}-{machine.usable_cores}-{size}.json"


def geometric_mean(values: Sequence[float]) -> float:
    """The geometric mean: of ratios, the one that swapping the sides inverts."""
    return math.exp(math.fsum(map(math.log, values)) / len(values))
