"""Campaigns of faults against this package, kept so that anybody can run them again.

    python -m tools.faults [NAME ...] [--budget SECONDS] [--seed N]

Each is a file here with `run(budget_s, seed) -> Row`: it tries as many faults of one kind as its seconds hold.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a campaign found: how many faults were tried, and how many did harm; the first of those in words."""

    kind: str
    tried: int
    failed: int
    first: str = ""


def campaign(kind: str, budget_s: float, seed: int, attempt: Callable[[random.Random], str]) -> Row:
    """As many attempts as there are seconds; each says what harm was done, "" for none."""
    rng, ends = random.Random(seed), time.monotonic() + budget_s  # noqa: S311
    tried = failed = 0
    first = ""
    while time.monotonic() < ends:
        tried += 1
        if harm := attempt(rng):
            failed, first = failed + 1, first or harm
    return Row(kind=kind, tried=tried, failed=failed, first=first)
