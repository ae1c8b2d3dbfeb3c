"""Every optimisation on a real, small model: it agrees with eager, and its artefacts are what they claim."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from yolo_perf.analysis.parity import CLASSES, SIZES, sqnr_db
from yolo_perf.backends.registry import Backend, Subject, backends
from yolo_perf.backends.subject import find_checkpoint, prepare_subject
from yolo_perf.errors import BackendUnavailable, CheckpointError
from yolo_perf.pipeline.images import synthetic
from yolo_perf.pipeline.letterbox import letterbox, stack
from yolo_perf.records import Case

SIDE = 96
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def subject() -> Subject:
    return prepare_subject("n", None, synthetic(), SIDE)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("YOLO_PERF_CACHE", str(folder))
        yield folder


def case(backend: str, batch: int = 1) -> Case:
    return Case(size="n", backend=backend, batch=batch, image_size=SIDE, threads=1)


def images(count: int) -> NDArray[np.float32]:
    dataset = synthetic()
    return stack([letterbox(dataset.load(i), SIDE)[0] for i in range(count)])


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Backend:
    found = backends()[request.param]
    try:
        found.check_available()
    except BackendUnavailable as error:
        pytest.skip(str(error))
    return found


# Of what is measured on request alone, another batch is another build of half a minute.
BATCHES = [(name, batch) for name, found in backends().items() for batch in ((1,) if found.on_request else (1, 3))]


@pytest.mark.parametrize(("backend", "batch"), BATCHES, indirect=["backend"])
def test_output_agrees_with_eager(subject: Subject, backend: Backend, batch: int) -> None:
    expected = backends()["eager"].prepare(subject, case("eager"))(images(batch))
    output = backend.prepare(subject, case(backend.name, batch))(images(batch))
    assert output.shape == (batch, 567, 85)
    assert output.dtype == np.float32
    for columns in (SIZES, CLASSES):
        assert sqnr_db(expected[..., columns], output[..., columns]) >= backend.min_sqnr_db


@pytest.mark.parametrize("backend", [name for name, found in backends().items() if found.any_shape], indirect=True)
def test_any_shape_is_the_same_arithmetic(subject: Subject, backend: Backend) -> None:
    assert backend.any_shape is not None
    free = backend.any_shape(subject, case(backend.name))
    timed = backend.prepare(subject, case(backend.name))
    for each in images(2):
        expected, output = timed(each[None]), free(each[None])
        for columns in (SIZES, CLASSES):  # another kernel may round to the next integer
            least = 10 if backend.dtype == "int8" else 60
            assert sqnr_db(expected[..., columns], output[..., columns]) >= least
    other = stack([letterbox(synthetic().load(0), (64, 128))[0]])
    expected = backends()["eager"].prepare(subject, case("eager"))(other)
    for columns in (SIZES, CLASSES):
        assert sqnr_db(expected[..., columns], free(other)[..., columns]) >= backend.min_sqnr_db


def test_bf16_runs_where_the_processor_lacks_it_only_slower(subject: Subject) -> None:
    found = backends()["eager-bf16"]
    expected = backends()["eager"].prepare(subject, case("eager"))(images(1))
    output = found.prepare(subject, case("eager-bf16"))(images(1))
    assert output.dtype == np.float32
    for columns in (SIZES, CLASSES):
        assert found.min_sqnr_db <= sqnr_db(expected[..., columns], output[..., columns]) < 100


def test_node_names_carry_module_names(subject: Subject) -> None:
    import onnx

    from yolo_perf.backends.onnx import exported

    names = {node.name for node in onnx.load(exported(subject, case("onnx"))).graph.node if node.op_type == "Conv"}
    assert len(names) == 60
    assert {"/model.0/conv/Conv", "/model.4/m/m.1/cv2/conv/Conv", "/model.24/m.2/Conv"} <= names


def test_every_convolution_has_a_bias_of_its_own(subject: Subject) -> None:
    import onnx

    from yolo_perf.backends.onnx import exported

    graph = onnx.load(exported(subject, case("onnx"))).graph
    assert "Identity" not in {node.op_type for node in graph.node}
    inputs = {name for node in graph.node if node.op_type == "Conv" for name in node.input[1:]}
    assert len(inputs) == 120
    assert inputs <= {tensor.name for tensor in graph.initializer}


def test_the_graph_is_free_of_shape_arithmetic(subject: Subject) -> None:
    import onnx

    from yolo_perf.backends.onnx import exported

    kinds = {node.op_type for node in onnx.load(exported(subject, case("onnx"))).graph.node}
    assert not kinds & {"Shape", "Gather", "NonZero", "If", "Loop", "Range"}


def test_static_int8_leaves_box_decoding_in_float(subject: Subject) -> None:
    import onnx

    from yolo_perf.backends.onnx_int8 import static

    graph = onnx.load(static(subject, case("onnx-static-int8"))).graph
    made_by = {output: node for node in graph.node for output in node.output}
    decoding = [n for n in graph.node if n.name.startswith("/model.24/") and n.op_type in ("Pow", "Mul")]
    assert decoding
    assert not any(made_by[i].op_type == "DequantizeLinear" for n in decoding for i in n.input if i in made_by)
    weights = {i.name: i for i in graph.initializer}
    quantised = [w for name, w in weights.items() if name.endswith("weight_quantized")]
    in_float = {"/model.24/", "/model.0/", "/model.1/"}  # 5 convolutions; model.1's only where weights have 7 bits
    assert len(quantised) in (55, 56)
    floats = {n.name for n in graph.node if n.op_type == "Conv" and f"{n.input[1]}" in weights}
    assert all(any(name.startswith(module) for module in in_float) for name in floats)
    assert {w.data_type for w in quantised} == {onnx.TensorProto.INT8}
    scales = next(w for name, w in weights.items() if name == "model.3.conv.weight_scale")
    assert list(scales.dims) == [64]  # one a channel


def test_a_damaged_artefact_is_built_anew(subject: Subject, cache: Path) -> None:
    infer = backends()["onnx"].prepare(subject, case("onnx"))
    expected = infer(images(1))
    (path,) = (p for p in cache.glob("yolov5n-96-*.onnx") if "int8" not in p.name)
    path.write_bytes(path.read_bytes()[:1000])
    np.testing.assert_array_equal(backends()["onnx"].prepare(subject, case("onnx"))(images(1)), expected)


def test_a_checkpoint_of_another_size_is_refused(tmp_path: Path) -> None:
    import torch

    from yolo_perf.yolov5.model import build
    from yolo_perf.yolov5.seeded import fill_seeded

    model = build("n", classes=2)
    fill_seeded(model)
    (tmp_path / "weights").mkdir()
    torch.save(model.state_dict(), tmp_path / "weights" / "yolov5n.pt")
    subject = prepare_subject("n", tmp_path, synthetic(), SIDE)
    assert (subject.weights.source, subject.weights.classes) == ("yolov5n.pt", 2)
    assert subject.model(torch.zeros(1, 3, 32, 32)).shape == (1, 63, 7)
    (tmp_path / "weights" / "yolov5n.pt").rename(tmp_path / "yolov5s.pt")
    assert find_checkpoint("s", tmp_path) == tmp_path / "yolov5s.pt"
    with pytest.raises(CheckpointError, match=r"yolov5s\.pt.*model\.0\.conv\.weight"):
        prepare_subject("s", tmp_path, synthetic(), SIDE)
