"""How many rounds, and what is made of them: no clock here."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

MIN_ROUNDS, MAX_ROUNDS = 3, 50
LOW_QUANTILE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Untimed rounds first, then timed ones."""

    warmup_rounds: int
    rounds: int


def plan(round_s: float, *, budget_s: float, rounds: int | None = None) -> Plan:
    """Rounds that fill a time budget, or as many as are asked for, after one warm-up round.

    `round_s` is the time of one call that was already made, so the first, slowest call is never timed.
    """
    if rounds is None:
        rounds = min(max(int(budget_s / round_s), MIN_ROUNDS), MAX_ROUNDS)
    return Plan(warmup_rounds=1, rounds=rounds)


def low_quantile(round_seconds: Sequence[float]) -> float:
    """The ceil(0.1 R)-th smallest of R rounds: noise only adds time, so the low end is the steady one."""
    return sorted(round_seconds)[math.ceil(LOW_QUANTILE * len(round_seconds)) - 1]


def middle_half(seconds: Sequence[float]) -> list[int]:
    """Indices of the rounds between the quartiles: neither a lucky moment nor a neighbour's burst."""
    order = sorted(range(len(seconds)), key=seconds.__getitem__)
    cut = len(order) // 4
    return order[cut : len(order) - cut]


def steady_mean(seconds: Sequence[float]) -> float:
    """Interquartile mean: as steady as a median, and parts add up to their sum."""
    return fmean(seconds[index] for index in middle_half(seconds))
