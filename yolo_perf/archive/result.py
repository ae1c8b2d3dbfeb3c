"""A paired comparison as a whole: who was compared, under which rules, with what outcome."""

from dataclasses import dataclass

from yolo_perf.pairing.arena import Setup, Survey
from yolo_perf.pairing.paired import Outcome
from yolo_perf.pairing.sides import Side
from yolo_perf.signals import INTERRUPTED_EXIT
from yolo_perf.verdict.gate import Decision, Rules

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
