"""Memory that a case takes: what its shapes ask for, and what a process of its own really holds."""

import signal
import subprocess
import sys
import weakref
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from yolo_perf.analysis.work import ELEMENT_BYTES, FLOAT_BYTES, TRACED_SIZE, count
from yolo_perf.backends.artefacts import kept, source_digest
from yolo_perf.backends.registry import Backend, Subject
from yolo_perf.errors import NotEnoughMemory, YoloPerfError
from yolo_perf.machine.allocator import KEEP
from yolo_perf.machine.memory import free_bytes
from yolo_perf.records import Case, Memory, Weights
from yolo_perf.yolov5.sizes import check_image_size

if TYPE_CHECKING:
    from torch import Tensor

CHILD = "yolo_perf.analysis.memory_child"
TIMEOUT_S = 600
HEADROOM = 3
"""Engines hold up to so many times the weights and activations at once: copies in other layouts, arenas."""


@cache
def activation_peak_bytes(size: str, classes: int = 80) -> int:
    """Most bytes of activations alive at once in one image of 32x32, op by op in FP32, the input included."""
    key = {"size": size, "classes": str(classes), "sources": source_digest(__file__), "torch": version("torch")}
    return kept(f"yolov5{size}-{classes}-alive", key, int, lambda: _alive(size, classes))


def expected_bytes(case: Case, classes: int = 80) -> tuple[int, int]:
    """Bytes of the weights, and of the activations of a whole batch, in the case's number format."""
    area = (check_image_size(case.image_size) // TRACED_SIZE) ** 2
    activations = activation_peak_bytes(case.size, classes) * area * case.batch
    weights = count(case.size, classes, case.image_size, case.dtype).weight_bytes
    return weights, activations * ELEMENT_BYTES[case.dtype] // FLOAT_BYTES


def require_memory(case: Case) -> None:
    """Raise NotEnoughMemory where a case may take more than what is free: better than being killed."""
    weights, activations = expected_bytes(replace(case, dtype="fp32"))  # whatever an engine keeps in floats
    needed, free = HEADROOM * (weights + activations), free_bytes()
    if needed > free:
        raise NotEnoughMemory(
            f"{case.id} may take {needed / 2**30:.1f} GiB ({HEADROOM} x {weights / 2**30:.1f} of weights and "
            f"{activations / 2**30:.1f} of activations), and {free / 2**30:.1f} GiB are free. "
            "Choose a smaller batch, image or model."
        )


def measure_memory(
    case: Case, subject: Subject, backend: Backend, data: Path | None, allocator: str = KEEP
) -> Memory:
    """Run a case in a process of its own and see what it holds. Raises YoloPerfError where that process fails."""
    backend.check_available()
    if backend.graph is not None:
        backend.graph(subject, case)  # exported here, where the model is: the child holds the engine alone
    order = Order(
        case=case,
        weights=subject.weights,
        calibration_name=subject.calibration_name,
        data=str(data) if data else None,
        allocator=allocator,
    )
    try:
        child = subprocess.run(
            [sys.executable, "-m", CHILD],
            input=msgspec.json.encode(order),
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise YoloPerfError(
            f"{case.id}: no answer in {TIMEOUT_S} s from the process that shows its memory."
        ) from error
    try:
        found = msgspec.json.decode(child.stdout, type=Held)
    except msgspec.MsgspecError as error:
        killed = child.returncode == -getattr(signal, "SIGKILL", 9)
        why = "it was killed, most likely for want of memory" if killed else f"exit code {child.returncode}"
        said = child.stderr.decode(errors="replace").strip().splitlines()
        why = said[-1] if said and not killed else why
        raise YoloPerfError(f"{case.id}: the process that shows its memory failed: {why}.") from error
    weights, activations = expected_bytes(case, subject.weights.classes)
    return Memory(
        case=case,
        base_bytes=found.base,
        loaded_bytes=found.loaded - found.base,
        peak_bytes=found.peak - found.base,
        weight_bytes=weights,
        activation_bytes=activations,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the child is asked for."""

    case: Case
    weights: Weights
    calibration_name: str
    data: str | None
    allocator: str  # the policy, see `machine.allocator`


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The child's answer: resident bytes with the engine imported, with the model, and at most."""

    base: int
    loaded: int
    peak: int


def _alive(size: str, classes: int) -> int:
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    from yolo_perf.yolov5.model import build

    class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
        """Adds every new storage, and takes it off when nothing refers to it any more."""

        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self.known: weakref.WeakSet[Any] = weakref.WeakSet()
            self.now = self.most = 0

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            output = function(*args, **(kwargs or {}))
            for tensor in tree_leaves(output):
                if isinstance(tensor, torch.Tensor):
                    self.see(tensor)
            return output

        def see(self, tensor: "Tensor") -> None:
            storage = tensor.untyped_storage()
            if storage in self.known:
                return
            self.known.add(storage)
            self.now += storage.nbytes()
            self.most = max(self.most, self.now)
            weakref.finalize(storage, self.forget, storage.nbytes())

        def forget(self, number: int) -> None:
            self.now -= number

    with torch.inference_mode():
        model = build(size, classes, fused=True)
        with Watch() as watch:
            model(torch.zeros(1, 3, TRACED_SIZE, TRACED_SIZE))
        most: int = watch.most
    return most
