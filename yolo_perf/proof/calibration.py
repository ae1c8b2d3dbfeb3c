"""What identical code shows on a machine: its noise between sessions and between paired sides.

    baselines/<machine>/calibration.json

Measured once a machine, kept beside its baselines. Figures are spreads and differences of natural logarithms.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import fmean, stdev
from typing import Annotated

import msgspec

from yolo_perf import files
from yolo_perf.archive.saved_run import write_document
from yolo_perf.errors import BaselineError
from yolo_perf.machine.naming import fingerprint, slug
from yolo_perf.records import Machine
from yolo_perf.verdict.sessions import SessionRules
from yolo_perf.verdict.stats import shrunk_sd, signed_rank_interval

SCHEMA = 1
FILE = "calibration.json"
POOLED_DF = 4
"""What the spread over all cases is worth beside a case's own, in sessions."""
CAP = 0.10
"""A floor beyond this makes a case no subject of a gate."""
FENCE = 3.0
"""Of Tukey's far fence Q3 + 3 IQR, as rustc-perf draws it."""

Spread = Annotated[float, msgspec.Meta(ge=0, lt=10)]
Number = Annotated[int, msgspec.Meta(ge=0, lt=10_000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseNoise:
    """One case's noise. Floors are fractions up to `CAP`; None where there were too few values to know."""

    session_sd: Spread | None = None  # of ln(latency) between sessions, shrunk to the pooled one
    session_floor: Spread | None = None
    paired_sd: Spread | None = None  # of the paired differences
    paired_floor: Spread | None = None
    gateable: bool = True  # False where a floor was beyond `CAP`


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A machine's noise, case by case, and what was measured to know it."""

    schema: Annotated[int, msgspec.Meta(ge=1, le=SCHEMA)] = SCHEMA
    created: str  # ISO 8601, UTC
    machine: str  # folder name
    fingerprint: str
    python: str
    libraries: dict[str, str]
    sessions: Number
    pairs: Number
    cases: dict[str, CaseNoise]

    @property
    def df(self) -> float:
        """Degrees of freedom of a case's spread between sessions: its own and what it was shrunk by."""
        return max(self.sessions - 1, 0) + POOLED_DF

    @property
    def session_sds(self) -> dict[str, float]:
        """Spread between sessions by label, of the cases that have one."""
        return {label: noise.session_sd for label, noise in self.cases.items() if noise.session_sd}

    @property
    def paired_floors(self) -> dict[str, float]:
        """Floors of paired comparisons by label, for `gate.Rules`."""
        return {label: noise.paired_floor for label, noise in self.cases.items() if noise.paired_floor}


def calibrate(
    session_values: Mapping[str, Sequence[float]], paired: Mapping[str, Sequence[float]]
) -> dict[str, CaseNoise]:
    """Every case's noise, from ln(latency) of K sessions in order and from A/A differences of P pairs, by label.

    Between sessions, from two on: the standard deviation, and the floor F = max(2 sd, Q3 + 3 IQR of the absolute
    differences of adjacent sessions). Paired: the standard deviation, and the upper 95 % bound of the centre's
    absolute value, which is what identical code shows that an interval does not cover. Each is shrunk to the
    quadratic mean over the cases (`stats.shrunk_sd`). Raises ValueError for values that are not finite.
    """
    own_sds = {label: stdev(values) for label, values in session_values.items() if len(values) > 1}
    fences = {label: _far_fence(session_values[label]) for label in own_sds}
    paired_sds = {label: stdev(values) for label, values in paired.items() if len(values) > 1}
    centres = {label: _centre_bound(paired[label]) for label in paired_sds}
    session_counts = {label: len(values) for label, values in session_values.items()}
    pair_counts = {label: len(values) for label, values in paired.items()}
    sds = _shrunk(own_sds, session_counts)
    floors = _shrunk({label: max(2 * own_sds[label], fences[label]) for label in own_sds}, session_counts)
    paired_sds = _shrunk(paired_sds, pair_counts)
    known = {label: bound for label, bound in centres.items() if math.isfinite(bound)}
    paired_floors = _shrunk(known, pair_counts)
    return {
        label: CaseNoise(
            session_sd=sds.get(label),
            session_floor=_capped(floors.get(label)),
            paired_sd=paired_sds.get(label),
            paired_floor=_capped(paired_floors.get(label)),
            gateable=max(floors.get(label, 0.0), paired_floors.get(label, 0.0)) <= math.log1p(CAP),
        )
        for label in dict.fromkeys([*session_values, *paired])
    }


def read_calibration(folder: Path, machine: Machine) -> Calibration | None:
    """A machine's calibration, None where it has none. Raises BaselineError naming a file that is damaged."""
    path = folder / slug(machine) / FILE
    try:
        content = files.read(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BaselineError(f"Cannot read {path}: {error.strerror or error}.") from error
    try:
        found = msgspec.json.decode(content, type=Calibration)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BaselineError(
            f"{path} is damaged or no calibration: {error}. Remove it; the default noise then stands in."
        ) from error
    if found.fingerprint != fingerprint(machine):
        raise BaselineError(
            f"{path} is of another machine ({found.machine}). Remove it; it cannot speak for this one."
        )
    return found


def write_calibration(folder: Path, calibration: Calibration) -> Path:
    """Write a machine's calibration in one step, replacing an earlier one; its path. Raises BaselineError."""
    path = folder / calibration.machine / FILE
    try:
        write_document(json.loads(msgspec.json.encode(calibration)), path)
    except OSError as error:
        raise BaselineError(f"Cannot write {path}: {error.strerror or error}.") from error
    return path


def session_rules(folder: Path, machine: Machine) -> SessionRules:
    """The rules between sessions with what is known of the machine's noise. Raises BaselineError."""
    return with_noise(SessionRules(), read_calibration(folder, machine))


def with_noise(rules: SessionRules, known: Calibration | None) -> SessionRules:
    """The rules with a machine's own noise in the place of the default one, where that is known."""
    if known is None:
        return rules
    return replace(rules, calibrated_sd=known.session_sds, calibrated_df=known.df)


def _far_fence(values: Sequence[float]) -> float:
    """Q3 + 3 IQR of the absolute differences of neighbours, quartiles by linear interpolation."""
    apart = sorted(abs(later - earlier) for earlier, later in pairwise(values))
    first, third = (_quantile(apart, share) for share in (0.25, 0.75))
    return third + FENCE * (third - first)


def _quantile(ordered: Sequence[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def _centre_bound(differences: Sequence[float]) -> float:
    """The larger end of the interval of the centre, one-sided at 95 % each; infinite with too few pairs."""
    interval = signed_rank_interval(differences, 0.90)
    return max(abs(interval.low), abs(interval.high))


def _shrunk(values: Mapping[str, float], counts: Mapping[str, int]) -> dict[str, float]:
    """Each value moved towards the quadratic mean of all."""
    if not values:
        return {}
    pooled = math.sqrt(fmean(value**2 for value in values.values()))
    return {label: shrunk_sd(value, counts[label] - 1, pooled, POOLED_DF) for label, value in values.items()}


def _capped(logarithm: float | None) -> float | None:
    """A floor as a fraction, at most `CAP`."""
    return None if logarithm is None else min(math.expm1(logarithm), CAP)
