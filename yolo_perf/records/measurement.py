"""What was measured of one case: rounds, memory, detections, stages."""

from dataclasses import dataclass
from statistics import median
from typing import Annotated

from msgspec import Meta

from yolo_perf.records.case import Case, Weights, Work
from yolo_perf.records.scalars import Count, Positive, Protocol, Seconds, Share

STAGES = ("load", "preprocess", "inference", "postprocess")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How far a backend's output agrees with fused eager on the same images."""

    sqnr_db: float  # signal to quantisation noise, of box sizes or class scores, whichever is worse
    box_agreement: float  # 0..1: detections of either side that the other has too (same class, IoU >= 0.5)
    images: Positive


@dataclass(frozen=True, slots=True, kw_only=True)
class HostUse:
    """What the system did to one process, or to all, while its rounds ran; None where it does not tell."""

    steal_s: float | None = None  # taken by the machine's host, the mean over the process's CPUs
    run_delay_s: float | None = None  # the process's threads were ready and waited for a CPU
    involuntary_switches: int | None = None  # the process's threads lost a CPU they still wanted
    page_faults: int | None = None  # of the process, served from memory: pages that it asked for anew
    other_cpu_s: float | None = None  # CPU time of every other process on the CPUs that this one may use


UNTOLD = HostUse()
"""Where the system tells nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """The raw rounds of one case. One round infers `case.batch` images."""

    case: Case
    round_seconds: Annotated[tuple[Seconds, ...], Meta(min_length=1)]
    allocator: str = "system"  # what was in force: see `machine.allocator.settle`
    host: HostUse = UNTOLD  # over all rounds

    @property
    def latency_s(self) -> float:
        """Median seconds per image."""
        return median(self.round_seconds) / self.case.batch

    @property
    def images_per_s(self) -> float:
        """Throughput at the median round."""
        return 1 / self.latency_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement(Timed):
    """A timed case with what is needed to read it."""

    nodeid: str
    weights: Weights
    work: Work  # per image
    warmup_rounds: Count
    parity: Parity

    @property
    def achieved_flops_per_s(self) -> float:
        """FLOP/s at the median round."""
        return self.work.flops / self.latency_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Resident bytes of one case in a process of its own, apart from any timing."""

    case: Case
    base_bytes: Positive  # the engine imported, no model yet
    loaded_bytes: int  # above the base, with the model loaded
    peak_bytes: int  # above the base, at most while inferring
    weight_bytes: Count  # expected
    activation_bytes: Count  # expected: the most that is alive at once, operator by operator

    @property
    def expected_bytes(self) -> int:
        """Weights and activations."""
        return self.weight_bytes + self.activation_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """What one case finds on pictures, against their labels and against eager. No part of any timing.

    Average precisions are COCO's, over the classes that the labels have; None where no box is labelled. What they
    are evidence of, `verdict.accuracy` says.
    """

    case: Case
    weights: Weights
    data: str
    pictures: Positive
    boxes: Count  # labelled ones
    protocol: Protocol  # the shape that pictures were brought into
    map50: Share | None
    map50_95: Share | None
    sqnr_db: float  # as Parity's, over the first pictures
    box_agreement: Share  # as Parity's, over all pictures
    eager_map50_95: Share | None = None  # eager's own on the same pictures in the same shape
    compared_boxes: Count | None = None  # eager's and the case's, which `box_agreement` is a share of


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTimes:
    """Seconds of each stage of one picture; of a batch, its share."""

    load_s: float
    preprocess_s: float
    inference_s: float
    postprocess_s: float
    boxes: int = 0  # that postprocessing left, of the whole batch

    @property
    def total_s(self) -> float:
        """Seconds of all stages."""
        return sum(self.of(stage) for stage in STAGES)

    def of(self, stage: str) -> float:
        """Seconds of one of STAGES."""
        seconds: float = getattr(self, f"{stage}_s")
        return seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRun:
    """The stages of every picture, or batch of pictures, of one case."""

    case: Case
    weights: Weights
    data: str
    pictures: int  # of how many the run took its pictures in turn
    cold: bool  # whether the system was asked to drop each file from its cache before it was read
    times: tuple[StageTimes, ...]
    planned: int
    allocator: str = "system"
    host: HostUse = UNTOLD

    @property
    def complete(self) -> bool:
        """Whether no interruption cut it short."""
        return len(self.times) == self.planned

    def seconds(self, stage: str) -> tuple[float, ...]:
        """Seconds an image of one of STAGES in every round."""
        return tuple(times.of(stage) for times in self.times)
