"""Where two sides' tests meet: what both can run, and one pair of fresh processes of pytest at a time.

Any test with pytest-benchmark's fixture `benchmark` is a case, by its node id. The processes, the rules and the
course are those of `Arena`; only what is timed differs. Both sides' pytest come to the same test, and then one of
them stands still while the other's round is timed.
"""

import contextlib
import logging
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypedDict

import msgspec

from yolo_perf.errors import UsageError
from yolo_perf.pace import STEP
from yolo_perf.pairing import lockstep
from yolo_perf.pairing.arena import Seconds, Subject, Survey, Used, turn_of
from yolo_perf.pairing.controls import ROUNDS as CONTROL_ROUNDS
from yolo_perf.pairing.processes import COUNTERS, Process, SideError, processes
from yolo_perf.pairing.sides import Side
from yolo_perf.records import Pair, Turn, Verdict
from yolo_perf.verdict.gate import Decision

log = logging.getLogger(__name__)

ROUND_S = 0.002
"""What a round of a repeated call lasts: much longer than stopping and waking a process disturbs its beginning."""
ROUNDS_S, MIN_ROUNDS, MAX_ROUNDS = 0.3, 5, 40
WARMUP = 1
CONTROL = "(python)"
MOST_FAILURES = 5
"""Tests that end their process, hang or fall out of step: each costs a new pair of processes, and is left out."""


class _Opened(TypedDict):
    tests: list[str]
    libraries: dict[str, str]
    failed: str


class _Reached(TypedDict, total=False):
    ready: str
    seconds: Annotated[float, msgspec.Meta(gt=0, le=86400)] | None
    iterations: Annotated[int, msgspec.Meta(ge=1, le=10**12)] | None
    rounds: Annotated[int, msgspec.Meta(ge=1)] | None
    warmups: Annotated[int, msgspec.Meta(ge=0)] | None
    ended: str
    why: str
    foreign: str


class _Timed(TypedDict, total=False):
    seconds: Annotated[float, msgspec.Meta(gt=0, le=86400)]
    host: Annotated[list[float | None], msgspec.Meta(min_length=COUNTERS, max_length=COUNTERS)]
    ended: str
    why: str
    foreign: str


FORMS: dict[str, Any] = {"open": _Opened, "test": _Reached, "loop": _Reached, "time": _Timed, "on": _Reached}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The session that asks: where it runs, and what pytest is to be given on either side."""

    tree: Path  # the top of what a side has of its own
    folder: Path  # where pytest runs, below that
    options: tuple[str, ...]
    places: tuple[str, ...]  # files and folders of tests, below `folder`; a side is given those that it has
    tests: tuple[str, ...]  # node ids that it collected, of those with `benchmark`
    named: tuple[str, ...]  # what node ids begin with that it was asked for; none: all
    beside: bool  # whether `folder` is where modules are imported from, as with `python -m pytest`
    libraries: tuple[str, ...]  # whose versions are told


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """How one test is timed."""

    iterations: int
    rounds: int
    warmup: int


class _FallError(Exception):
    """A process that did not come through a test."""

    def __init__(self, test: str, side: int, why: str):
        super().__init__(why)
        self.test, self.side, self.why = test, side, why


class Suites:
    """Measures pairs of processes of two sides. The order of tests, and of turns, is drawn from `rng`."""

    def __init__(self, base: Side, head: Side, ground: Ground, *, time_limit_s: float, rng: random.Random):
        self.sides = (base, head)
        self._ground = ground
        self._time_limit_s = time_limit_s
        self._rng = rng
        self._cases: dict[str, _Case] = {}
        self._control = False

    def survey(self) -> Survey:
        """What either side can run. Raises SideError or UsageError."""
        told: dict[str, list[dict[str, Any]]] = {}
        for _ in range(MOST_FAILURES + 1):
            try:
                opened = self._look(told)
                break
            except _FallError as fell:
                told.setdefault(fell.test, [{}, {}])[fell.side] = {"ended": "failed", "why": fell.why}
        else:
            raise SideError(f"Tests end their process, or do not answer: {', '.join(told)}.")
        base, head = (reply["libraries"] for reply in opened)
        self._control = base.get("python") == head.get("python")
        self._cases, absent = _sorted(self._ground, opened, told)
        subjects = [
            Subject(label=test, size="", optimization="", rounds=case.rounds, batch=1)
            for test, case in self._cases.items()
        ]
        return Survey(subjects=tuple(subjects), absent=tuple(absent), libraries=(base, head))

    def _look(self, told: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
        """Run every test that is not told of, to learn how it is to be timed: the base's reply and the head's."""
        with self._opened(looks=True) as (pair, opened):
            both = [test for test in self._ground.tests if all(test in reply["tests"] for reply in opened)]
            for test, replies in told.items():  # of one that fell on one side: what becomes of it on the other?
                for number in (0, 1):
                    if not replies[number]:
                        reply = self._ask(pair, number, test, do="test", test=test, next="")
                        replies[number] = reply if "ended" in reply else self._on(pair, number, test, reply)
            left = [test for test in both if test not in told]
            log.info("looking at %d tests on either side", len(left), extra=STEP)
            for place, test in enumerate(left):
                replies = self._reach(pair, test, left[place + 1 : place + 2])
                if not any("ended" in reply for reply in replies):
                    replies = self._estimated(pair, test, replies)
                told[test] = self._leave(pair, test, replies)
        return opened

    def _estimated(
        self, pair: Sequence[Process], test: str, replies: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """With the seconds of one round, where a test's rounds are counted."""
        found = []
        for number, reply in enumerate(replies):
            if reply["seconds"] is not None:
                found.append(reply)
                continue
            timed = self._ask(pair, number, test, do="time", iterations=1, warmup=0)
            fell = "ended" in timed  # and swallowed what its target raised, where it passed
            known = {**timed, "ready": ""} if fell else {"seconds": timed["seconds"] / reply["iterations"]}
            found.append({**reply, **known})
        return found

    def measure(self, labels: Sequence[str]) -> Pair:
        """One pair of fresh processes over these tests and the control. One that falls on a side has no turn."""
        order = self._rng.sample(list(labels), len(labels))
        turns: list[Turn] = []
        with self._opened() as (pair, _):
            for place, test in enumerate(order):
                try:
                    turn = self._turn(pair, test, order[place + 1 : place + 2])
                except _FallError as fell:
                    raise SideError(f"{self.sides[fell.side].name}: {test}: {fell.why}") from fell
                turns += [turn] if turn else []
            if self._control:
                for process in pair:
                    process.wake()
                    process.ask(do="loop")
                    process.rest()
                rounds = self._rounds(pair, CONTROL, _Case(iterations=1, rounds=CONTROL_ROUNDS, warmup=2))
                turns.append(rounds.turn(CONTROL, control=True))
        place_of = {label: number for number, label in enumerate((*labels, CONTROL))}
        return Pair(turns=tuple(sorted(turns, key=lambda turn: place_of[turn.label])))

    def _turn(self, pair: Sequence[Process], test: str, following: Sequence[str]) -> Turn | None:
        """One test's rounds on both sides; None where it did not come through on one of them."""
        replies = self._reach(pair, test, following)
        rounds = None
        if not any("ended" in reply for reply in replies):
            rounds = self._rounds(pair, test, self._cases[test])
            replies = rounds.ended
        ended = self._leave(pair, test, replies)
        fell = [
            reply["ended"] != "passed" or "ended" in early for reply, early in zip(ended, replies, strict=True)
        ]
        if fell[1] and not fell[0]:  # on the head alone: no noise, and no pass
            swallowed = ended[1]["ended"] == "passed"
            raise _FallError(test, 1, "it ended before its rounds did" if swallowed else _fell(ended[1]))
        if rounds is None or any(fell):
            log.warning("%s: left out of this pair: %s", test, "; ".join(filter(None, map(_fell, ended))))
            return None
        return rounds.turn(test)

    # The processes

    @contextlib.contextmanager
    def _opened(self, *, looks: bool = False) -> Iterator[tuple[Sequence[Process], list[dict[str, Any]]]]:
        """A process of pytest on either side, all collected and still; told whose code it has where it `looks`."""
        with (
            tempfile.TemporaryDirectory(prefix="yolo-perf-", ignore_cleanup_errors=True) as scratch,
            processes(*self.sides, time_limit_s=self._time_limit_s, script=lockstep.__file__, forms=FORMS) as pair,
        ):
            for number, process in enumerate(pair):
                own = Path(scratch, str(number))
                own.mkdir()
                process.send(**self._opening(number, own, looks=looks))
            replies = [process.receive() for process in pair]
            for process in pair:
                process.rest()
            yield pair, replies

    def _opening(self, number: int, scratch: Path, *, looks: bool) -> dict[str, Any]:
        ground, side = self._ground, self.sides[number]
        folder = side.tree / ground.folder.relative_to(ground.tree)
        return {
            "do": "open",
            "tree": str(side.tree),
            "asking": str(ground.tree),
            "other": str(self.sides[1 - number].tree),
            "beside": ground.beside,
            "folder": str(folder),
            "arguments": [
                *ground.options,
                # Gone with the process, which is killed.
                *("-o", f"cache_dir={scratch / 'cache'}", f"--basetemp={scratch / 'tmp'}"),
                *(each for each in ground.places if (folder / each).exists()),
            ],
            "looks": looks,
            "libraries": list(ground.libraries) if looks else [],
            "inject": [(each.kind, each.amount, each.case) for each in side.inject],
        }

    def _ask(self, pair: Sequence[Process], number: int, label: str, **order: Any) -> dict[str, Any]:
        """One side's answer; it stands still before and after. Raises _FallError where it does not come to one."""
        process = pair[number]
        process.wake()
        try:
            reply = process.ask(**order)
        except SideError as error:
            raise _FallError(label, number, str(error).removeprefix(f"{process.side.name}: ")) from error
        process.rest()
        return reply

    def _shuffled(self) -> list[int]:
        return self._rng.sample((0, 1), 2)

    def _reach(self, pair: Sequence[Process], test: str, following: Sequence[str]) -> list[dict[str, Any]]:
        """Run a test on both sides, up to its benchmark or to its end."""
        replies: list[dict[str, Any]] = [{}, {}]
        for number in self._shuffled():
            replies[number] = self._ask(pair, number, test, do="test", test=test, next=next(iter(following), ""))
        return replies

    def _leave(
        self, pair: Sequence[Process], test: str, replies: Sequence[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """Let a test go on to its end where it has not ended; how it ended, with what it said before."""
        return [
            reply if "ended" in reply else self._on(pair, number, test, reply)
            for number, reply in enumerate(replies)
        ]

    def _on(self, pair: Sequence[Process], number: int, test: str, reply: dict[str, Any]) -> dict[str, Any]:
        return {**reply, **self._ask(pair, number, test, do="on")}

    def _rounds(self, pair: Sequence[Process], test: str, case: _Case) -> "_Rounds":
        """As many rounds of either side, one of each at a time, whose order is drawn; until a test falls."""
        found = _Rounds()
        for done in range(case.rounds):
            for number in self._shuffled():
                order = {"do": "time", "iterations": case.iterations, "warmup": 0 if done else case.warmup}
                reply = self._ask(pair, number, test, **order)
                if "ended" in reply:
                    found.ended[number] = reply
                    return found
                found.seconds[number].append(reply["seconds"] / case.iterations)
                found.host[number].append(reply["host"])
        return found


@dataclass(frozen=True, slots=True)
class _Rounds:
    """What was timed of a test, base then head, and how it ended where it did so before its time."""

    seconds: Seconds = field(default_factory=lambda: ([], []))
    host: Used = field(default_factory=lambda: ([], []))
    ended: list[dict[str, Any]] = field(default_factory=lambda: [{}, {}])

    def turn(self, label: str, *, control: bool = False) -> Turn:
        """As a record."""
        return turn_of(label, self.seconds, self.host, control=control)


def _sorted(
    ground: Ground, opened: Sequence[dict[str, Any]], told: dict[str, list[dict[str, Any]]]
) -> tuple[dict[str, _Case], list[Decision]]:
    """The tests that are compared, and those that only one side has, or that cannot be."""
    cases: dict[str, _Case] = {}
    found: list[Decision] = []
    ours, theirs = set(opened[1]["tests"]), set(opened[0]["tests"])
    for test in dict.fromkeys((*ground.tests, *opened[0]["tests"])):
        if test not in theirs:
            found.append(_unknown(test, "new", "base", opened[0]["failed"]))
        elif test not in ours:
            if test.startswith(ground.named or ("",)):
                found.append(_unknown(test, "missing", "head", opened[1]["failed"]))
        elif test not in ground.tests:
            continue  # left out of this session on purpose
        elif lacking := _lacking(*told[test]):
            found.append(_decision(test, *lacking))
        elif foreign := next((reply["foreign"] for reply in told[test] if reply.get("foreign")), ""):
            raise UsageError(
                f"A side loads {foreign}: the same code would be compared with itself. Install the project in "
                "development mode (pip install -e .), or give each side an interpreter of its own (python:)."
            )
        else:
            cases[test] = _timing(*told[test])
    return cases, found


def _decision(test: str, verdict: Verdict, reason: str) -> Decision:
    return Decision(label=test, verdict=verdict, reason=reason)


def _unknown(test: str, verdict: Verdict, side: str, failed: str) -> Decision:
    """Of a test that a side has not. Where that could not collect everything, nobody knows whether it has."""
    if failed and verdict == "new":
        return _decision(test, "incomparable", f"the {side} could not collect all of its tests: {failed}")
    return _decision(test, verdict, f"the {side} does not have it{f': {failed}' if failed else ''}")


def _lacking(base: dict[str, Any], head: dict[str, Any]) -> tuple[Verdict, str] | None:
    """Why a test is no case, None where it is one: it falls on a side, or is timed in another way there."""
    words = [_fell(reply) for reply in (base, head)]
    if all(words):
        same = words[0] == words[1]
        return "incomparable", f"on both sides {words[0]}" if same else f"base {words[0]}; head {words[1]}"
    if words[1]:
        return "missing", f"on the head {words[1]}"
    if words[0]:
        return "new", f"on the base {words[0]}"
    unlike = [
        f"{name} {base[name]} -> {head[name]}" for name in ("ready", "iterations") if base[name] != head[name]
    ]
    return ("incomparable", f"timed in unlike ways: {', '.join(unlike)}") if unlike else None


def _fell(reply: dict[str, Any]) -> str:
    """What kept a test from being timed, or from passing; "" where nothing did."""
    if reply["ended"] != "passed":
        why = f": {reply['why']}" if reply["why"] else ""
        return f"it {reply['ended']}{why}"
    return "" if reply.get("ready") else "it timed nothing"


def _timing(base: dict[str, Any], head: dict[str, Any]) -> _Case:
    """How a test is timed: rounds of about ROUND_S for what may be repeated, else as it says itself."""
    slower = max(base["seconds"], head["seconds"])
    iterations = base["iterations"] or max(1, round(ROUND_S / min(base["seconds"], head["seconds"])))
    rounds = min(max(int(ROUNDS_S / (iterations * slower)), MIN_ROUNDS), MAX_ROUNDS)
    if base["iterations"] is None:
        return _Case(iterations=iterations, rounds=rounds, warmup=WARMUP)
    return _Case(
        iterations=iterations,
        rounds=min(rounds, base["rounds"], head["rounds"]),
        warmup=min(base["warmups"], head["warmups"]),
    )
