import json
from pathlib import Path

import pytest

from yolo_perf.analysis.runtime_layers import FREE_OPERATOR, Node, by_leaf, leaf_of, node_cost, read_profile
from yolo_perf.errors import DataError

LEAVES = (
    "model.0.conv",
    "model.0.act",
    "model.1.act",
    "model.2.(own)",
    "model.2.m.0.cv1.conv",
    "model.3.c.cv1",
    "model.9.m",
    "model.12",
    "model.20.cv1.conv",
    "model.24.(own)",
    "model.24.m.0",
)
DEEP = 200_000


def node_event(name: str, operator: str, microseconds: int) -> dict[str, object]:
    """As ONNX Runtime writes it."""
    return {
        "cat": "Node",
        "pid": 1,
        "tid": 2,
        "dur": microseconds,
        "ts": 1,
        "ph": "X",
        "name": f"{name}_kernel_time",
        "args": {"op_name": operator, "node_index": "3", "output_type_shape": [{"float": [1, 16, 16, 16]}]},
    }


def session_event(name: str) -> dict[str, object]:
    return {"cat": "Session", "pid": 1, "tid": 2, "dur": 9000, "ts": 1, "ph": "X", "name": name, "args": {}}


def node(name: str, microseconds: float, operator: str = "Conv") -> Node:
    return Node(name=name, operator=operator, seconds=microseconds / 1e6)


def test_a_profile_is_the_nodes_of_every_run_in_their_order(tmp_path: Path) -> None:
    act = "/model.1/act/Mul/QuickGeluFusion/"
    fence = {**node_event(act, "QuickGelu", 1), "name": f"{act}_fence_before"}
    events = [
        session_event("model_loading_uri"),
        session_event("session_initialization"),
        node_event("/model.1/conv/Conv", "Conv", 900),
        fence,
        node_event(act, "QuickGelu", 341),
        session_event("SequentialExecutor::Execute"),
        session_event("model_run"),
        node_event("/model.1/conv/Conv", "Conv", 800),
        session_event("model_run"),
        node_event("/model.1/conv/Conv", "Conv", 700),  # of a run that never ended
    ]
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(events), encoding="utf-8")
    assert read_profile(path) == [
        (node("/model.1/conv/Conv", 900), node(act, 341, "QuickGelu")),
        (node("/model.1/conv/Conv", 800),),
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'[{"cat":"Node","dur":3,"na',  # cut off
        b"\xff\xfe[]",
        b'[{"name":"\xff"}]',
        b"{}",
        b"null",
        b"[1]",
        b"[{}]",  # no name
        b'[{"name":"a_kernel_time","cat":"Node","dur":"long"}]',
        b'[{"name":"a_kernel_time","cat":"Node","args":[]}]',
        b"[" * DEEP,
        b'[{"name":"a","args":{"x":' + b"[" * DEEP + b"]" * DEEP + b"}}]",
    ],
    ids=[
        "empty",
        "cut",
        "bytes",
        "bytes-inside",
        "object",
        "null",
        "numbers",
        "nameless",
        "words",
        "list",
        "deep",
        "deep-inside",
    ],
)
def test_what_is_no_profile_is_an_error_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "profile.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"Cannot read ONNX Runtime's profile .*profile\.json"):
        read_profile(path)


def test_a_missing_profile_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.json"):
        read_profile(tmp_path / "none.json")


def test_the_profilers_own_time_is_the_lower_quartile_of_nodes_that_move_nothing() -> None:
    free = [5.0, 7.0, 90.0, 4.0, 6.0, 8.0, 3.0]  # over all runs; the quartile of seven is the second
    runs = [
        [node("/a", 0.1), *(node("/view", each, FREE_OPERATOR) for each in free[:4])],
        [node("/view", each, FREE_OPERATOR) for each in free[4:]],
    ]
    assert node_cost(runs) == pytest.approx(4e-6)


def test_without_nodes_that_move_nothing_no_time_is_taken_off() -> None:
    assert node_cost([]) == 0.0
    assert node_cost([[node("/a", 5)], [node("/b", 6)]]) == 0.0
    assert node_cost([[node("/view", 5, FREE_OPERATOR)]]) == 0.0  # one tells too little


@pytest.mark.parametrize(
    ("name", "leaf"),
    [
        ("/model.0/conv/Conv", "model.0.conv"),
        ("/model.0/conv/Conv_output_0_QuantizeLinear", "model.0.conv"),
        ("/model.1/act/Mul/QuickGeluFusion/", "model.1.act"),
        ("/model.2/m/m.0/cv1/conv/Conv_output_0_nchwc", "model.2.m.0.cv1.conv"),
        ("/model.2/Concat", "model.2.(own)"),
        ("/model.3/c/cv1/Conv", "model.3.c.cv1"),  # cv1 is no member of a list c
        ("/model.9/m/MaxPool", "model.9.m"),
        ("/model.9/m_1/MaxPool_output_0_nchwc", "model.9.m"),
        ("/model.9/m_2/MaxPool", "model.9.m"),
        ("/model.12/Concat", "model.12"),
        ("/model.20/cv1/conv/Conv", "model.20.cv1.conv"),  # not of model.2
        ("/model.24/m.0/Conv_quant", "model.24.m.0"),
        ("/model.24/Reshape_4", "model.24.(own)"),
        ("ReorderOutput_token_205", None),
        ("images_QuantizeLinear", None),
        ("", None),
        ("/", None),
        ("/model.7/conv/Conv", None),  # no such leaf here
    ],
)
def test_the_leaf_that_a_nodes_name_tells(name: str, leaf: str | None) -> None:
    assert leaf_of(name, frozenset(LEAVES)) == leaf


def test_seconds_and_operators_by_leaf() -> None:
    nodes = [
        node("/model.0/conv/Conv", 100),
        node("/model.0/act/Sigmoid", 20, "Sigmoid"),
        node("/model.0/act/Mul", 30, "Mul"),
        node("/model.9/m/MaxPool", 7, "MaxPool"),
        node("/model.9/m_1/MaxPool", 8, "MaxPool"),
    ]
    seconds, operators = by_leaf(nodes, LEAVES, cost=5e-6)
    assert seconds == pytest.approx({"model.0.conv": 95e-6, "model.0.act": 40e-6, "model.9.m": 5e-6})
    assert operators == {
        "model.0.conv": ["Conv"],
        "model.0.act": ["Sigmoid", "Mul"],
        "model.9.m": ["MaxPool", "MaxPool"],
    }


def test_a_node_of_the_runtimes_own_belongs_to_the_layer_before_it_or_to_the_first() -> None:
    nodes = [
        node("images_QuantizeLinear", 1, "QuantizeLinear"),
        node("/model.12/Concat", 10, "Concat"),
        node("ReorderOutput_token_205", 100, "ReorderOutput"),
    ]
    seconds, operators = by_leaf(nodes, LEAVES, cost=0.0)
    assert seconds == pytest.approx({"model.0.conv": 1e-6, "model.12": 110e-6})
    assert operators == {"model.0.conv": ["QuantizeLinear"], "model.12": ["Concat", "ReorderOutput"]}


def test_no_node_takes_less_than_nothing() -> None:
    nodes = [node("/model.0/conv/Conv", 100), node("/model.0/conv/View", 3, "Reshape")]
    assert by_leaf(nodes, LEAVES, cost=10e-6)[0] == pytest.approx({"model.0.conv": 90e-6})
    assert by_leaf(nodes[1:], LEAVES, cost=10e-6)[0] == {"model.0.conv": 0.0}
