"""The tables of the profilers."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from yolo_perf import units
from yolo_perf.analysis.profilers import by_operator
from yolo_perf.records import FunctionRow, NodeRow, OperatorRow, ProfilerRun
from yolo_perf.report.tables import columns, partial, render, shortened, subject_line, wrapped

NEGATIVE = (
    "A negative self memory is no leak: the operator freed what one inside it had allocated (max_pool2d drops "
    "the indices tensor of max_pool2d_with_indices), and the profiler books allocations and frees apart."
)


def profile(run: ProfilerRun, source: str, top: int, *, width: int = 80, color: bool = False) -> str:
    """The profiler's `top` rows, and what it cost. `source` names the pictures' data set."""
    parts: list[str | Table | Text] = [
        wrapped(f"{run.profiler}: {subject_line(run.case, run.weights, source)}", width)
    ]
    if not run.complete:
        parts.append(partial(run.rounds, run.planned_rounds))
    if run.functions:
        parts += [f"Top {top} of {len(run.functions)} functions by internal time, {run.rounds} rounds:"]
        parts += [_functions(run.functions[:top])]
    if run.operators:
        parts += [f"Top {top} of {len(run.operators)} operators by total time, {run.rounds} rounds:"]
        parts += [_operators(run.operators[:top], sum(row.self_s for row in run.operators))]
        parts += [f"Self CPU time in all: {units.milliseconds(sum(row.self_s for row in run.operators))} ms"]
        if any(min(row.memory_bytes, row.self_memory_bytes) < 0 for row in run.operators[:top]):
            parts += [wrapped(NEGATIVE, width)]
    if run.nodes:
        parts += [f"By operator, ms a call, {run.rounds} rounds:", _kinds(by_operator(run.nodes), top)]
        parts += ["", f"Top {top} of {len(run.nodes)} nodes:", _nodes(run.nodes[:top], run.nodes)]
    parts += ["", wrapped(_cost(run), width)]
    return "\n".join(part if isinstance(part, str) else render(part, width=width, color=color) for part in parts)


def _cost(run: ProfilerRun) -> str:
    return (
        f"The profiler's cost: {units.milliseconds(run.profiled_latency_s)} ms a call with it, "
        f"{units.milliseconds(run.latency_s)} ms without: {100 * run.overhead:+z.1f} %."
    )


def _functions(rows: Sequence[FunctionRow]) -> Table:
    table = columns("ncalls", ("tottime s", "percall ms", "cumtime s"), "function")
    for row in rows:
        recursive = row.calls != row.primitive_calls
        table.add_row(
            f"{row.calls}/{row.primitive_calls}" if recursive else str(row.calls),
            f"{row.own_s:.3f}",
            f"{1e3 * row.own_s / row.calls:.3f}",
            f"{row.total_s:.3f}",
            shortened(row.function, 36),
        )
    return table


def _operators(rows: Sequence[OperatorRow], whole: float) -> Table:
    with_shapes = ("input shapes",) if any(row.shapes for row in rows) else ()
    headings = ("self %", "self ms", "tot. %", "tot. ms", "avg us", "MB", "self MB", "calls")
    table = columns("operator", headings, *with_shapes)
    for row in rows:
        table.add_row(
            shortened(row.operator.removeprefix("aten::"), 21),
            units.percent(row.self_s / whole),
            units.milliseconds(row.self_s),
            units.percent(row.total_s / whole),
            units.milliseconds(row.total_s),
            f"{1e6 * row.total_s / row.calls:.0f}",
            f"{row.memory_bytes / 1e6:.0f}",
            f"{row.self_memory_bytes / 1e6:.0f}",
            str(row.calls),
            *([row.shapes] if with_shapes else []),
        )
    return table


def _kinds(rows: Sequence[NodeRow], top: int) -> Table:
    whole = sum(row.seconds for row in rows)
    table = columns("operator", ("nodes", "ms", "%"))
    for row in rows[:top]:
        share = units.percent(row.seconds / whole)
        table.add_row(row.operator, str(row.nodes), units.milliseconds(row.seconds), share)
    return table


def _nodes(rows: Sequence[NodeRow], all_rows: Sequence[NodeRow]) -> Table:
    whole = sum(row.seconds for row in all_rows)
    table = columns("layer", ("ms", "%"), "operator", "node")
    for row in rows:
        share = units.percent(row.seconds / whole)
        table.add_row(row.layer, units.milliseconds(row.seconds), share, row.operator, shortened(row.node, 32))
    return table
