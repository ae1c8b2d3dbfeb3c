import json

import pytest

from yolo_perf.pairing import controls as module
from yolo_perf.pairing.controls import TRIAD_ELEMENTS, controls
from yolo_perf.pairing.worker import Worker

IN_ORDER = ("(fma)", "(triad)", "(python)")


def test_the_kernels_by_label() -> None:
    found = controls(compiled=True, python=True)
    assert [label for label in IN_ORDER if label in found] == list(found)
    assert {"(triad)", "(python)"} <= set(found)
    assert found["(python)"] == {"kind": "python"}


def test_two_pythons_are_not_compared() -> None:
    found = controls(compiled=True, python=False)
    assert "(python)" not in found
    assert "(triad)" in found


def test_two_compilers_are_not_compared() -> None:
    assert list(controls(compiled=False, python=True)) == ["(python)"]
    assert controls(compiled=False, python=False) == {}


def test_the_triad_goes_through_three_arrays_beyond_a_cores_caches() -> None:
    found = controls(compiled=True, python=False)["(triad)"]
    assert found["buffers"] == [8 * TRIAD_ELEMENTS] * 3
    assert found["buffers"][0] == 2**24
    assert found["count"] == TRIAD_ELEMENTS


def test_without_a_form_of_this_machine_the_others_remain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "forms_for", lambda _: [])
    assert list(controls(compiled=True, python=True)) == ["(triad)", "(python)"]


def test_a_worker_compiles_and_runs_each_as_it_comes_over_the_pipe() -> None:
    found = Worker()
    for label, order in controls(compiled=True, python=True).items():
        assert found.answer(json.loads(json.dumps({"do": "control", "label": label, **order}))) == {}
        assert found.answer({"do": "time", "label": label, "warmup": 0})["seconds"] > 0
