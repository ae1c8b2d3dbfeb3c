"""Two sides, and what was decided about them."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from yolo_perf.records.measurement import UNTOLD, HostUse
from yolo_perf.records.scalars import Metric, Seconds, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class SideRounds:
    """One side's rounds of one case in one pair of processes."""

    round_seconds: Annotated[tuple[Seconds, ...], Meta(min_length=1)]
    host: HostUse = UNTOLD


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One case, or one control kernel, in one pair of processes: as many rounds of either side."""

    label: str
    base: SideRounds
    head: SideRounds
    control: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What one pair of fresh processes measured, the idle one stopped while the other ran."""

    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate with its confidence interval. Which scale it is on, its user says."""

    point: float
    low: float
    high: float
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The verdict on one metric of one case. `ratio` is head over base, None where one side is absent."""

    label: str
    metric: Metric
    verdict: Verdict
    reason: str
    ratio: float | None = None
    nodeid: str = ""
    renamed_from: str = ""  # the baseline's node id where it differs
    detectable: float | None = None  # the smallest slow-down that could have been seen, as a fraction
    basis: str = ""  # what that rests on: "1 session, default noise"
    suspected: bool = False  # the saved baseline alone would have called it regressed

    @property
    def fails(self) -> bool:
        """Whether this verdict alone makes the session fail."""
        return self.verdict in ("regressed", "missing")
