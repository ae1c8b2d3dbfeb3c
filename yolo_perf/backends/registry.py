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
    from torch import nn

    from yolo_perf.yolov5.model import YoloV5

    Images = NDArray[np.float32]
    """(N, 3, H, W), RGB in 0..1."""
    Infer = Callable[[Images], NDArray[np.float32]]
    """Images to (N, rows, 5 + classes), boxes in pixels of the letterboxed image."""

MODULES = ("eager", "batched", "onnx", "onnx_int8", "eager_channels_last", "eager_bf16", "compiled", "openvino")
"""Files of this package with a tuple `BACKENDS`, in the order of tables and of timing."""
ALL = "all"


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
class Executed:
    """One node of the graph that an engine runs."""

    name: str  # that tells the layer: see `analysis.runtime_layers.leaf_of`
    operator: str
    convolution: bool
    integer: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """One optimisation: how to prepare it, and how far its output must agree with fused eager's.

    A case agrees where its SQNR *and* its box agreement reach these floors: see `analysis.parity`.
    """

    name: str
    summary: str
    prepare: "Callable[[Subject, Case], Infer]"
    any_shape: "Callable[[Subject, Case], Infer] | None" = None
    """The same arithmetic at any height and width that are multiples of 32: for accuracy, never timed. None where
    another shape would be another build."""
    engine: str = "torch"  # the module that runs it; memory is counted above a process that has imported it
    module: "Callable[[Subject, Case], nn.Module] | None" = None  # where PyTorch runs it op by op
    graph: "Callable[[Subject, Case], Path] | None" = None  # the cached file that another engine runs
    executed: "Callable[[Subject, Case], tuple[Executed, ...]] | None" = None  # what it runs, where that is told
    dtype: Dtype = "fp32"
    batched: bool = False  # runs at the configured batch; the others at 1
    on_request: bool = False  # takes so long to build that it is measured only where it is named
    min_sqnr_db: float
    min_box_agreement: float
    max_map_drop: float  # mAP50-95 that it may lose against eager on the same pictures
    requires: tuple[str, ...] = ()  # importable modules beyond torch
    extra: str = ""  # the extra of this package that brings them, where they are no dependency
    isa: frozenset[str] = frozenset()  # any of these vector extensions, where it needs one

    @property
    def tells_layers(self) -> bool:
        """Whether its layers can be timed one by one."""
        return self.engine == "onnxruntime" or self.module is not None

    def check_available(self) -> None:
        """Raise BackendUnavailable, with what would bring it, where an instruction set or a module is missing."""
        if self.isa:
            from yolo_perf.machine.identity import identify

            machine = identify(with_torch=False)
            if not self.isa.intersection(machine.isa):
                masked = sorted(self.isa.intersection(machine.isa_faulting))
                raise BackendUnavailable(
                    f"{self.name} needs a CPU with {' or '.join(sorted(self.isa))}; this one has "
                    f"{', '.join(machine.isa)}."
                    + (f" Its flags claim {', '.join(masked)}, which does not execute here." if masked else "")
                )
        for module in self.requires:
            try:
                importlib.import_module(module)
            except ImportError as error:
                package = f"'yolo-perf[{self.extra}]'" if self.extra else module
                raise BackendUnavailable(
                    f"{self.name} needs {module}, which cannot be imported ({error}). pip install {package}"
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
    """The named backends in registry order; where no name is given, all but those on request; "all" is all.

    Raises UsageError for an unknown name.
    """
    if ALL in names:
        return tuple(backends().values())
    wanted = {find(name).name for name in names}
    return tuple(b for b in backends().values() if (b.name in wanted if names else not b.on_request))
