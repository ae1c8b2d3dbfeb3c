"""OpenVINO where it is installed: what is kept in float, damaged files, threads."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from tests.factories import machine
from yolo_perf.backends.registry import Subject, backends
from yolo_perf.backends.subject import prepare_subject
from yolo_perf.errors import BackendUnavailable
from yolo_perf.machine import identity
from yolo_perf.pipeline.images import synthetic
from yolo_perf.pipeline.letterbox import letterbox
from yolo_perf.records import Case

SIDE = 96


def test_a_missing_engine_names_the_extra() -> None:
    for name in ("openvino", "openvino-int8"):
        backend = replace(backends()[name], requires=("no_such_engine",))
        with pytest.raises(BackendUnavailable, match=r"pip install 'yolo-perf\[openvino\]'"):
            backend.check_available()


def test_bf16_needs_the_processor_first() -> None:
    backend = replace(backends()["openvino-bf16"], isa=frozenset({"warp9"}), requires=("no_such_engine",))
    with pytest.raises(BackendUnavailable, match="needs a CPU with warp9"):
        backend.check_available()


def test_an_extension_that_only_claims_to_be_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = replace(backends()["openvino-bf16"], isa=frozenset({"warp9"}))
    monkeypatch.setattr(identity, "identify", lambda **_: machine(isa_faulting=("warp9",)))
    with pytest.raises(
        BackendUnavailable, match=r"has avx, avx2, fma\. Its flags claim warp9, which does not execute"
    ):
        backend.check_available()


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YOLO_PERF_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield prepare_subject("n", None, synthetic(), SIDE)


CASE = Case(size="n", backend="openvino-int8", batch=1, image_size=SIDE, threads=1, dtype="int8")


@pytest.mark.slow
def test_what_decodes_boxes_stays_in_float_and_a_damaged_file_is_built_anew(subject: Subject) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    from yolo_perf.backends import openvino

    image = letterbox(synthetic().load(0), SIDE)[0][None]
    expected = openvino.prepare_int8(subject, CASE)(image)
    quantised = [
        node.get_friendly_name()
        for node in openvino._read_int8(subject, CASE).get_ops()
        if node.get_type_name() == "FakeQuantize"
    ]
    assert len(quantised) > 50
    path = openvino.quantised(subject, CASE)
    path.write_bytes(path.read_bytes()[:5000])
    np.testing.assert_allclose(openvino.prepare_int8(subject, CASE)(image), expected, rtol=1e-3, atol=1e-3)
    assert path.stat().st_size > 5000


@pytest.mark.slow
def test_outputs_are_not_overwritten_by_the_next_call(subject: Subject) -> None:
    pytest.importorskip("openvino")
    from yolo_perf.backends import openvino

    infer = openvino.prepare_float(subject, replace(CASE, backend="openvino"))
    images = [letterbox(synthetic().load(index), SIDE)[0][None] for index in range(2)]
    first = infer(images[0])
    kept = first.copy()
    infer(images[1])
    np.testing.assert_array_equal(first, kept)
    assert isinstance(first, np.ndarray)
