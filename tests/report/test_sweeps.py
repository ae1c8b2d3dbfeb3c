from functools import partial

import pytest

from tests.factories import machine, measurement, run
from yolo_perf.analysis.work import LayerCount
from yolo_perf.records import Case, Memory, PublishedResult, Reference, Timed, Work
from yolo_perf.report.compare import machines
from yolo_perf.report.sweeps import memory, throughput
from yolo_perf.verdict import compare

LONGEST = "onnx-dynamic-int8"
MIB = 2**20


LAYER = LayerCount(  # 4 GFLOP at 640 px
    name="model.0", operators={}, macs=5_000_000, flops={}, bytes=0, pointwise_bytes=0, weight_bytes=0
)


def known(case: Case, classes: int) -> tuple[Work, ...]:
    """Every size has one layer, that the roof of its number format bounds."""
    return (LAYER.work(case.image_size, case.dtype, folded=True),)


column = partial(compare.column, works=known)


def point(rate: float, *, threads: int = 1, batch: int = 1, backend: str = "eager") -> Timed:
    case = Case(size="n", backend=backend, batch=batch, image_size=640, threads=threads)
    return Timed(case=case, round_seconds=(batch / rate,))


def held(backend: str = "eager", *, batch: int = 1) -> Memory:
    return Memory(
        case=measurement(backend=backend, batch=batch).case,
        base_bytes=200 * MIB,
        loaded_bytes=30 * MIB,
        peak_bytes=90 * MIB,
        weight_bytes=7_469_620,  # 7.12 MiB
        activation_bytes=25 * MIB,
    )


LAPTOP = Reference(
    schema=1,
    name="Laptop",
    source="A paper",
    cpu_model="AMD Ryzen",
    physical_cores=8,
    logical_cores=16,
    clock_hz_min=3.2e9,
    clock_hz_max=4.7e9,
    memory_bytes=16 * 2**30,
    data="coco128",
    flops_per_s=800e9,
    bytes_per_s=20e9,
    peaks_method="theoretical",
    notes=("No raw rounds.",),
    results=tuple(
        PublishedResult(
            size="n",
            optimization=name,
            latency_s=latency,
            images_per_s=1 / latency,
            utilization=0.25,
            macs=2_000_000_000,
            parameters=1_867_405,
        )
        for name, latency in (("eager", 0.032), ("best", 0.01))
    ),
)
OWN = run(
    measurement((0.04,)),
    measurement((0.08,), backend="batched", batch=4),
    measurement((0.3,), size="s", backend="onnx", dtype="int8"),
)


def test_throughput_over_batches_and_threads() -> None:
    points = [
        point(10),
        point(11, batch=2),
        point(11.2, batch=4),
        point(16, threads=2),
        point(20, threads=2, batch=2),
        point(50, threads=2, backend="onnx"),
        point(2000, threads=2, backend="onnx", batch=8),
    ]
    assert (
        throughput(points)
        == """\
throughput  threads  batch  ms/image  images/s  par. eff. %
──────────────────────────────────────────────────────────────────────
n-eager           1      1    100.00      10.0        100.0
                  1      2     90.91      11.0        100.0  saturates
                  1      4     89.29      11.2        100.0
                  2      1     62.50      16.0         80.0
                  2      2     50.00      20.0         90.9  saturates
n-onnx            2      1     20.00      50.0            -
                  2      8      0.50      2000            -  saturates
par. eff.: images/s over one thread's times the threads; saturates: within 5 %
of the best batch."""
    )


def test_memory_beside_what_was_expected() -> None:
    assert (
        memory([held(), held(LONGEST, batch=4)])
        == """\
memory, MiB            base loaded peak expected weights activations
────────────────────────────────────────────────────────────────────
n-eager                 200     30   90       32       7          25
n-onnx-dynamic-int8 x4  200     30   90       32       7          25
Loaded and peak: above the base, a process that has imported its engine;
measured apart from timing."""
    )


def test_machines_side_by_side() -> None:
    assert (
        machines([column(LAPTOP), column(OWN)])
        == """\
[1] Laptop, published: 800.0 GFLOP/s fp32, 20.0 GB/s, ridge point 40.0 FLOP/B
    roofs: theoretical
    Source: A paper.
    No raw rounds.
    Efficiency: for 80 classes, 640 px, fp32 and one image a call, at the
    published mean latency, which a low quantile would undercut.
[2] AMD EPYC, 2 cores, measured: 200.0 GFLOP/s fp32, 40.0 GB/s, ridge point 5.0
    FLOP/B
    roofs: by hand

          [1] ms util % eff %  [2] ms util % eff %    x
───────────────────────────────────────────────────────
n-eager    32.00   25.0  15.6   40.00   50.0  50.0 0.80
n-batched      -      -     -   20.00  100.0 100.0    -
n-best     10.00   25.0  50.0   20.00  100.0 100.0 0.50
s-onnx         -      -     -  300.00    3.3   3.3    -
s-best         -      -     -  300.00    3.3   3.3    -
util %: achieved FLOP/s over the machine's roof; a multiply-accumulate is two
    FLOP everywhere.
eff %: the least time under the roofs, layer by layer, over the low quantile of
    the latency.
best of [2]: n batched, s onnx
Efficiency apart by more than 10 % (informs, decides nothing):
  n-eager: [2]/[1] +220.0 %, beyond +10.0 %"""
    )


def test_how_many_times_as_fast_turns_around_with_the_order() -> None:
    lines = machines([column(OWN), column(LAPTOP)]).splitlines()
    (row,) = [line.split() for line in lines if line.startswith("n-eager")]
    assert row == ["n-eager", "40.00", "50.0", "50.0", "32.00", "25.0", "15.6", "1.25"]
    assert lines[-3] == "best of [1]: n batched, s onnx"
    assert lines[-1] == "  n-eager: [2]/[1] -68.8 %, beyond -9.1 %"


def test_one_machine_beside_itself_is_as_fast() -> None:
    lines = machines([column(LAPTOP), column(LAPTOP)]).splitlines()
    assert [line.split()[-1] for line in lines if line.startswith("n-")] == ["1.00", "1.00"]
    assert not any(line.startswith("best of") for line in lines)  # the source names no single optimisation
    assert not any(line.startswith("Efficiency apart") for line in lines)


def test_a_hundred_columns_hold_three_machines_and_ten_changes_of_efficiency() -> None:
    names = (LONGEST, "eager", "onnx")
    slow, fast = (
        column(run(*(measurement((latency,), size=size, backend=name) for size in "nsmlx" for name in names)))
        for latency in (0.75, 0.25)
    )
    lines = machines([slow, fast, fast], width=100).splitlines()
    assert max(len(line) for line in lines) <= 100
    (row,) = [line.split() for line in lines if line.startswith("n-eager ")]
    assert [row[1], row[4], row[7], row[8], row[-1]] == ["750.00", "250.00", "3.00", "250.00", "3.00"]
    changes = lines[lines.index("Efficiency apart by more than 10 % (informs, decides nothing):") + 1 :]
    assert len(changes) == 11
    assert changes[0] == (f"  n-{LONGEST}: [2]/[1] +200.0 %, beyond +10.0 %; [3]/[1] +200.0 %, beyond +10.0 %")
    assert changes[-1] == "  and 5 more"


@pytest.mark.parametrize("color", [False, True])
def test_eighty_columns_hold_the_longest_names_and_figures(color: bool) -> None:
    wide = run(
        *(measurement((999.99,), size=size, backend=LONGEST, dtype="int8") for size in "nsmlx"),
        *(measurement((0.5,), size=size) for size in "nsmlx"),
        machine=machine(cpu_model="Intel(R) Xeon(R) Platinum 8480+ Something Rather Long @ 2.00GHz"),
    )
    texts = [
        machines([column(wide), column(OWN)]),
        machines([column(LAPTOP), column(wide)]),
        throughput([point(0.01, threads=128, batch=256, backend=LONGEST)]),
        memory([held(LONGEST, batch=256)]),
    ]
    assert all(len(line) <= 80 for text in texts for line in text.splitlines())
    assert all("…" not in text for text in texts)
    assert "\x1b[" not in "".join(texts)
    coloured = throughput([point(10)], color=color) + memory([held()], color=color)
    assert ("\x1b[" in coloured) is color
