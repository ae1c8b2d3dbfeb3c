"""ONNX Runtime, FP32: export once, then run with the same thread count as eager."""

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolo_perf.backends.artefacts import artefact, discard, source_digest
from yolo_perf.backends.registry import Backend, Executed, Subject
from yolo_perf.errors import YoloPerfError
from yolo_perf.machine.versions import version
from yolo_perf.records import Case

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from yolo_perf.backends.registry import Images, Infer

log = logging.getLogger(__name__)

INPUT, OUTPUT = "images", "output"
OPSET = 17
INTEGER_CONVOLUTIONS = ("QLinearConv", "ConvInteger")


def prepare(subject: Subject, case: Case) -> "Infer":
    """An ONNX Runtime session over the exported graph."""
    return open_session(lambda: exported(subject, case), case)


def exported(subject: Subject, case: Case) -> Path:
    """The FP32 graph as a cached file. Node names carry the module names (`/model.0/conv/Conv`)."""

    def build(path: Path) -> None:
        import onnx
        import torch

        image = torch.zeros(1, 3, case.image_size, case.image_size)
        with warnings.catch_warnings():
            # The TorchScript exporter announces its successor, which does not keep module names in node
            # names as layer-by-layer work needs them.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                subject.model,
                (image,),
                str(path),
                input_names=[INPUT],
                output_names=[OUTPUT],
                opset_version=OPSET,
                dynamic_axes={INPUT: {0: "batch"}, OUTPUT: {0: "batch"}},
                dynamo=False,
            )
        model = onnx.load(path)
        unshare(model.graph)
        onnx.save(model, path)

    return artefact(f"yolov5{case.size}-{case.image_size}", ".onnx", export_key(subject, case), build)


def unshare(graph: Any) -> None:
    """Make every initializer of an `onnx.GraphProto` that is passed on by an Identity one of its own.

    The exporter keeps equal tensors once, as the zero biases of seeded weights are, and passes them on under their
    own names. The quantiser leaves such a bias in float, and the runtime then its convolution: 42 of 60, seen by
    `yolo-perf audit`.
    """
    known = {tensor.name: tensor for tensor in graph.initializer}
    passed_on = [node for node in graph.node if node.op_type == "Identity" and node.input[0] in known]
    for node in passed_on:
        copy = graph.initializer.add()
        copy.CopyFrom(known[node.input[0]])
        copy.name = node.output[0]
        graph.node.remove(node)


def readable_export(subject: Subject, case: Case) -> Path:
    """The FP32 graph, built anew where the cached file turns out to be damaged: the source of quantisation."""
    import onnx
    from google.protobuf.message import DecodeError

    path = exported(subject, case)
    try:
        onnx.load(path, load_external_data=False)
    except DecodeError:
        log.info("%s is damaged: building it anew", path.name)
        discard(path)
        path = exported(subject, case)
    return path


def export_key(subject: Subject, case: Case) -> dict[str, str]:
    """Everything that decides the exported bytes."""
    return {
        "weights": subject.weights.digest,
        "size": case.size,
        "image_size": str(case.image_size),
        "opset": str(OPSET),
        "sources": source_digest(__file__),
        "torch": version("torch"),
        "onnx": version("onnx"),
    }


def open_session(locate: Callable[[], Path], case: Case) -> "Infer":
    """An inference callable over the graph that `locate` finds or builds."""
    return inference(load_session(locate, case))


def any_shape(subject: Subject, case: Case) -> "Infer":
    """The exported graph at any height and width."""
    return open_any_shape(lambda: exported(subject, case), subject, case)


def open_any_shape(locate: Callable[[], Path], subject: Subject, case: Case) -> "Infer":
    """The graph that `locate` finds or builds at any height and width.

    Only the decoding of boxes is tied to one shape, and it is in float in every graph: it is cut off and done by
    PyTorch, so that all else, quantised weights and scales above all, is what is timed.
    """
    import onnx
    import onnxruntime
    import torch

    load_session(locate, case)  # a damaged file is built anew
    model = onnx.load(locate())
    raw = cut_decoding(model.graph)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), _options(case.threads, None, resting=False), providers=["CPUExecutionProvider"]
    )
    head = subject.model.head

    def infer(images: "Images") -> "NDArray[np.float32]":
        maps = [torch.from_numpy(each) for each in session.run(raw, {INPUT: images})]
        with torch.inference_mode():
            rows: NDArray[np.float32] = head.decode(maps).numpy()
        return rows

    return infer


def cut_decoding(graph: Any) -> list[str]:
    """Cut an `onnx.GraphProto` of ours down to the head's maps, for any height and width; their names by level."""
    from onnx import TensorProto, helper

    head = head_module(graph)
    made_by = {output: node for node in graph.node for output in node.output}
    views = [node for node in graph.node if node.op_type == "Reshape" and node.name.startswith(f"/{head}/")]
    raw = [view.input[0] for view in views if made_by[view.input[0]].op_type != "Concat"]
    needed, open_ends = set(raw), list(raw)  # tensors: not every node has a name
    while open_ends:
        node = made_by.get(open_ends.pop())
        fresh = [name for name in node.input if name not in needed] if node else []
        needed.update(fresh)
        open_ends += fresh
    kept = [node for node in graph.node if needed.intersection(node.output)]
    del graph.node[:], graph.output[:], graph.value_info[:]
    graph.node.extend(kept)
    graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in raw)
    (image,) = (each for each in graph.input if each.name == INPUT)
    for axis, name in ((2, "height"), (3, "width")):
        image.type.tensor_type.shape.dim[axis].dim_param = name
    return raw


def head_module(graph: Any) -> str:
    """The name of the detection head's module in an exported graph's node names: "model.24"."""
    return last_module([node.name for node in graph.node])


def last_module(nodes: Iterable[str]) -> str:
    """The module of the highest number in nodes' names: the head."""
    modules = {name.split("/")[1] for name in nodes if name.startswith("/model.")}
    return max(modules, key=lambda name: int(name.removeprefix("model.")))


def executed(locate: Callable[[], Path], case: Case) -> tuple[Executed, ...]:
    """What ONNX Runtime runs of a graph: the nodes that are left when it has optimised it for this machine."""
    import onnx

    with tempfile.TemporaryDirectory(prefix="yolo-perf-") as folder:
        optimised = Path(folder) / "optimised.onnx"
        load_session(locate, case, optimised=optimised)
        nodes = onnx.load(optimised).graph.node
    return tuple(
        Executed(
            name=node.name,
            operator=node.op_type,
            convolution="Conv" in node.op_type,
            integer=node.op_type in INTEGER_CONVOLUTIONS,
        )
        for node in nodes
    )


def inference(session: Any) -> "Infer":
    """The inference callable of a session."""

    def infer(images: "Images") -> "NDArray[np.float32]":
        output: NDArray[np.float32] = session.run([OUTPUT], {INPUT: images})[0]
        return output

    return infer


def load_session(
    locate: Callable[[], Path],
    case: Case,
    *,
    profile: Path | None = None,
    resting: bool = False,
    optimised: Path | None = None,
) -> Any:
    """An `onnxruntime.InferenceSession` over the graph that `locate` finds or builds.

    With `profile`, ONNX Runtime's own profile is written to a file of that prefix when it is ended; with
    `optimised`, the graph as it runs is written there. `resting`
    threads stop spinning when a call ends, so that another session can be timed in turn: spinning on, they
    would take its cores. A cached file that ONNX Runtime cannot read is built anew, once.
    """
    options = _options(case.threads, profile, resting)
    if optimised is not None:
        options.optimized_model_filepath = str(optimised)
    from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

    path = locate()
    damage = (ort_errors.InvalidProtobuf, ort_errors.InvalidGraph, ort_errors.Fail, ort_errors.NoSuchFile)
    try:
        return _session(path, options)
    except damage as error:
        log.info("%s is damaged (%s): building it anew", path.name, type(error).__name__)
        discard(path)
        try:
            return _session(locate(), options)
        except damage as again:
            raise YoloPerfError(f"ONNX Runtime cannot load {path}: {again}") from again


def _options(threads: int, profile: Path | None, resting: bool) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    if resting:
        options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


def _session(path: Path, options: Any) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


BACKENDS = (
    Backend(
        name="onnx",
        summary="ONNX Runtime, FP32",
        prepare=prepare,
        any_shape=any_shape,
        engine="onnxruntime",
        graph=exported,
        min_sqnr_db=50.0,
        min_box_agreement=0.99,
        max_map_drop=0.002,
        requires=("onnxruntime", "onnx"),
    ),
)
