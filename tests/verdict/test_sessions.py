from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import machine, measurement, peaks, run
from yolo_perf.records import Comparison, Run
from yolo_perf.verdict.sessions import Margins, compare_runs, steady_latency_s

MARGINS = Margins(latency=0.3, utilization=0.3)
SWAPPED = {"regressed": "improved", "improved": "regressed", "unchanged": "unchanged"}


def verdicts(base: Run, head: Run, margins: Margins = MARGINS) -> dict[str, str]:
    return {c.metric: c.verdict for c in compare_runs(base, head, margins)}


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [
        (0.04, "unchanged"),
        (0.0519, "unchanged"),
        (0.0521, "regressed"),
        (0.0308, "unchanged"),
        (0.0307, "improved"),
    ],
)
def test_a_plain_margin_on_latency(seconds: float, verdict: str) -> None:
    found = verdicts(run(measurement((0.04,))), run(measurement((seconds,))))
    assert found == {"latency": verdict, "utilization": verdict}


def test_each_metric_has_its_own_margin() -> None:
    margins = Margins(latency=1.0, utilization=0.3)
    found = verdicts(run(measurement((0.04,))), run(measurement((0.06,))), margins)
    assert found == {"latency": "unchanged", "utilization": "regressed"}


def test_a_slower_host_is_seen_in_the_latency_and_not_in_the_utilisation() -> None:
    slow_host = replace(peaks(), flops_per_s={"fp32": 100e9, "int8": 200e9})
    found = verdicts(run(measurement((0.04,))), run(measurement((0.08,)), peaks=slow_host))
    assert found == {"latency": "regressed", "utilization": "unchanged"}


def test_a_utilisation_that_falls_at_equal_latency_is_a_regression() -> None:
    """The host became twice as fast, the case did not."""
    fast_host = replace(peaks(), flops_per_s={"fp32": 400e9, "int8": 800e9})
    found = verdicts(run(measurement((0.04,))), run(measurement((0.04,)), peaks=fast_host))
    assert found == {"latency": "unchanged", "utilization": "regressed"}


def test_the_low_quantile_is_compared() -> None:
    """Of 11 rounds the second smallest: one lucky round decides nothing, nor do slow ones."""
    rounds = (0.01, 0.04, *[1.0] * 9)
    assert steady_latency_s(measurement(rounds)) == 0.04
    assert steady_latency_s(measurement((0.4, 0.8), batch=4)) == 0.1


def test_new_and_missing_are_said() -> None:
    base = run(measurement(), measurement(backend="onnx"))
    head = run(measurement(), measurement(backend="batched", batch=4))
    found = compare_runs(base, head, MARGINS)
    assert [(c.label, c.verdict) for c in found if c.verdict != "unchanged"] == [
        ("n-batched", "new"),
        ("n-onnx", "missing"),
    ]
    assert [c.fails for c in found if c.verdict in ("new", "missing")] == [False, True]


def test_what_was_not_asked_for_is_not_missing() -> None:
    base = run(measurement(), measurement(size="x"))
    found = compare_runs(base, run(measurement()), MARGINS, expected=lambda m: m.case.size == "n")
    assert {c.verdict for c in found} == {"unchanged"}


def test_the_reason_of_an_absence_is_told() -> None:
    base = run(measurement(), measurement(backend="onnx"))
    absence = {"benchmarks/test_inference.py::test_inference[n-onnx]": "skipped: no onnxruntime"}
    missing = compare_runs(base, run(measurement()), MARGINS, absence=absence)[-1]
    assert (missing.verdict, missing.reason) == ("missing", "skipped: no onnxruntime")


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"threads": 1}, "threads 2 -> 1"),
        ({"batch": 8}, "batch 1 -> 8"),
        ({"image_size": 320}, "image_size 640 -> 320"),
        ({"dtype": "int8"}, "dtype fp32 -> int8"),
        (
            {"weights": replace(measurement().weights, digest="1" * 64)},
            "weights seeded 00000000 -> seeded 11111111",
        ),
    ],
)
def test_unlike_cases_are_refused_by_name(changes: dict[str, Any], names: str) -> None:
    (found,) = compare_runs(run(measurement()), run(measurement(**changes)), MARGINS)
    assert (found.verdict, found.reason, found.fails) == ("incomparable", names, False)


def test_another_machine_is_refused_by_name() -> None:
    head = run(measurement((0.1,)), machine=machine(cpu_model="Intel Xeon", usable_cores=1))
    (found,) = compare_runs(run(measurement()), head, MARGINS)
    assert found.verdict == "incomparable"
    assert "AMD EPYC" in found.reason
    assert "Intel Xeon" in found.reason


def test_a_case_at_a_second_setting_is_new() -> None:
    base = run(measurement())
    head = run(measurement(), measurement(threads=1))
    assert [c.verdict for c in compare_runs(base, head, MARGINS)] == ["unchanged", "unchanged", "new"]


def test_a_renamed_test_is_compared_and_said() -> None:
    found = compare_runs(
        run(measurement(nodeid="old.py::test")), run(measurement((0.1,), nodeid="new.py::test")), MARGINS
    )
    assert {(c.verdict, c.renamed_from) for c in found} == {("regressed", "old.py::test")}


def test_one_case_in_two_tests_is_compared_within_each() -> None:
    base = run(measurement((0.1,), nodeid="a"), measurement((0.2,), nodeid="b"))
    head = run(measurement((0.2,), nodeid="b"), measurement((0.1,), nodeid="a"))
    assert {c.verdict for c in compare_runs(base, head, MARGINS)} == {"unchanged"}
    assert [c.verdict for c in compare_runs(base, run(measurement((0.2,), nodeid="b")), MARGINS)][-1] == "missing"


def test_nothing_measured_is_all_missing() -> None:
    assert [c.verdict for c in compare_runs(run(measurement()), run(), MARGINS)] == ["missing"]


seconds = st.lists(st.floats(1e-4, 10), min_size=1, max_size=30).map(tuple)


def by_metric(comparisons: tuple[Comparison, ...]) -> dict[str, str]:
    return {c.metric: c.verdict for c in comparisons}


@given(seconds, seconds)
def test_swapping_the_sides_inverts_the_verdict(one: tuple[float, ...], other: tuple[float, ...]) -> None:
    there = by_metric(compare_runs(run(measurement(one)), run(measurement(other)), MARGINS))
    back = by_metric(compare_runs(run(measurement(other)), run(measurement(one)), MARGINS))
    assert back == {metric: SWAPPED[verdict] for metric, verdict in there.items()}


@given(seconds, seconds, st.sampled_from([0.5, 2.0, 8.0]))
def test_scaling_both_sides_leaves_the_verdict(
    one: tuple[float, ...], other: tuple[float, ...], by: float
) -> None:
    """By powers of two, which change no digit of a ratio."""
    plain = by_metric(compare_runs(run(measurement(one)), run(measurement(other)), MARGINS))
    scaled_one, scaled_other = (tuple(s * by for s in rounds) for rounds in (one, other))
    assert by_metric(compare_runs(run(measurement(scaled_one)), run(measurement(scaled_other)), MARGINS)) == plain
