"""PyTorch, op by op, batch norms folded: the reference that every other backend must agree with."""

from typing import TYPE_CHECKING

from yolo_perf.backends.registry import Backend, Subject
from yolo_perf.records import Case

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from yolo_perf.backends.registry import Images, Infer


def prepare(subject: Subject, case: Case) -> "Infer":
    """The fused model in inference mode, with `case.threads` intra-op threads."""
    import torch

    torch.set_num_threads(case.threads)
    model = subject.model

    def infer(images: "Images") -> "NDArray[np.float32]":
        with torch.inference_mode():
            output: NDArray[np.float32] = model(torch.from_numpy(images)).numpy()
        return output

    return infer


BACKENDS = (
    Backend(
        name="eager",
        summary="PyTorch, convolutions and batch norms fused, inference mode",
        prepare=prepare,
        eager=True,
        min_sqnr_db=100.0,
        min_box_agreement=1.0,
    ),
)
