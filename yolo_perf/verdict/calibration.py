"""What identical code differs by on one machine, case by case: kept beside the machine's baselines."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import msgspec

from yolo_perf.errors import BaselineError
from yolo_perf.machine.identity import slug
from yolo_perf.records import Machine, Positive
from yolo_perf.verdict.baselines import MAX_BYTES
from yolo_perf.verdict.stats import shrunk_sd, signed_rank_interval

SCHEMA = 1
FILE = "calibration.json"
CAP = 0.10
"""A case that identical code moves by more is not gateable at a few per cent."""
BIAS_CONFIDENCE = 0.90
"""Each bound of the interval by itself is then surely passed in one of twenty only."""

Fraction = Annotated[float, msgspec.Meta(ge=0, lt=100)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """One case's noise: standard deviations of natural logarithms; floors are fractions."""

    session_sd: Fraction  # from one process to the next
    paired_sd: Fraction  # of a pair's difference
    session_floor: Fraction  # what two sessions may differ by before it says anything, at most CAP
    paired_floor: Fraction  # what pairing does not take away: the surest bound on the centre of identical sides
    gateable: bool = True  # whether the session floor stayed below CAP


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A machine's noise."""

    schema: Annotated[int, msgspec.Meta(ge=1, le=SCHEMA)] = SCHEMA
    created: str  # ISO 8601, UTC
    machine: str  # the name of its folder
    libraries: dict[str, str]
    pairs: Positive
    cases: dict[str, Noise]

    @property
    def session_sd(self) -> dict[str, float]:
        """The noise between sessions by case label."""
        return {label: noise.session_sd for label, noise in self.cases.items()}

    @property
    def paired_floors(self) -> dict[str, float]:
        """What identical sides of a paired comparison may differ by, by case label."""
        return {label: noise.paired_floor for label, noise in self.cases.items()}


def calibrate(sessions: Mapping[str, Sequence[float]], paired: Mapping[str, Sequence[float]]) -> dict[str, Noise]:
    """The noise of every case from identical code.

    `sessions` holds ln seconds of each fresh process in the order of time, `paired` the differences of pairs; three
    of each at least. The session floor is max(2 sd, Q3 + 3 IQR of the changes from one session to the next), after
    rustc-perf; sd and floor are shrunk halfway to those of all cases together, as one case's few are unsure.
    """
    sds = {label: statistics.stdev(values) for label, values in sessions.items()}
    raw = {label: max(2 * sds[label], _fence(values)) for label, values in sessions.items()}
    pooled_sd = math.sqrt(statistics.fmean(sd**2 for sd in sds.values()))
    pooled_floor = statistics.fmean(raw.values())
    found = {}
    for label, values in sessions.items():
        df = len(values) - 1
        floor = (raw[label] + pooled_floor) / 2
        interval = signed_rank_interval(paired[label], BIAS_CONFIDENCE)
        bias = max(abs(interval.low), abs(interval.high))
        found[label] = Noise(
            session_sd=shrunk_sd(sds[label], df, pooled_sd, df),
            paired_sd=statistics.stdev(paired[label]),
            session_floor=min(math.expm1(floor), CAP),
            paired_floor=min(math.expm1(bias), CAP) if math.isfinite(bias) else CAP,
            gateable=math.expm1(floor) <= CAP,
        )
    return found


def _fence(values: Sequence[float]) -> float:
    """Q3 + 3 IQR of the absolute changes from each value to the next."""
    changes = [abs(later - earlier) for earlier, later in pairwise(values)]
    low, _, high = statistics.quantiles(changes, n=4, method="inclusive")
    return high + 3 * (high - low)


def calibration_path(folder: Path, machine: Machine) -> Path:
    """Where a machine's calibration lies in a folder of baselines."""
    return folder / slug(machine) / FILE


def read_calibration(folder: Path, machine: Machine) -> Calibration | None:
    """This machine's calibration, None where there is none. Raises BaselineError for a damaged one."""
    path = calibration_path(folder, machine)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BaselineError(f"{path} is larger than {MAX_BYTES >> 20} MiB: not a calibration.")
        return msgspec.json.decode(path.read_bytes(), type=Calibration)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BaselineError(f"Cannot read {path}: {error.strerror or error}.") from error
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BaselineError(
            f"{path} is damaged or of a newer yolo-perf: {error}. Remove it, or record it anew: yolo-perf calibrate"
        ) from error


def write_calibration(calibration: Calibration, folder: Path, machine: Machine) -> Path:
    """Write it in one step, replacing an earlier one; its path. Raises BaselineError."""
    path = calibration_path(folder, machine)
    scratch = path.with_name(f".{FILE}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch.write_bytes(msgspec.json.format(msgspec.json.encode(calibration), indent=1) + b"\n")
        scratch.replace(path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise BaselineError(f"Cannot write {path}: {error.strerror or error}. Nothing was changed.") from error
    return path
