"""Timed layers of one case: which layer takes the time, and how far each is from its own roof."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from yolo_perf.analysis import eager_layers
from yolo_perf.analysis.eager_layers import ModuleTimer
from yolo_perf.analysis.roofline import roof_seconds
from yolo_perf.analysis.rounds import middle_half, steady_mean
from yolo_perf.analysis.runtime_layers import by_leaf, node_cost, read_profile
from yolo_perf.analysis.timing import Clock, alternate, timed, used_since
from yolo_perf.analysis.work import LayerCount, layer_counts
from yolo_perf.backends import eager, onnx
from yolo_perf.backends.registry import Backend, Subject
from yolo_perf.errors import UsageError
from yolo_perf.machine.host import read
from yolo_perf.records import Case, Dtype, HostUse, Layer, LayerProfile, Peaks, Work

if TYPE_CHECKING:
    from yolo_perf.analysis.bench import Bench
    from yolo_perf.backends.registry import Images


def profile_layers(
    bench: "Bench", size: str, backend: Backend, batch: int | None = None, budget_s: float | None = None
) -> LayerProfile:
    """Time every layer of a size under a backend, in turn with the same case without instruments.

    `budget_s` is of the timed rounds; by default the bench's.

    Raises UsageError for a backend whose layers cannot be told apart, BackendUnavailable, DataError.
    """
    if not backend.tells_layers:
        raise UsageError(f"The layers of {backend.name} cannot be timed one by one.")
    peaks = bench.peaks
    case = bench.case(size, backend, batch=batch)
    bench.prepare(backend, case)  # what does not agree with eager is not analysed either
    subject = bench.subject(size)
    counts = layer_counts(size, subject.weights.classes)
    job = _Job(
        backend=backend,
        subject=subject,
        case=case,
        images=bench.images(case.batch),
        leaves=tuple(layer.name for layer in counts),
        plan=partial(bench.rounds, budget_s=budget_s),
        clock=bench.clock,
    )
    found = _profiled(job) if backend.module is None else _hooked(job)
    return LayerProfile(
        case=case,
        weights=subject.weights,
        peaks=peaks,
        picture=bench.dataset.label(0),
        layers=tuple(rolled_up(leaves(counts, case, found.seconds, found.operators))),
        between_s=found.between_s / case.batch,
        latency_s=found.latency_s / case.batch,
        node_cost_s=found.node_cost_s,
        rounds=found.rounds,
        planned_rounds=found.planned_rounds,
        allocator=bench.allocator,
        host=found.host,
    )


def leaves(
    counts: Sequence[LayerCount], case: Case, seconds: Mapping[str, float], operators: Mapping[str, Sequence[str]]
) -> list[Layer]:
    """The leaves with work and time, both per image.

    A layer that the engine did not run by itself was fused into the one before it, which then does the work
    of both; pointwise operators inside of it move nothing of their own.
    """
    total_macs = sum(layer.macs for layer in counts)
    found: list[Layer] = []
    runner = 0
    for index, layer in enumerate(counts):
        alone = layer.name in seconds or not found
        ran = tuple(operators.get(layer.name, ()))
        dtype = _dtype(case, ran)
        if alone:
            runner = index
        else:
            extra = layer.work(case.image_size, dtype, folded=True)
            found[runner] = replace(found[runner], work=found[runner].work + extra)
        found.append(
            Layer(
                name=layer.name,
                kind=" ".join(operator.strip("_") for operator in layer.operators),
                leaf=True,
                work=_of_batch(layer.work(case.image_size, dtype), case.batch),
                seconds=seconds.get(layer.name, 0.0) / case.batch if alone else None,
                flop_share=layer.macs / total_macs,
                fused_into="" if alone else counts[runner].name,
                operators=ran,
                dtype=dtype,
            )
        )
    return found


def _dtype(case: Case, operators: Sequence[str]) -> Dtype:
    """The case's number format where the layer's operators are of it: 8-bit graphs keep some layers in floats."""
    if case.dtype != "int8" or any(name.startswith("QLinear") or "Integer" in name for name in operators):
        return case.dtype
    return "fp32"


def _of_batch(work: Work, batch: int) -> Work:
    """Work of one image of a batch, whose images share one reading of the weights."""
    return replace(work, weight_bytes=work.weight_bytes // batch)


def rolled_up(found: Sequence[Layer]) -> list[Layer]:
    """The leaves and every block above them, a block ahead of its leaves; its figures are their sums."""
    blocks: dict[str, list[Layer]] = {}
    for leaf in found:
        parts = leaf.name.split(".")
        for depth in range(2, len(parts)):  # "model" alone would be the whole
            blocks.setdefault(".".join(parts[:depth]), []).append(leaf)
    rows: list[Layer] = []
    for leaf in found:
        rows += [_block(name, inside) for name, inside in blocks.items() if inside[0] is leaf]
        rows.append(leaf)
    return rows


def _block(name: str, inside: Sequence[Layer]) -> Layer:
    executed = [leaf for leaf in inside if leaf.seconds is not None]
    works = [leaf.work for leaf in executed or inside]
    return Layer(
        name=name,
        kind="",
        leaf=False,
        work=sum(works[1:], start=works[0]),
        seconds=sum(leaf.seconds or 0.0 for leaf in executed) if executed else None,
        flop_share=sum(leaf.flop_share for leaf in inside),
    )


def efficiency(layer: Layer, case: Case, peaks: Peaks) -> float | None:
    """Least time under the roofs over the time taken; above 1 where caches serve it faster than memory could."""
    return roof_seconds(layer.work, peaks, roof_dtype(layer, case)) / layer.seconds if layer.seconds else None


def lost_seconds(layer: Layer, case: Case, peaks: Peaks) -> float:
    """Seconds per image beyond the least time that the roofs allow."""
    return (layer.seconds or 0.0) - roof_seconds(layer.work, peaks, roof_dtype(layer, case))


def roof_dtype(layer: Layer, case: Case) -> Dtype:
    """The number format whose roof a layer stands under; a block, as a mixture, under the case's."""
    return layer.dtype if layer.leaf else case.dtype


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What an engine's layers are timed with."""

    backend: Backend
    subject: Subject
    case: Case
    images: "Images"
    leaves: tuple[str, ...]
    plan: Callable[[float], int]  # seconds of a round to the number of rounds
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What an engine tells, in seconds of a whole call."""

    seconds: dict[str, float]
    operators: dict[str, list[str]]
    between_s: float
    latency_s: float
    node_cost_s: float
    rounds: int
    planned_rounds: int
    host: HostUse


def _hooked(job: _Job) -> _Found:
    """PyTorch: hooks around every module, and the same model without them in turn."""
    assert job.backend.module is not None  # noqa: S101 - profile_layers chose by it
    model = job.backend.module(job.subject, job.case)
    infer = eager.inference(model, job.case)
    timer = ModuleTimer(model, job.clock)
    taken: list[dict[str, float]] = []

    def plain() -> None:
        infer(job.images)

    def hooked() -> None:
        with timer.installed():
            infer(job.images)
        taken.append(timer.take())

    plain()
    planned = job.plan(2 * timed(plain, job.clock))
    before = read()
    bare, _ = alternate([plain, hooked], planned, job.clock)
    host = used_since(before)
    names = frozenset(job.leaves)
    kept = [taken[index] for index in middle_half([sum(own.values()) for own in taken[: len(bare)]])]
    split = [eager_layers.by_leaf(own, names) for own in kept]
    # What hooks cost falls into the modules that call the hooked ones, nearly all of which only do that.
    cost = eager_layers.hook_cost()
    between = fmean(between for _, between in split) - cost * len(kept[0])
    return _Found(
        seconds=_mean([seconds for seconds, _ in split]),
        operators={},
        between_s=max(0.0, between),
        latency_s=steady_mean(bare),
        node_cost_s=cost,
        rounds=len(bare),
        planned_rounds=planned,
        host=host,
    )


def _profiled(job: _Job) -> _Found:
    """ONNX Runtime: a session with its profiler on, and one without in turn."""
    graph = job.backend.graph
    assert graph is not None  # noqa: S101 - profile_layers chose by it

    def locate() -> Path:
        return graph(job.subject, job.case)

    with profiled_session(locate, job.case) as session:
        plain, profiled = onnx.load_session(locate, job.case, resting=True), session
        calls = [partial(onnx.inference(each), job.images) for each in (plain, profiled)]
        for call in calls:
            call()
        planned = job.plan(2 * timed(calls[0], job.clock))
        before = read()
        bare, _ = alternate(calls, planned, job.clock)
        host = used_since(before)
        runs = read_profile(Path(session.end_profiling()))
    timed_runs = runs[1 : 1 + len(bare)]  # the first was untimed
    cost = node_cost(timed_runs)
    split = [by_leaf(run, job.leaves, cost) for run in timed_runs]
    kept = middle_half([sum(seconds.values()) for seconds, _ in split])
    return _Found(
        seconds=_mean([split[index][0] for index in kept]),
        operators=split[0][1],
        between_s=0.0,
        latency_s=steady_mean(bare),
        node_cost_s=cost,
        rounds=len(bare),
        planned_rounds=planned,
        host=host,
    )


@contextmanager
def profiled_session(locate: Callable[[], Path], case: Case) -> Iterator[Any]:
    """A session that profiles itself into a scratch folder, which is removed with its file at the end."""
    with tempfile.TemporaryDirectory(prefix="yolo-perf-") as folder:
        yield onnx.load_session(locate, case, profile=Path(folder) / "profile", resting=True)


def _mean(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean seconds of every leaf over rounds of the same leaves."""
    return {leaf: fmean(seconds.get(leaf, 0.0) for seconds in rounds) for leaf in rounds[0]}
