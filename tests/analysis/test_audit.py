"""The audit by hand: which share runs in integers, and what the sentence makes of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from tests.factories import accuracy, machine, peaks
from yolo_perf.analysis.audit import Audit, audit, convolution_macs, examine, explain, torch_dynamic
from yolo_perf.analysis.bench import Bench
from yolo_perf.backends.registry import Executed, backends
from yolo_perf.errors import UsageError
from yolo_perf.report.audit import audit as table
from yolo_perf.settings import Settings

MACS = {"model.0.conv": 60, "model.1.conv": 30, "model.24.m.0": 10}


class Host:
    """A bench as far as an audit asks for it."""

    machine = machine(isa=("avx2", "avx512_vnni"))
    peaks = peaks()


def node(name: str, operator: str, *, integer: bool = False) -> Executed:
    return Executed(name=name, operator=operator, convolution="Conv" in operator, integer=integer)


def found(*nodes: Executed) -> Audit:
    case = accuracy("onnx-static-int8").case
    return examine(case, "onnxruntime", nodes, MACS, cast(Bench, Host()))


def test_shares_are_of_the_multiply_accumulates() -> None:
    result = found(
        node("/model.0/conv/Conv_quant", "QLinearConv", integer=True),
        node("/model.1/conv/Conv_nchwc", "Conv"),
        node("/model.24/m.0/Conv", "Conv"),
        node("a", "QuantizeLinear"),
        node("b", "DequantizeLinear"),
        node("/model.0/act/Mul", "QLinearMul"),
    )
    assert result.integer_share == 0.6
    assert result.float_layers == (("model.1.conv", 0.3), ("model.24.m.0", 0.1))
    assert (result.integer_convolutions, result.convolutions) == (1, 3)
    assert (result.converting, result.requantising) == (2, 0)
    assert result.isa == "avx512_vnni"
    assert result.roof_ratio == 2


def test_requantising_convolutions_are_counted() -> None:
    result = found(
        node("/model.0/conv/Conv_quant", "ConvInteger", integer=True), node("q", "DynamicQuantizeLinear")
    )
    assert (result.requantising, result.converting, result.integer_share) == (1, 1, 0.6)


def made(speed_up: float | None, **changes: Any) -> Audit:
    values: dict[str, Any] = {
        "label": "n-onnx-static-int8",
        "engine": "onnxruntime",
        "integer_share": 1.0,
        "float_layers": (),
        "convolutions": 60,
        "integer_convolutions": 60,
        "requantising": 0,
        "converting": 0,
        "isa": "avx512_vnni",
        "roof_ratio": 4.0,
        "seconds": None if speed_up is None else 0.03,
        "float_seconds": None if speed_up is None else 0.03 * speed_up,
    }
    return Audit(**{**values, **changes})


@pytest.mark.parametrize(
    ("audited", "sentence"),
    [
        (
            made(2.5),
            "2.50 times as fast as FP32, because 100.0 % of the convolutions' multiply-accumulates run in integer "
            "kernels and the measured INT8 roof is 4.0 times FP32's (avx512_vnni).",
        ),
        (
            made(1.2, integer_share=0.9, float_layers=(("model.0.conv", 0.1),), converting=4),
            "1.20 times as fast as FP32, because 90.0 % of the convolutions' multiply-accumulates run in integer "
            "kernels and the measured INT8 roof is 4.0 times FP32's (avx512_vnni); held back by 4 nodes that only "
            "convert between floats and integers, and 10.0 % of the multiply-accumulates left in float.",
        ),
        (
            made(0.8, requantising=60, roof_ratio=1.9, isa=""),
            "Slower than (0.80 times as fast as) FP32, because of 60 ConvInteger nodes, whose inputs are "
            "quantised at every call and whose sums are scaled in float, and little to gain: the measured INT8 "
            "roof is 1.9 times FP32's (no dot-product instruction).",
        ),
        (made(0.8), "Slower than (0.80 times as fast as) FP32, for no reason seen here."),
        (
            made(1.0, converting=3),
            "As fast as FP32, because of 3 nodes that only convert between floats and integers.",
        ),
        (
            made(None),
            "Not timed; 100.0 % of the convolutions' multiply-accumulates run in integer kernels, and the "
            "measured INT8 roof is 4.0 times FP32's (avx512_vnni).",
        ),
    ],
)
def test_the_sentence_follows_from_the_audit(audited: Audit, sentence: str) -> None:
    assert explain(audited) == sentence


def test_the_table() -> None:
    rows = [
        made(2.5, utilization=0.45),
        made(None, label="n-openvino-int8", float_layers=(("model.24.m.0", 0.047),)),
    ]
    lines = table(rows, (0, 60)).splitlines()
    assert lines[2:5] == [
        "n-onnx-static-int8     100.0    60/60    0       0    30.00   2.50   45.0",
        "n-openvino-int8        100.0    60/60    0       0        -      -      -",
        "torch dynamic            0.0     0/60    -       -        -      -      -",
    ]
    assert "n-openvino-int8 in float: model.24.m.0 (4.7 %)." in lines
    assert max(map(len, lines)) <= 80


def test_the_macs_of_all_convolutions() -> None:
    macs = convolution_macs("n", 80)
    assert len(macs) == 60
    assert macs["model.24.m.0"] / sum(macs.values()) == pytest.approx(0.047, abs=0.001)


def test_pytorchs_dynamic_quantisation_finds_nothing_to_replace() -> None:
    assert torch_dynamic(Bench(Settings(sizes=("n",), image_size=64)), "n") == (0, 60)


def test_what_is_not_quantised_is_not_audited() -> None:
    with pytest.raises(UsageError, match="eager has nothing to audit"):
        audit(cast(Bench, Host()), "n", backends()["eager"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnx-static-int8", "onnx-dynamic-int8"])
def test_the_runtimes_own_graph(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("YOLO_PERF_CACHE", str(tmp_path))
    monkeypatch.setattr("yolo_perf.analysis.bench.measure_peaks", lambda *_: peaks())
    result = audit(Bench(Settings(sizes=("n",), image_size=96, threads=1)), "n", backends()[name])
    assert result.convolutions == 60
    if name == "onnx-dynamic-int8":
        assert (result.requantising, result.integer_share) == (60, 1)
    else:
        assert result.requantising == 0
        assert result.integer_share == pytest.approx(1 - sum(share for _, share in result.float_layers))
        assert result.integer_convolutions in (55, 56)
    assert explain(replace(result, seconds=1.0, float_seconds=2.0)).startswith("2.00 times as fast")
