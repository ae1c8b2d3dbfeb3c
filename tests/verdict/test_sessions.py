import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import machine, measurement, peaks, run
from yolo_perf.analysis.work import works_of
from yolo_perf.archive.baselines import save_baseline
from yolo_perf.archive.histories import history_to
from yolo_perf.archive.saved_run import BLOCK, block, read_run
from yolo_perf.records import Comparison, Peaks, Run, Work
from yolo_perf.units import signed_percent
from yolo_perf.verdict import sessions
from yolo_perf.verdict.sessions import (
    SessionRules,
    compute_share,
    machine_differences,
    steady_latency_s,
)

compare_runs = partial(sessions.compare_runs, works=works_of)
MARGINS = SessionRules(latency_margin=0.3, utilization_margin=0.3, default_sd=0.001)
"""With next to no noise: the margins decide."""
SWAPPED = {"regressed": "improved", "improved": "regressed", "unchanged": "unchanged"}


def verdicts(base: Run, head: Run, rules: SessionRules = MARGINS) -> dict[str, str]:
    return by_metric(compare_runs([base], head, rules))


def by_metric(comparisons: tuple[Comparison, ...]) -> dict[str, str]:
    return {c.metric: c.verdict for c in comparisons}


def test_the_clock_of_a_session_makes_no_other_machine() -> None:
    """What was measured moves from run to run, and files of before have none."""
    base = run(measurement())
    told = machine(clock_reported_is_tsc=True, isa_faulting=("avx512_bf16",))
    head = replace(base, machine=told, peaks=replace(base.peaks, clock_hz_measured=2.6e9))
    assert machine_differences(base.machine, head.machine) == ""
    assert set(verdicts(base, head).values()) == {"unchanged"}


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
    rules = replace(MARGINS, latency_margin=1.0)
    found = verdicts(run(measurement((0.04,))), run(measurement((0.06,))), rules)
    assert found == {"latency": "unchanged", "utilization": "regressed"}


def slowed_host(by: float) -> Peaks:
    """Both roofs lower by a factor."""
    return replace(peaks(), flops_per_s={"fp32": 200e9 / by, "int8": 400e9 / by}, bytes_per_s=40e9 / by)


def test_a_slower_host_excuses_the_latency_and_leaves_the_utilisation() -> None:
    """Raw and adjusted have to agree: half as much a second everywhere, twice the seconds."""
    head = run(measurement((0.08,)), peaks=slowed_host(2))
    latency, use = compare_runs([run(measurement((0.04,)))], head, MARGINS)
    assert (latency.verdict, use.verdict) == ("unchanged", "unchanged")
    assert latency.reason == (
        "latency +100.0 %, beyond +30.0 %, but +0.0 % where the machine's own drift is taken off "
        "(1 session, default noise)"
    )


def test_a_host_that_is_as_it_was_excuses_nothing() -> None:
    """Nor does one that became faster: the adjusted figure then is the worse one."""
    faster = run(measurement((0.08,)), peaks=slowed_host(0.5))
    (latency, _) = compare_runs([run(measurement((0.04,)))], faster, MARGINS)
    assert latency.verdict == "regressed"
    assert latency.reason.startswith(
        "latency +100.0 %, beyond +30.0 % (+300.0 % where the machine's own drift is taken off) (1"
    )


def test_the_roofs_after_the_session_count_as_much_as_those_before() -> None:
    """Half the speed before, as fast as ever after: excused by the square root of two."""
    head = run(measurement((0.04 * 1.41,)), peaks=slowed_host(2), peaks_after=peaks())
    assert head.host_peaks.bytes_per_s == pytest.approx(40e9 / 2**0.5)
    assert verdicts(run(measurement((0.04,))), head) == {"latency": "unchanged", "utilization": "unchanged"}
    assert verdicts(run(measurement((0.04,))), replace(head, peaks=peaks()))["latency"] == "regressed"


def test_the_share_of_compute_is_that_of_the_layers_bound_by_it() -> None:
    """Of one layer all or nothing, by the ridge point (5 FLOP/B); a foreign model counts as one layer."""
    foreign = replace(measurement().weights, classes=10**6)
    heavy, light = (Work(macs=n, other_flops=0, weight_bytes=0, activation_bytes=100) for n in (1000, 100))
    assert compute_share(measurement(weights=foreign, work=heavy), peaks(), works_of) == 1
    assert compute_share(measurement(weights=foreign, work=light), peaks(), works_of) == 0
    assert compute_share(measurement(size="?", work=light), peaks(), works_of) == 0
    assert 0.5 < compute_share(measurement(), peaks(), works_of) < 1


def test_a_drift_of_one_roof_counts_by_its_share() -> None:
    """Ln t_adj = ln t + b ln(F'/F) + (1 - b) ln(M'/M), here with a bandwidth of a quarter."""
    share = compute_share(measurement(), peaks(), works_of)
    narrow = replace(peaks(), bytes_per_s=10e9)
    (latency, _) = compare_runs([run(measurement((0.04,)))], run(measurement((0.12,)), peaks=narrow), MARGINS)
    assert f"({signed_percent(3 * 0.25 ** (1 - share))} where the machine's own drift" in latency.reason


def session(*seconds: float) -> list[Run]:
    return [run(measurement((each,))) for each in seconds]


@pytest.mark.parametrize(
    ("past", "log_limit", "basis"),
    [
        ([0.04], 2.7638 * 0.2 * 2**0.5, "1 session, default noise"),
        ([0.04, 0.04], 2.7181 * 0.2 * (10 / 11 * 1.5) ** 0.5, "2 sessions, default noise"),
        # Three sessions e^0.1 apart: s^2 = (2 * 0.01 + 10 * 0.04) / 12, t(12, 0.99) = 2.6810.
        (
            [0.04 * math.exp(-0.1), 0.04, 0.04 * math.exp(0.1)],
            2.6810 * (0.42 / 12 * 4 / 3) ** 0.5,
            "3 sessions, default noise",
        ),
    ],
)
def test_the_bound_of_a_history_by_hand(past: list[float], log_limit: float, basis: str) -> None:
    rules = SessionRules()
    for away, verdict in ((-0.002, "unchanged"), (0.002, "regressed")):
        head = run(measurement((0.04 * math.exp(log_limit + away),)))
        (latency, _) = compare_runs(session(*past), head, rules)
        assert (latency.verdict, latency.basis) == (verdict, basis)
        assert latency.detectable == pytest.approx(math.expm1(log_limit), rel=1e-3)
        assert f"within {signed_percent(math.exp(log_limit))}" in latency.reason or verdict == "regressed"


def test_calibrated_noise_is_the_case_s_own() -> None:
    rules = SessionRules(calibrated_sd={"n-eager": 0.01}, calibrated_df=8)
    base, head = run(measurement((0.04,)), measurement((0.04,), backend="onnx")), 0.048
    found = compare_runs([base], run(measurement((head,)), measurement((head,), backend="onnx")), rules)
    latencies = [each for each in found if each.metric == "latency"]
    assert [(each.verdict, each.basis) for each in latencies] == [
        ("regressed", "1 session, calibrated noise"),
        ("unchanged", "1 session, default noise"),
    ]


def test_the_median_of_the_newest_like_sessions_counts() -> None:
    """Older ones than five do not, nor those of other settings, libraries or machines."""
    other = replace(measurement((9.0,)), case=replace(measurement().case, threads=1))
    unlike = [
        run(other),
        run(measurement((9.0,)), machine=machine(libraries={"torch": "1.0"})),
        run(measurement((9.0,)), machine=machine(usable_cores=1)),
    ]
    history = [*session(9.0, 9.0, 9.0), *unlike, *session(0.03, 0.04, 0.05, 0.04)]
    (latency, _) = compare_runs([*session(9.0, 9.0), *history], run(measurement((0.04,))), SessionRules())
    assert latency.basis == "5 sessions, default noise"
    (latency, _) = compare_runs(unlike + session(0.03, 0.04, 0.05), run(measurement((0.08,))), SessionRules())
    assert latency.basis == "3 sessions, default noise"
    assert latency.ratio == pytest.approx(2)


def test_a_case_can_have_margins_of_its_own() -> None:
    rules = replace(MARGINS, margins=(("n-eager", "", 0.5), ("n-eager", "utilization", 0.1), ("n-onnx", "", 0.01)))
    assert verdicts(run(measurement((0.04,))), run(measurement((0.05,))), rules) == {
        "latency": "unchanged",
        "utilization": "regressed",
    }


def test_other_libraries_are_compared_and_named() -> None:
    newer = run(measurement((0.04,)), machine=machine(libraries={"torch": "2.14.0", "numpy": "2.3"}))
    for found in compare_runs([run(measurement((0.04,)))], newer, MARGINS):
        assert found.verdict == "unchanged"
        assert found.reason.endswith("noise); torch 2.13.0 -> 2.14.0; numpy none -> 2.3")


def test_sessions_up_to_the_chosen_one_are_its_history(tmp_path: Path) -> None:
    paths = [
        save_baseline({BLOCK: block(run(measurement((0.01 * n,))))}, tmp_path, machine()) for n in range(1, 9)
    ]
    found = history_to(paths[6], read_run(paths[6]))
    assert [each.measurements[0].round_seconds[0] for each in found] == [0.03, 0.04, 0.05, 0.06, 0.07]
    alone = tmp_path / "alone.json"
    alone.write_bytes(paths[6].read_bytes())
    assert history_to(alone, read_run(alone)) == (read_run(alone),)


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
    found = compare_runs([base], head, MARGINS)
    assert [(c.label, c.verdict) for c in found if c.verdict != "unchanged"] == [
        ("n-batched", "new"),
        ("n-onnx", "missing"),
    ]
    assert [c.fails for c in found if c.verdict in ("new", "missing")] == [False, True]


def test_what_was_not_asked_for_is_not_missing() -> None:
    base = run(measurement(), measurement(size="x"))
    found = compare_runs([base], run(measurement()), MARGINS, expected=lambda m: m.case.size == "n")
    assert {c.verdict for c in found} == {"unchanged"}


def test_the_reason_of_an_absence_is_told() -> None:
    base = run(measurement(), measurement(backend="onnx"))
    absence = {"benchmarks/test_inference.py::test_inference[n-onnx]": "skipped: no onnxruntime"}
    missing = compare_runs([base], run(measurement()), MARGINS, absence=absence)[-1]
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
    (found,) = compare_runs([run(measurement())], run(measurement(**changes)), MARGINS)
    assert (found.verdict, found.reason, found.fails) == ("incomparable", names, False)


def test_another_machine_is_refused_by_name() -> None:
    xeon = machine(cpu_model="Intel Xeon", usable_cores=1, isa=("avx", "avx2", "avx512f"))
    head = run(measurement((0.1,)), machine=xeon)
    (found,) = compare_runs([run(measurement())], head, MARGINS)
    assert found.verdict == "incomparable"
    assert "AMD EPYC" in found.reason
    assert "Intel Xeon" in found.reason
    assert "usable cores 2 -> 1; vector ISA -fma +avx512f" in found.reason


def test_a_case_at_a_second_setting_is_new() -> None:
    base = run(measurement())
    head = run(measurement(), measurement(threads=1))
    assert [c.verdict for c in compare_runs([base], head, MARGINS)] == ["unchanged", "unchanged", "new"]


def test_a_renamed_test_is_compared_and_said() -> None:
    found = compare_runs(
        [run(measurement(nodeid="old.py::test"))], run(measurement((0.1,), nodeid="new.py::test")), MARGINS
    )
    assert {(c.verdict, c.renamed_from) for c in found} == {("regressed", "old.py::test")}


def test_one_case_in_two_tests_is_compared_within_each() -> None:
    base = run(measurement((0.1,), nodeid="a"), measurement((0.2,), nodeid="b"))
    head = run(measurement((0.2,), nodeid="b"), measurement((0.1,), nodeid="a"))
    assert {c.verdict for c in compare_runs([base], head, MARGINS)} == {"unchanged"}
    assert [c.verdict for c in compare_runs([base], run(measurement((0.2,), nodeid="b")), MARGINS)][
        -1
    ] == "missing"


def test_nothing_measured_is_all_missing() -> None:
    assert [c.verdict for c in compare_runs([run(measurement())], run(), MARGINS)] == ["missing"]


seconds = st.lists(st.floats(1e-4, 10), min_size=1, max_size=30).map(tuple)


@given(seconds, seconds)
def test_swapping_the_sides_inverts_the_verdict(one: tuple[float, ...], other: tuple[float, ...]) -> None:
    there = by_metric(compare_runs([run(measurement(one))], run(measurement(other)), MARGINS))
    back = by_metric(compare_runs([run(measurement(other))], run(measurement(one)), MARGINS))
    assert back == {metric: SWAPPED[verdict] for metric, verdict in there.items()}


@given(seconds, seconds, st.sampled_from([0.5, 2.0, 8.0]))
def test_scaling_both_sides_leaves_the_verdict(
    one: tuple[float, ...], other: tuple[float, ...], by: float
) -> None:
    """By powers of two, which change no digit of a ratio."""
    plain = by_metric(compare_runs([run(measurement(one))], run(measurement(other)), MARGINS))
    scaled_one, scaled_other = (tuple(s * by for s in rounds) for rounds in (one, other))
    assert (
        by_metric(compare_runs([run(measurement(scaled_one))], run(measurement(scaled_other)), MARGINS)) == plain
    )
