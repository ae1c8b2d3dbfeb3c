"""A session against its baseline: what was found, and what of it makes the session fail."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from yolo_perf.progress import progress

if TYPE_CHECKING:
    from yolo_perf.records import Comparison, Measurement, Run
    from yolo_perf.session.shelf import Chosen
    from yolo_perf.settings import Settings
    from yolo_perf.verdict.sessions import SessionRules


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The verdicts on a session."""

    comparisons: "tuple[Comparison, ...]"
    failing: "tuple[Comparison, ...]"
    undecided: bool  # not one case could be compared
    interrupted: bool  # while suspects were measured again


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Compares sessions with the chosen baseline, and has what is suspected measured again."""

    config: pytest.Config
    settings: "Settings"
    chosen: "Chosen"
    threads: int
    accuracy_sizes: tuple[str, ...]  # whose detections this session was asked to judge

    def judge(
        self, run: "Run", *, expected: "Callable[[Measurement], bool]", absence: Mapping[str, str]
    ) -> Judged:
        """The verdicts. `expected` and `absence` are those of `compare_runs`."""
        from yolo_perf.analysis.work import works_of
        from yolo_perf.verdict.sessions import compare_runs

        found = compare_runs(
            self.chosen.history, run, self._rules, works=works_of, expected=expected, absence=absence
        )
        timing, interrupted = self._confirm(found, run)
        comparisons = (*timing, *self._accuracy(run))
        strict = ("inconclusive", "incomparable") if self.settings.strict else ()
        failing = tuple(each for each in comparisons if each.fails or each.verdict in strict)
        return Judged(
            comparisons=comparisons,
            failing=failing,
            undecided=all(each.verdict in ("incomparable", "new", "missing") for each in comparisons),
            interrupted=interrupted,
        )

    @property
    def _rules(self) -> "SessionRules":
        from yolo_perf.proof.calibration import with_noise
        from yolo_perf.verdict.sessions import SessionRules

        rules = SessionRules(
            latency_margin=self.settings.latency_margin,
            utilization_margin=self.settings.utilization_margin,
            margins=self.settings.margins,
        )
        return with_noise(rules, self.chosen.calibration)

    def _accuracy(self, run: "Run") -> "tuple[Comparison, ...]":
        """The verdicts on what is detected; no timing, so nothing to confirm."""
        from yolo_perf.verdict.accuracy import compare_accuracy, missing_accuracy

        base = self.chosen.history[-1]
        return (*compare_accuracy(base, run), *missing_accuracy(base, run, self.accuracy_sizes))

    def _confirm(self, found: "tuple[Comparison, ...]", run: "Run") -> "tuple[tuple[Comparison, ...], bool]":
        """The verdicts once the suspects have been measured again, and whether that was interrupted."""
        if all(comparison.verdict != "regressed" for comparison in found):
            return found, False  # nothing of what starts processes is loaded
        from yolo_perf.pairing.arena import Setup
        from yolo_perf.pairing.confirm import Grounds, confirm

        settings, calibration = self.settings, self.chosen.calibration
        setup = Setup(
            sizes=(),
            optimizations=(),
            data=settings.data,
            image_size=settings.image_size,
            batch=settings.batch,
            threads=self.threads,
            allocator=settings.allocator,
        )
        grounds = Grounds(
            history=self.chosen.history,
            head=run,
            rules=self._rules,
            setup=setup,
            slow_down=settings.slow_down,
            floors=calibration.paired_floors if calibration else {},
        )
        with progress(self.config):
            confirmation = confirm(found, grounds, settings.confirm)
        return confirmation.comparisons, confirmation.interrupted
