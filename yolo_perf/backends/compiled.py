"""torch.compile: TorchInductor writes C++ for what lies between the convolutions and calls oneDNN for those."""

import logging
import shutil
import time
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

from yolo_perf.backends.registry import Backend, Subject
from yolo_perf.errors import BackendUnavailable
from yolo_perf.records import Case

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from yolo_perf.backends.registry import Images, Infer

log = logging.getLogger(__name__)

COMPILERS = ("c++", "g++", "clang++", "cl")


def prepare(subject: Subject, case: Case) -> "Infer":
    """The compiled model; built here, for the case's batch and image size, and said how long that took."""
    import numpy as np
    import torch

    if not any(shutil.which(name) for name in COMPILERS):
        raise BackendUnavailable("compile needs a C++ compiler, and none of c++, g++ and clang++ is on the PATH.")
    torch.set_num_threads(case.threads)
    torch._dynamo.reset()  # else a second case counts as a recompilation of the first, in dynamic shapes
    with _quiet():
        model = torch.compile(subject.model, dynamic=False)

    def infer(images: "Images") -> "NDArray[np.float32]":
        with torch.inference_mode():
            output: NDArray[np.float32] = model(torch.from_numpy(images)).numpy()
        return output

    started = time.perf_counter()
    with _quiet():
        infer(np.zeros((case.batch, 3, case.image_size, case.image_size), np.float32))
    log.info("compiled %s in %.0f s (not in its latency)", case.label, time.perf_counter() - started)
    return infer


@contextmanager
def _quiet() -> "Iterator[None]":
    """TorchInductor's own imports use what torch has deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


BACKENDS = (
    Backend(
        name="compile",
        summary="torch.compile with TorchInductor",
        prepare=prepare,
        on_request=True,
        min_sqnr_db=50.0,
        min_box_agreement=0.99,
        max_map_drop=0.002,
    ),
)
