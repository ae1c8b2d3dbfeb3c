import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, strategies

from tests.factories import machine, measurement, peaks, run
from yolo_perf.analysis.roofline import roof_seconds
from yolo_perf.analysis.work import LayerCount, count, works_of
from yolo_perf.archive.baselines import locate_saved, save_baseline
from yolo_perf.archive.saved_run import block, read_run, read_saved
from yolo_perf.errors import BaselineError
from yolo_perf.machine.naming import slug
from yolo_perf.records import STAGES, Case, PublishedResult, Reference, Run, Weights, Work
from yolo_perf.verdict.compare import BEST, Cell, Column, column, efficiency_changes, rows
from yolo_perf.yolov5.sizes import SIZES

SHIPPED = Path(__file__).parents[2] / "baselines" / "reference" / "ryzen-7-6800hs.json"
BEYOND = 4_000_000_000  # FLOP of the factory's measurement
EMPTY: dict[str, Any] = {"operators": {}, "flops": {}, "pointwise_bytes": 10**9}
# Of one image at 640 px, so 400 times the area: 2 GFLOP and 40 MB; 80 MB and 40 MB of weights.
LAYERS = (
    LayerCount(name="compute", macs=2_500_000, bytes=100_000, weight_bytes=0, **EMPTY),
    LayerCount(name="memory", macs=0, bytes=200_000, weight_bytes=40_000_000, **EMPTY),
)
ROOF_S = 0.010 + (0.002 + 0.001)  # at 200 GFLOP/s and 40 GB/s
BATCH_4_ROOF_S = 0.010 + (0.002 + 0.001 / 4)  # the four share one reading of the weights
INT8_ROOF_S = 0.005 + (0.002 + 0.001) / 4  # at 400 Gop/s, and a byte an element
LAPTOP_ROOF_S = 0.0025 + (0.004 + 0.002)  # at 800 GFLOP/s and 20 GB/s


def known(case: Case, classes: int) -> tuple[Work, ...]:
    """Every published size has LAYERS, whatever its classes."""
    assert classes == 80
    if case.size not in SIZES:
        return ()
    return tuple(layer.work(case.image_size, case.dtype, folded=True) for layer in LAYERS)


column_known = partial(column, works=known)
column_real = partial(column, works=works_of)


def cell(latency_s: float, utilization: float, efficiency: float | None, *, of: str = "", rate: float = 0) -> Cell:
    """A cell whose efficiency may differ in the last digit."""
    about: Any = pytest.approx(efficiency)
    images_per_s = rate or 1 / latency_s
    return Cell(latency_s=latency_s, images_per_s=images_per_s, utilization=utilization, efficiency=about, of=of)


def result(size: str = "n", optimization: str = "eager", **changes: Any) -> PublishedResult:
    values: dict[str, Any] = {
        "size": size,
        "optimization": optimization,
        "latency_s": 0.02,
        "images_per_s": 49.9,  # published, not computed of the latency
        "utilization": 0.25,
        "macs": 2_000_000_000,
        "parameters": 1_867_405,
    }
    return PublishedResult(**{**values, **changes})


def reference(*results: PublishedResult, **changes: Any) -> Reference:
    values: dict[str, Any] = {
        "schema": 1,
        "name": "Laptop",
        "source": "A paper",
        "cpu_model": "AMD Ryzen",
        "physical_cores": 8,
        "logical_cores": 16,
        "clock_hz_min": 3.2e9,
        "clock_hz_max": 4.7e9,
        "memory_bytes": 16 * 2**30,
        "data": "coco128",
        "flops_per_s": 800e9,
        "bytes_per_s": 20e9,
        "peaks_method": "theoretical",
        "notes": ("No raw rounds.",),
        "results": results or (result(), result(optimization=BEST)),
        "stage_shares": {"n": {"load": 0.1, "inference": 0.9}},
    }
    return Reference(**{**values, **changes})


def write_reference(path: Path, **changes: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"yolo_perf_reference": {**msgspec.to_builtins(reference()), **changes}}))
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two baselines of this machine and one reference."""
    found = tmp_path / "baselines"
    for seconds in (0.04, 0.08):
        save_baseline({"yolo_perf": block(run(measurement((seconds,))))}, found, machine())
    write_reference(found / "reference" / "laptop.json")
    return found


def test_the_fastest_optimisation_of_each_size_stands_under_best_too() -> None:
    found = column_known(
        run(
            measurement((0.04, 0.05, 0.09)),
            measurement((0.08,), backend="batched", batch=4),  # 0.02 an image: the fastest, though not its round
            measurement((0.025,), backend="onnx"),
            measurement((0.30,), size="s", backend="onnx"),
        )
    )
    s_use = BEYOND / 0.30 / 200e9
    assert found.cells == {
        ("n", "eager"): cell(0.05, 0.4, ROOF_S / 0.04),  # of the median, but efficiency of the low quantile
        ("n", "batched"): cell(0.02, 1.0, BATCH_4_ROOF_S / 0.02),
        ("n", "onnx"): cell(0.025, BEYOND / 0.025 / 200e9, ROOF_S / 0.025),
        ("s", "onnx"): cell(0.30, s_use, ROOF_S / 0.30),
        ("n", BEST): cell(0.02, 1.0, BATCH_4_ROOF_S / 0.02, of="batched"),
        ("s", BEST): cell(0.30, s_use, ROOF_S / 0.30, of="onnx"),
    }
    assert (found.name, found.published, found.notes) == ("AMD EPYC, 2 cores", False, ())
    assert (found.flops_per_s, found.bytes_per_s, found.method) == (200e9, 40e9, "by hand")


def test_the_best_one_is_set_beside_the_roof_of_its_own_number_format() -> None:
    found = column_known(run(measurement((0.04,)), measurement((0.02,), backend="int8", dtype="int8")))
    assert found.cells["n", BEST] == cell(0.02, 0.5, INT8_ROOF_S / 0.02, of="int8")
    assert found.flops_per_s == 200e9  # the machine's roof stays the one of fp32


def test_the_measured_clock_stands_beside_the_roofs() -> None:
    saved = replace(run(), peaks=replace(run().peaks, clock_hz_measured=3.126e9))
    assert column_real(saved).method == "by hand; clock 3.13 GHz, measured"


def test_a_run_without_inference_is_a_column_of_roofs_alone() -> None:
    found = column_real(run())
    assert found.cells == {}
    assert rows([found]) == []


def test_published_figures_are_taken_as_they_are() -> None:
    found = column_known(reference())
    published = cell(0.02, 0.25, LAPTOP_ROOF_S / 0.02, rate=49.9)
    assert found.cells == {("n", "eager"): published, ("n", BEST): published}
    assert all(each.of == "" for each in found.cells.values())
    assert (found.name, found.published) == ("Laptop", True)
    assert (found.flops_per_s, found.bytes_per_s, found.method) == (800e9, 20e9, "theoretical")
    assert found.notes[:2] == ("Source: A paper.", "No raw rounds.")
    assert found.notes[2].startswith("Efficiency: for 80 classes, 640 px, fp32 and one image a call, at the")


@pytest.mark.parametrize(
    "changes",
    [
        {"size": "q"},
        {"image_size": 100},
        {"weights": Weights(source="w", digest="0", parameters=1, classes=10**12)},
    ],
)
def test_a_model_that_is_not_ours_has_no_efficiency(changes: dict[str, Any]) -> None:
    found = column_real(run(measurement((0.04,), **changes)))
    assert [each.efficiency for each in found.cells.values()] == [None, None]
    assert efficiency_changes([found, found]) == ()


def test_layers_of_their_own_take_at_least_as_long_as_the_whole() -> None:
    found = column_real(run(measurement((0.04,)), measurement((0.04,), backend="onnx", image_size=64)))
    whole = roof_seconds(count("n"), peaks())
    assert found.cells["n", "eager"].efficiency is not None
    assert whole / 0.04 < found.cells["n", "eager"].efficiency < 1
    assert found.cells["n", "onnx"].efficiency != found.cells["n", "eager"].efficiency


def beside(*efficiencies: dict[str, float | None]) -> list[Column]:
    """Machines with these efficiencies of yolov5n by optimisation."""
    return [
        Column(
            name="",
            published=False,
            flops_per_s=1.0,
            bytes_per_s=1.0,
            method="",
            cells={
                ("n", name): Cell(latency_s=1.0, images_per_s=1.0, utilization=1.0, efficiency=efficiency)
                for name, efficiency in each.items()
            },
        )
        for each in efficiencies
    ]


def test_efficiencies_are_set_beside_the_first_machines() -> None:
    first: dict[str, float | None] = {"eager": 0.4, "onnx": 0.5, "own": 0.5, "int8": None, BEST: 0.5}
    second: dict[str, float | None] = {"eager": 0.6, "onnx": 0.52, "int8": 0.3, BEST: 0.9}
    third: dict[str, float | None] = {"eager": 0.3, "onnx": None, "other": 0.3}
    found = efficiency_changes(beside(first, second, third))
    assert [(each.label, each.metric, each.verdict, each.reason) for each in found] == [
        ("n-eager", "efficiency", "improved", "[2]/[1] +50.0 %, beyond +10.0 %"),
        ("n-eager", "efficiency", "regressed", "[3]/[1] -25.0 %, beyond -9.1 %"),
        ("n-onnx", "efficiency", "inconclusive", "[2]/[1] +4.0 %, within 10 %"),
    ]
    assert [each.ratio for each in found] == pytest.approx([1.5, 0.75, 1.04])


def test_one_machine_has_no_change_of_efficiency() -> None:
    assert efficiency_changes(beside({"eager": 0.4})) == ()
    assert efficiency_changes([]) == ()


@given(
    one=strategies.floats(1e-3, 1e3),
    other=strategies.floats(1e-3, 1e3),
    margin=strategies.floats(0.01, 1),
)
def test_turning_the_machines_around_turns_the_verdict_around(one: float, other: float, margin: float) -> None:
    opposite = {"improved": "regressed", "regressed": "improved", "inconclusive": "inconclusive"}
    (ahead,) = efficiency_changes(beside({"eager": one}, {"eager": other}), margin)
    (back,) = efficiency_changes(beside({"eager": other}, {"eager": one}), margin)
    apart = max(other / one, one / other) / (1 + margin)
    assume(abs(apart - 1) > 1e-9)  # at the margin itself the last digit decides
    assert back.verdict == opposite[ahead.verdict]
    assert ahead.verdict != "unchanged"


def test_rows_go_by_size_then_as_first_seen_with_the_best_last() -> None:
    published = reference(result("x", BEST), result("x"), result("q"), result("n", BEST), result("n"))
    own = run(
        measurement((0.5,), size="s", backend="onnx"),
        measurement((0.02,), backend="onnx"),
        measurement((0.04,)),
    )
    assert rows([column_real(published), column_real(own)]) == [
        ("n", "eager"),
        ("n", "onnx"),
        ("n", BEST),
        ("s", "onnx"),
        ("s", BEST),
        ("x", "eager"),
        ("x", BEST),
        ("q", "eager"),  # a size that is not ours
    ]
    assert rows([]) == []


def test_a_reference_survives_the_file_and_a_run_is_told_apart(folder: Path) -> None:
    assert read_saved(folder / "reference" / "laptop.json") == reference()
    saved = read_saved(folder / slug(machine()) / "0001_baseline.json")
    assert isinstance(saved, Run)
    assert saved == run(measurement((0.04,)))


def test_a_reference_is_no_baseline_and_the_hint_says_what_it_is_for(folder: Path) -> None:
    path = folder / "reference" / "laptop.json"
    with pytest.raises(BaselineError, match="without raw rounds: it is no baseline") as error:
        read_run(path)
    assert str(error.value).endswith(f"yolo-perf compare {path}")


def test_a_saved_run_is_found_by_path_by_reference_or_by_machine(folder: Path) -> None:
    first = folder / slug(machine()) / "0001_baseline.json"
    assert locate_saved(str(first), folder) == first
    assert locate_saved("laptop", folder) == folder / "reference" / "laptop.json"
    assert locate_saved(slug(machine()), folder) == first.with_name("0002_baseline.json")


@pytest.mark.parametrize("name", ["nothing", "", ".", "reference", "a/b/c.json", "laptop.json"])
def test_an_unknown_name_lists_what_there_is(folder: Path, name: str) -> None:
    with pytest.raises(BaselineError) as error:
        locate_saved(name, folder)
    known = f"laptop, ryzen-7-6800hs, {slug(machine())}"
    assert str(error.value) == f"No saved run {name!r}. Give a file, or one of those in {folder}: {known}."


def test_an_unknown_name_where_there_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match=r"one of those in .*none: ryzen-7-6800hs\.$"):
        locate_saved("laptop", tmp_path / "none")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"yolo_perf_reference": ', "damaged"),
        (b'{"yolo_perf_reference": 1}', "damaged"),
        (b'{"yolo_perf_reference": null}', "not written by yolo-perf"),
        (b'{"yolo_perf_reference": {"schema": 1}}', "damaged"),
        (b'{"yolo_perf_reference": {"schema": 0}}', "damaged"),
        (b'{"yolo_perf_reference": {"schema": 99}}', "has schema 99, this yolo-perf reads up to 1. Upgrade"),
        (b'{"yolo_perf_reference": ' + b"[" * 200_000, "damaged"),
        (b'{"yolo_perf_reference": {"schema": 1, "notes": ' + b"[" * 99_999 + b"]" * 99_999 + b"}}", "damaged"),
        (b'{"yolo_perf_reference": {"schema": 1, "name": "\xff"}}', "damaged"),
    ],
)
def test_a_damaged_reference_is_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "reference.json"
    path.write_bytes(content)
    with pytest.raises(BaselineError, match=message) as error:
        read_saved(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"flops_per_s": float("nan")},
        {"flops_per_s": 0},
        {"bytes_per_s": float("inf")},
        {"bytes_per_s": -1.0},
        {"physical_cores": 0},
        {"results": []},
        {"results": [{**msgspec.to_builtins(result()), "latency_s": float("nan")}]},
        {"results": [{**msgspec.to_builtins(result()), "latency_s": 0}]},
        {"results": [{**msgspec.to_builtins(result()), "utilization": 101}]},
        {"stage_shares": {"n": {"load": float("nan")}}},
        {"name": None},
    ],
)
def test_figures_that_cannot_be_are_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(BaselineError, match="damaged"):
        read_saved(write_reference(tmp_path / "reference.json", **changes))


def test_a_run_wins_where_a_file_holds_both(tmp_path: Path) -> None:
    path = tmp_path / "both.json"
    own = run(measurement(), peaks=peaks())
    path.write_text(json.dumps({"yolo_perf": block(own), "yolo_perf_reference": msgspec.to_builtins(reference())}))
    assert read_saved(path) == own


@pytest.fixture(scope="module")
def shipped() -> Reference:
    found = read_saved(SHIPPED)
    assert isinstance(found, Reference)
    return found


def test_the_shipped_reference_has_every_size_twice(shipped: Reference) -> None:
    cases = [(each.size, each.optimization) for each in shipped.results]
    assert sorted(cases) == sorted((size, name) for size in SIZES for name in ("eager", BEST))


def test_the_shipped_roof_counts_a_multiply_accumulate_as_two(shipped: Reference) -> None:
    assert shipped.flops_per_s == 2 * 410e9
    assert "410 G multiply-accumulates/s" in shipped.peaks_method
    assert shipped.flops_per_s / shipped.bytes_per_s == pytest.approx(29.18, abs=0.005)


def test_the_shipped_utilisations_follow_from_the_shipped_latencies(shipped: Reference) -> None:
    for each in shipped.results:
        recomputed = 2 * each.macs / each.latency_s / shipped.flops_per_s
        assert recomputed == pytest.approx(each.utilization, abs=0.0002), each


def test_the_shipped_rates_are_the_latencies_to_the_printed_digit(shipped: Reference) -> None:
    for each in shipped.results:
        assert round(1 / each.latency_s, 2) == each.images_per_s, each
        # A rate of two decimals leaves the latency open between these two.
        shortest, longest = 1 / (each.images_per_s + 0.005), 1 / (each.images_per_s - 0.005)
        assert shortest <= each.latency_s <= longest, each


def test_the_shipped_models_are_the_same_under_both_optimisations(shipped: Reference) -> None:
    for size in SIZES:
        assert len({(each.macs, each.parameters) for each in shipped.results if each.size == size}) == 1


def test_the_shipped_stage_shares_are_whole(shipped: Reference) -> None:
    assert list(shipped.stage_shares) == list(SIZES)
    for shares in shipped.stage_shares.values():
        assert tuple(shares) == STAGES
        assert sum(shares.values()) == pytest.approx(1, abs=0.0003)
