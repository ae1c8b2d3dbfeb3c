"""Campaigns of faults against this package, kept so that anybody can run them again.

    python -m tools.faults [NAME ...] [--budget SECONDS] [--seed N]

Each is a file here with `run(budget_s, seed) -> Row`: it tries as many faults of one kind as its seconds hold.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a campaign found: how many faults were tried, and how many did harm; the first of those in words."""

    kind: str
    tried: int
    failed: int
    first: str = ""
