"""Records for tests, small and by hand."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from yolo_perf.analysis.bench import Bench
from yolo_perf.archive.saved_pairs import SavedPairs, SavedSetup, SavedSide
from yolo_perf.backends.registry import Backend
from yolo_perf.records import (
    Accuracy,
    Case,
    Commit,
    HostUse,
    Interval,
    Layer,
    LayerProfile,
    Machine,
    Measurement,
    Memory,
    Pair,
    Parity,
    Peaks,
    Run,
    SideRounds,
    StageRun,
    StageTimes,
    Timed,
    Turn,
    Weights,
    Work,
)
from yolo_perf.verdict.gate import Decision

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
        "eager_map50_95": 0.367,
        "compared_boxes": 1000,
    }
    return Accuracy(**{**values, **changes})


UNLABELLED: dict[str, Any] = {"map50": None, "map50_95": None, "eager_map50_95": None, "boxes": 0}
"""Changes that make an accuracy one of pictures without labels."""
UNTRAINED: dict[str, Any] = {"map50": 0.0, "map50_95": 0.0, "eager_map50_95": 0.0}
"""Changes that make it one of weights that find nothing of what is labelled."""


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


def unchecked(bench: Bench, backend: Backend, case: Case, **_: object) -> tuple[Any, Parity]:
    """In the place of `Bench.prepare`, for models that are none: no output is compared with eager's."""
    backend.check_available()
    agreed = Parity(sqnr_db=200.0, box_agreement=1.0, images=1)
    return backend.prepare(bench.subject(case.size), case), agreed


def layer_profile(backend: str = "eager", **changes: Any) -> LayerProfile:
    """Two timed layers: a convolution near the compute roof, and a sum that memory bounds."""
    whole = measurement(backend=backend)
    leaves = (
        Layer(
            name="model.0.conv",
            kind="convolution",
            leaf=True,
            work=Work(macs=10**9, other_flops=0, weight_bytes=10**5, activation_bytes=10**7),
            seconds=0.020,
            flop_share=0.9,
        ),
        Layer(
            name="model.2.(own)",
            kind="add",
            leaf=True,
            work=Work(macs=0, other_flops=10**6, weight_bytes=0, activation_bytes=10**7),
            seconds=0.004,
            flop_share=0.1,
        ),
    )
    values: dict[str, Any] = {
        "case": whole.case,
        "weights": whole.weights,
        "peaks": peaks(),
        "picture": "one.jpg",
        "layers": leaves,
        "between_s": 0.001,
        "latency_s": 0.025,
        "node_cost_s": 0.0,
        "rounds": 10,
        "planned_rounds": 10,
    }
    return LayerProfile(**{**values, **changes})


def full_run(**changes: Any) -> Run:
    """A run with figures of every kind. Long, as every figure has a line of its own."""
    cases = [("eager", 0.04, 1), ("batched", 0.12, 4), ("onnx", 0.02, 1)]
    measured = [
        measurement((s, 1.1 * s, 1.2 * s), size=size, backend=backend, batch=batch)
        for size in ("n", "s")
        for backend, s, batch in cases
    ]
    stages = StageTimes(load_s=0.003, preprocess_s=0.001, inference_s=0.035, postprocess_s=0.001)
    first = measured[0]
    return run(
        *measured,
        **{
            "accuracy": (accuracy("eager"), accuracy("onnx", map50_95=0.36, box_agreement=0.9)),
            "stages": (
                StageRun(
                    case=first.case,
                    weights=first.weights,
                    data="coco128",
                    pictures=2,
                    cold=False,
                    times=(stages,) * 2,
                    planned=2,
                ),
            ),
            "layers": (layer_profile("eager"), layer_profile("onnx")),
            "throughput": tuple(
                Timed(
                    case=replace(first.case, batch=batch, threads=threads), round_seconds=(0.04 * batch / threads,)
                )
                for batch in (1, 2)
                for threads in (1, 2)
            ),
            "memory": (
                Memory(
                    case=first.case,
                    base_bytes=2**28,
                    loaded_bytes=2**24,
                    peak_bytes=2**26,
                    weight_bytes=7_469_620,
                    activation_bytes=2**24,
                ),
            ),
            **changes,
        },
    )


def saved_pairs(*decisions: Decision, **changes: Any) -> SavedPairs:
    """A paired comparison as it is read from its file."""
    values: dict[str, Any] = {
        "schema": 1,
        "base": SavedSide(name="ref:main", commit="a" * 40),
        "head": SavedSide(name="path:."),
        "setup": SavedSetup(image_size=640, threads=2, batches={"n-batched": 4}),
        "decisions": decisions,
        "libraries": ({"torch": "2.12.0"}, {"torch": "2.13.0"}),
        "complete": True,
        "seconds": 300.0,
    }
    return SavedPairs(**{**values, **changes})


def decision(label: str = "n-eager", verdict: str = "unchanged", **changes: Any) -> Decision:
    values: dict[str, Any] = {
        "label": label,
        "verdict": verdict,
        "reason": "surely within 3 %",
        "ratio": Interval(point=1.0, low=0.99, high=1.01, confidence=0.95),
        "base_s": 0.04,
        "head_s": 0.04,
        "detectable": 0.02,
        "pairs": 6,
    }
    return Decision(**{**values, **changes})
