"""A paired comparison as a whole: who was compared, under which rules, with what outcome."""

from dataclasses import dataclass

from yolo_perf.pairing.arena import Setup, Survey
from yolo_perf.pairing.paired import Outcome
from yolo_perf.pairing.sides import Side
from yolo_perf.verdict.gate import Decision, Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Everything that a report tells of one comparison."""

    sides: tuple[Side, Side]
    setup: Setup
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
