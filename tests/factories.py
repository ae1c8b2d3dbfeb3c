"""Records for tests, small and by hand."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from yolo_perf.analysis.bench import Bench
from yolo_perf.backends.registry import Backend
from yolo_perf.records import (
    Accuracy,
    Case,
    Commit,
    HostUse,
    Machine,
    Measurement,
    Pair,
    Parity,
    Peaks,
    Run,
    SideRounds,
    Turn,
    Weights,
    Work,
)

NODEID = "benchmarks/test_inference.py::test_inference[{}]"


def machine(**changes: Any) -> Machine:
    values: dict[str, Any] = {
        "cpu_model": "AMD EPYC",
        "vendor": "AuthenticAMD",
        "architecture": "x86_64",
        "family": 25,
        "model": 1,
        "stepping": 1,
        "isa": ("avx", "avx2", "fma"),
        "sockets": 1,
        "physical_cores": 2,
        "logical_cores": 2,
        "usable_cores": 2,
        "clock_hz_min": None,
        "clock_hz_max": None,
        "clock_hz_reported": 2.4e9,
        "memory_bytes": 24 * 2**30,
        "caches": {"L1d": 32768},
        "governor": None,
        "hypervisor": None,
        "os": "Linux 6",
        "python": "3.11.7",
        "libraries": {"torch": "2.13.0"},
    }
    return Machine(**{**values, **changes})


def peaks() -> Peaks:
    return Peaks(flops_per_s={"fp32": 200e9, "int8": 400e9}, bytes_per_s=40e9, threads=2, method="by hand")


def measurement(
    rounds: tuple[float, ...] = (0.04,), *, size: str = "n", backend: str = "eager", **changes: Any
) -> Measurement:
    case: dict[str, Any] = {
        "size": size,
        "backend": backend,
        "batch": 1,
        "image_size": 640,
        "threads": 2,
        "dtype": "fp32",
    }
    case.update({key: changes.pop(key) for key in list(changes) if key in case})
    values: dict[str, Any] = {
        "case": Case(**case),
        "nodeid": NODEID.format(f"{size}-{backend}"),
        "weights": Weights(source="seeded", digest="0" * 64, parameters=1_867_405, classes=80),
        "work": Work(macs=2_000_000_000, other_flops=0, weight_bytes=7_469_620, activation_bytes=200_000_000),
        "round_seconds": rounds,
        "warmup_rounds": 1,
        "parity": Parity(sqnr_db=200.0, box_agreement=1.0, images=2),
    }
    return Measurement(**{**values, **changes})


def accuracy(backend: str = "eager", **changes: Any) -> Accuracy:
    whole = measurement(backend=backend, **{k: changes.pop(k) for k in list(changes) if k in ("size", "batch")})
    values: dict[str, Any] = {
        "case": whole.case,
        "weights": whole.weights,
        "data": "coco128",
        "pictures": 128,
        "boxes": 929,
        "protocol": "rectangular",
        "map50": 0.563,
        "map50_95": 0.367,
        "sqnr_db": 200.0,
        "box_agreement": 1.0,
    }
    return Accuracy(**{**values, **changes})


def run(*measurements: Measurement, **changes: Any) -> Run:
    values: dict[str, Any] = {
        "created": "2026-01-01T00:00:00+00:00",
        "machine": machine(),
        "peaks": peaks(),
        "commit": Commit(id="abc1234", branch="main"),
        "measurements": measurements,
    }
    return Run(**{**values, **changes})


def turn(
    label: str = "n-eager",
    base: Sequence[float] = (0.01,) * 5,
    head: Sequence[float] | None = None,
    *,
    control: bool = False,
    steal_s: float | None = None,
) -> Turn:
    """Rounds of either side; the head's are the base's where none are given. `steal_s` is the head's."""
    return Turn(
        label=label,
        base=SideRounds(round_seconds=tuple(base)),
        head=SideRounds(
            round_seconds=tuple(base if head is None else head),
            host=HostUse()
            if steal_s is None
            else HostUse(steal_s=steal_s, run_delay_s=0.5, involuntary_switches=7),
        ),
        control=control,
    )


def pairs(differences: Mapping[str, Sequence[float]], *, seconds: float = 0.01) -> tuple[Pair, ...]:
    """Pairs that differ by so much on the scale of logarithms; labels in brackets are controls."""
    return tuple(
        Pair(
            turns=tuple(
                turn(label, (seconds,) * 5, (seconds * math.exp(d),) * 5, control=label.startswith("("))
                for label, d in zip(differences, row, strict=True)
            )
        )
        for row in zip(*differences.values(), strict=True)
    )


def unchecked(bench: Bench, backend: Backend, case: Case) -> tuple[Any, Parity]:
    """In the place of `Bench.prepare`, for models that are none: no output is compared with eager's."""
    backend.check_available()
    agreed = Parity(sqnr_db=200.0, box_agreement=1.0, images=1)
    return backend.prepare(bench.subject(case.size), case), agreed
