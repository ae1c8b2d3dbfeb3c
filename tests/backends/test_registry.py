from dataclasses import replace

import pytest

from yolo_perf.backends.registry import backends, choose
from yolo_perf.errors import BackendUnavailable, UsageError


def test_the_optimisations_in_order() -> None:
    assert list(backends())[:5] == ["eager", "batched", "onnx", "onnx-dynamic-int8", "onnx-static-int8"]
    assert [b.name for b in choose(("onnx", "eager"))] == ["eager", "onnx"]
    assert {b.name for b in backends().values()} - {b.name for b in choose(())} == {"compile"}
    assert choose(("all",)) == tuple(backends().values())


def test_an_unknown_optimisation_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'tensorrt'. Choose from: eager, batched"):
        choose(("tensorrt",))


def test_a_missing_library_says_how_to_get_it() -> None:
    backend = replace(backends()["onnx"], requires=("no_such_engine",))
    with pytest.raises(BackendUnavailable, match=r"onnx needs no_such_engine.*pip install no_such_engine"):
        backend.check_available()
