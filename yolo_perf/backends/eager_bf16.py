"""Eager in bfloat16, in channels-last order, where the CPU multiplies that format itself (oneDNN uses it then)."""

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from yolo_perf.backends import eager
from yolo_perf.backends.registry import Backend, Subject
from yolo_perf.records import Case

if TYPE_CHECKING:
    from torch import Tensor, nn

    from yolo_perf.backends.registry import Infer

NATIVE_BF16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


def prepare(subject: Subject, case: Case) -> "Infer":
    """A copy of the fused model in bfloat16, in inference mode."""
    return eager.inference(module(subject, case), case)


def module(subject: Subject, case: Case) -> "nn.Module":
    """The copy. It takes and gives floats; boxes are decoded in float, as 8 bits of mantissa end at 256 pixels."""
    import torch

    model = deepcopy(subject.model).to(torch.bfloat16)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.head.anchors = model.head.anchors.float()

    def narrow(module: "nn.Module", inputs: "tuple[Tensor, ...]") -> "tuple[Tensor, ...]":
        return (inputs[0].to(torch.bfloat16),)

    def widen(module: "nn.Module", inputs: Any, output: "Tensor") -> "Tensor":
        return output.float()

    model.register_forward_pre_hook(narrow)
    for convolution in model.head.m:
        convolution.register_forward_hook(widen)
    return model


BACKENDS = (
    Backend(
        name="eager-bf16",
        summary="eager, in bfloat16 and NHWC order",
        prepare=prepare,
        any_shape=prepare,
        module=module,
        dtype="bf16",
        min_sqnr_db=20.0,
        min_box_agreement=0.9,
        max_map_drop=0.005,
        isa=NATIVE_BF16,
    ),
)
