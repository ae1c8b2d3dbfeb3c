"""OpenVINO on the CPU: FP32, bfloat16 where the CPU multiplies it itself, and 8 bits calibrated by NNCF.

An optional extra: pip install 'yolo-perf[openvino]'.
"""

import io
import logging
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolo_perf.backends.artefacts import artefact, discard, source_digest
from yolo_perf.backends.eager_bf16 import NATIVE_BF16
from yolo_perf.backends.onnx import OUTPUT, export_key, exported, last_module, readable_export
from yolo_perf.backends.onnx_int8 import quiet
from yolo_perf.backends.registry import Backend, Executed, Subject
from yolo_perf.errors import YoloPerfError
from yolo_perf.machine.versions import version
from yolo_perf.records import Case

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from yolo_perf.backends.registry import Images, Infer

log = logging.getLogger(__name__)

NO_TELEMETRY = "NNCF_CI"
"""NNCF reports its use over the network unless this variable is set when it is imported."""
MODEL, WEIGHTS = "model.xml", "model.bin"
Read = Callable[[Subject, Case], Any]
"""Gives the `openvino.Model` of a case, of any batch."""
SHAPES = 8
"""Of which compiled models are kept at once, where pictures of any shape are judged."""


def prepare_float(subject: Subject, case: Case) -> "Infer":
    """The exported graph, compiled for the case."""
    return _compiled(_read_float(subject, case), case)


def prepare_int8(subject: Subject, case: Case) -> "Infer":
    """The quantised model, compiled for the case."""
    return _compiled(_read_int8(subject, case), case)


def any_shape_float(subject: Subject, case: Case) -> "Infer":
    """The exported graph at any height and width."""
    return _any_shape(_read_float(subject, case), subject, case)


def any_shape_int8(subject: Subject, case: Case) -> "Infer":
    """The quantised model at any height and width."""
    return _any_shape(_read_int8(subject, case), subject, case)


def quantised(subject: Subject, case: Case) -> Path:
    """The model that NNCF quantised, as a cached zip of OpenVINO's two files."""
    key = {
        **export_key(subject, case),
        "quantiser": source_digest(__file__),
        "pictures": subject.calibration_name,
        "openvino": version("openvino"),
        "nncf": version("nncf"),
    }
    return artefact(
        f"yolov5{case.size}-{case.image_size}-openvino-int8",
        ".zip",
        key,
        lambda path: _quantise(subject, case, path),
    )


def _quantise(subject: Subject, case: Case, path: Path) -> None:
    os.environ.setdefault(NO_TELEMETRY, "1")
    import nncf
    import openvino

    model = openvino.Core().read_model(readable_export(subject, case))
    pictures = list(subject.calibration())
    logging.getLogger("nncf").setLevel(logging.ERROR)
    with quiet():
        model = nncf.quantize(
            model,
            nncf.Dataset(pictures),
            subset_size=len(pictures),
            # As in the graphs for ONNX Runtime: boxes in pixels do not fit 8 bits.
            ignored_scope=nncf.IgnoredScope(patterns=[f"^/{_head(model)}/.*"]),
        )
    files = path.with_suffix("") / MODEL, path.with_suffix("") / WEIGHTS
    openvino.save_model(model, files[0], compress_to_fp16=False)
    with zipfile.ZipFile(path, "w") as archive:
        for file in files:
            archive.write(file, file.name)


def _read_float(subject: Subject, case: Case) -> Any:
    """The exported graph as an `openvino.Model`."""
    import openvino

    return openvino.Core().read_model(readable_export(subject, case))


def _read_int8(subject: Subject, case: Case) -> Any:
    """The quantised model; a damaged file is built anew, once. Raises YoloPerfError where that cannot be read."""
    for attempt in range(2):
        path = quantised(subject, case)
        try:
            return _unpacked(path)
        except (zipfile.BadZipFile, KeyError, RuntimeError, OSError) as error:  # OpenVINO raises RuntimeError
            if attempt:
                raise YoloPerfError(f"OpenVINO cannot load {path}: {error}") from error
            log.info("%s is damaged (%s): building it anew", path.name, type(error).__name__)
            discard(path)
    raise AssertionError


def _unpacked(path: Path) -> Any:
    import openvino

    with zipfile.ZipFile(path) as archive:
        parts = [archive.read(name) for name in (MODEL, WEIGHTS)]
    return openvino.Core().read_model(io.BytesIO(parts[0]), io.BytesIO(parts[1]))


def _compiled(model: Any, case: Case) -> "Infer":
    """A model as an inference callable of one shape."""
    model.reshape([case.batch, 3, case.image_size, case.image_size])
    request = _request(model, case)

    def infer(images: "Images") -> "NDArray[np.float32]":
        # The output is the request's own memory, which the next call overwrites.
        output: NDArray[np.float32] = request.infer([images], share_inputs=True)[OUTPUT].copy()
        return output

    return infer


def _any_shape(model: Any, subject: Subject, case: Case) -> "Infer":
    """The model's maps at any height and width, decoded by PyTorch: see `onnx.open_any_shape`.

    Compiled for each shape by itself, as what is timed is: with dynamic shapes OpenVINO 2026.4.1 gave an 8-bit
    model other maps (objectness of seeded n up to 11 logits off, no box left).
    """
    from functools import lru_cache

    import openvino
    import torch

    head = _head(model)
    views = [
        node
        for node in model.get_ops()
        if node.get_type_name() == "Reshape" and node.get_friendly_name().startswith(f"/{head}/")
    ]
    sources = [view.input_value(0) for view in views]
    raw = [source for source in sources if source.get_node().get_type_name() != "Concat"]
    raw.sort(key=lambda source: str(source.get_node().get_friendly_name()))  # by level
    cut = openvino.Model(raw, model.get_parameters())

    @lru_cache(maxsize=SHAPES)
    def request_of(shape: tuple[int, ...]) -> Any:
        cut.reshape(list(shape))
        return _request(cut, case)

    decode = subject.model.head.decode

    def infer(images: "Images") -> "NDArray[np.float32]":
        found = request_of(images.shape).infer([images])
        maps = [torch.from_numpy(found[index].copy()) for index in range(len(raw))]
        with torch.inference_mode():
            rows: NDArray[np.float32] = decode(maps).numpy()
        return rows

    return infer


def executed(subject: Subject, case: Case) -> tuple[Executed, ...]:
    """What OpenVINO runs of the quantised model, under the names of the exported nodes."""
    model = _read_int8(subject, case)
    model.reshape([case.batch, 3, case.image_size, case.image_size])
    found = []
    for node in _compile(model, case).get_runtime_model().get_ops():
        told = node.get_rt_info()
        kind, precision, names = (
            str(told[key].value) if key in told else ""
            for key in ("layerType", "runtimePrecision", "originalLayersNames")
        )
        name = next((each for each in names.split(",") if each.startswith("/model.")), names)
        found.append(
            Executed(
                name=name.removesuffix("/WithoutBiases"),
                operator=kind,
                convolution=kind == "Convolution",
                integer=precision in ("i8", "u8"),
            )
        )
    return tuple(found)


def _request(model: Any, case: Case) -> Any:
    """An inference request of a model compiled for a case."""
    return _compile(model, case).create_infer_request()


def _compile(model: Any, case: Case) -> Any:
    """A compiled model: one stream, the case's threads, its number format and no other."""
    import openvino

    return openvino.Core().compile_model(
        model,
        "CPU",
        {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
            "INFERENCE_NUM_THREADS": str(case.threads),
            # By default it takes bfloat16 unasked where the CPU has it.
            "INFERENCE_PRECISION_HINT": "bf16" if case.backend == "openvino-bf16" else "f32",
        },
    )


def _head(model: Any) -> str:
    """The name of the detection head's module: "model.24"."""
    names: list[str] = [node.get_friendly_name() for node in model.get_ops()]
    return last_module(names)


BACKENDS = (
    Backend(
        name="openvino",
        summary="OpenVINO, FP32",
        prepare=prepare_float,
        any_shape=any_shape_float,
        engine="openvino",
        graph=exported,
        min_sqnr_db=50.0,
        min_box_agreement=0.99,
        max_map_drop=0.002,
        requires=("openvino",),
        extra="openvino",
    ),
    Backend(
        name="openvino-bf16",
        summary="OpenVINO, bfloat16",
        prepare=prepare_float,
        any_shape=any_shape_float,
        engine="openvino",
        graph=exported,
        dtype="bf16",
        min_sqnr_db=20.0,
        min_box_agreement=0.9,
        max_map_drop=0.005,
        requires=("openvino",),
        extra="openvino",
        isa=NATIVE_BF16,
    ),
    Backend(
        name="openvino-int8",
        summary="OpenVINO, 8-bit weights and activations, calibrated by NNCF",
        prepare=prepare_int8,
        any_shape=any_shape_int8,
        engine="openvino",
        graph=quantised,
        executed=executed,
        dtype="int8",
        min_sqnr_db=8.0,
        min_box_agreement=0.5,
        max_map_drop=0.035,
        requires=("openvino", "nncf"),
        extra="openvino",
    ),
)
