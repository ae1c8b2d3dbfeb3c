"""When a session was, and which of two came first."""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any, TypeVar

T = TypeVar("T")

FIRST_YEAR, LAST_YEAR = 1970, 9999
NUMBERED = re.compile(r"(\d{4,})_.*\.json")
"""A baseline's name."""


def utc(moment: datetime) -> datetime:
    """A moment in UTC, which it is taken to be in where it names no zone. Raises ValueError for an odd year."""
    if not FIRST_YEAR <= moment.year < LAST_YEAR:
        raise ValueError(f"a date in the year {moment.year}")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def in_order(found: Iterable[T], created: Callable[[T], Any], path: Callable[[T], PurePath]) -> list[T]:
    """Oldest first: by date, but the numbered files of one folder by their numbers, as a clock may be set back."""
    ordered = sorted(found, key=created)
    places: dict[PurePath, list[tuple[int, int]]] = {}  # by folder: each file's number and place
    for place, each in enumerate(ordered):
        if match := NUMBERED.fullmatch(path(each).name):
            places.setdefault(path(each).parent, []).append((int(match[1]), place))
    for own in places.values():
        numbered = [ordered[place] for _, place in sorted(own)]
        for (_, place), each in zip(own, numbered, strict=True):
            ordered[place] = each
    return ordered
