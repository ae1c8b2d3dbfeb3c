"""Frozen records that cross modules. SI base units throughout: seconds, bytes, FLOP; tuples, not lists.

They are plain dataclasses with annotations that `msgspec` checks when a file is read, so a saved run is
either well formed or refused.
"""

import math
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Annotated, Literal

from msgspec import Meta

SEEDED = "seeded"
"""`Weights.source` of drawn weights."""
SCHEMA = 1
"""Version of the `yolo_perf` block in a saved run. A reader refuses a newer one."""

Dtype = Literal["fp32", "bf16", "int8"]
Bound = Literal["compute", "memory"]
Verdict = Literal["regressed", "improved", "unchanged", "inconclusive", "new", "missing", "incomparable"]
Metric = Literal["latency", "utilization", "efficiency", "accuracy"]

Seconds = Annotated[float, Meta(ge=1e-9, lt=1e7)]
Count = Annotated[int, Meta(ge=0, lt=2**62)]
Positive = Annotated[int, Meta(gt=0, lt=2**62)]
Rate = Annotated[float, Meta(gt=0, lt=1e20)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Who ran: hardware identity first, then what the software reported about itself.

    Frequencies are in Hz, sizes in bytes; what the platform does not tell is None, never a guess.
    """

    cpu_model: str
    vendor: str
    architecture: str
    family: int | None
    model: int | None
    stepping: int | None
    isa: tuple[str, ...]  # the vector extensions that matter for inference, sorted: "avx2", "avx512_vnni", ...
    sockets: int | None
    physical_cores: Positive
    logical_cores: Positive
    usable_cores: Positive  # physical cores this process may use: affinity and cgroup quota respected
    clock_hz_min: float | None
    clock_hz_max: float | None
    clock_hz_reported: float | None  # not the running clock, which `Peaks.clock_hz_measured` is
    memory_bytes: Positive
    caches: dict[str, Positive]  # "L1d", "L2", "L3" -> bytes of one instance
    governor: str | None
    hypervisor: str | None
    os: str
    python: str
    libraries: dict[str, str]  # "torch", "onnxruntime", "onednn", "numpy", ... -> version
    clock_reported_is_tsc: bool | None = None  # whether `clock_hz_reported` is the time stamp counter's rate
    isa_faulting: tuple[str, ...] = ()  # among the CPU's flags, but does not execute: not in `isa`

    @property
    def threads_per_core(self) -> int:
        """Hardware threads per physical core."""
        return max(1, self.logical_cores // self.physical_cores)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """The measured roofs of a machine.

    `flops_per_s` holds FLOP/s per dtype (integer operations per second for int8), a multiply-accumulate
    counted as two; `bytes_per_s` is the STREAM triad rate, 24 bytes an element.
    """

    flops_per_s: dict[Dtype, Rate]
    bytes_per_s: Rate
    threads: Positive
    method: str
    theoretical_flops_per_s: float | None = None  # fp32, at `clock_hz_measured`
    clock_hz_measured: Rate | None = None  # of a core at its best under this load; None in files of before

    def ridge_point(self, dtype: Dtype = "fp32") -> float:
        """FLOP per byte at which the compute roof meets the memory roof (Williams et al. 2009)."""
        return self.flops_per_s[dtype] / self.bytes_per_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one inference of one image has to do, from tensor shapes alone.

    `bytes` are compulsory: every operator reads its inputs and weights once and writes its outputs once,
    with pointwise operators folded into their producers. Real traffic is at least this.
    """

    macs: Count
    other_flops: Count
    weight_bytes: Count
    activation_bytes: Count
    uncounted: tuple[str, ...] = ()  # operators that neither count covers, by name

    @property
    def flops(self) -> int:
        """Floating-point operations: a multiply-accumulate is two."""
        return 2 * self.macs + self.other_flops

    @property
    def compulsory_bytes(self) -> int:
        """Bytes of weights and activations, a lower bound on memory traffic."""
        return self.weight_bytes + self.activation_bytes

    @property
    def operational_intensity(self) -> float:
        """FLOP per compulsory byte."""
        return self.flops / self.compulsory_bytes

    def __add__(self, other: "Work") -> "Work":
        return Work(
            macs=self.macs + other.macs,
            other_flops=self.other_flops + other.other_flops,
            weight_bytes=self.weight_bytes + other.weight_bytes,
            activation_bytes=self.activation_bytes + other.activation_bytes,
            uncounted=tuple(sorted({*self.uncounted, *other.uncounted})),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Which weights a model carries: `source` is a file's name or "seeded"; `digest` is of the tensors."""

    source: str
    digest: str
    parameters: Positive  # fused
    classes: Positive

    @property
    def seeded(self) -> bool:
        """Whether they were drawn rather than read from a checkpoint."""
        return self.source == SEEDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing that is timed. Two runs are compared case by case, by `id`."""

    size: str
    backend: str
    batch: Positive
    image_size: Positive
    threads: Positive
    dtype: Dtype = "fp32"

    @property
    def label(self) -> str:
        """Short name for people: size and optimisation."""
        return f"{self.size}-{self.backend}"

    @property
    def id(self) -> str:
        """Full identity: two cases of the same id measure the same thing."""
        return f"{self.label}-b{self.batch}-{self.image_size}px-t{self.threads}"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """The raw rounds of one case. One round infers `case.batch` images."""

    case: Case
    round_seconds: Annotated[tuple[Seconds, ...], Meta(min_length=1)]
    allocator: str = "system"  # what was in force: see `machine.allocator.settle`
    host: HostUse = HostUse()  # over all rounds

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


Protocol = Literal["rectangular", "square"]
Share = Annotated[float, Meta(ge=0, le=1)]


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


STAGES = ("load", "preprocess", "inference", "postprocess")


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
    host: HostUse = HostUse()

    @property
    def complete(self) -> bool:
        """Whether no interruption cut it short."""
        return len(self.times) == self.planned

    def seconds(self, stage: str) -> tuple[float, ...]:
        """Seconds an image of one of STAGES in every round."""
        return tuple(times.of(stage) for times in self.times)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One row of a model's layers: a leaf, whose time is its own, or a block that sums its leaves."""

    name: str  # "model.6.m.0.cv1.conv"; "model.6.(own)" is what a block does beside its children
    kind: str  # its operators in torch's names; a block has none
    leaf: bool
    work: Work  # per image, each executed operator by itself
    seconds: float | None  # per image; None where the layer was fused into another
    flop_share: float  # of the model's multiply-accumulates: what published per-layer "utilisations" scale
    fused_into: str = ""
    operators: tuple[str, ...] = ()  # what the engine ran for it
    dtype: Dtype = "fp32"  # that its arithmetic ran in


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerProfile:
    """The timed layers of one case, beside the latency of the same case without instruments.

    Times are interquartile means of the rounds. Leaves partition `layers_s` with `between_s`.
    """

    case: Case
    weights: Weights
    peaks: Peaks
    picture: str
    layers: tuple[Layer, ...]
    between_s: float  # per image, outside of every layer: dispatch from Python
    latency_s: float  # per image, without instruments, in rounds between the instrumented ones
    node_cost_s: float  # the instrument's own time in each node or module, already taken off
    rounds: int
    planned_rounds: int
    allocator: str = "system"
    host: HostUse = HostUse()  # over the rounds with and without instruments

    @property
    def complete(self) -> bool:
        """Whether no interruption cut it short."""
        return self.rounds == self.planned_rounds

    @property
    def leaves(self) -> tuple[Layer, ...]:
        """The layers that partition the time."""
        return tuple(layer for layer in self.layers if layer.leaf)

    @property
    def layers_s(self) -> float:
        """Seconds of all leaves and what lies between them, per image."""
        return self.between_s + sum(layer.seconds or 0.0 for layer in self.leaves)


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionRow:
    """One Python function as cProfile saw it, over all rounds."""

    function: str  # "file.py:12(name)", or the name of a builtin
    calls: int
    primitive_calls: int
    own_s: float
    total_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorRow:
    """One operator as PyTorch's profiler saw it, over all rounds; memory is allocated less freed."""

    operator: str
    shapes: str  # of its inputs, where they were asked for
    calls: int
    self_s: float
    total_s: float
    memory_bytes: int
    self_memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRow:
    """One node, or all nodes of an operator, as ONNX Runtime's profiler saw them; seconds of one call."""

    node: str  # "" where nodes are taken together
    operator: str
    layer: str
    nodes: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfilerRun:
    """What one profiler showed of a case, and what it cost to look. Latencies are of one call."""

    profiler: str
    case: Case
    weights: Weights
    functions: tuple[FunctionRow, ...] = ()
    operators: tuple[OperatorRow, ...] = ()
    nodes: tuple[NodeRow, ...] = ()
    latency_s: float
    profiled_latency_s: float
    rounds: int
    planned_rounds: int

    @property
    def overhead(self) -> float:
        """By how much the profiler lengthens a call, as a fraction."""
        return self.profiled_latency_s / self.latency_s - 1

    @property
    def complete(self) -> bool:
        """Whether no interruption cut it short."""
        return self.rounds == self.planned_rounds


@dataclass(frozen=True, slots=True, kw_only=True)
class SideRounds:
    """One side's rounds of one case in one pair of processes."""

    round_seconds: Annotated[tuple[Seconds, ...], Meta(min_length=1)]
    host: HostUse = HostUse()


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
class Commit:
    """The source that was measured, where git knows it."""

    id: str | None = None
    branch: str | None = None
    dirty: bool = False


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
