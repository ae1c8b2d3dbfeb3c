"""What was seen inside of a case: layer by layer, and by a profiler."""

from dataclasses import dataclass

from yolo_perf.records.case import Case, Weights, Work
from yolo_perf.records.machine import Peaks
from yolo_perf.records.measurement import UNTOLD, HostUse
from yolo_perf.records.scalars import Dtype


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
    host: HostUse = UNTOLD  # over the rounds with and without instruments

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
