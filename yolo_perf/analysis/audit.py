"""What of a quantised model really runs in integers: read off the graph that the engine runs, not off the file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from yolo_perf.analysis.runtime_layers import leaf_of
from yolo_perf.analysis.work import layer_counts
from yolo_perf.backends.onnx_int8 import DOT_PRODUCT_ISA
from yolo_perf.backends.registry import Backend, Executed
from yolo_perf.errors import UsageError
from yolo_perf.records import Case

if TYPE_CHECKING:
    from yolo_perf.analysis.bench import Bench

REQUANTISING = "ConvInteger"
"""Takes an input that was quantised just before it, and gives 32-bit sums that other nodes scale in float."""
CONVERTING = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "FakeQuantize")
ALIKE = 0.03
"""Two latencies that differ by less are called alike."""
FEW_SHARE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """One quantised case: shares are of the model's convolution multiply-accumulates, 0 to 1."""

    label: str
    engine: str
    integer_share: float
    float_layers: tuple[tuple[str, float], ...]  # convolutions left in float, with their shares, largest first
    convolutions: int
    integer_convolutions: int
    requantising: int  # ConvInteger nodes
    converting: int  # nodes that turn floats into integers or back
    isa: str  # the dot-product instructions; "" where there are none
    roof_ratio: float  # the machine's measured INT8 roof over FP32's
    seconds: float | None = None  # per image
    float_seconds: float | None = None  # of the same engine in FP32, in turn
    utilization: float | None = None  # of the measured INT8 roof

    @property
    def speed_up(self) -> float | None:
        """How many times as fast as FP32 in the same engine; None where nothing was timed."""
        if self.seconds is None or self.float_seconds is None:
            return None
        return self.float_seconds / self.seconds


def audit(bench: "Bench", size: str, backend: Backend) -> Audit:
    """What the engine runs of a quantised backend. Raises UsageError for one that cannot be looked into."""
    if backend.dtype != "int8" or backend.executed is None:
        raise UsageError(f"{backend.name} has nothing to audit: it is not quantised, or shows no graph.")
    case = bench.case(size, backend)
    bench.prepare(backend, case)
    subject = bench.subject(size)
    macs = convolution_macs(size, subject.weights.classes)
    return examine(case, backend.engine, backend.executed(subject, case), macs, bench)


def examine(case: Case, engine: str, nodes: Sequence[Executed], macs: Mapping[str, int], bench: "Bench") -> Audit:
    """The audit of the nodes that an engine runs; `macs` are the convolutions' multiply-accumulates by layer."""
    leaves = frozenset(macs)
    total = sum(macs.values())
    convolutions = [node for node in nodes if node.convolution]
    places = [(node, leaf_of(node.name, leaves)) for node in convolutions]
    integer = sum(macs[leaf] for node, leaf in places if leaf and node.integer)
    in_float = {leaf: macs[leaf] / total for node, leaf in places if leaf and not node.integer}
    rates = bench.peaks.flops_per_s
    return Audit(
        label=case.label,
        engine=engine,
        integer_share=integer / total,
        float_layers=tuple(sorted(in_float.items(), key=lambda item: -item[1])),
        convolutions=len(convolutions),
        integer_convolutions=sum(node.integer for node in convolutions),
        requantising=sum(node.operator == REQUANTISING for node in nodes),
        converting=sum(node.operator in CONVERTING for node in nodes),
        isa=" ".join(sorted(DOT_PRODUCT_ISA.intersection(bench.machine.isa))),
        roof_ratio=rates["int8"] / rates["fp32"] if "int8" in rates else 1.0,
    )


def convolution_macs(size: str, classes: int) -> dict[str, int]:
    """Multiply-accumulates of every convolution by layer, at 32x32: only their shares matter."""
    return {
        layer.name: layer.macs
        for layer in layer_counts(size, classes)
        if any("conv" in operator for operator in layer.operators)
    }


def torch_dynamic(bench: "Bench", size: str) -> tuple[int, int]:
    """How many of the model's modules PyTorch's dynamic quantisation would replace, and how many convolve."""
    from torch import nn
    from torch.ao.quantization.quantization_mappings import get_default_dynamic_quant_module_mappings

    replaced = tuple(kind for kind in get_default_dynamic_quant_module_mappings() if isinstance(kind, type))
    modules = list(bench.subject(size).model.modules())
    return (
        sum(type(module) in replaced for module in modules),
        sum(isinstance(module, nn.Conv2d) for module in modules),
    )


def explain(found: Audit) -> str:
    """One sentence: faster or slower than FP32 in the same engine, and because of what. Follows from the audit."""
    share = f"{100 * found.integer_share:.1f} % of the convolutions' multiply-accumulates run in integer kernels"
    for_it = [share] if found.integer_share > 0.5 else []
    roof = f"the measured INT8 roof is {found.roof_ratio:.1f} times FP32's"
    roof += f" ({found.isa})" if found.isa else " (no dot-product instruction)"
    for_it.append(roof)
    ratio = found.speed_up
    if ratio is None:
        return f"Not timed; {share}, and {roof}."
    if ratio >= 1 + ALIKE:
        text = f"{ratio:.2f} times as fast as FP32, because {' and '.join(for_it)}"
        hindrances = _hindrances(found)
        return f"{text}; held back by {_listed(hindrances)}." if hindrances else f"{text}."
    word = "As fast as" if ratio > 1 - ALIKE else f"Slower than ({ratio:.2f} times as fast as)"
    reasons = _hindrances(found)
    if found.roof_ratio < 2.5:
        reasons.append(f"little to gain: {roof}")
    return f"{word} FP32, because of {_listed(reasons)}." if reasons else f"{word} FP32, for no reason seen here."


def _hindrances(found: Audit) -> list[str]:
    """What costs time in the graph."""
    reasons = []
    if found.requantising:
        reasons.append(
            f"{found.requantising} ConvInteger nodes, whose inputs are quantised at every call and whose sums are "
            "scaled in float"
        )
    if found.converting:
        reasons.append(f"{found.converting} nodes that only convert between floats and integers")
    left = sum(share for _, share in found.float_layers)
    if left > FEW_SHARE:
        reasons.append(f"{100 * left:.1f} % of the multiply-accumulates left in float")
    return reasons


def _listed(reasons: Sequence[str]) -> str:
    return ", and ".join(filter(None, (", ".join(reasons[:-1]), reasons[-1])))
