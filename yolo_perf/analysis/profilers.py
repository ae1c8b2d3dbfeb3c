"""One profiler at a time over one case, with what the profiler itself costs.

A profiler run under another one measures that one: cProfile around PyTorch's profiler shows the parsing of
PyTorch's events above the convolutions.
"""

import cProfile
import pstats
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from yolo_perf import files
from yolo_perf.analysis.layers import profiled_session
from yolo_perf.analysis.rounds import steady_mean
from yolo_perf.analysis.runtime_layers import Node, layer_names, read_profile
from yolo_perf.analysis.timing import alternate
from yolo_perf.analysis.work import layer_counts
from yolo_perf.backends import onnx
from yolo_perf.backends.registry import Backend, Subject
from yolo_perf.errors import UsageError, YoloPerfError
from yolo_perf.records import Case, FunctionRow, NodeRow, OperatorRow, ProfilerRun

if TYPE_CHECKING:
    from yolo_perf.analysis.bench import Bench
    from yolo_perf.backends.registry import Images, Infer

MAX_TRACED_ROUNDS = 30
"""PyTorch keeps every event until it is stopped, then takes longer to read them than they took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What a profiler is pointed at."""

    bench: "Bench"
    backend: Backend
    subject: Subject
    case: Case
    infer: "Infer"
    images: "Images"
    shapes: bool
    save: Path | None


def profile_with(
    profiler: str,
    bench: "Bench",
    size: str,
    backend: Backend,
    *,
    batch: int | None,
    shapes: bool,
    save: Path | None,
) -> ProfilerRun:
    """Run a case under "cprofile", "torch" or "onnxruntime"; the profiler's own file goes to `save`.

    Raises UsageError for a profiler that cannot see into the backend, BackendUnavailable, YoloPerfError.
    """
    if profiler not in PROFILERS:
        raise UsageError(f"Unknown profiler {profiler!r}. Choose from: {', '.join(PROFILERS)}.")
    if profiler == "torch" and backend.module is None:
        raise UsageError(f"PyTorch's profiler does not see into {backend.name}. Use --with onnxruntime.")
    if profiler == "onnxruntime" and backend.engine != profiler:
        raise UsageError(f"ONNX Runtime does not run {backend.name}. Use --with torch, or --backend onnx.")
    if shapes and profiler != "torch":
        raise UsageError("--shapes: only PyTorch's profiler records the inputs' shapes: --with torch")
    backend.check_available()
    case = bench.case(size, backend, batch=batch)
    infer, _ = bench.prepare(backend, case)
    look = _Look(
        bench=bench,
        backend=backend,
        subject=bench.subject(size),
        case=case,
        infer=infer,
        images=bench.images(case.batch),
        shapes=shapes,
        save=save,
    )
    return PROFILERS[profiler](look)


def _cprofile(look: _Look) -> ProfilerRun:
    infer, images = look.infer, look.images
    profile = cProfile.Profile()

    def plain() -> None:
        infer(images)

    def profiled() -> None:
        profile.enable()
        try:
            infer(images)
        finally:
            profile.disable()

    planned = _planned(look.bench, plain, calls=2)
    bare, seen = alternate([plain, profiled], planned, look.bench.clock)
    stats: Any = pstats.Stats(profile)
    if look.save is not None:
        _save(look.save, stats.dump_stats)
    rows = [
        FunctionRow(
            function=_place(*where),
            calls=calls,
            primitive_calls=primitive,
            own_s=own,
            total_s=total,
        )
        for where, (primitive, calls, own, total, _) in stats.stats.items()
    ]
    return ProfilerRun(
        profiler="cProfile",
        case=look.case,
        weights=look.subject.weights,
        functions=tuple(sorted(rows, key=lambda row: -row.own_s)),
        latency_s=steady_mean(bare),
        profiled_latency_s=steady_mean(seen),
        rounds=len(bare),
        planned_rounds=planned,
    )


def _torch(look: _Look) -> ProfilerRun:
    from torch.profiler import ProfilerActivity, profile

    infer, images = look.infer, look.images

    def call() -> None:
        infer(images)

    planned = _planned(look.bench, call, calls=2, most=MAX_TRACED_ROUNDS)
    (before,) = alternate([call], (planned + 1) // 2, look.bench.clock)
    if len(before) < (planned + 1) // 2:
        raise KeyboardInterrupt  # nothing was profiled yet
    profiler = profile(activities=[ProfilerActivity.CPU], profile_memory=True, record_shapes=look.shapes)
    profiler.start()
    try:
        (seen,) = alternate([call], planned, look.bench.clock)
    finally:
        profiler.stop()
    after: tuple[float, ...] = ()
    with suppress(KeyboardInterrupt):  # the profile is whole by now
        if len(seen) == planned:
            (after,) = alternate([call], (planned + 1) // 2, look.bench.clock)
    if look.save is not None:
        _save(look.save, lambda target: profiler.export_chrome_trace(str(target)))
    rows = _operators(profiler, shapes=look.shapes)
    return ProfilerRun(
        profiler="PyTorch profiler",
        case=look.case,
        weights=look.subject.weights,
        operators=tuple(sorted(rows, key=lambda row: -row.total_s)),
        latency_s=steady_mean([*before, *after]),
        profiled_latency_s=steady_mean(seen),
        rounds=len(seen),
        planned_rounds=planned,
    )


def _operators(profiler: Any, *, shapes: bool) -> list[OperatorRow]:
    """What PyTorch's profiler saw of each operator, or of each with inputs of the same `shapes`."""
    return [
        OperatorRow(
            operator=event.key,
            shapes=str(event.input_shapes) if shapes else "",
            calls=event.count,
            self_s=event.self_cpu_time_total / 1e6,
            total_s=event.cpu_time_total / 1e6,
            memory_bytes=event.cpu_memory_usage,
            self_memory_bytes=event.self_cpu_memory_usage,
        )
        for event in profiler.key_averages(group_by_input_shape=shapes)
    ]


def _onnxruntime(look: _Look) -> ProfilerRun:
    graph, subject, case, images = look.backend.graph, look.subject, look.case, look.images
    assert graph is not None  # noqa: S101 - profile_with checked it
    locate = partial(graph, subject, case)
    with profiled_session(locate, case) as session:
        infer, watched = onnx.inference(onnx.load_session(locate, case, resting=True)), onnx.inference(session)
        watched(images)
        planned = _planned(look.bench, lambda: infer(images), calls=2)
        bare, seen = alternate([lambda: infer(images), lambda: watched(images)], planned, look.bench.clock)
        path = Path(session.end_profiling())
        runs = read_profile(path)[1 : 1 + len(seen)]  # the first was untimed
        if look.save is not None:
            _save(look.save, lambda target: shutil.copyfile(path, target))
    leaves = tuple(layer.name for layer in layer_counts(case.size, subject.weights.classes))
    return ProfilerRun(
        profiler="ONNX Runtime profiler",
        case=look.case,
        weights=look.subject.weights,
        nodes=tuple(node_rows(runs, leaves)),
        latency_s=steady_mean(bare),
        profiled_latency_s=steady_mean(seen),
        rounds=len(bare),
        planned_rounds=planned,
    )


def node_rows(runs: Sequence[Sequence[Node]], leaves: Sequence[str]) -> list[NodeRow]:
    """Every node with its mean seconds over the runs, the longest first."""
    layers = layer_names(runs[0], leaves)
    rows = [
        NodeRow(
            node=node.name,
            operator=node.operator,
            layer=layer,
            nodes=1,
            seconds=fmean(run[index].seconds for run in runs),
        )
        for index, (node, layer) in enumerate(zip(runs[0], layers, strict=True))
    ]
    return sorted(rows, key=lambda row: -row.seconds)


def by_operator(nodes: Sequence[NodeRow]) -> list[NodeRow]:
    """All nodes of each operator together, the longest first."""
    kinds = {row.operator: [each for each in nodes if each.operator == row.operator] for row in nodes}
    rows = [
        NodeRow(node="", operator=kind, layer="", nodes=len(rows), seconds=sum(row.seconds for row in rows))
        for kind, rows in kinds.items()
    ]
    return sorted(rows, key=lambda row: -row.seconds)


PROFILERS: dict[str, Callable[[_Look], ProfilerRun]] = {
    "cprofile": _cprofile,
    "torch": _torch,
    "onnxruntime": _onnxruntime,
}


def _planned(bench: "Bench", call: Callable[[], object], calls: int, most: int | None = None) -> int:
    """Rounds of so many calls within the budget, after an untimed call."""
    call()
    ((once,),) = alternate([call], 1, bench.clock)
    return bench.rounds(calls * once, most)


def _place(file: str, line: int, name: str) -> str:
    """A function's place with the last two parts of its path; a builtin's name."""
    return name if file == "~" else f"{'/'.join(Path(file).parts[-2:])}:{line}({name})"


def _save(path: Path, write: Callable[[Path], object]) -> None:
    try:
        with TemporaryDirectory(prefix="yolo-perf-") as folder:
            own = Path(folder) / f"profile{''.join(path.suffixes[-2:])}"  # exporters pack by a name's end
            write(own)
            files.write(path, own.read_bytes())
    except (OSError, RuntimeError) as error:  # PyTorch's exporter raises the latter
        raise YoloPerfError(f"Cannot write {path}: {error}.") from error
