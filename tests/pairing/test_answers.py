"""Answers of a side are read by type."""

from typing import Any

import pytest

from yolo_perf.pairing.processes import malformed


@pytest.mark.parametrize(
    ("order", "reply"),
    [
        ({"do": "time"}, {}),
        ({"do": "time"}, {"seconds": "0.1", "host": [0.0] * 5}),
        ({"do": "time"}, {"seconds": True, "host": [0.0] * 5}),
        ({"do": "time"}, {"seconds": float("nan"), "host": [0.0] * 5}),
        ({"do": "time"}, {"seconds": float("inf"), "host": [0.0] * 5}),
        ({"do": "time"}, {"seconds": -1.0, "host": [0.0] * 5}),
        ({"do": "time"}, {"seconds": 0.1, "host": [0, 0, 0, 0, "much"]}),
        ({"do": "time"}, {"seconds": 0.1, "host": [0.0] * 4}),
        ({"do": "time"}, {"seconds": 0.1, "host": [0, 0, 0, 0, float("nan")]}),
        ({"do": "time"}, {"seconds": 0.1, "host": [0, 0, 0, 0, float("inf")]}),
        ({"do": "time"}, {"seconds": 0.1, "host": [0, 0, 0, 0, -1]}),
        ({"do": "time"}, {"seconds": 0.1, "host": [0.0] * 65}),
        ({"do": "open"}, {"tree": "/", "optimizations": "onnx", "libraries": {}, "allocator": "keep"}),
        ({"do": "open"}, {"unavailable": "no"}),
        ({"do": "prepare", "sample": "a.npy"}, {}),
        ({"do": "prepare", "sample": "a.npy"}, {"unavailable": 5}),
        ({"do": "prepare", "sample": "a.npy"}, {"unavailable": ""}),
        ({"do": "prepare", "sample": "a.npy"}, {"seconds": 0.1, "batch": 0, "weights": "00"}),
        ({"do": "control"}, []),
    ],
)
def test_an_answer_of_another_form_is_none(order: dict[str, Any], reply: object) -> None:
    assert malformed(order, reply)


@pytest.mark.parametrize(
    ("order", "reply"),
    [
        ({"do": "time"}, {"seconds": 0.1, "host": [None, 1, 2.5, None, 0]}),
        ({"do": "open"}, {"tree": "/", "optimizations": ["onnx"], "libraries": {"a": "1"}, "allocator": "keep"}),
        ({"do": "prepare", "sample": "a.npy"}, {"seconds": 0.1, "batch": 4, "weights": "00"}),
        ({"do": "prepare", "sample": "a.npy"}, {"unavailable": "no such instruction"}),
        ({"do": "prepare"}, {}),
        ({"do": "control"}, {}),
        ({"do": "of another program"}, {"anything": 1}),
    ],
)
def test_an_answer_of_the_orders_form_is_one(order: dict[str, Any], reply: object) -> None:
    assert malformed(order, reply) == ""


def test_another_program_answers_in_forms_of_its_own() -> None:
    order = {"do": "open"}
    assert malformed(order, {"allocator": "keep"})
    assert malformed(order, {"allocator": "keep"}, {}) == ""
