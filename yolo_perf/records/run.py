"""One session as it is saved, and a machine as somebody published it."""

import math
from dataclasses import dataclass, field, replace
from typing import Annotated

from msgspec import Meta

from yolo_perf.records.comparison import Comparison
from yolo_perf.records.layers import LayerProfile
from yolo_perf.records.machine import Machine, Peaks
from yolo_perf.records.measurement import Accuracy, Measurement, Memory, StageRun, Timed
from yolo_perf.records.scalars import Positive, Rate, Seconds

SCHEMA = 1
"""Version of the `yolo_perf` block in a saved run. A reader refuses a newer one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """The source that was measured, where git knows it."""

    id: str | None = None
    branch: str | None = None
    dirty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One session: what was measured, on what, when, from which source. `complete` is False after Ctrl-C."""

    schema: Annotated[int, Meta(ge=1, le=SCHEMA)] = SCHEMA
    created: str  # ISO 8601, UTC
    machine: Machine
    peaks: Peaks
    peaks_after: Peaks | None = None  # measured again at the end of a session that saves or compares
    commit: Commit = field(default_factory=Commit)
    data: str = "synthetic"
    configuration: dict[str, str | int | float | None] = field(default_factory=dict)  # settings as they were used
    complete: bool = True
    measurements: tuple[Measurement, ...]
    stages: tuple[StageRun, ...] = ()
    throughput: tuple[Timed, ...] = ()
    memory: tuple[Memory, ...] = ()
    accuracy: tuple[Accuracy, ...] = ()
    layers: tuple[LayerProfile, ...] = ()
    comparisons: tuple[Comparison, ...] = ()  # the verdicts against a baseline, where the session was compared
    compared_with: str = ""  # the baseline's file, by its name alone

    @property
    def host_peaks(self) -> Peaks:
        """What the machine could do during the session: geometric means of the roofs before it and after it.

        A roof that was not measured again stands as it was before.
        """
        before, after = self.peaks, self.peaks_after
        if after is None:
            return before
        return replace(
            before,
            flops_per_s={
                dtype: _geometric_mean(rate, after.flops_per_s.get(dtype, rate))
                for dtype, rate in before.flops_per_s.items()
            },
            bytes_per_s=_geometric_mean(before.bytes_per_s, after.bytes_per_s),
        )


def _geometric_mean(one: float, other: float) -> float:
    return math.sqrt(one) * math.sqrt(other)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedResult:
    """One published figure of a size; `optimization` is "best" where the source names none."""

    size: str
    optimization: str
    latency_s: Seconds
    images_per_s: Rate
    utilization: Annotated[float, Meta(gt=0, lt=100)]
    macs: Positive
    parameters: Positive


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A machine as somebody published it: figures without raw rounds, so never a baseline to gate against."""

    schema: Annotated[int, Meta(ge=1, le=SCHEMA)]
    name: str
    source: str
    cpu_model: str
    physical_cores: Positive
    logical_cores: Positive
    clock_hz_min: Rate
    clock_hz_max: Rate
    memory_bytes: Positive
    data: str
    flops_per_s: Rate  # fp32, a multiply-accumulate counted as two
    bytes_per_s: Rate
    peaks_method: str
    notes: tuple[str, ...] = ()
    results: Annotated[tuple[PublishedResult, ...], Meta(min_length=1)]
    stage_shares: dict[str, dict[str, float]] = field(default_factory=dict)  # size -> stage -> share
