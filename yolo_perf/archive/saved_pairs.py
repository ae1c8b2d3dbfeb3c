"""What `yolo-perf ab --json` wrote, read again: the decisions and what they stand on, without the raw rounds."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec

from yolo_perf.archive.saved_run import content_of, parsed
from yolo_perf.errors import BaselineError
from yolo_perf.records import Reference, Run
from yolo_perf.verdict.gate import Decision

PAIRS_BLOCK = "yolo_perf_ab"
PAIRS_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedSide:
    """One side, by the name that its user gave it."""

    name: str
    commit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedSetup:
    """What both sides ran."""

    image_size: int | None = None  # None where the cases are tests
    threads: int | None = None
    batches: dict[str, Annotated[int, msgspec.Meta(gt=0)]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedPairs:
    """One paired comparison."""

    schema: Annotated[int, msgspec.Meta(ge=1, le=PAIRS_SCHEMA)]
    base: SavedSide
    head: SavedSide
    setup: SavedSetup
    decisions: tuple[Decision, ...]
    libraries: tuple[dict[str, str], ...] = ()  # the base's, the head's
    complete: bool
    invalid_controls: tuple[str, ...] = ()
    failure: str | None = None
    seconds: float

    @property
    def measured(self) -> bool:
        """Whether a single pair of any case was measured: a comparison of nothing is no pass."""
        return any(decision.pairs for decision in self.decisions)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    yolo_perf_ab: dict[str, Any] | None = None


def read_told(path: Path) -> Run | Reference | SavedPairs:
    """The run, the reference or the paired comparison that a file holds. Raises BaselineError naming the file."""
    content = content_of(path)
    try:
        found = msgspec.json.decode(content, type=_Head).yolo_perf_ab
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        found = None  # the other reader says what is wrong with it
    return parsed(path, content) if found is None else as_pairs(found, str(path))


def as_pairs(plain: dict[str, Any], name: str) -> SavedPairs:
    """The comparison in a block's plain values. Raises BaselineError naming where it came from."""
    schema = plain.get("schema")
    if isinstance(schema, int) and schema > PAIRS_SCHEMA:
        raise BaselineError(f"{name} has schema {schema}, this yolo-perf reads up to {PAIRS_SCHEMA}. Upgrade it.")
    try:
        return msgspec.convert(_with_bounds(plain), SavedPairs)
    except msgspec.ValidationError as error:
        raise BaselineError(f"{name} is damaged or no paired comparison: {error}.") from error


def _with_bounds(plain: dict[str, Any]) -> dict[str, Any]:
    """The block with infinity where JSON, which has none, holds null for a bound that the pairs do not give."""
    decisions = plain.get("decisions")
    if not isinstance(decisions, list):
        return plain
    return {**plain, "decisions": [_bounded(each) if isinstance(each, dict) else each for each in decisions]}


def _bounded(decision: dict[str, Any]) -> dict[str, Any]:
    ratio = decision.get("ratio")
    if not isinstance(ratio, dict) or ratio.get("high", 0) is not None:
        return decision
    return {**decision, "ratio": {**ratio, "high": math.inf}}
