from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.clocks import Clock
from tests.factories import machine, peaks, unchecked
from yolo_perf.analysis.bench import Bench
from yolo_perf.analysis.layers import efficiency, leaves, lost_seconds, profile_layers, rolled_up
from yolo_perf.analysis.work import LayerCount, layer_counts
from yolo_perf.backends.registry import Backend, Subject, backends
from yolo_perf.errors import UsageError
from yolo_perf.records import Case, Layer, LayerProfile, Peaks, Work
from yolo_perf.settings import Settings

CASE = Case(size="n", backend="eager", batch=1, image_size=64, threads=2)
AREA = 4  # of 64x64 over the 32x32 that is counted
SECONDS = {"model.0.conv": 8.0, "model.2.(own)": 1.0, "model.2.m.0.conv": 4.0, "model.3": 2.0}


def counted(name: str, operators: str, *, macs: int = 0, flops: int = 0, **values: int) -> LayerCount:
    names = operators.split()
    return LayerCount(
        name=name,
        operators=dict.fromkeys(names, 1),
        macs=macs,
        flops={names[0]: flops} if flops else {},
        bytes=values.get("moved", 0),
        pointwise_bytes=values.get("pointwise", 0),
        weight_bytes=values.get("weights", 0),
    )


COUNTS = (
    counted("model.0.conv", "_convolution", macs=600, moved=100, weights=64),
    counted("model.0.act", "silu_", flops=40, pointwise=80),
    counted("model.2.(own)", "cat", moved=32),
    counted("model.2.m.0.conv", "_convolution", macs=300, moved=60, weights=16),
    counted("model.2.m.0.act", "silu_", flops=20, pointwise=48),
    counted("model.2.m.0.(own)", "add mul", flops=10, moved=4, pointwise=8),
    counted("model.3", "_convolution", macs=100, moved=20, weights=4),
)


def work(macs: int, other_flops: int, weight_bytes: int, activation_bytes: int) -> Work:
    return Work(
        macs=macs * AREA,
        other_flops=other_flops * AREA,
        weight_bytes=weight_bytes,
        activation_bytes=activation_bytes * AREA,
    )


def row(found: list[Layer], name: str) -> Layer:
    (layer,) = (layer for layer in found if layer.name == name)
    return layer


def test_every_layer_that_ran_has_its_seconds_and_its_own_work() -> None:
    seconds = {layer.name: float(index + 1) for index, layer in enumerate(COUNTS)}
    found = leaves(COUNTS, CASE, seconds, {"model.0.act": ["Sigmoid", "Mul"]})
    assert [(layer.name, layer.seconds) for layer in found] == list(seconds.items())
    assert [layer.work for layer in found] == [layer.work(64) for layer in COUNTS]
    assert {layer.fused_into for layer in found} == {""}
    assert {layer.leaf for layer in found} == {True}
    assert row(found, "model.0.act").operators == ("Sigmoid", "Mul")
    assert row(found, "model.0.conv").operators == ()
    assert [layer.kind for layer in found[:2]] == ["convolution", "silu"]
    assert found[5].kind == "add mul"


def test_a_layer_that_did_not_run_was_fused_into_the_one_before_it() -> None:
    found = leaves(COUNTS, CASE, SECONDS, {})
    assert {layer.name: layer.fused_into for layer in found if layer.fused_into} == {
        "model.0.act": "model.0.conv",
        "model.2.m.0.act": "model.2.m.0.conv",
        "model.2.m.0.(own)": "model.2.m.0.conv",  # two layers on: into the one that ran
    }
    assert {layer.name: layer.seconds for layer in found if layer.seconds is not None} == SECONDS
    assert [layer.seconds for layer in found if layer.fused_into] == [None] * 3


def test_the_one_that_ran_does_the_work_of_both_without_the_pointwise_bytes() -> None:
    found = leaves(COUNTS, CASE, SECONDS, {})
    assert row(found, "model.0.conv").work == work(600, 40, 64, 100)
    assert row(found, "model.2.m.0.conv").work == work(300, 20 + 10, 16, 60 + 4)
    assert row(found, "model.3").work == work(100, 0, 4, 20)
    # What it would have been by itself stays to be read in its own row.
    assert row(found, "model.0.act").work == work(0, 40, 0, 80)


def test_the_first_layer_runs_by_itself_whatever_the_engine_says() -> None:
    found = leaves(COUNTS, CASE, {}, {})
    assert (found[0].seconds, found[0].fused_into) == (0.0, "")
    assert {layer.fused_into for layer in found[1:]} == {"model.0.conv"}
    assert found[0].work == work(1000, 70, 84, 216)


@pytest.mark.parametrize("batch", [1, 4])
def test_times_are_per_image_and_leaves_partition_them(batch: int) -> None:
    found = leaves(COUNTS, replace(CASE, batch=batch), SECONDS, {})
    assert sum(layer.seconds or 0.0 for layer in found) == 15.0 / batch
    assert row(found, "model.0.conv").seconds == 8.0 / batch
    assert row(found, "model.0.conv").work == work(600, 40, 64 // batch, 100)  # weights are read once a batch


def test_shares_are_of_multiply_accumulates_fused_or_not() -> None:
    for seconds in (SECONDS, {layer.name: 1.0 for layer in COUNTS}):
        found = leaves(COUNTS, CASE, seconds, {})
        assert [layer.flop_share for layer in found] == pytest.approx([0.6, 0.0, 0.0, 0.3, 0.0, 0.0, 0.1])


def test_work_follows_the_cases_number_format() -> None:
    ran = {"model.0.conv": ["QLinearConv"], "model.2.(own)": ["Concat"]}
    narrow = leaves(COUNTS, replace(CASE, dtype="int8"), SECONDS, ran)
    assert row(narrow, "model.0.conv").work == Work(
        macs=2400, other_flops=160, weight_bytes=64 // 4, activation_bytes=4 * 100 // 4
    )
    assert row(narrow, "model.0.conv").dtype == "int8"
    assert row(narrow, "model.2.(own)").dtype == "fp32"  # an 8-bit graph keeps some layers in floats


def test_blocks_stand_ahead_of_their_leaves() -> None:
    rows = rolled_up(leaves(COUNTS, CASE, SECONDS, {}))
    assert [(layer.name, layer.leaf) for layer in rows] == [
        ("model.0", False),
        ("model.0.conv", True),
        ("model.0.act", True),
        ("model.2", False),
        ("model.2.(own)", True),
        ("model.2.m", False),
        ("model.2.m.0", False),
        ("model.2.m.0.conv", True),
        ("model.2.m.0.act", True),
        ("model.2.m.0.(own)", True),
        ("model.3", True),  # a layer at the top is its own block
    ]


def test_a_blocks_figures_are_the_sums_of_its_leaves() -> None:
    rows = rolled_up(leaves(COUNTS, CASE, SECONDS, {}))
    block, inner = row(rows, "model.2"), row(rows, "model.2.m.0")
    assert (block.seconds, inner.seconds) == (5.0, 4.0)
    assert block.flop_share == inner.flop_share == pytest.approx(0.3)
    assert inner.work == work(300, 30, 16, 64)  # what ran by itself carries what was fused into it: counted once
    assert block.work == work(300, 30, 16, 64 + 32)
    assert (block.kind, block.fused_into, block.operators) == ("", "", ())


def test_rolling_up_leaves_the_leaves_as_they_are() -> None:
    found = leaves(COUNTS, CASE, SECONDS, {})
    assert [layer for layer in rolled_up(found) if layer.leaf] == found
    assert rolled_up([]) == []


def test_efficiency_is_the_least_time_over_the_time_taken() -> None:
    roofs = Peaks(flops_per_s={"fp32": 100.0, "int8": 400.0}, bytes_per_s=10.0, threads=2, method="by hand")
    heavy = Layer(
        name="model.0.conv",
        kind="convolution",
        leaf=True,
        work=Work(macs=500, other_flops=0, weight_bytes=10, activation_bytes=10),  # 10 s, or 2 s of memory
        seconds=40.0,
        flop_share=1.0,
    )
    assert efficiency(heavy, CASE, roofs) == 0.25
    assert lost_seconds(heavy, CASE, roofs) == 30.0
    assert efficiency(replace(heavy, dtype="int8"), replace(CASE, dtype="int8"), roofs) == 2.5 / 40
    cached = replace(heavy, seconds=5.0)
    assert efficiency(cached, CASE, roofs) == 2.0  # never clipped
    assert lost_seconds(cached, CASE, roofs) == -5.0


def test_a_layer_without_a_time_has_no_efficiency_and_loses_nothing() -> None:
    roofs = peaks()
    for layer in leaves(COUNTS, CASE, {}, {}):  # the first took no time at all, the others were fused
        assert efficiency(layer, CASE, roofs) is None
        assert lost_seconds(layer, CASE, roofs) < 0


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Roofs and a machine at no cost."""
    monkeypatch.setattr("yolo_perf.analysis.bench.measure_peaks", lambda *_: peaks())
    monkeypatch.setattr("yolo_perf.analysis.bench.identify", machine)
    monkeypatch.setattr(Bench, "prepare", unchecked)
    monkeypatch.setattr("yolo_perf.analysis.eager_layers.hook_cost", lambda: 0.0)
    yield


def ticking(rounds: int | None = None) -> Bench:
    return Bench(Settings(sizes=("n",), image_size=32, threads=1, rounds=rounds), Clock(tick=1))


def interrupted(backend: Backend, call: int) -> Backend:
    """The backend with Ctrl-C in the given inference, from 1."""

    def module(subject: Subject, case: Case) -> Any:
        model = deepcopy(subject.model)
        calls = 0

        def counted(*_: object) -> None:
            nonlocal calls
            calls += 1
            if calls == call:
                raise KeyboardInterrupt

        model.register_forward_pre_hook(counted)
        return model

    return replace(backend, module=module)


def test_eagers_layers_by_a_clock_of_seconds(by_hand: None) -> None:
    """Each module call looks twice: a leaf lasts one second a call, and n calls make 2 n - 1 seconds."""
    bench = ticking()
    profile = profile_layers(bench, "n", backends()["eager"])
    times = {layer.name: layer.seconds for layer in profile.leaves}
    assert (times["model.0.conv"], times["model.0.act"], times["model.9.m"]) == (1.0, 1.0, 3.0)
    assert times["model.2.(own)"] == 4 + 1  # four modules run in it: five seconds between six looks
    calls = 0

    def called(*_: object) -> None:
        nonlocal calls
        calls += 1

    model = bench.subject("n").model
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        module.register_forward_pre_hook(called)
    backends()["eager"].prepare(bench.subject("n"), profile.case)(bench.images(1))
    assert profile.layers_s == 2 * calls - 1
    assert profile.latency_s == 1.0
    assert (profile.rounds, profile.planned_rounds, profile.complete) == (5, 5, True)
    assert profile.case.id == "n-eager-b1-32px-t1"
    assert profile.node_cost_s == 0.0
    assert [layer.name for layer in profile.leaves] == [layer.name for layer in layer_counts("n")]


def test_a_batchs_times_are_per_image(by_hand: None) -> None:
    one = profile_layers(ticking(rounds=1), "n", backends()["batched"], batch=1)
    four = profile_layers(ticking(rounds=1), "n", backends()["batched"], batch=4)
    assert (one.case.batch, four.case.batch) == (1, 4)
    assert four.layers_s == one.layers_s / 4
    assert four.between_s == one.between_s / 4
    assert four.latency_s == one.latency_s / 4
    assert [layer.work.flops for layer in four.layers] == [layer.work.flops for layer in one.layers]


def test_an_interruption_keeps_whole_rounds_and_says_so(by_hand: None) -> None:
    """Two untimed calls, two rounds of two, then Ctrl-C."""
    profile = profile_layers(ticking(), "n", interrupted(backends()["eager"], 7))
    assert (profile.rounds, profile.planned_rounds, profile.complete) == (2, 5, False)
    assert row(list(profile.layers), "model.9.m").seconds == 3.0
    assert profile.latency_s == 1.0


@pytest.mark.parametrize("call", [1, 4])  # untimed; the first under hooks
def test_an_interruption_before_the_first_round_is_whole_goes_on(by_hand: None, call: int) -> None:
    bench = ticking()
    with pytest.raises(KeyboardInterrupt):
        profile_layers(bench, "n", interrupted(backends()["eager"], call))
    assert not any(module._forward_hooks for module in bench.subject("n").model.modules())


def test_a_backend_whose_layers_cannot_be_told_apart() -> None:
    whole = replace(backends()["eager"], name="compiled", module=None)
    with pytest.raises(UsageError, match="The layers of compiled cannot be timed one by one"):
        profile_layers(Bench(Settings(sizes=("n",))), "n", whole)


def check_sums(profile: LayerProfile) -> None:
    assert profile.complete
    assert profile.rounds >= 5
    for layer in profile.leaves:
        assert (layer.seconds is None) == bool(layer.fused_into), layer.name
        assert layer.seconds is None or layer.seconds >= 0, layer.name
    spent = sum(layer.seconds or 0.0 for layer in profile.leaves)
    assert spent + profile.between_s == profile.layers_s > 0
    assert profile.between_s >= 0
    blocks = [layer for layer in profile.layers if not layer.leaf]
    assert len(blocks) > 25
    for block in blocks:
        inside = [layer for layer in profile.leaves if layer.name.startswith(f"{block.name}.")]
        assert inside, block.name
        assert block.seconds == pytest.approx(sum(layer.seconds or 0.0 for layer in inside)), block.name
        assert block.flop_share == pytest.approx(sum(layer.flop_share for layer in inside)), block.name
        ran = [layer.work.flops for layer in inside if layer.seconds is not None]
        assert not ran or block.work.flops == sum(ran), block.name
    top = [layer for layer in profile.layers if layer.name.count(".") == 1]
    assert len(top) == 25
    assert sum(layer.seconds or 0.0 for layer in top) == pytest.approx(spent)
    assert sum(layer.flop_share for layer in top) == pytest.approx(1.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["eager", "onnx"])
def test_a_real_models_layers_add_up(
    name: str, by_hand: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    monkeypatch.setenv("YOLO_PERF_CACHE", str(tmp_path / "cache"))
    profile = profile_layers(
        Bench(Settings(sizes=("n",), image_size=160, threads=1, budget_s=0.3)), "n", backends()[name]
    )
    check_sums(profile)
    assert len(profile.leaves) == 141
    assert sum(layer.work.macs for layer in profile.leaves if layer.seconds is not None) == 2_234_675_200 // 16
    assert list(scratch.glob("yolo-perf-*")) == []
    if name == "eager":
        assert not any(layer.fused_into for layer in profile.leaves)
        assert profile.node_cost_s == 0.0
    else:
        assert profile.between_s == 0.0
        operators = {layer.name: layer.operators for layer in profile.leaves}
        assert "Conv" in operators["model.0.conv"]
        assert operators["model.9.m"].count("MaxPool") == 3
        assert sum(names.count("Conv") for names in operators.values()) == 60
