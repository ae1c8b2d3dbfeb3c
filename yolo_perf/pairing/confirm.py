"""What a saved baseline suspects is measured again before anything fails.

Two sessions differ by what the host did between them. So a suspect is paired with the baseline's own commit, in
fresh processes side by side, where git can give that and the libraries are the same; the paired rules then decide.
Where no second side can be had the suspect is timed in fresh processes alone and judged by the session's rules
again, which is a weaker verdict, and says so.
"""

import logging
import math
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from yolo_perf.analysis.rounds import low_quantile
from yolo_perf.analysis.work import works_of
from yolo_perf.errors import YoloPerfError
from yolo_perf.pace import STEP
from yolo_perf.pairing import paired
from yolo_perf.pairing.arena import WARMUP, Arena, Setup, opening
from yolo_perf.pairing.outlook import Outlook
from yolo_perf.pairing.processes import SideError, alone, processes
from yolo_perf.pairing.sides import Injection, Side, checked_out, own_tree
from yolo_perf.records import Comparison, Interval, Measurement, Run
from yolo_perf.signals import ended_by_signals
from yolo_perf.units import signed_percent
from yolo_perf.verdict.gate import Decision, Rules
from yolo_perf.verdict.sessions import SessionRules, compare_runs, library_changes

log = logging.getLogger(__name__)

FRESH = 5
MOST_ROUNDS = 60
TIME_LIMIT_S = 300.0
"""In which a side must answer each order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """What suspects rest on: the sessions, the rules between them, and how the newest one ran."""

    history: tuple[Run, ...]  # oldest first; the last is the chosen baseline
    head: Run
    rules: SessionRules
    setup: Setup  # of the session; the suspects' sizes and optimisations are filled in
    slow_down: tuple[tuple[str, float], ...] = ()  # case label -> factor: a drill goes on in the head's processes
    floors: Mapping[str, float] = field(default_factory=dict)  # what pairs of identical code show, by label

    @property
    def head_side(self) -> Side:
        """The installed tree under this interpreter, slowed down as the session was."""
        inject = tuple(
            Injection(kind="spin", amount=factor - 1, case=label) for label, factor in self.slow_down if factor > 1
        )
        return Side(name="as installed", tree=own_tree(), python=Path(sys.executable), inject=inject)

    @property
    def same_commit(self) -> bool:
        """Whether the session ran the very commit of the baseline."""
        head = self.head.commit
        return head.id is not None and head.id == self.history[-1].commit.id and not head.dirty

    def paired_rules(self) -> Rules:
        """The paired rules: a case whose margin was set by hand, or whose noise floor is known, keeps it."""
        own = {label: margin for label, metric, margin in self.rules.margins if metric in ("", "latency")}
        labels = {*own, *self.floors}
        return Rules(floors={label: max(own.get(label, 0.0), self.floors.get(label, 0.0)) for label in labels})


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """The verdicts after what was suspected has been measured again."""

    comparisons: tuple[Comparison, ...]
    interrupted: bool = False  # what was not decided until then is inconclusive


def confirm(comparisons: Sequence[Comparison], grounds: Grounds, way: str) -> Confirmation:
    """Every comparison, the suspects decided: paired, else fresh ("auto"), "fresh", or as they are ("off").

    Ctrl-C, SIGTERM or SIGHUP leaves the rest of the suspects inconclusive. Nothing that fails to be measured
    passes: it stays regressed on the session's figures, and says so.
    """
    course = _Course(grounds, [each for each in comparisons if each.verdict == "regressed"])
    interrupted = False
    if course.open:
        try:
            with ended_by_signals():
                course.settle(way)
        except KeyboardInterrupt:
            interrupted = True
            course.abandon()
    return Confirmation(
        comparisons=tuple(course.settled.get(_key(each), each) for each in comparisons),
        interrupted=interrupted,
    )


def obstacle(base: Run, head: Run) -> str:
    """Why a session cannot be paired with the commit of a baseline, by the records alone; "" where it can."""
    if base.commit.id is None:
        return "the baseline names no commit"
    if base.commit.dirty:
        return "the baseline's tree had changes that were not committed"
    changed = library_changes(base, head)
    if base.machine.python != head.machine.python:
        changed = (f"Python {base.machine.python} -> {head.machine.python}", *changed)
    return ", ".join(changed)


def _key(comparison: Comparison) -> tuple[str, str, str]:
    return comparison.nodeid, comparison.label, comparison.metric


class _Course:
    """The suspects of one session, settled one after the other."""

    def __init__(self, grounds: Grounds, suspects: Sequence[Comparison]):
        self.grounds = grounds
        self.suspects = [replace(each, suspected=True) for each in suspects]
        self.settled: dict[tuple[str, str, str], Comparison] = {}

    @property
    def open(self) -> list[Comparison]:
        """The suspects that nothing has decided yet."""
        return [each for each in self.suspects if _key(each) not in self.settled]

    def settle(self, way: str) -> None:
        """Decide all of them, by the surest means that there are."""
        why = ""
        if way == "auto":
            why = obstacle(self.grounds.history[-1], self.grounds.head)
            if not why:
                why = self._attempt(self._pair)
        if way != "off" and self.open:
            why = self._attempt(lambda: self._time_again(why)) or why
        for each in self.open:
            note = f"this session's figures alone{f'; {why}' if why and way != 'off' else ''}"
            self._put(each, replace(each, reason=f"{each.reason} (weak: {note})"))

    def abandon(self) -> None:
        """Nobody knows of what is still open."""
        for each in self.open:
            reason = f"{_suspicion(each)}; interrupted before it was confirmed"
            self._put(each, replace(each, verdict="inconclusive", reason=reason))

    def _attempt(self, step: Callable[[], None]) -> str:
        """Take a step; why it failed, "" where it did not."""
        try:
            with alone():
                step()
        except YoloPerfError as error:
            log.info("%s", error)
            return str(error).rstrip(".")
        return ""

    def _put(self, suspect: Comparison, decided: Comparison) -> None:
        self.settled[_key(suspect)] = decided

    def _cases(self) -> dict[str, Measurement]:
        """The open suspects' measurements by label, of those that a fresh process would run as the session did."""
        setup, labels = self.grounds.setup, {each.label for each in self.open}
        return {
            m.case.label: m
            for m in self.grounds.head.measurements
            if m.case.label in labels
            and (m.case.image_size, m.case.threads) == (setup.image_size, setup.threads)
            and m.case.batch in (1, setup.batch)
        }

    def _setup(self, cases: Mapping[str, Measurement]) -> Setup:
        return replace(
            self.grounds.setup,
            sizes=tuple(dict.fromkeys(m.case.size for m in cases.values())),
            optimizations=tuple(dict.fromkeys(m.case.backend for m in cases.values())),
        )

    def _pair(self) -> None:
        """Decide by pairs with the baseline's commit. Raises YoloPerfError where that cannot be done."""
        cases = self._cases()
        commit, tree = checked_out(str(self.grounds.history[-1].commit.id), own_tree())
        base = Side(name=f"ref:{commit[:7]}", tree=tree, python=Path(sys.executable), commit=commit)
        rng = random.Random()  # noqa: S311
        arena = Arena(base, self.grounds.head_side, self._setup(cases), time_limit_s=TIME_LIMIT_S, rng=rng)
        rules = self.grounds.paired_rules()
        log.info(
            "%s: pairing %s with %s, %d pairs of fresh processes (Ctrl-C leaves it inconclusive)",
            _suspects(len(cases)),
            ", ".join(cases),
            commit[:7],
            rules.decide_pairs,
        )
        labels = [subject.label for subject in arena.survey().subjects if subject.label in cases]
        if not labels:
            raise SideError("Neither side can run what is suspected.")
        outlook = Outlook()
        outcome = paired.confirm(
            arena.measure,
            labels,
            rules,
            tell=lambda progress: log.info("%s", outlook.text(progress), extra=STEP),
        )
        if outcome.interrupted:
            raise KeyboardInterrupt
        if outcome.failure:
            raise SideError(outcome.failure)
        for decision in outcome.decisions:
            self._take(decision, commit, outcome.invalid_controls)

    def _take(self, decision: Decision, commit: str, unfair: Sequence[str]) -> None:
        """The word of the pairs on every open suspect of a case."""
        with_whom = f"{'the same commit ' if self.grounds.same_commit else ''}{commit[:7]}"
        for each in self.open:
            if each.label != decision.label:
                continue
            said = f"{_suspicion(each)}, paired with {with_whom} in {decision.pairs} pairs: "
            if unfair:
                reason = f"{said}the host was not fair ({', '.join(unfair)} differed)"
                self._put(each, replace(each, verdict="inconclusive", reason=reason))
            elif each.metric == "latency" or decision.verdict in ("regressed", "inconclusive"):
                self._put(each, _decided(each, decision, said))
            else:
                reason = f"{said}latency {_figures(decision)}, so utilisation moved with the host's roofs"
                self._put(each, replace(each, verdict="unchanged", reason=reason))

    def _time_again(self, why: str) -> None:
        """Decide by fresh processes of the head alone against the same history."""
        cases = self._cases()
        if not cases:
            return
        log.info("%s: timing %s again in %d fresh processes", _suspects(len(cases)), ", ".join(cases), FRESH)
        seconds = fresh_seconds(cases, self._setup(cases), self.grounds.head_side)
        head = replace(
            self.grounds.head,
            measurements=tuple(
                replace(m, round_seconds=(seconds[m.case.label],)) if m.case.label in seconds else m
                for m in self.grounds.head.measurements
            ),
        )
        again = {
            _key(each): each
            for each in compare_runs(self.grounds.history, head, self.grounds.rules, works=works_of)
        }
        note = f"(weaker: re-measured in {FRESH} fresh processes against figures of another session"
        note += f"; not paired: {why})" if why else ")"
        for each in self.open:
            found = again[_key(each)]
            if each.label not in seconds:
                continue
            said = "" if found.verdict == "regressed" else f"{_suspicion(each)}, not confirmed: "
            decided = replace(found, suspected=True, reason=f"{said}{found.reason} {note}")
            self._put(each, decided if found.verdict == "regressed" else replace(decided, verdict="unchanged"))


def fresh_seconds(cases: Mapping[str, Measurement], setup: Setup, side: Side) -> dict[str, float]:
    """Seconds a round of every case, by label: the median over fresh processes of the rounds' low quantile.

    As many rounds as the session took, up to 60. Raises YoloPerfError where a process fails.
    """
    found: dict[str, list[float]] = {label: [] for label in cases}
    for number in range(FRESH):
        with processes(side, time_limit_s=TIME_LIMIT_S) as (process,):
            process.ask(**opening(side, setup, setup.sizes))
            for label, m in cases.items():
                reply = process.ask(do="prepare", size=m.case.size, optimization=m.case.backend, label=label)
                if reason := reply.get("unavailable"):
                    raise SideError(f"{label} cannot run in a process of its own: {reason}.")
            for label, m in cases.items():
                rounds = range(min(len(m.round_seconds), MOST_ROUNDS))
                timed = [
                    process.ask(do="time", label=label, warmup=0 if done else WARMUP)["seconds"] for done in rounds
                ]
                found[label].append(low_quantile(timed))
        log.info("fresh process %d of %d: %s", number + 1, FRESH, ", ".join(cases))
    return {label: math.exp(median(math.log(each) for each in values)) for label, values in found.items()}


def _decided(suspect: Comparison, decision: Decision, said: str) -> Comparison:
    """The suspect with the verdict of its pairs; a utilisation goes as its latency went, the other way."""
    reason = f"{said}{decision.verdict}, {_figures(decision)}; {decision.reason}"
    point = decision.ratio.point if decision.ratio else suspect.ratio
    if point is not None and suspect.metric == "utilization" and decision.ratio:
        point = 1 / point
    return replace(suspect, verdict=decision.verdict, reason=reason, ratio=point)


def _suspicion(suspect: Comparison) -> str:
    metric = "" if suspect.metric == "latency" else f"{suspect.metric} "
    change = signed_percent(suspect.ratio) if suspect.ratio is not None else "no figure"
    return f"suspected by the saved baseline ({metric}{change})"


def _suspects(number: int) -> str:
    return f"{number} suspect{'' if number == 1 else 's'}"


def _figures(decision: Decision) -> str:
    """ "+0.2 % (-0.6 .. +1.1 %)"."""
    return _interval(decision.ratio) if decision.ratio else "not measured"


def _interval(ratio: Interval) -> str:
    low, high = (signed_percent(bound) if bound < math.inf else "any" for bound in (ratio.low, ratio.high))
    return f"{signed_percent(ratio.point)} ({low.removesuffix(' %')} .. {high})"
