"""What one inference has to do: multiply-accumulates, other operations, compulsory bytes.

One trace, counted by fvcore: its own figures where it has them (convolutions; one for each element that a
nearest-neighbour upsampling writes), and the rules below for what it would pass over in silence. Published
"GFLOPs" of this kind are fvcore's count, that is GMACs. `torch.utils.flop_counter` counts convolutions alone,
two a multiply-accumulate: fvcore's convolutions times two, to the digit.

Every spatial size in the network is the image's divided by a power of two up to 32, so counts grow exactly
with the area. The trace runs at 32x32, where an inference of x costs milliseconds, and is scaled.
"""

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from math import prod
from typing import Annotated, Any

import msgspec

from yolo_perf.backends.artefacts import kept, source_digest
from yolo_perf.errors import UsageError
from yolo_perf.machine.versions import version
from yolo_perf.records import Case, Count, Dtype, Work
from yolo_perf.yolov5.sizes import check_image_size, check_size

FLOAT_BYTES = 4
ELEMENT_BYTES: dict[Dtype, int] = {"fp32": 4, "bf16": 2, "int8": 1}
TRACED_SIZE = 32
MAX_CLASSES = 2000
"""A head of more is not built to count a file's layers: a saved run is hostile until proven."""

Handle = Callable[[Sequence[Any], Sequence[Any]], "Counter[str]"]

# FLOP per output element of what fvcore leaves out. A transcendental counts as one operation, so a sigmoid
# is exp, add, divide; a comparison counts as one, so a k x k max-pool is k^2 - 1 (it gets its own handle).
POINTWISE = {
    "aten::sigmoid": 3,
    "aten::silu_": 4,
    "aten::silu": 4,
    "aten::mul": 1,
    "aten::sub": 1,
    "aten::pow": 1,
}

OWN = "(own)"
"""Last part of the name of what a block with layers inside does itself: `model.2.(own)` concatenates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCount:
    """What one layer has to do for one image of 32x32: a module's own operators, without its children's."""

    name: str
    operators: dict[str, Count]  # calls by name, those without arithmetic left out
    macs: Count
    flops: dict[str, Count]  # beyond multiply-accumulates, by operator
    bytes: Count  # with pointwise operators folded into their producers
    pointwise_bytes: Count  # what these move on top where each runs by itself
    weight_bytes: Count
    uncounted: dict[str, Count] = field(default_factory=dict)  # calls of operators without a rule

    def work(self, image_size: int, dtype: Dtype = "fp32", *, folded: bool = False) -> Work:
        """Work of one image through this layer; its pointwise operators run by themselves unless `folded`."""
        area = (check_image_size(image_size) // TRACED_SIZE) ** 2
        moved = self.bytes + (0 if folded else self.pointwise_bytes)
        return Work(
            macs=self.macs * area,
            other_flops=sum(self.flops.values()) * area,
            weight_bytes=self.weight_bytes * ELEMENT_BYTES[dtype] // FLOAT_BYTES,
            activation_bytes=moved * area * ELEMENT_BYTES[dtype] // FLOAT_BYTES,
            uncounted=tuple(sorted(self.uncounted)),
        )


Layers = Annotated[tuple[LayerCount, ...], msgspec.Meta(min_length=1)]


def count(size: str, classes: int = 80, image_size: int = 640, dtype: Dtype = "fp32") -> Work:
    """Work of one image through a fused model, its weights and activations stored in `dtype`.

    Raises UsageError for an unknown size or image size.
    """
    first, *others = (layer.work(image_size, dtype, folded=True) for layer in layer_counts(size, classes))
    return sum(others, start=first)


@cache
def layer_counts(size: str, classes: int = 80) -> tuple[LayerCount, ...]:
    """Every layer of a fused model in the order of its definition, counted once and then read from a file.

    Raises UsageError for an unknown size.
    """
    check_size(size)

    def trace() -> tuple[LayerCount, ...]:
        with warnings.catch_warnings():
            # fvcore builds on torch.jit, which announces its end at import and at every trace.
            warnings.simplefilter("ignore")
            return _trace(size, classes)

    key = {
        "source": source_digest(__file__),
        "size": size,
        "classes": str(classes),
        "torch": version("torch"),
        "fvcore": version("fvcore"),
    }
    return kept(f"yolov5{size}-{classes}-counts", key, Layers, trace)


def beyond(layers: Sequence[LayerCount]) -> "Counter[str]":
    """FLOP of one 32x32 image beyond multiply-accumulates, by operator."""
    total = Counter[str]()
    for layer in layers:
        total.update(layer.flops)
    return total


def works_of(case: Case, classes: int) -> tuple[Work, ...]:
    """The work an image of each layer of a case with so many classes; () for a model that is not one of ours."""
    return _works(case.size, case.image_size, case.dtype, classes)


@lru_cache(maxsize=64)
def _works(size: str, image_size: int, dtype: Dtype, classes: int) -> tuple[Work, ...]:
    if classes > MAX_CLASSES:
        return ()
    try:
        return tuple(layer.work(image_size, dtype, folded=True) for layer in layer_counts(size, classes))
    except UsageError:  # a size or an image size that a file names and the model has not
        return ()


def _trace(size: str, classes: int) -> tuple[LayerCount, ...]:
    """Count a model's layers from one trace at 32x32."""
    from fvcore.nn import FlopCountAnalysis
    from torch import inference_mode, zeros

    from yolo_perf.yolov5.model import build

    with inference_mode():
        model = build(size, classes, fused=True)
        analysis = FlopCountAnalysis(model, zeros(1, 3, TRACED_SIZE, TRACED_SIZE))
        analysis.set_op_handle(**_handles())
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        inclusive = analysis.by_module_and_operator()
    layers = []
    for name, module in model.named_modules():
        children = [f"{name}.{child}".lstrip(".") for child, _ in module.named_children()]
        if name == "" or any(child not in inclusive for child in children):
            continue
        own = Counter(inclusive[name])
        uncounted = Counter(analysis.unsupported_ops(name))
        for child in children:
            own.subtract(inclusive[child])
            uncounted.subtract(analysis.unsupported_ops(child))
        if any(own.values()) or any(uncounted.values()):
            layers.append(
                LayerCount(
                    name=f"{name}.{OWN}" if any(sum(inclusive[child].values()) for child in children) else name,
                    operators=_part(own, "calls"),
                    macs=round(own["macs"]),
                    flops=_part(own, "flops"),
                    bytes=round(own["bytes"]),
                    pointwise_bytes=round(own["pointwise_bytes"]),
                    weight_bytes=FLOAT_BYTES * sum(p.numel() for p in module.parameters(recurse=False)),
                    uncounted={operator: calls for operator, calls in uncounted.items() if calls},
                )
            )
    return tuple(layers)


def _part(counts: "Counter[str]", prefix: str) -> dict[str, int]:
    """The counts under "prefix operator", by operator."""
    return {
        key.removeprefix(f"{prefix} aten::"): round(value)
        for key, value in sorted(counts.items())
        if value and key.startswith(f"{prefix} ")
    }


def _handles() -> dict[str, Handle]:
    """Fvcore handles that return the counts of one operator, under the keys that `_trace` reads."""
    from fvcore.nn.jit_handles import conv_flop_jit

    def convolution(inputs: Sequence[Any], outputs: Sequence[Any]) -> "Counter[str]":
        macs = sum(conv_flop_jit(inputs, outputs).values())
        return Counter(macs=macs, bytes=FLOAT_BYTES * (_elements(inputs[0]) + _elements(outputs[0])))

    def pooling(inputs: Sequence[Any], outputs: Sequence[Any]) -> "Counter[str]":
        window = prod(side.toIValue() for side in inputs[1].node().inputs())
        return Counter(flops=(window - 1) * _elements(outputs[0]), bytes=_moved(inputs, outputs))

    def upsampling(inputs: Sequence[Any], outputs: Sequence[Any]) -> "Counter[str]":
        return Counter(macs=_elements(outputs[0]), bytes=_moved(inputs, outputs))

    def concatenation(inputs: Sequence[Any], outputs: Sequence[Any]) -> "Counter[str]":
        return Counter(bytes=2 * FLOAT_BYTES * _elements(outputs[0]))

    def pointwise(per_element: int) -> Handle:
        def handle(inputs: Sequence[Any], outputs: Sequence[Any]) -> "Counter[str]":
            elements = _elements(outputs[0])
            return Counter(flops=per_element * elements, pointwise_bytes=2 * FLOAT_BYTES * elements)

        return handle

    def addition(inputs: Sequence[Any], outputs: Sequence[Any]) -> "Counter[str]":
        # A residual sum folds into the convolution before it, but still reads the other branch.
        elements = _elements(outputs[0])
        return Counter(
            flops=elements, bytes=FLOAT_BYTES * _elements(inputs[0]), pointwise_bytes=2 * FLOAT_BYTES * elements
        )

    handles = {
        **{name: pointwise(per_element) for name, per_element in POINTWISE.items()},
        "aten::add": addition,
        "aten::_convolution": convolution,
        "aten::max_pool2d": pooling,
        "aten::upsample_nearest2d": upsampling,
        "aten::cat": concatenation,
    }
    return {name: _named(name, handle) for name, handle in handles.items()}


def _named(name: str, handle: Handle) -> Handle:
    """The handle with its FLOPs and its call booked under the operator's name."""

    def named(inputs: Sequence[Any], outputs: Sequence[Any]) -> "Counter[str]":
        counts = handle(inputs, outputs)
        counts[f"flops {name}"] = counts.pop("flops", 0)
        counts[f"calls {name}"] = 1
        return counts

    return named


def _elements(value: Any) -> int:
    """Number of elements of a traced tensor."""
    return prod(value.type().sizes() or ())


def _moved(inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    """Bytes of an operator that reads its first input and writes its output."""
    return FLOAT_BYTES * (_elements(inputs[0]) + _elements(outputs[0]))
