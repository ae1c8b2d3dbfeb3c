"""Series by hand: what changes, what creeps, what stands; and how often noise alone looks like a change."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolo_perf.records import Case, Commit
from yolo_perf.verdict.history import (
    ALPHA,
    Selection,
    Series,
    Session,
    Subject,
    change_points,
    history,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
QUIET = (0.0005, -0.0005, 0.0, 0.0007, -0.0007)
"""Of ln(latency): noise that is none."""


def subject(backend: str = "onnx", *, digest: str = "0" * 64, image_size: int = 640) -> Subject:
    case = Case(size="n", backend=backend, batch=1, image_size=image_size, threads=2)
    return Subject(case=case, digest=digest, source="seeded")


def session(number: int, *seconds: float, subjects: Sequence[Subject] = (), **changes: object) -> Session:
    """Session of day `number`, of commit "c<number>"; utilisations are 0.01 / seconds."""
    values: dict[str, object] = {
        "name": f"{number:04d}_baseline.json",
        "created": START + timedelta(days=number),
        "commit": Commit(id=f"c{number}"),
        "machine": "amd-epyc",
        "described": "AMD EPYC, 2 cores",
        "subjects": tuple(subjects) or (subject(),),
        "seconds": seconds,
        "utilizations": tuple(0.01 / each for each in seconds),
    }
    return Session(**{**values, **changes})  # type: ignore[arg-type]


def quiet(*levels: tuple[int, float]) -> list[float]:
    """So many sessions at each level, with noise of less than a thousandth."""
    flat = [level for count, level in levels for _ in range(count)]
    return [level * math.exp(QUIET[i % len(QUIET)]) for i, level in enumerate(flat)]


def series(seconds: Sequence[float]) -> Series:
    found = history([session(i, each) for i, each in enumerate(seconds)])
    ((only,),) = [machine.series for machine in found.machines]
    return only


def test_a_step_is_found_where_it_is() -> None:
    found = series(quiet((10, 0.040), (10, 0.042)))
    (change,) = found.changes
    assert (change.index, found.standing, found.regressed) == (10, (change,), True)
    assert change.ratio == pytest.approx(1.05, rel=1e-3)
    assert change.utilization_ratio == pytest.approx(1 / 1.05, rel=1e-3)
    assert change.p < 1e-10
    assert (found.points[9].commit.id, found.points[10].commit.id) == ("c9", "c10")
    assert found.levels == pytest.approx((0.040, 0.042), rel=1e-3)
    assert found.spread is not None
    assert found.spread < 0.001  # the step is no noise


def test_what_is_constant_has_no_trend_and_no_change() -> None:
    found = series([0.04] * 20)
    assert (found.changes, found.trend, found.trend_p, found.spread) == ((), 1.0, 1.0, 0.0)
    assert found.levels == pytest.approx((0.04,))
    assert not found.regressed


def test_a_line_has_the_trend_of_its_ends() -> None:
    # Of ln t = i / 100 over five sessions every slope is 1 / 100, and Kendall's tau is 1: p = 2 / 5!.
    found = series([math.exp(i / 100) for i in range(5)])
    assert found.trend == pytest.approx(math.exp(0.04))
    assert found.trend_p is not None
    assert found.trend_p >= 2 / 120 - 1e-9  # neighbours that resemble each other are worth less
    assert found.changes == ()


@pytest.mark.parametrize("count", [1, 2])
def test_of_few_sessions_nothing_is_claimed(count: int) -> None:
    found = series([0.04, 0.08][:count])
    assert (found.changes, found.trend, found.creep, found.regressed) == ((), None, None, False)
    assert (found.spread is None) is (count == 1)


@pytest.mark.parametrize("odd", [1, 2])
def test_an_odd_session_or_two_are_no_change(odd: int) -> None:
    assert series(quiet((10, 0.04), (odd, 0.08), (10, 0.04))).changes == ()
    assert series(quiet((10, 0.04), (odd, 0.08))).changes == ()  # not yet


def test_three_sessions_are_one() -> None:
    assert [each.index for each in series(quiet((10, 0.04), (3, 0.08))).changes] == [10]


def test_less_than_a_hundredth_is_not_told() -> None:
    assert series(quiet((20, 0.04), (20, 0.04 * 1.008))).changes == ()
    assert len(series(quiet((20, 0.04), (20, 0.04 * 1.012))).changes) == 1


@pytest.mark.parametrize(
    ("levels", "stands"),
    [
        ((0.040, 0.048, 0.040), []),
        ((0.040, 0.048, 0.047), [0]),  # a crumb of it was taken back
        ((0.040, 0.048, 0.042), []),
        ((0.048, 0.040), []),
        ((0.050, 0.040, 0.044), [1]),  # slower than it was, if not than it ever was
        ((0.040, 0.048, 0.050, 0.048), [0]),  # the first stands though the last does not
        ((0.040, 0.048, 0.058), [0, 1]),
    ],
)
def test_a_regression_stands_until_half_of_it_is_taken_back(levels: tuple[float, ...], stands: list[int]) -> None:
    found = series(quiet(*((10, level) for level in levels)))
    assert len(found.changes) == len(levels) - 1
    assert found.standing == tuple(found.changes[i] for i in stands)
    assert found.regressed is bool(stands)


def test_small_steps_that_add_up_creep() -> None:
    found = series(quiet(*((10, 0.04 * 1.04**step) for step in range(4))))
    assert [each.index for each in found.changes] == [10, 20, 30]
    assert max(each.ratio for each in found.changes) < 1.10
    assert found.creep is not None
    assert (found.creep.start, found.creep.end) == (9, 30)
    assert found.creep.ratio == pytest.approx(1.04**3, rel=1e-3)
    assert found.creep.p < ALPHA


@pytest.mark.parametrize(
    "levels",
    [
        (0.04, 0.04 * 1.09),  # within the margin
        (0.04, 0.04 * 1.15),  # one step beyond it is a regression, but no creeping one
        (0.04, 0.04 * 1.04, 0.04 * 1.08),
        (0.04, 0.04 * 1.06, 0.04, 0.04 * 1.06),
        (0.04 * 1.12, 0.04 * 1.08, 0.04 * 1.04, 0.04),
        (0.04, 0.04 * 1.04, 0.04 * 1.2, 0.04 * 1.25),  # counted anew after the step
    ],
)
def test_what_does_not_creep(levels: tuple[float, ...]) -> None:
    assert series(quiet(*((10, level) for level in levels))).creep is None


def test_it_creeps_after_an_improvement_too() -> None:
    found = series(quiet((10, 0.08), *((10, 0.04 * 1.04**step) for step in range(4))))
    assert found.creep is not None
    assert (found.creep.start, found.creep.end) == (19, 40)


def test_machines_weights_and_image_sizes_are_kept_apart() -> None:
    subjects = (subject(), subject(image_size=320), subject(digest="1" * 64))
    runs = [session(i, 0.04, 0.02, 0.03, subjects=subjects) for i in range(3)]
    runs += [session(5, 0.01, machine="xeon")]
    first, second = history(runs).machines
    assert [each.subject for each in first.series] == list(subjects)
    assert [each.points[0].seconds for each in first.series] == [0.04, 0.02, 0.03]
    assert (first.sessions, second.machine, second.sessions) == (3, "xeon", 1)


def test_sessions_are_in_the_order_of_time_then_of_name() -> None:
    same = START + timedelta(days=9)
    runs = [
        session(3, 0.3, created=same, name="b.json"),
        session(2, 0.2, created=same, name="a.json"),
        session(1, 0.1),
    ]
    (machine,) = history(runs).machines
    assert [point.seconds for point in machine.series[0].points] == [0.1, 0.2, 0.3]


def test_a_copy_and_a_second_measurement_count_once() -> None:
    runs = [session(1, 0.1, 0.2, subjects=(subject(), subject())), session(2, 0.3)]
    copy = session(2, 0.3, name="last-run.json")
    found = history([*runs, copy])
    assert [point.seconds for point in found.machines[0].series[0].points] == [0.1, 0.3]
    assert found.left_out == (("saved twice", 1),)


def test_sessions_and_cases_are_selected() -> None:
    both = (subject("eager"), subject("onnx"))
    runs = [session(i, 0.04, 0.02, subjects=both) for i in range(6)]

    def chosen(**selection: object) -> list[tuple[str, int]]:
        found = history(runs, Selection(**selection))  # type: ignore[arg-type]
        return [(each.subject.case.label, len(each.points)) for m in found.machines for each in m.series]

    assert chosen(cases=("n-on*",)) == [("n-onnx", 6)]
    assert chosen(cases=("n-eager-b1-640px-t2", "n-onnx")) == [("n-eager", 6), ("n-onnx", 6)]
    assert chosen(cases=("s-*",)) == []
    assert chosen(last=2) == [("n-eager", 2), ("n-onnx", 2)]
    assert chosen(since=START + timedelta(days=4), cases=("n-onnx",)) == [("n-onnx", 2)]
    assert chosen(since=START + timedelta(days=99)) == []


def test_a_case_that_came_later_has_the_sessions_that_it_has() -> None:
    runs = [session(0, 0.04), *(session(i, 0.02, 0.04, subjects=(subject("eager"), subject())) for i in (1, 2))]
    (machine,) = history(runs).machines
    assert [(s.subject.case.backend, len(s.points)) for s in machine.series] == [("eager", 2), ("onnx", 3)]


@settings(deadline=None, max_examples=60)
@given(
    before=st.integers(5, 60),
    after=st.integers(5, 60),
    percent=st.integers(2, 60),
    down=st.booleans(),
    scale=st.floats(1e-4, 1e3),
)
def test_a_quiet_step_is_found_at_any_scale_and_in_either_direction(
    before: int, after: int, percent: int, down: bool, scale: float
) -> None:
    level = 1 / (1 + percent / 100) if down else 1 + percent / 100
    found = series(quiet((before, scale), (after, scale * level)))
    assert [each.index for each in found.changes] == [before]
    assert found.changes[0].ratio == pytest.approx(level, rel=0.005)
    assert found.regressed is not down


def test_a_long_series_is_taken_in_windows() -> None:
    noise = np.random.default_rng(0).normal(scale=0.01, size=1500)
    noise[437:] += 0.05
    noise[1203:] -= 0.03
    found = change_points(noise)
    assert len(found) == 2
    assert abs(found[0] - 437) <= 2
    assert abs(found[1] - 1203) <= 2


def correlated(noise: npt.NDArray[np.float64], r: float) -> npt.NDArray[np.float64]:
    """The noise with each session like its neighbour: of first order, of the same variance."""
    found = noise.copy()
    for i in range(1, len(found)):
        found[i] = r * found[i - 1] + math.sqrt(1 - r**2) * found[i]
    return found


def alarms(seed: int, count: int, sd: float, r: float = 0.0) -> int:
    """Of so many series of 200 sessions of identical code, those with a change point."""
    rng = np.random.default_rng(seed)
    return sum(bool(change_points(correlated(rng.normal(scale=sd, size=200), r))) for _ in range(count))


def seen(seed: int, count: int, after: int) -> int:
    """Of so many series, those whose step of 5 % after 20 sessions, at a noise of 2 %, is seen as a slow-down."""
    rng = np.random.default_rng(seed)
    found = 0
    for _ in range(count):
        y = rng.normal(scale=0.02, size=20 + after)
        y[20:] += math.log(1.05)
        found += len(cuts := change_points(y)) > 0 and any(abs(cut - 20) <= 5 for cut in cuts)
    return found


@pytest.mark.parametrize("sd", [0.03, 0.15])
def test_noise_is_no_change(sd: float) -> None:
    assert alarms(1, 100, sd) <= 1


def test_noise_whose_neighbours_are_alike_seldom_is() -> None:
    assert alarms(2, 100, 0.03, r=0.5) <= 6  # 53 of them where the likeness is not discounted


def test_a_step_of_five_per_cent_is_seen_after_ten_sessions() -> None:
    assert seen(3, 100, after=10) >= 80
    assert seen(3, 100, after=20) >= 97


@pytest.mark.slow
def test_the_figures_of_the_documentation() -> None:
    """docs/history.md: 25 cases of 200 sessions, 200 times."""
    cases, suites = 25, 200
    for sd in (0.03, 0.15):
        assert alarms(4, cases * suites, sd) / (cases * suites) <= 1.5 * ALPHA  # 0.2 % were seen of 8000
    assert alarms(5, 1000, 0.03, r=0.5) / 1000 <= 0.05
    assert 0.40 <= seen(6, 2000, after=5) / 2000 <= 0.65


def test_numbers_of_baselines_stand_above_a_clock_that_was_set_back() -> None:
    late = session(1, 0.01, created=datetime(2026, 3, 1, tzinfo=UTC))
    back = session(2, 0.03, created=datetime(2026, 2, 1, tzinfo=UTC))
    (machine,) = history([back, late]).machines
    assert [point.name for point in machine.series[0].points] == ["0001_baseline.json", "0002_baseline.json"]
