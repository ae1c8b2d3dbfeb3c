import json
import pstats
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.clocks import Clock
from tests.factories import machine, measurement, peaks, unchecked
from yolo_perf.analysis.bench import Bench
from yolo_perf.analysis.profilers import by_operator, node_rows, profile_with
from yolo_perf.analysis.runtime_layers import Node
from yolo_perf.analysis.work import layer_counts
from yolo_perf.backends.artefacts import ENVIRONMENT
from yolo_perf.backends.registry import Backend, Subject, backends
from yolo_perf.errors import UsageError, YoloPerfError
from yolo_perf.records import NodeRow, ProfilerRun
from yolo_perf.settings import Settings

CONVOLUTIONS = 60
"""Of YOLOv5n, n and s alike: 57 in its blocks and one for each of three levels in its head."""
ROUNDS = 3
SUBJECT = Subject(
    load=lambda: pytest.fail("loaded"),
    weights=measurement().weights,
    calibration_name="",
    calibration=lambda: iter(()),
)


def row(node: str, operator: str, layer: str, seconds: float, nodes: int = 1) -> NodeRow:
    return NodeRow(node=node, operator=operator, layer=layer, nodes=nodes, seconds=seconds)


def ran(convolution: float, reorder: float, sigmoid: float) -> tuple[Node, ...]:
    """One run of three nodes; the second one was put in by the runtime."""
    return (
        Node(name="/model.0/conv/Conv", operator="Conv", seconds=convolution),
        Node(name="reorder_token_3", operator="ReorderInput", seconds=reorder),
        Node(name="/model.1/act/Sigmoid", operator="Sigmoid", seconds=sigmoid),
    )


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Without a model, on a clock of seconds."""
    monkeypatch.setattr("yolo_perf.analysis.bench.measure_peaks", lambda *_: peaks())
    monkeypatch.setattr("yolo_perf.analysis.bench.identify", machine)
    monkeypatch.setattr(Bench, "prepare", unchecked)
    monkeypatch.setattr("yolo_perf.analysis.bench.prepare_subject", lambda *_: SUBJECT)
    return Bench(Settings(sizes=("n",), image_size=32, threads=1, rounds=ROUNDS), Clock(tick=1))


def stub(infer: Callable[[Any], Any]) -> Backend:
    return replace(backends()["eager"], name="stub", prepare=lambda *_: infer)


def look(
    profiler: str, bench: Bench, backend: Backend, *, shapes: bool = False, save: Path | None = None
) -> ProfilerRun:
    return profile_with(profiler, bench, "n", backend, batch=1, shapes=shapes, save=save)


def test_nodes_are_means_over_the_runs_and_the_longest_comes_first() -> None:
    found = node_rows([ran(1, 5, 2), ran(3, 5, 4)], ("model.0.conv", "model.1.act"))
    assert found == [
        row("reorder_token_3", "ReorderInput", "model.0.conv", 5),
        row("/model.1/act/Sigmoid", "Sigmoid", "model.1.act", 3),
        row("/model.0/conv/Conv", "Conv", "model.0.conv", 2),
    ]


def test_nodes_of_an_operator_are_taken_together() -> None:
    nodes = [row("a", "Conv", "x", 0.5), row("b", "Sigmoid", "x", 0.75), row("c", "Conv", "y", 0.5)]
    assert by_operator(nodes) == [row("", "Conv", "", 1.0, nodes=2), row("", "Sigmoid", "", 0.75)]
    assert by_operator([]) == []


@pytest.mark.parametrize(
    ("profiler", "backend", "shapes", "told"),
    [
        ("perf", "eager", False, "Unknown profiler 'perf'. Choose from: cprofile, torch, onnxruntime."),
        ("torch", "onnx", False, "PyTorch's profiler does not see into onnx. Use --with onnxruntime."),
        ("onnxruntime", "eager", False, "ONNX Runtime does not run eager. Use --with torch, or --backend onnx."),
        ("onnxruntime", "batched", False, "ONNX Runtime does not run batched."),
        ("cprofile", "eager", True, "--shapes: only PyTorch's profiler records"),
        ("onnxruntime", "onnx", True, "--shapes: only PyTorch's profiler records"),
    ],
)
def test_what_a_profiler_cannot_see_is_refused(
    bench: Bench, profiler: str, backend: str, shapes: bool, told: str
) -> None:
    with pytest.raises(UsageError) as error:
        look(profiler, bench, backends()[backend], shapes=shapes)
    assert str(error.value).startswith(told)
    assert not bench._subjects


def test_functions_are_called_once_in_every_profiled_round(bench: Bench, tmp_path: Path) -> None:
    calls: list[Any] = []
    found = look("cprofile", bench, stub(calls.append), save=tmp_path / "saved.pstats")
    assert (found.profiler, found.case.id) == ("cProfile", "n-stub-b1-32px-t1")
    assert len(calls) == 2 + 2 * ROUNDS  # two untimed
    (append,) = (each for each in found.functions if "append" in each.function)
    assert append.calls == append.primitive_calls == ROUNDS
    assert (found.latency_s, found.profiled_latency_s, found.overhead) == (1.0, 1.0, 0.0)
    assert found.complete
    saved: Any = pstats.Stats(str(tmp_path / "saved.pstats"))
    assert len(saved.stats) == len(found.functions)


def test_an_interruption_leaves_the_whole_rounds_and_is_marked(bench: Bench) -> None:
    calls: list[int] = []

    def infer(images: Any) -> None:
        calls.append(len(images))
        if len(calls) == 2 + 3:  # the first call of the second round
            raise KeyboardInterrupt

    found = look("cprofile", bench, stub(infer))
    assert (found.rounds, found.planned_rounds, found.complete) == (1, ROUNDS, False)


def test_a_profile_that_cannot_be_written_names_its_file(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(YoloPerfError, match=r"Cannot write .*absent.saved: .*No such file"):
        look("cprofile", bench, stub(len), save=tmp_path / "absent" / "saved")


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    """The real model, on the real clock."""
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "cache"))
    monkeypatch.setenv("KINETO_LOG_LEVEL", "6")
    monkeypatch.setattr("yolo_perf.analysis.bench.measure_peaks", lambda *_: peaks())
    return Bench(Settings(sizes=("n",), image_size=64, threads=1, rounds=ROUNDS))


def is_whole(found: ProfilerRun) -> bool:
    return found.rounds == found.planned_rounds == ROUNDS and min(found.latency_s, found.profiled_latency_s) > 0


@pytest.mark.slow
def test_cprofile_sees_every_convolution(real: Bench) -> None:
    found = look("cprofile", real, backends()["eager"])
    assert is_whole(found)
    (convolution,) = (each for each in found.functions if "torch.conv2d" in each.function)
    assert convolution.calls == CONVOLUTIONS * ROUNDS
    own = [each.own_s for each in found.functions]
    assert own == sorted(own, reverse=True)


@pytest.mark.slow
@pytest.mark.parametrize("shapes", [False, True])
def test_pytorchs_profiler_sees_every_convolution(real: Bench, tmp_path: Path, shapes: bool) -> None:
    found = look("torch", real, backends()["eager"], shapes=shapes, save=tmp_path / "trace.json")
    assert is_whole(found)
    convolutions = [each for each in found.operators if each.operator == "aten::conv2d"]
    assert sum(each.calls for each in convolutions) == CONVOLUTIONS * ROUNDS
    assert (len(convolutions) > 1) is shapes
    assert any("[1, 3, 64, 64]" in each.shapes for each in convolutions) is shapes
    total = [each.total_s for each in found.operators]
    assert total == sorted(total, reverse=True)
    assert json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))["traceEvents"]


@pytest.mark.slow
def test_onnx_runtimes_profiler_tells_the_layer_of_every_node(real: Bench, tmp_path: Path) -> None:
    found = look("onnxruntime", real, backends()["onnx"], save=tmp_path / "trace.json")
    assert is_whole(found)
    assert {each.layer for each in found.nodes} <= {layer.name for layer in layer_counts("n")}
    assert sum("Conv" in each.operator for each in found.nodes) == CONVOLUTIONS
    seconds = [each.seconds for each in found.nodes]
    assert seconds == sorted(seconds, reverse=True)
    together = by_operator(found.nodes)
    assert sum(each.nodes for each in together) == len(found.nodes)
    assert sum(each.seconds for each in together) == pytest.approx(sum(seconds))
    runs = [event for event in json.loads((tmp_path / "trace.json").read_bytes()) if event["name"] == "model_run"]
    assert len(runs) == 1 + ROUNDS
