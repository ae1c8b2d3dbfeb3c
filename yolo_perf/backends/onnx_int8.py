"""ONNX Runtime with 8-bit integers: quantised while running (dynamic), or calibrated beforehand (static).

Dynamic quantisation rewrites convolutions to ConvInteger, whose input is quantised anew at every call: it pays
at best where there is much arithmetic for each activation. Static quantisation inserts QuantizeLinear /
DequantizeLinear pairs that the runtime folds into integer convolutions: unsigned 8-bit activations, signed
8-bit weights per channel, the pair that VNNI and its predecessors multiply.
"""

import logging
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from yolo_perf.backends.artefacts import artefact, source_digest
from yolo_perf.backends.onnx import (
    INPUT,
    executed,
    export_key,
    head_module,
    open_any_shape,
    open_session,
    readable_export,
)
from yolo_perf.backends.registry import Backend, Executed, Subject
from yolo_perf.machine.versions import version
from yolo_perf.records import Case

if TYPE_CHECKING:
    from collections.abc import Iterator

    from yolo_perf.backends.registry import Images, Infer

log = logging.getLogger(__name__)

PROGRESS_STEP = 4
PERCENTILE = 99.999
"""Of an activation's values, what its scale covers. Chosen by mAP, beside min-max and entropy: docs/int8.md."""
FIRST_LAYERS, FIRST_LAYERS_REDUCED = ("model.0",), ("model.0", "model.1")
"""Left in float; the latter where weights have 7 bits, and lose more."""
DOT_PRODUCT_ISA = {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"}


def prepare_dynamic(subject: Subject, case: Case) -> "Infer":
    """A session over the dynamically quantised graph."""
    return open_session(lambda: dynamic(subject, case), case)


def prepare_static(subject: Subject, case: Case) -> "Infer":
    """A session over the statically quantised graph, calibrated on the subject's pictures."""
    return open_session(lambda: static(subject, case), case)


def any_shape_dynamic(subject: Subject, case: Case) -> "Infer":
    """The dynamically quantised graph at any height and width."""
    return open_any_shape(lambda: dynamic(subject, case), subject, case)


def any_shape_static(subject: Subject, case: Case) -> "Infer":
    """The statically quantised graph at any height and width."""
    return open_any_shape(lambda: static(subject, case), subject, case)


def executed_dynamic(subject: Subject, case: Case) -> tuple[Executed, ...]:
    """What runs of the dynamically quantised graph."""
    return executed(lambda: dynamic(subject, case), case)


def executed_static(subject: Subject, case: Case) -> tuple[Executed, ...]:
    """What runs of the statically quantised graph."""
    return executed(lambda: static(subject, case), case)


def dynamic(subject: Subject, case: Case) -> Path:
    """The dynamically quantised graph as a cached file."""

    def build(path: Path) -> None:
        from onnxruntime.quantization import QuantType, quantize_dynamic

        with quiet():
            quantize_dynamic(readable_export(subject, case), path, weight_type=QuantType.QUInt8)

    key = {**_key(subject, case), "quantised": "dynamic u8"}
    return artefact(f"yolov5{case.size}-{case.image_size}-dynamic-int8", ".onnx", key, build)


def static(subject: Subject, case: Case) -> Path:
    """The statically quantised graph as a cached file."""
    from yolo_perf.machine.identity import identify

    # Without a dot-product instruction two u8 x s8 products are summed in 16 bits and saturate; 7-bit weights
    # leave the head room. With one, the full range is exact.
    reduce_range = not DOT_PRODUCT_ISA.intersection(identify(with_torch=False).isa)

    def build(path: Path) -> None:
        from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

        source = readable_export(subject, case)
        with quiet():
            quantize_static(
                source,
                path,
                _Pictures(subject.calibration()),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=reduce_range,
                nodes_to_exclude=_in_float(source, reduce_range),
                calibrate_method=CalibrationMethod.Percentile,
                extra_options={"CalibPercentile": PERCENTILE, "CalibStridedMinMax": 1},
            )

    key = {
        **_key(subject, case),
        "quantised": "static u8/s8 per channel",
        "reduce_range": str(reduce_range),
        "pictures": subject.calibration_name,
    }
    return artefact(f"yolov5{case.size}-{case.image_size}-static-int8", ".onnx", key, build)


def _key(subject: Subject, case: Case) -> dict[str, str]:
    from yolo_perf.backends import subject as subjects
    from yolo_perf.pipeline import images, letterbox

    return {
        **export_key(subject, case),
        "quantiser": source_digest(__file__, *(str(module.__file__) for module in (subjects, images, letterbox))),
        "onnxruntime": version("onnxruntime"),
    }


def _in_float(source: Path, reduced: bool) -> list[str]:
    """Nodes that stay in float.

    The head: boxes in pixels do not fit 8 bits, and its three 1x1 convolutions cost nothing to speak of. Then the
    first layers, whose few channels see whole pictures: docs/int8.md has what that brings in accuracy.
    """
    import onnx

    graph = onnx.load(source, load_external_data=False).graph
    modules = (head_module(graph), *(FIRST_LAYERS_REDUCED if reduced else FIRST_LAYERS))
    return [node.name for node in graph.node if node.name.split("/")[1:2] and node.name.split("/")[1] in modules]


class _Pictures:
    """onnxruntime's CalibrationDataReader over images, one at a time.

    It asks for them in strides, and keeps every activation of a stride until that is done: a stride of one picture
    is what lets a large model be calibrated in little memory.
    """

    def __init__(self, images: "Iterator[Images]"):
        self._images = list(images)
        self._next = self._end = 0

    def __len__(self) -> int:
        return len(self._images)

    def set_range(self, start_index: int, end_index: int) -> None:
        """The stride that `get_next` goes through."""
        self._next, self._end = start_index, end_index
        if start_index and start_index % PROGRESS_STEP == 0:
            log.info("calibrated on %d pictures", start_index)

    def get_next(self) -> "dict[str, Images] | None":
        """The next picture of the stride by the name of the graph's input, None after its last."""
        if self._next >= self._end:
            return None
        self._next += 1
        return {INPUT: self._images[self._next - 1]}


@contextmanager
def quiet() -> "Iterator[None]":
    """Silence the quantiser, which prints, and logs advice on the root logger itself, into the output."""

    def below_error(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR

    root = logging.getLogger()
    root.addFilter(below_error)
    try:
        with redirect_stdout(StringIO()):
            yield
    finally:
        root.removeFilter(below_error)


BACKENDS = (
    Backend(
        name="onnx-dynamic-int8",
        summary="ONNX Runtime, weights 8-bit, activations quantised at run time",
        prepare=prepare_dynamic,
        any_shape=any_shape_dynamic,
        engine="onnxruntime",
        graph=dynamic,
        executed=executed_dynamic,
        dtype="int8",
        min_sqnr_db=8.0,
        min_box_agreement=0.5,
        max_map_drop=0.035,
        requires=("onnxruntime", "onnx"),
    ),
    Backend(
        name="onnx-static-int8",
        summary="ONNX Runtime, 8-bit weights and activations, calibrated",
        prepare=prepare_static,
        any_shape=any_shape_static,
        engine="onnxruntime",
        graph=static,
        executed=executed_static,
        dtype="int8",
        min_sqnr_db=8.0,
        min_box_agreement=0.5,
        max_map_drop=0.035,  # with 7-bit weights; with 8 bits it loses a third of that: docs/int8.md
        requires=("onnxruntime", "onnx"),
    ),
)
