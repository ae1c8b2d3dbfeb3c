"""Where two sides meet: what both can run, whether they agree, and one pair of fresh processes at a time."""

import logging
import math
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolo_perf.analysis import parity as agreement
from yolo_perf.backends.registry import backends
from yolo_perf.errors import ParityError, UsageError
from yolo_perf.machine.allocator import KEEP
from yolo_perf.machine.host import Counters
from yolo_perf.pace import STEP
from yolo_perf.pairing.controls import ROUNDS as CONTROL_ROUNDS
from yolo_perf.pairing.controls import Order, controls
from yolo_perf.pairing.processes import Process, SideError, processes
from yolo_perf.pairing.sides import Side
from yolo_perf.records import HostUse, Pair, SideRounds, Turn, Verdict
from yolo_perf.verdict.gate import Decision

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

ROUNDS_S, MIN_ROUNDS, MAX_ROUNDS = 2.5, 5, 60
WARMUP = 2
PICTURES = 2
"""On which the sides' outputs have to agree. At 640 px each is a file of 9 MB a case and side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What both sides are asked to run."""

    sizes: tuple[str, ...]
    optimizations: tuple[str, ...]  # none: all that either side has, but those on request
    data: Path | None
    image_size: int
    batch: int
    threads: int
    allocator: str = KEEP  # the policy of both sides' processes, see `machine.allocator`


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One case that both sides can run: how many rounds a side takes of it in a pair, and images a round."""

    label: str
    size: str
    optimization: str
    rounds: int
    batch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What there is to measure, and what only one side has. `libraries` are versions by name, and the
    allocator in force, base then head.
    """

    subjects: tuple[Subject, ...]
    absent: tuple[Decision, ...]
    libraries: tuple[dict[str, str], dict[str, str]]


def rounds_for(seconds: float) -> int:
    """Rounds of a case in a pair: about 2.5 seconds of them a side, 5 to 60."""
    return min(max(int(ROUNDS_S / seconds), MIN_ROUNDS), MAX_ROUNDS)


Seconds = tuple[list[float], list[float]]
"""Of each round, base then head."""
Used = tuple[list[list[float | None]], list[list[float | None]]]
"""What the system did in each round, base then head."""


class Arena:
    """Measures pairs of processes of two sides. The order of turns is drawn from `rng`."""

    def __init__(self, base: Side, head: Side, setup: Setup, *, time_limit_s: float, rng: random.Random):
        self.sides = (base, head)
        self.setup = setup
        self._time_limit_s = time_limit_s
        self._rng = rng
        self._subjects: dict[str, Subject] = {}
        self._controls: dict[str, Order] = {}

    def survey(self) -> Survey:
        """What each side can run, once their outputs agree. Raises SideError, ParityError or UsageError."""
        with (
            processes(*self.sides, time_limit_s=self._time_limit_s) as pair,
            tempfile.TemporaryDirectory(prefix="yolo-perf-") as folder,
        ):
            opened = self._open(pair, self.setup.sizes)
            for side, reply in zip(self.sides, opened, strict=True):
                if Path(reply["tree"]) != side.tree:
                    raise UsageError(f"{side.name}: its interpreter loads yolo_perf from {reply['tree']}.")
            libraries = _told(opened[0]), _told(opened[1])
            names = self._names([reply["optimizations"] for reply in opened])
            log.info("preparing on either side: %s", ", ".join(names), extra=STEP)
            self._check_injections(names)
            prepared: list[dict[str, dict[str, Any]]] = []
            for number, process in enumerate(pair):
                prepared.append(self._try_all(process, names, opened[number]["optimizations"], folder, number))
            self._choose_controls(libraries)
            return self._judge(names, prepared, libraries, Path(folder))

    def _names(self, known: Sequence[Sequence[str]]) -> list[str]:
        """The optimisations that are asked for, of those that either side has."""
        every = list(dict.fromkeys([*known[1], *known[0]]))
        for name in self.setup.optimizations:
            if name not in every:
                raise UsageError(f"Neither side has the optimisation {name!r}. They have: {', '.join(every)}.")
        if self.setup.optimizations:
            return [name for name in every if name in self.setup.optimizations]
        return [name for name in every if name not in backends() or not backends()[name].on_request]

    def _check_injections(self, names: Sequence[str]) -> None:
        """Raise UsageError where a slow-down is for a case that is not measured: it would pass for not found."""
        labels = [f"{size}-{name}" for size in self.setup.sizes for name in names]
        for each in (injection for side in self.sides for injection in side.inject):
            if each.case not in ("", *labels):
                raise UsageError(f"inject: there is no case {each.case!r}. Choose from: {', '.join(labels)}.")

    def _try_all(
        self, process: Process, names: Sequence[str], known: Sequence[str], folder: str, number: int
    ) -> dict[str, dict[str, Any]]:
        """What preparing each case on one side said, by label."""
        process.wake()
        found: dict[str, dict[str, Any]] = {}
        for size in self.setup.sizes:
            for name in names:
                label = f"{size}-{name}"
                if name not in known:
                    found[label] = {"unavailable": "this tree does not have it"}
                    continue
                sample = str(Path(folder) / f"{number}-{label}.npy")
                found[label] = process.ask(
                    do="prepare", size=size, optimization=name, label=label, sample=sample, pictures=PICTURES
                )
        process.rest()
        return found

    def _judge(
        self,
        names: Sequence[str],
        prepared: Sequence[dict[str, dict[str, Any]]],
        libraries: tuple[dict[str, str], dict[str, str]],
        folder: Path,
    ) -> Survey:
        """Sort the cases into those to measure and those that one side lacks."""
        absent: list[Decision] = []
        wrong: list[str] = []
        for size in self.setup.sizes:
            for name in names:
                label = f"{size}-{name}"
                base, head = (side[label] for side in prepared)
                missing = [reply.get("unavailable") for reply in (base, head)]
                if all(missing):
                    reason = f"neither side can run it: {missing[1]}"
                    absent.append(Decision(label=label, verdict="incomparable", reason=reason))
                    continue
                if any(missing):
                    verdict: Verdict = "missing" if missing[1] else "new"
                    absent.append(Decision(label=label, verdict=verdict, reason=f"{missing[1] or missing[0]}"))
                    continue
                if base["weights"] != head["weights"]:
                    absent.append(Decision(label=label, verdict="incomparable", reason="the weights differ"))
                    continue
                if base["batch"] != head["batch"]:
                    reason = f"the sides take {base['batch']} and {head['batch']} images a call"
                    absent.append(Decision(label=label, verdict="incomparable", reason=reason))
                    continue
                if why := self._disagreement(label, name, folder):
                    wrong.append(why)
                    continue
                self._subjects[label] = Subject(
                    label=label,
                    size=size,
                    optimization=name,
                    rounds=rounds_for(max(base["seconds"], head["seconds"])),
                    batch=head["batch"],
                )
                log.debug("%s: %d rounds a side in each pair", label, self._subjects[label].rounds)
        if wrong:
            raise ParityError(f"The sides compute different things, so nothing is timed: {'; '.join(wrong)}.")
        return Survey(subjects=tuple(self._subjects.values()), absent=tuple(absent), libraries=libraries)

    def _disagreement(self, label: str, name: str, folder: Path) -> str:
        """How far the outputs of the two sides are apart where that is too far, "" where they agree."""
        import numpy as np

        try:
            outputs: list[NDArray[float32]] = [np.load(folder / f"{number}-{label}.npy") for number in (0, 1)]
        except (OSError, ValueError, EOFError) as error:
            raise SideError(f"A side left no sound output of {label}: {error}.") from error
        if outputs[0].shape != outputs[1].shape:
            return f"{label} gives {outputs[0].shape} and {outputs[1].shape}"
        agreement.require_reference(outputs[0], label)
        least = backends()[name].min_sqnr_db if name in backends() else 50.0
        apart = min(
            agreement.sqnr_db(outputs[0][..., columns], outputs[1][..., columns])
            for columns in (agreement.SIZES, agreement.CLASSES)
        )
        return "" if apart >= least else f"{label} agrees to {apart:.1f} dB, {least:g} dB are needed"

    def measure(self, labels: Sequence[str]) -> Pair:
        """One pair of fresh processes over these cases and the controls."""
        chosen = [self._subjects[label] for label in labels]
        sizes = tuple(dict.fromkeys(subject.size for subject in chosen))
        with processes(*self.sides, time_limit_s=self._time_limit_s) as pair:
            self._open(pair, sizes)
            for process in self._shuffled(pair):
                process.wake()
                for subject in chosen:
                    process.ask(
                        do="prepare", size=subject.size, optimization=subject.optimization, label=subject.label
                    )
                for label, order in self._controls.items():
                    process.ask(do="control", label=label, **order)
                process.rest()
            turns = [
                self._turn(pair, subject.label, subject.rounds, control=False)
                for subject in self._rng.sample(chosen, len(chosen))
            ]
            turns += [self._turn(pair, label, CONTROL_ROUNDS, control=True) for label in self._controls]
        place = [*labels, *self._controls].index
        return Pair(turns=tuple(sorted(turns, key=lambda turn: place(turn.label))))

    def _open(self, pair: Sequence[Process], sizes: Sequence[str]) -> list[dict[str, Any]]:
        """Both sides' packages and models loaded, at once: nothing is timed yet. Both stand still then."""
        for process in pair:
            process.send(**opening(process.side, self.setup, sizes))
        replies = [process.receive() for process in pair]
        for process in pair:
            process.rest()
        return replies

    def _turn(self, pair: Sequence[Process], label: str, rounds: int, *, control: bool) -> Turn:
        """As many rounds of either side, one of each at a time, whose order is drawn.

        A host's slow spells last from tenths of a second to minutes: two rounds that follow each other share one.
        """
        seconds: Seconds = ([], [])
        host: Used = ([], [])
        for done in range(rounds):
            for number in self._rng.sample((0, 1), 2):
                pair[number].wake()
                reply = pair[number].ask(do="time", label=label, warmup=0 if done else WARMUP)
                pair[number].rest()
                seconds[number].append(reply["seconds"])
                host[number].append(reply["host"])
        return turn_of(label, seconds, host, control=control)

    def _shuffled(self, pair: Sequence[Process]) -> list[Process]:
        return self._rng.sample(list(pair), len(pair))

    def _choose_controls(self, libraries: tuple[dict[str, str], dict[str, str]]) -> None:
        """Kernels that are the same on both sides whatever the sides are."""
        same = {name: libraries[0].get(name) == libraries[1].get(name) for name in ("llvmlite", "python")}
        self._controls = controls(compiled=same["llvmlite"] and "llvmlite" in libraries[0], python=same["python"])


def opening(side: Side, setup: Setup, sizes: Sequence[str]) -> dict[str, Any]:
    """The first order to a side's process."""
    return {
        "do": "open",
        "tree": str(side.tree),
        "sizes": sizes,
        "data": str(setup.data.absolute()) if setup.data else None,
        "image_size": setup.image_size,
        "batch": setup.batch,
        "threads": side.threads or setup.threads,
        "allocator": setup.allocator,
        "inject": [(each.kind, each.amount, each.case) for each in side.inject],
    }


def _told(opened: dict[str, Any]) -> dict[str, str]:
    """What a side said of its libraries, and the allocator that is in force in it."""
    return {**opened["libraries"], "allocator": opened["allocator"]}


def turn_of(label: str, seconds: Seconds, host: Used, *, control: bool = False) -> Turn:
    """What was timed of one case as a record."""
    base, head = (
        SideRounds(round_seconds=tuple(each), host=_total(used)) for each, used in zip(seconds, host, strict=True)
    )
    return Turn(label=label, base=base, head=head, control=control)


def _total(parts: Sequence[Sequence[float | None]]) -> HostUse:
    """What the system did over all bursts."""
    sums = [
        None if any(value is None for value in column) else math.fsum(value or 0.0 for value in column)
        for column in zip(*parts, strict=True)
    ]
    found: dict[str, Any] = dict(zip(Counters._fields, sums, strict=False))
    for name in ("involuntary_switches", "page_faults"):
        found[name] = None if found.get(name) is None else round(found[name])
    return HostUse(**found)
