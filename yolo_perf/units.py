"""The only place where figures are rounded for people. Everything else carries SI base units."""

from collections.abc import Iterable

MEBI = 2**20


def milliseconds(seconds: float) -> str:
    """A duration in ms, with two decimals below a second, without its unit."""
    return in_unit(seconds, "ms")


UNITS = {"ms": 1e3, "us": 1e6, "ns": 1e9}


def unit_of(seconds: Iterable[float]) -> str:
    """The unit in which all of these durations have digits to show: of ms, us and ns the largest that has."""
    least = min(seconds, default=1.0)
    return next((unit for unit, of in UNITS.items() if least * of >= 0.1), "ns")


def in_unit(seconds: float, unit: str) -> str:
    """A duration in one of UNITS, with two decimals below a thousand, without its unit."""
    value = seconds * UNITS[unit]
    return f"{value:.2f}" if value < 1000 else f"{value:.0f}"


def duration(seconds: float) -> str:
    """A stretch of time to wait for: "35 s" in steps of five, "4 min" from a minute and a half, "2.5 h"."""
    if seconds < 10:
        return f"{seconds:.0f} s"
    if seconds < 90:
        return f"{5 * round(seconds / 5)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def rate(per_second: float) -> str:
    """A rate (images/s) with a precision that suits its size."""
    return f"{per_second:.1f}" if per_second < 1000 else f"{per_second:.0f}"


def mega(count: float) -> str:
    """A count in millions with two decimals: parameters."""
    return f"{count / 1e6:.2f}"


def giga(count: float) -> str:
    """A count in units of 10^9 with two decimals: GMAC, GFLOP."""
    return f"{count / 1e9:.2f}"


def giga_rate(per_second: float) -> str:
    """A rate in units of 10^9/s with one decimal: GFLOP/s, GB/s."""
    return f"{per_second / 1e9:.1f}"


def mebibytes(count: float) -> str:
    """A size in MiB with two decimals."""
    return f"{count / MEBI:.2f}"


def percent(fraction: float) -> str:
    """A fraction in per cent with one decimal."""
    return f"{fraction * 100:.1f}"


def signed_percent(ratio: float) -> str:
    """A ratio (new / old) as a signed change in per cent: 1.1 gives "+10.0 %"; what rounds to nothing "+0.0 %"."""
    return f"{(ratio - 1) * 100:+z.1f} %"


def gigahertz(hz: float) -> str:
    """A clock in GHz, two decimals."""
    return f"{hz / 1e9:.2f}"


def clock_phrase(hz: float | None) -> str:
    """The measured clock as a part of a list of roofs; "" where it was not measured."""
    return "" if hz is None else f"; clock {gigahertz(hz)} GHz, measured"
