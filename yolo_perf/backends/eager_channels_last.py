"""Eager with weights and activations in NHWC order, in which oneDNN's and PyTorch's kernels reorder less."""

from copy import deepcopy
from typing import TYPE_CHECKING

from yolo_perf.backends import eager
from yolo_perf.backends.registry import Backend, Subject
from yolo_perf.records import Case

if TYPE_CHECKING:
    from torch import nn

    from yolo_perf.backends.registry import Infer


def prepare(subject: Subject, case: Case) -> "Infer":
    """A copy of the fused model in channels-last order, in inference mode."""
    return eager.inference(module(subject, case), case)


def module(subject: Subject, case: Case) -> "nn.Module":
    """The copy. Its weights' order alone decides: the first convolution's output takes it over."""
    import torch

    model: nn.Module = deepcopy(subject.model)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


BACKENDS = (
    Backend(
        name="eager-channels-last",
        summary="eager, in NHWC order",
        prepare=prepare,
        any_shape=prepare,
        module=module,
        min_sqnr_db=50.0,
        min_box_agreement=0.99,
        max_map_drop=0.002,
    ),
)
