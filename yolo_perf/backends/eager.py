"""PyTorch, op by op, batch norms folded: the reference that every other backend must agree with."""

from typing import TYPE_CHECKING

from yolo_perf.backends.registry import Backend, Subject
from yolo_perf.records import Case

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from yolo_perf.backends.registry import Images, Infer


def prepare(subject: Subject, case: Case) -> "Infer":
    """The fused model in inference mode, with `case.threads` intra-op threads."""
    return inference(module(subject, case), case)


def module(subject: Subject, case: Case) -> "nn.Module":
    """The subject's own model."""
    return subject.model


def inference(module: "nn.Module", case: Case) -> "Infer":
    """The inference callable of a module that takes a batch of images."""
    import torch

    torch.set_num_threads(case.threads)

    def infer(images: "Images") -> "NDArray[np.float32]":
        with torch.inference_mode():
            output: NDArray[np.float32] = module(torch.from_numpy(images)).numpy()
        return output

    return infer


BACKENDS = (
    Backend(
        name="eager",
        summary="PyTorch, convolutions and batch norms fused, inference mode",
        prepare=prepare,
        any_shape=prepare,
        module=module,
        min_sqnr_db=100.0,
        min_box_agreement=1.0,
        max_map_drop=0.0,
    ),
)
