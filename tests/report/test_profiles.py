from typing import Any

import pytest

from tests.factories import measurement
from yolo_perf.records import FunctionRow, NodeRow, OperatorRow, ProfilerRun, StageRun, StageTimes
from yolo_perf.report.profiles import NEGATIVE, profile
from yolo_perf.report.stages import stages


def profiled(**changes: Any) -> ProfilerRun:
    """Twenty rounds of 40 ms, 50 ms under the profiler."""
    values: dict[str, Any] = {
        "profiler": "cProfile",
        "case": measurement().case,
        "weights": measurement().weights,
        "latency_s": 0.04,
        "profiled_latency_s": 0.05,
        "rounds": 20,
        "planned_rounds": 20,
    }
    return ProfilerRun(**{**values, **changes})


def function(name: str, own_s: float, *, calls: int = 20, primitive: int | None = None) -> FunctionRow:
    return FunctionRow(
        function=name, calls=calls, primitive_calls=primitive or calls, own_s=own_s, total_s=2 * own_s
    )


def operator(name: str, self_s: float, *, memory: int = 0, shapes: str = "") -> OperatorRow:
    return OperatorRow(
        operator=name,
        shapes=shapes,
        calls=20,
        self_s=self_s,
        total_s=2 * self_s,
        memory_bytes=abs(memory),
        self_memory_bytes=memory,
    )


def node(name: str, kind: str, seconds: float, layer: str = "model.0.conv") -> NodeRow:
    return NodeRow(node=name, operator=kind, layer=layer, nodes=1, seconds=seconds)


FUNCTIONS = (
    function("<built-in method torch.conv2d>", 0.6, calls=1200),
    function("modules/module.py:1777(_call_impl)", 0.2, calls=4000, primitive=20),
    function(f"a/{'long_' * 20}.py:1(f)", 0.01),
)
OPERATORS = (
    operator("aten::conv2d", 0.3, memory=40_000_000),
    operator("aten::max_pool2d", 0.1, memory=-2_000_000),
    operator(f"aten::{'long_' * 20}", 12.3, memory=123_456_000_000),
)
NODES = (
    node("/model.0/conv/Conv", "Conv", 0.006),
    node("/model.24/Sigmoid", "Sigmoid", 0.003, "model.24.(own)"),
    node(f"/{'long/' * 20}Conv", "Conv", 0.001, "model.20.m.0.cv1.conv"),
)
EVERY = {"functions": FUNCTIONS, "operators": OPERATORS, "nodes": NODES}


def test_the_table_of_the_functions() -> None:
    assert (
        profile(profiled(functions=FUNCTIONS[:2]), "coco128", 15)
        == """\
cProfile: yolov5n eager, batch 1, 640 px, 2 threads, weights seeded, pictures
coco128
Top 15 of 2 functions by internal time, 20 rounds:
ncalls   tottime s  percall ms  cumtime s  function
─────────────────────────────────────────────────────────────────────────────
1200         0.600       0.500      1.200  <built-in method torch.conv2d>
4000/20      0.200       0.050      0.400  modules/module.py:1777(_call_impl)

The profiler's cost: 50.00 ms a call with it, 40.00 ms without: +25.0 %."""
    )


def test_the_table_of_the_nodes() -> None:
    assert (
        profile(profiled(profiler="ONNX Runtime profiler", nodes=NODES[:2]), "coco128", 15)
        == """\
ONNX Runtime profiler: yolov5n eager, batch 1, 640 px, 2 threads, weights
seeded, pictures coco128
By operator, ms a call, 20 rounds:
operator  nodes    ms     %
───────────────────────────
Conv          1  6.00  66.7
Sigmoid       1  3.00  33.3

Top 15 of 2 nodes:
layer             ms     %  operator  node
────────────────────────────────────────────────────────
model.0.conv    6.00  66.7  Conv      /model.0/conv/Conv
model.24.(own)  3.00  33.3  Sigmoid   /model.24/Sigmoid

The profiler's cost: 50.00 ms a call with it, 40.00 ms without: +25.0 %."""
    )


def test_shares_of_operators_are_of_all_self_time() -> None:
    lines = profile(profiled(operators=OPERATORS[:2]), "coco128", 1).splitlines()
    (line,) = (line for line in lines if line.startswith("conv2d"))
    assert line.split() == ["conv2d", "75.0", "300.00", "150.0", "600.00", "30000", "40", "40", "20"]
    assert "Self CPU time in all: 400.00 ms" in lines
    assert not any(line.startswith("max_pool2d") for line in lines)  # the second of a top of one


def test_shares_of_kinds_are_of_all_nodes_whatever_is_shown() -> None:
    text = profile(profiled(nodes=NODES[:2]), "coco128", 1)
    (line,) = (line for line in text.splitlines() if line.startswith("Conv"))
    assert line.split() == ["Conv", "1", "6.00", "66.7"]


@pytest.mark.parametrize("rows", ["functions", "operators", "nodes"])
def test_it_fits_80_columns_without_colour(rows: str) -> None:
    run = profiled(**{rows: EVERY[rows]}, rounds=3)
    text = profile(run, "a data set of quite some name", 15)
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    assert "\x1b" in profile(run, "coco128", 15, color=True)


def test_negative_self_memory_is_explained_where_it_shows() -> None:
    shown, hidden = (profile(profiled(operators=OPERATORS[:2]), "coco128", top) for top in (2, 1))
    assert NEGATIVE in " ".join(shown.split())
    assert "no leak" not in hidden


def test_shapes_have_a_column_where_they_were_asked_for() -> None:
    with_shapes = operator("aten::conv2d", 0.3, shapes="[[1, 3]]")
    text = profile(profiled(operators=(with_shapes,)), "coco128", 15, width=120)
    assert "input shapes" in text
    assert "[[1, 3]]" in text
    assert "input shapes" not in profile(profiled(operators=OPERATORS), "coco128", 15)


def test_an_interrupted_profile_is_marked() -> None:
    mark = "PARTIAL: interrupted after 7 of 20 rounds."
    assert mark in profile(profiled(functions=FUNCTIONS, rounds=7), "coco128", 15).splitlines()
    assert "PARTIAL" not in profile(profiled(functions=FUNCTIONS), "coco128", 15)


@pytest.mark.parametrize(("seconds", "change"), [(0.05, "+25.0 %"), (0.04, "+0.0 %"), (0.038, "-5.0 %")])
def test_the_profilers_own_cost_ends_every_table(seconds: float, change: str) -> None:
    last = profile(profiled(profiled_latency_s=seconds), "coco128", 15).splitlines()[-1]
    assert last == f"The profiler's cost: {1e3 * seconds:.2f} ms a call with it, 40.00 ms without: {change}."


def staged(*seconds: float, batch: int = 1, backend: str = "eager", **changes: Any) -> StageRun:
    """Inference takes as long as given, loading 10 ms, preprocessing 4 and postprocessing 2."""
    values: dict[str, Any] = {
        "case": measurement(batch=batch, backend=backend).case,
        "weights": measurement().weights,
        "data": "coco128",
        "pictures": 128,
        "cold": False,
        "times": tuple(
            StageTimes(load_s=0.01, preprocess_s=0.004, inference_s=each, postprocess_s=0.002) for each in seconds
        ),
        "planned": len(seconds),
    }
    return StageRun(**{**values, **changes})


def test_the_table_of_the_stages() -> None:
    assert (
        stages([staged(0.02, 0.03), staged(0.024, backend="batched", batch=4)]).partition("\nWarm")[0]
        == """\
yolov5n, 640 px, 2 threads, weights seeded, pictures coco128
optimisation        stage  median ms  p90 ms  share %
─────────────────────────────────────────────────────
eager                load      10.00   10.00     24.4
               preprocess       4.00    4.00      9.8
                inference      25.00   29.00     61.0
              postprocess       2.00    2.00      4.9
                    total      41.00   45.00    100.0

batched x4           load      10.00   10.00     25.0
               preprocess       4.00    4.00     10.0
                inference      24.00   24.00     60.0
              postprocess       2.00    2.00      5.0
                    total      40.00   40.00    100.0
Times a picture, over 2 (eager), 4 (batched) of 128 pictures."""
    )


def test_the_stages_fit_80_columns_without_colour() -> None:
    text = stages(
        [staged(1234.5, data="a data set of some name", planned=3, backend="onnx-static-int8", batch=256)]
    )
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text


def test_interrupted_stages_are_marked() -> None:
    lines = stages([staged(0.02, 0.03), staged(0.02, planned=9)]).splitlines()
    assert [line for line in lines if "PARTIAL" in line] == ["PARTIAL: interrupted after 1 of 9 rounds."]


def test_cold_reads_are_told() -> None:
    assert "\nCold: the system was asked" in stages([staged(0.02, cold=True)])
    assert "\nWarm: " in stages([staged(0.02)])
