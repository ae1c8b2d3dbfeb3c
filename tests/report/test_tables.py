from dataclasses import replace

import pytest

from tests.factories import machine, measurement, peaks, run
from yolo_perf.analysis.work import LayerCount
from yolo_perf.records import Comparison
from yolo_perf.report import tables

RUN = run(
    measurement((0.04,)),
    measurement((0.1,), backend="batched", batch=4),
    measurement((0.02,), backend="onnx-static-int8", dtype="int8"),
    measurement((1.25,), size="x"),
)


def test_the_table_of_a_run() -> None:
    assert (
        tables.results(RUN)
        == """\
optimisation        ms/image   FPS  GFLOP/s  util %  bound
────────────────────────────────────────────────────────────
yolov5n  1.87 M params  7.12 MiB  2.00 GMAC  weights seeded
  eager                40.00  25.0    100.0    50.0  compute
  batched x4           25.00  40.0    160.0    80.0  compute
  onnx-static-int8     20.00  50.0    200.0    50.0  compute
yolov5x  1.87 M params  7.12 MiB  2.00 GMAC  weights seeded
  eager                 1250   0.8      3.2     1.6  compute"""
    )


def compared(index: int, verdict: str, ratio: float | None) -> Comparison:
    found = RUN.measurements[index]
    return Comparison(
        label=found.case.label,
        metric="latency",
        verdict=verdict,  # type: ignore[arg-type]
        reason="why",
        ratio=ratio,
        nodeid=found.nodeid,
    )


def test_changes_against_a_baseline() -> None:
    comparisons = (compared(0, "regressed", 1.5), compared(1, "new", None), compared(2, "unchanged", 0.98))
    lines = tables.results(RUN, comparisons).splitlines()
    assert lines[0].endswith("bound    vs baseline")
    assert [line.split()[-2:] for line in lines[3:6]] == [["+50.0", "%"], ["compute", "new"], ["-2.0", "%"]]
    assert lines[-1].endswith("-")


def test_it_fits_80_columns_without_colour() -> None:
    text = tables.results(RUN, (compared(0, "regressed", 1.5),))
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    assert "\x1b" in tables.results(RUN, (compared(0, "regressed", 1.5),), color=True)


def test_a_tally_counts_a_case_by_its_worst_verdict() -> None:
    found = [compared(0, "regressed", 2.0), compared(0, "unchanged", 1.0), compared(1, "unchanged", 1.0)]
    assert tables.tally(found) == "1 regressed, 1 unchanged"
    assert tables.comparison_lines(found) == [("regressed", "REGRESSED n-eager: why")]
    renamed = replace(found[2], renamed_from="old.py::test", nodeid="new.py::test")
    assert tables.comparison_lines([renamed]) == [("unchanged", "RENAMED n-batched: old.py::test -> new.py::test")]


def test_the_machine() -> None:
    text = tables.machine(machine(), peaks())
    assert "AMD EPYC (family 25, model 1, stepping 1)" in text
    assert "peak int8    400.0 Gop/s" in text
    assert "ridge point  5.0 FLOP/B (fp32)" in text


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ({"clock_hz_min": 4e8, "clock_hz_max": 4.7e9}, "clock        0.40-4.70 GHz"),
        ({"clock_reported_is_tsc": True}, "clock        2.40 GHz reported, the time stamp counter's"),
        ({"clock_reported_is_tsc": False, "hypervisor": "KVM"}, "clock        2.40 GHz reported"),
        ({"hypervisor": "KVM"}, "clock        2.40 GHz reported (in a VM: may be the time stamp counter's)"),
        ({"clock_hz_reported": None}, "clock        unknown"),
    ],
)
def test_whose_clock_it_is(told: dict[str, object], line: str) -> None:
    assert line in tables.machine(machine(**told), peaks(), width=100).splitlines()


@pytest.mark.parametrize(
    ("peak", "theoretical"),
    [
        (199e9, "theoretical  200.0 GFLOP/s fp32 at the running clock"),
        (
            201e9,
            "theoretical  200.0 GFLOP/s fp32 at the running clock; the measured peak is above it: the clock moved "
            "between the two measurements",
        ),
    ],
)
def test_the_theoretical_peak_and_its_clock(peak: float, theoretical: str) -> None:
    """A peak above the theoretical one stands as it was measured."""
    roofs = replace(peaks(), flops_per_s={"fp32": peak}, clock_hz_measured=3.126e9, theoretical_flops_per_s=200e9)
    lines = tables.machine(machine(), roofs, width=200).splitlines()
    assert f"peak fp32    {peak / 1e9:.1f} GFLOP/s" in lines
    assert "ran at       3.13 GHz, measured between bursts of FMA" in lines
    assert theoretical in lines


def test_a_theoretical_peak_of_before_is_no_bound() -> None:
    text = tables.machine(machine(), replace(peaks(), theoretical_flops_per_s=50e9), width=200)
    assert "50.0 GFLOP/s fp32, at a clock that the system told: no bound where" in text
    assert "ran at" not in text


def test_extensions_that_do_not_execute_are_said() -> None:
    text = tables.machine(machine(isa_faulting=("avx512_bf16",)), peaks(), width=100)
    assert "left out     avx512_bf16 is among the CPU's flags but does not execute here" in text
    text = tables.machine(machine(isa_faulting=("amx_int8", "amx_tile")), peaks(), width=100)
    assert "left out     amx_int8, amx_tile are among the CPU's flags but do not execute here" in text
    assert "left out" not in tables.machine(machine(), peaks())


def test_the_models() -> None:
    layer = LayerCount(
        name="model.0.act",
        operators={"silu_": 3},
        macs=1000,
        flops={"silu_": 400, "mul": 100},
        bytes=0,
        pointwise_bytes=0,
        weight_bytes=0,
        uncounted={"aten::meshgrid": 1},
    )
    text = tables.models([("n", measurement().work, (layer,))], peaks())
    row = text.splitlines()[2].split()
    assert row == ["yolov5n", "1.87", "7.12", "2.00", "4.00", "7.47", "200.00", "19.3", "5.0", "compute"]
    assert "yolov5n: silu 16.00 %, mul 4.00 %" in text
    assert "In neither: aten::meshgrid 25.00 % of the calls." in text
