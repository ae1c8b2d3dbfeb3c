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
from functools import cache
from math import prod
from typing import Any

from yolo_perf.records import Bound, Dtype, Peaks, Work
from yolo_perf.yolov5.sizes import check_image_size

FLOAT_BYTES = 4
ELEMENT_BYTES: dict[Dtype, int] = {"fp32": 4, "bf16": 2, "int8": 1}
TRACED_SIZE = 32

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
IGNORED = {"aten::meshgrid"}  # grid indices: constants once exported


@cache
def count(size: str, classes: int = 80, image_size: int = 640, dtype: Dtype = "fp32") -> Work:
    """Work of one image through a fused model, its weights and activations stored in `dtype`.

    Raises UsageError for an unknown size or image size.
    """
    area = (check_image_size(image_size) // TRACED_SIZE) ** 2
    with warnings.catch_warnings():
        # fvcore builds on torch.jit, which announces its end at import and at every trace.
        warnings.simplefilter("ignore")
        counts, uncounted, weight_bytes = _trace(size, classes)
    return Work(
        macs=round(counts["macs"]) * area,
        other_flops=round(counts["flops"]) * area,
        weight_bytes=weight_bytes * ELEMENT_BYTES[dtype] // FLOAT_BYTES,
        activation_bytes=round(counts["bytes"]) * area * ELEMENT_BYTES[dtype] // FLOAT_BYTES,
        uncounted=tuple(sorted(uncounted)),
    )


def bound(work: Work, peaks: Peaks, dtype: Dtype = "fp32") -> Bound:
    """Which roof is met first: below the ridge point memory, at or above it compute."""
    return "compute" if work.operational_intensity >= peaks.ridge_point(dtype) else "memory"


def attainable_flops_per_s(work: Work, peaks: Peaks, dtype: Dtype = "fp32") -> float:
    """min(peak FLOP/s, operational intensity x peak bytes/s) (Williams, Waterman, Patterson 2009)."""
    return min(peaks.flops_per_s[dtype], work.operational_intensity * peaks.bytes_per_s)


def _trace(size: str, classes: int) -> "tuple[Counter[str], set[str], int]":
    """Counts at 32x32 by key, operators without a rule, and bytes of the weights."""
    from fvcore.nn import FlopCountAnalysis
    from torch import inference_mode, zeros

    from yolo_perf.yolov5.model import build

    with inference_mode():
        model = build(size, classes, fused=True)
        analysis = FlopCountAnalysis(model, zeros(1, 3, TRACED_SIZE, TRACED_SIZE))
        analysis.set_op_handle(**_handles())
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        counts = Counter(analysis.by_operator())
        uncounted = set(analysis.unsupported_ops()) - IGNORED
    return counts, uncounted, sum(p.numel() for p in model.parameters()) * FLOAT_BYTES


def _handles() -> dict[str, Handle]:
    """Fvcore handles that return MACs, other FLOPs and bytes of one operator, under these three keys."""
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
            return Counter(flops=per_element * _elements(outputs[0]))

        return handle

    def addition(inputs: Sequence[Any], outputs: Sequence[Any]) -> "Counter[str]":
        # A residual sum folds into the convolution before it, but still reads the other branch.
        return Counter(flops=_elements(outputs[0]), bytes=FLOAT_BYTES * _elements(inputs[0]))

    return {
        **{name: pointwise(per_element) for name, per_element in POINTWISE.items()},
        "aten::add": addition,
        "aten::_convolution": convolution,
        "aten::max_pool2d": pooling,
        "aten::upsample_nearest2d": upsampling,
        "aten::cat": concatenation,
    }


def _elements(value: Any) -> int:
    """Number of elements of a traced tensor."""
    return prod(value.type().sizes() or ())


def _moved(inputs: Sequence[Any], outputs: Sequence[Any]) -> int:
    """Bytes of an operator that reads its first input and writes its output."""
    return FLOAT_BYTES * (_elements(inputs[0]) + _elements(outputs[0]))
