"""Every table with the longest names and the largest figures that a session of this suite has."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.factories import accuracy, machine, measurement, peaks, run
from tests.report.test_paired import BASE, HEAD, decision, outcome
from yolo_perf.analysis.audit import Audit
from yolo_perf.analysis.work import layer_counts
from yolo_perf.archive.baselines import Shelf
from yolo_perf.archive.histories import Spread
from yolo_perf.archive.result import Result
from yolo_perf.backends.registry import backends
from yolo_perf.pairing.arena import Setup, Subject, Survey
from yolo_perf.pairing.contest import Contender, Contest, Limits
from yolo_perf.proof.calibration import Calibration, CaseNoise
from yolo_perf.records import (
    Comparison,
    FunctionRow,
    Interval,
    Layer,
    LayerProfile,
    Memory,
    NodeRow,
    OperatorRow,
    ProfilerRun,
    Run,
    StageRun,
    StageTimes,
    Timed,
)
from yolo_perf.report.accuracy import accuracy as accuracy_table
from yolo_perf.report.audit import audit
from yolo_perf.report.baselines import listing, saved_run
from yolo_perf.report.calibration import calibration
from yolo_perf.report.contest import contest
from yolo_perf.report.layers import layers
from yolo_perf.report.paired import paired
from yolo_perf.report.profiles import profile
from yolo_perf.report.stages import stages
from yolo_perf.report.sweeps import memory, throughput
from yolo_perf.report.tables import machine as machine_table
from yolo_perf.report.tables import models, results
from yolo_perf.verdict.gate import SUITE, Rules

LONG: dict[str, Any] = {"threads": 128, "image_size": 1280, "size": "x"}
BATCH = 128
NAMES = tuple(backends())
INT8 = [name for name, backend in backends().items() if backend.dtype == "int8"]
SECONDS = 12.345  # an image: a slow machine, a large picture
ROWS = tuple(
    measurement((SECONDS * batch,), backend=name, batch=batch, **LONG)
    for name, batch in ((name, BATCH if backends()[name].batched else 1) for name in NAMES)
)
WHOLE: Run = run(
    *ROWS,
    accuracy=tuple(replace(accuracy(name), case=row.case) for name, row in zip(NAMES, ROWS, strict=True)),
    machine=machine(cpu_model="Intel(R) Xeon(R) Platinum 8480+ CPU @ 2.00GHz", libraries={"torch": "2.13.0+cpu"}),
)
PATH = Path("baselines/intel-xeon-platinum-6-143-8-128c-9cf14f98/0001_baseline.json")


def results_text(**style: Any) -> str:
    found = [
        Comparison(
            label=row.case.label,
            nodeid=row.nodeid,
            metric="accuracy" if index % 2 else "utilization",
            verdict="inconclusive",
            reason="so",
            ratio=None if index % 2 else 2.34,
        )
        for index, row in enumerate(ROWS)
    ]
    return results(WHOLE, found, **style)


def models_text(**style: Any) -> str:
    return models([(size, ROWS[0].work, layer_counts("n")) for size in "nx"], peaks(), **style)


def machine_text(**style: Any) -> str:
    return machine_table(WHOLE.machine, peaks(), **style)


def accuracy_text(**style: Any) -> str:
    return accuracy_table(WHOLE, **style)


def audit_text(**style: Any) -> str:
    rows = [
        Audit(
            label=f"x-{name}",
            engine="onnxruntime",
            integer_share=1.0,
            float_layers=(("model.24.m.0", 0.01),),
            convolutions=60,
            integer_convolutions=60,
            requantising=60,
            converting=128,
            isa="avx512_vnni",
            roof_ratio=4.0,
            seconds=12.3456,
            float_seconds=23.4567,
            utilization=0.999,
        )
        for name in INT8
    ]
    return audit(rows, (0, 60), **style)


def contest_text(**style: Any) -> str:
    contenders = tuple(
        Contender(
            case=row.case,
            set_seconds=(12.34, 123.4, 1.234),
            accuracy=replace(accuracy(), case=row.case, map50_95=0.367 if row.case.backend == "eager" else 0.244),
            memory_bytes=12345 * 2**20,
        )
        for row in ROWS
    )
    found = Contest(
        created="2026", size="x", limits=Limits(max_map_drop=0.01), reference=accuracy(), contenders=contenders
    )
    return contest(found, **style)


def layers_text(**style: Any) -> str:
    layer = Layer(
        name="model.24.m.0.cv1.conv",
        kind="convolution silu",
        leaf=True,
        work=replace(ROWS[0].work, macs=12_340_000_000, activation_bytes=1_234_500_000),
        seconds=1.23456,
        flop_share=1.0,
    )
    found = LayerProfile(
        case=ROWS[5].case,
        weights=ROWS[0].weights,
        peaks=peaks(),
        picture="one",
        layers=(layer,),
        between_s=0.1,
        latency_s=1.5,
        node_cost_s=1e-6,
        rounds=3,
        planned_rounds=200,
    )
    return layers(found, found.layers, "coco128", **style)


def profile_text(**style: Any) -> str:
    found = ProfilerRun(
        profiler="PyTorch profiler",
        case=ROWS[5].case,
        weights=ROWS[0].weights,
        functions=(
            FunctionRow(function="nn/modules/module.py:1234(_call_impl_of_all)", calls=123456,
                        primitive_calls=12345, own_s=123.4, total_s=123.4),
        ),
        operators=(
            OperatorRow(operator="aten::max_pool2d_with_indices", shapes="", calls=12345, self_s=123.4,
                        total_s=123.4, memory_bytes=-123456789000, self_memory_bytes=-123456789000),
        ),
        nodes=(
            NodeRow(node="/model.24/m.0/Conv_quant_with_a_long_name", operator="QLinearConv",
                    layer="model.24.m.0.cv1.conv", nodes=1, seconds=12.3456),
        ),
        latency_s=12.3456,
        profiled_latency_s=23.4567,
        rounds=3,
        planned_rounds=200,
    )  # fmt: skip
    return profile(found, "coco128", 15, **style)


def stages_text(**style: Any) -> str:
    times = StageTimes(load_s=1.2, preprocess_s=1.2, inference_s=123.4, postprocess_s=1.2)
    runs = [
        StageRun(
            case=row.case, weights=row.weights, data="coco128", pictures=128, cold=True, times=(times,), planned=9
        )
        for row in ROWS
    ]
    return stages(runs, **style)


def sweeps_text(**style: Any) -> str:
    points = [Timed(case=row.case, round_seconds=row.round_seconds) for row in ROWS]
    held = [
        Memory(case=row.case, base_bytes=2**34, loaded_bytes=2**34, peak_bytes=2**37, weight_bytes=2**30,
               activation_bytes=2**37)
        for row in ROWS
    ]  # fmt: skip
    return throughput(points, **style) + "\n" + memory(held, **style)


def baselines_text(**style: Any) -> str:
    shelf = Shelf(name=PATH.parent.name, runs=((PATH, WHOLE),) * 12)
    spreads = [Spread(sessions=12, deviation=0.1234)] * len(ROWS)
    return listing([shelf], shelf.name, **style) + "\n" + saved_run(PATH, WHOLE, spreads, **style)


def calibration_text(**style: Any) -> str:
    noise = CaseNoise(session_sd=0.1234, session_floor=0.1234, paired_sd=0.1234, paired_floor=0.1, gateable=False)
    found = Calibration(
        created="2026", machine="m", fingerprint="f", python="3", libraries={}, sessions=16, pairs=16,
        cases={f"x-{name}": noise for name in NAMES},
    )  # fmt: skip
    return calibration(found, PATH, **style)


def paired_text(**style: Any) -> str:
    ratio = Interval(point=1.1234, low=0.8765, high=2.3456, confidence=0.95)
    subjects = tuple(Subject(label=f"x-{n}", size="x", optimization=n, rounds=5, batch=1) for n in NAMES)
    decisions = tuple(
        decision(label, "inconclusive", ratio=ratio, base_s=SECONDS, head_s=SECONDS, detectable=0.1234)
        for label in (*(f"x-{name}" for name in NAMES), f"x-{max(NAMES, key=len)} p90", SUITE)
    )
    found = Result(
        sides=(BASE, HEAD),
        setup=Setup(sizes=("x",), optimizations=(), data=None, image_size=1280, batch=128, threads=128),
        survey=Survey(subjects=subjects, absent=(), libraries=({"torch": "2.12.0"}, {"torch": "2.13.0"})),
        rules=Rules(),
        outcome=replace(outcome(), decisions=decisions),
        seconds=12345.0,
    )
    return paired(found, **style)


TEXTS = {name.removesuffix("_text"): each for name, each in list(globals().items()) if name.endswith("_text")}
IDENTIFIERS = ("profile",)
"""What shortens names on purpose: an operator's, a function's. Figures never."""


@pytest.mark.parametrize("name", TEXTS)
def test_eighty_columns_hold_every_table(name: str) -> None:
    text: str = TEXTS[name](width=80)
    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert ("…" in text) is (name in IDENTIFIERS)


@pytest.mark.parametrize("name", TEXTS)
def test_sixty_columns_hold_the_prose_and_lose_no_figure(name: str) -> None:
    """A table keeps the columns that it needs, and a path stays whole; what can be wrapped is."""
    narrow, wide = (
        [line.split() for line in TEXTS[name](width=width).splitlines() if "─" not in line] for width in (60, 80)
    )
    wrapped = [words for words in narrow if len(words) > 1 and words not in wide]
    assert [words for words in wrapped if len(" ".join(words)) > 60] == []
    assert sorted(word for words in narrow for word in words) == sorted(word for words in wide for word in words)


@pytest.mark.parametrize("name", TEXTS)
def test_colour_adds_nothing_but_colour(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for it decides, whatever the environment says."""
    for variable, value in (("NO_COLOR", "1"), ("TERM", "dumb"), ("FORCE_COLOR", "1")):
        monkeypatch.setenv(variable, value)
    plain, coloured = TEXTS[name](width=80), TEXTS[name](width=80, color=True)
    assert "\x1b" not in plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured).split() == plain.split()
