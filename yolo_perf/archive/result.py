"""A paired comparison as a whole: who was compared, under which rules, with what outcome."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from yolo_perf.errors import YoloPerfError
from yolo_perf.pace import STEP
from yolo_perf.pairing.arena import Setup, Survey
from yolo_perf.pairing.outlook import Outlook
from yolo_perf.pairing.paired import Outcome, compare_sides
from yolo_perf.pairing.sides import Side
from yolo_perf.records import Pair
from yolo_perf.signals import INTERRUPTED_EXIT
from yolo_perf.verdict.gate import Decision, Rules

log = logging.getLogger(__name__)

FAILED_EXIT, UNDECIDED_EXIT, HOST_EXIT = 1, 3, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Everything that a report tells of one comparison."""

    sides: tuple[Side, Side]
    setup: Setup | None  # None where the cases are tests
    survey: Survey
    rules: Rules
    outcome: Outcome
    seconds: float

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """One a case that either side has, then the suite."""
        return (*self.outcome.decisions, *self.survey.absent)

    @property
    def measured(self) -> bool:
        """Whether a single pair of any case was measured: a comparison of nothing must not pass."""
        return any(decision.pairs for decision in self.outcome.decisions)

    def status(self, *, strict: bool) -> int:
        """The exit status of the command: what fails comes before what is not known."""
        outcome = self.outcome
        if any(decision.fails for decision in self.decisions) or outcome.failure:
            return FAILED_EXIT
        if outcome.invalid_controls:
            return HOST_EXIT
        if outcome.interrupted:
            return INTERRUPTED_EXIT
        if not self.measured:
            return FAILED_EXIT
        undecided = any(decision.verdict in ("inconclusive", "incomparable") for decision in self.decisions)
        return UNDECIDED_EXIT if strict and undecided else 0


class Meeting(Protocol):
    """Where two sides meet: the arena of this suite's cases, or that of any project's tests."""

    sides: tuple[Side, Side]

    def survey(self) -> Survey:
        """What there is to measure."""

    def measure(self, labels: Sequence[str]) -> Pair:
        """One pair of fresh processes over these cases, and the controls."""


def compared(meeting: Meeting, rules: Rules, *, setup: Setup | None, budget: float | None = None) -> Result:
    """The whole comparison of two sides, begun no pair later than `budget` seconds from now.

    Raises YoloPerfError where there is nothing to measure or a side fails before there is a pair.
    """
    started = time.monotonic()
    survey = meeting.survey()
    if not survey.subjects and not survey.absent:
        raise YoloPerfError("Nothing to measure: neither side can run any of these cases here.")
    rules.check(len(survey.subjects))
    outlook = Outlook(ends=None if budget is None else started + budget)
    outcome = compare_sides(
        meeting.measure,
        [subject.label for subject in survey.subjects],
        rules,
        tell=lambda progress: log.info("%s", outlook.text(progress), extra=STEP),
        in_time=lambda: budget is None or time.monotonic() - started < budget,
    )
    return Result(
        sides=meeting.sides,
        setup=setup,
        survey=survey,
        rules=rules,
        outcome=outcome,
        seconds=time.monotonic() - started,
    )
