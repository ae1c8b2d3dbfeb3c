"""The optimisations by name. A backend is one file here with a `prepare` and its entry in `BACKENDS`; all else
(parametrisation, table, JSON, parity, CLI choices) iterates this registry.
"""

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from yolo_perf.errors import BackendUnavailable, UsageError
from yolo_perf.records import Case, Dtype, Weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from yolo_perf.yolov5.model import YoloV5

    Images = NDArray[np.float32]
    """(N, 3, H, W), RGB in 0..1."""
    Infer = Callable[[Images], NDArray[np.float32]]
    """Images to (N, rows, 5 + classes), boxes in pixels of the letterboxed image."""

MODULES = ("eager", "batched", "onnx", "onnx_int8")
"""Files of this package with a tuple `BACKENDS`, in the order of tables and of timing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What all backends of one size share: the fused model, its weights, pictures to calibrate on."""

    load: "Callable[[], YoloV5]"
    weights: Weights
    calibration_name: str
    calibration: "Callable[[], Iterator[Images]]"

    @property
    def model(self) -> "YoloV5":
        """The fused model; asking for it is what brings it into memory."""
        return self.load()


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """One optimisation: how to prepare it, and how far its output must agree with fused eager's.

    A case agrees where its SQNR *and* its box agreement reach these floors: see `analysis.parity`.
    """

    name: str
    summary: str
    prepare: "Callable[[Subject, Case], Infer]"
    graph: "Callable[[Subject, Case], Path] | None" = None  # the file ONNX Runtime runs, where it is the engine
    dtype: Dtype = "fp32"
    eager: bool = False  # runs the PyTorch model itself
    batched: bool = False  # runs at the configured batch; the others at 1
    min_sqnr_db: float
    min_box_agreement: float
    requires: tuple[str, ...] = ()  # importable modules beyond torch

    def check_available(self) -> None:
        """Raise BackendUnavailable, with the way to install it, where a module is missing."""
        for module in self.requires:
            try:
                importlib.import_module(module)
            except ImportError as error:
                raise BackendUnavailable(
                    f"{self.name} needs {module}, which cannot be imported ({error}). pip install {module}"
                ) from error


@cache
def backends() -> dict[str, Backend]:
    """All backends by name, in order. Loads none of the engines."""
    modules = (importlib.import_module(f"yolo_perf.backends.{name}") for name in MODULES)
    return {backend.name: backend for module in modules for backend in module.BACKENDS}


def find(name: str) -> Backend:
    """The backend of a name. Raises UsageError for an unknown one."""
    known = backends()
    if name not in known:
        raise UsageError(f"Unknown optimisation {name!r}. Choose from: {', '.join(known)}.")
    return known[name]


def choose(names: tuple[str, ...]) -> tuple[Backend, ...]:
    """The named backends in registry order; all where no name is given. UsageError for an unknown name."""
    wanted = {find(name).name for name in names}
    return tuple(backend for backend in backends().values() if not names or backend.name in wanted)
