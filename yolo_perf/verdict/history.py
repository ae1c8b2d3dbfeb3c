"""Many saved sessions of a machine as series: trends, change points, and what creeps. A pure function.

The session is the unit, as in `sessions`: one figure a case, y = ln of the low quantile of its rounds. What is
found here is told, and can fail a job that asks for it. The gate (`gate`, `sessions`) decides on one change;
this looks back over many.

Change points, as in Hunter (Fleming et al. 2023), are proposed generously and then tested: PELT (Killick et al.
2012, `ruptures`' implementation in C) proposes, and the weakest proposal is dropped until every one that is left
parts two segments that differ surely, by Student's t. Sessions of one host and hour resemble each other, which
makes noise look like levels: what neighbours have in common is estimated, and discounted.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import PurePath
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri, stdtr

from yolo_perf.records import Case, Commit
from yolo_perf.settings import LATENCY_MARGIN
from yolo_perf.verdict.chronology import in_order

FloatArray = npt.NDArray[np.float64]

ALPHA = 0.002
"""With which probability, at most, a case of pure noise shows a change point, or creeps."""
LEAST_CHANGE = 0.01
"""A smaller change is not told: the gate's own margin between paired sides."""
LEAST_SEGMENT = 3
"""Sessions on either side of a change point. One odd session, or two, are no change."""
LEAST_CREEP = 8
"""Sessions without which nothing is said to creep."""
WINDOW = 400
"""Sessions that PELT looks at together: on noise it takes time quadratic in them."""
BLOCKS = 200
"""Of a longer series the trend is that of so many medians: its slopes are of all pairs."""
OUTLIER = 3.0
"""Standard deviations from the median of five sessions that one of them may weigh."""
CORRELATION_PRIOR = 50
"""Sessions whose worth "neighbours do not resemble each other" has: of few, their correlation is a guess."""
LEAST_NOISE = 1e-4
"""Of ln(latency): sessions that agree better than that agree by rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a series follows: a case with its weights."""

    case: Case
    digest: str  # of the weights
    source: str  # of the weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One saved session, thinly: a figure or two for each subject, in the same order."""

    name: str  # file
    created: datetime
    commit: Commit
    machine: str  # folder name
    described: str  # the machine, for people
    subjects: tuple[Subject, ...]
    seconds: tuple[float, ...]  # per image, the low quantile of the rounds
    utilizations: tuple[float, ...]  # at that latency, under the roofs of that session
    folder: str = ""  # the file's


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One session of a series."""

    name: str
    created: datetime
    commit: Commit
    seconds: float  # per image
    utilization: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Where a series' level changes: between `points[index - 1]` and `points[index]`."""

    index: int
    ratio: float  # median latency after over before, of the two segments that meet here
    utilization_ratio: float  # likewise; near 1 where the machine was as much slower as the case
    p: float  # two-sided Student's t, times the places where the change could have been seen

    @property
    def regression(self) -> bool:
        """Whether the latency grew."""
        return self.ratio > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Creep:
    """A slow rise: no step of it beyond the margin, all together beyond it. Between two points of a series."""

    start: int  # the last session before it
    end: int  # the first session with all of it
    ratio: float
    p: float  # one-sided, of Kendall's tau against time (the Mann-Kendall test)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One subject over the sessions of a machine, oldest first."""

    subject: Subject
    points: tuple[Point, ...]
    changes: tuple[Change, ...] = ()
    levels: tuple[float, ...]  # median seconds of each segment between changes
    trend: float | None = None  # ratio of last to first along the Theil-Sen line; None below three sessions
    trend_p: float | None = None  # two-sided, of Kendall's tau against time
    spread: float | None = None  # sd of ln(latency) within segments; None where each has one session
    creep: Creep | None = None

    @property
    def standing(self) -> tuple[Change, ...]:
        """The regressions of which less than half was taken back since, by whatever came after."""
        now = self.levels[-1]
        return tuple(
            change
            for change, before, after in zip(self.changes, self.levels, self.levels[1:], strict=False)
            if change.regression and math.log(now / before) > math.log(after / before) / 2
        )

    @property
    def regressed(self) -> bool:
        """Whether the case is slower than it was, by a step that stands or by creeping."""
        return bool(self.standing or self.creep)


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineHistory:
    """All series of one machine, in the order in which the newest session has them."""

    machine: str  # folder name
    described: str
    sessions: int
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Every machine's series, and what was left out: (why, how many)."""

    machines: tuple[MachineHistory, ...]
    left_out: tuple[tuple[str, int], ...] = ()

    @property
    def regressed(self) -> bool:
        """Whether any case of any machine is."""
        return any(each.regressed for machine in self.machines for each in machine.series)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which sessions and cases are looked at."""

    cases: tuple[str, ...] = ()  # patterns of labels or ids; none: all
    since: datetime | None = None
    last: int | None = None  # the newest so many sessions of each machine

    def takes(self, subject: Subject) -> bool:
        """Whether a subject is asked for."""
        names = (subject.case.label, subject.case.id)
        return not self.cases or any(fnmatchcase(name, case) for case in self.cases for name in names)


def history(
    sessions: Iterable[Session], selection: Selection | None = None, *, margin: float = LATENCY_MARGIN
) -> History:
    """The series of all sessions that are selected, machine by machine; `margin` is the gate's, a fraction.

    A session that is there twice counts once: what was promoted to a baseline is a copy. A machine or a case of
    which nothing is selected has no series.
    """
    selection = selection or Selection()
    machines: dict[str, list[Session]] = {}
    ordered = in_order(
        sessions, lambda each: (each.created, each.name), lambda each: PurePath(each.folder, each.name)
    )
    for session in ordered:
        machines.setdefault(session.machine, []).append(session)
    found = []
    twins = 0
    for name, everything in sorted(machines.items()):
        own = _distinct(everything)
        twins += len(everything) - len(own)
        if selection.since is not None:
            own = [each for each in own if each.created >= selection.since]
        own = own[-selection.last :] if selection.last else own
        series = tuple(_series(subject, points, margin) for subject, points in _points(own, selection).items())
        if series:
            machine = MachineHistory(machine=name, described=own[-1].described, sessions=len(own), series=series)
            found.append(machine)
    return History(machines=tuple(found), left_out=(("saved twice", twins),) if twins else ())


def change_points(logs: Sequence[float] | FloatArray) -> tuple[int, ...]:
    """Indices of the first value after each change of level of y = ln(latency), in order."""
    y = np.asarray(logs, dtype=np.float64)
    return tuple(int(cut) for cut, _ in _tested(y))


def load_engine() -> Callable[..., Any]:
    """The engine's class. Its import takes a second, which may pass while files are read."""
    from ruptures import KernelCPD

    engine: Callable[..., Any] = KernelCPD
    return engine


def _distinct(sessions: Sequence[Session]) -> list[Session]:
    """The sessions in order, each once whatever its file is called."""
    found: dict[tuple[object, ...], Session] = {}
    for each in sessions:
        found.setdefault((each.created, each.commit, each.seconds), each)
    return list(found.values())


def _points(sessions: Sequence[Session], selection: Selection) -> dict[Subject, tuple[Point, ...]]:
    """Each subject's points, in the order of the newest session. A case measured twice counts once."""
    columns: dict[Subject, list[Point]] = {}
    places: dict[int, list[tuple[int, list[Point]]]] = {}  # by id(): a tuple of subjects takes long to hash
    for session in sessions:
        if id(session.subjects) not in places:
            first = {subject: i for i, subject in reversed(list(enumerate(session.subjects)))}
            places[id(session.subjects)] = [
                (i, columns.setdefault(subject, [])) for subject, i in first.items() if selection.takes(subject)
            ]
        for i, column in places[id(session.subjects)]:
            column.append(
                Point(
                    name=session.name,
                    created=session.created,
                    commit=session.commit,
                    seconds=session.seconds[i],
                    utilization=session.utilizations[i],
                )
            )
    newest = sessions[-1].subjects if sessions else ()
    order = [subject for subject in dict.fromkeys((*newest, *columns)) if subject in columns]
    return {subject: tuple(columns[subject]) for subject in order}


def _series(subject: Subject, points: tuple[Point, ...], margin: float) -> Series:
    y = np.log([point.seconds for point in points])
    idle = -np.log([point.utilization for point in points])
    found = _tested(y)
    cuts = [0, *(cut for cut, _ in found), len(y)]
    levels = [float(np.median(y[a:b])) for a, b in pairwise(cuts)]
    idleness = [float(np.median(idle[a:b])) for a, b in pairwise(cuts)]
    changes = tuple(
        Change(
            index=cut,
            ratio=math.exp(levels[i + 1] - levels[i]),
            utilization_ratio=math.exp(idleness[i] - idleness[i + 1]),
            p=p,
        )
        for i, (cut, p) in enumerate(found)
    )
    residual = np.concatenate([y[a:b] - y[a:b].mean() for a, b in pairwise(cuts)])
    free = len(y) - len(levels)
    series = Series(
        subject=subject,
        points=points,
        changes=changes,
        levels=tuple(map(math.exp, levels)),
        spread=math.sqrt(float(residual @ residual) / free) if free else None,
    )
    if len(y) < LEAST_SEGMENT:
        return series
    trend, p = _trend(y, "two-sided")
    return replace(series, trend=math.exp(trend), trend_p=p, creep=_creep(y, changes, levels, margin))


def _creep(y: FloatArray, changes: Sequence[Change], levels: Sequence[float], margin: float) -> Creep | None:
    """The rise since the last step beyond the margin, in either direction, where it is monotone and beyond it.

    Of segments it is that of their levels; where there is one segment alone, that of the Theil-Sen line.
    """
    beyond = [i for i, each in enumerate(changes) if abs(math.log(each.ratio)) > math.log1p(margin)]
    first = beyond[-1] + 1 if beyond else 0  # segment
    start = changes[beyond[-1]].index if beyond else 0
    since = y[start:]
    if len(since) < LEAST_CREEP:
        return None
    line, p = _trend(since, "greater")
    inner = changes[first:]
    rise = levels[-1] - levels[first] if inner else line
    if p > ALPHA or rise <= math.log1p(margin):
        return None
    ends = (inner[0].index - 1, inner[-1].index) if inner else (start, len(y) - 1)
    return Creep(start=ends[0], end=ends[1], ratio=math.exp(rise), p=p)


def _trend(y: FloatArray, alternative: str) -> tuple[float, float]:
    """The rise of the Theil-Sen line from first to last value, and the p of Kendall's tau against time."""
    from scipy.stats import kendalltau, theilslopes  # an import of a second, which the engine's needs as well

    blocks = np.array_split(np.arange(len(y)), min(len(y), BLOCKS))
    middles = np.array([block.mean() for block in blocks])
    medians = np.array([np.median(y[block]) for block in blocks])
    if np.ptp(medians) == 0:
        return 0.0, 1.0  # tau has no value of a constant
    slope = float(theilslopes(medians, middles).slope)
    p = float(kendalltau(middles, medians, alternative=alternative).pvalue)
    sides = 2 if alternative == "two-sided" else 1
    return slope * (len(y) - 1), sides * float(ndtr(ndtri(p / sides) / _inflation(medians)))


def _tested(y: FloatArray) -> list[tuple[int, float]]:
    """The change points of y with their p-values: proposed by PELT, the weakest dropped until all are sure."""
    if len(y) < 2 * LEAST_SEGMENT:
        return []
    noise = max(1.4826 * float(np.median(np.abs(np.diff(y)))) / math.sqrt(2), LEAST_NOISE)
    z = _without_outliers((y - np.median(y)) / noise)
    cuts = _proposed(z)
    inflation = _inflation(z)
    ones = np.concatenate([[0.0], np.cumsum(z)])
    squares = np.concatenate([[0.0], np.cumsum(z * z)])
    while cuts:
        step, p = _student(np.array([0, *cuts, len(z)]), ones, squares, inflation)
        small = np.abs(step) * noise < math.log1p(LEAST_CHANGE)
        weakest = int(np.argmax(np.where(small, 2.0, p)))
        if not small[weakest] and p[weakest] <= ALPHA:
            return list(zip(cuts, map(float, p), strict=True))
        del cuts[weakest]
    return []


def _student(
    edges: npt.NDArray[np.intp], ones: FloatArray, squares: FloatArray, inflation: float
) -> tuple[FloatArray, FloatArray]:
    """Steps between neighbouring segments, and their two-sided p times the places where each could have been.

    `ones` and `squares` are running sums of the values. The noise is pooled over both segments, never less than
    that of rounding, and `inflation` times as large. p is 1 where a segment is shorter than LEAST_SEGMENT.
    """
    count = np.diff(edges).astype(np.float64)
    total = np.diff(ones[edges])
    inner = np.maximum(np.diff(squares[edges]) - total**2 / count, 0.0)
    step = np.diff(total / count)
    both = count[:-1] + count[1:]
    free = np.maximum(both - 2, 1)
    sd = np.sqrt(np.maximum((inner[:-1] + inner[1:]) / free, 1e-6) * (1 / count[:-1] + 1 / count[1:])) * inflation
    places = np.maximum(both - 2 * LEAST_SEGMENT + 1, 1)
    p = np.minimum(2 * stdtr(free, -np.abs(step) / sd) * places, 1.0)
    return step, np.where(np.minimum(count[:-1], count[1:]) < LEAST_SEGMENT, 1.0, p)


def _inflation(values: FloatArray) -> float:
    """By how much the correlation r of neighbours widens the noise of a mean: sqrt((1 + r) / (1 - r)), from 1.

    r is that of a process of first order, from the squares of the differences one and two sessions apart, whose
    ratio is 1 + r: a change of level is in few of them, and those count as four medians at most.
    """
    near, far = np.abs(np.diff(values)), np.abs(values[2:] - values[:-2])
    cap = 4 * float(np.median(near))
    squares = float(np.mean(np.minimum(near, cap) ** 2))
    if squares == 0:
        return 1.0
    r = float(np.mean(np.minimum(far, cap * math.sqrt(2)) ** 2)) / squares - 1
    r = min(max(r, 0.0), 0.9) * len(values) / (len(values) + CORRELATION_PRIOR)
    return math.sqrt((1 + r) / (1 - r))


def _without_outliers(z: FloatArray) -> FloatArray:
    """z, shape (n,), each value brought within OUTLIER of the median of the five sessions about it."""
    around = np.lib.stride_tricks.sliding_window_view(np.pad(z, 2, mode="edge"), 5)
    middle = np.median(around, axis=1)
    return np.clip(z, middle - OUTLIER, middle + OUTLIER)


def _proposed(z: FloatArray) -> list[int]:
    """Where PELT parts z, of unit noise, at the Schwarz penalty; in windows that overlap by a half."""
    engine = load_engine()
    cuts: set[int] = set()
    for start in range(0, max(len(z) - WINDOW // 2, 1), WINDOW // 2):
        window = z[start : start + WINDOW]
        if len(window) < 2 * LEAST_SEGMENT:
            continue
        # A change costs two parameters: its place and its level.
        ends = engine(kernel="linear", min_size=LEAST_SEGMENT).fit(window[:, None])
        cuts.update(start + int(end) for end in ends.predict(pen=2 * math.log(len(window)))[:-1])
    return sorted(cuts)
