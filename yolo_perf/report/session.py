"""What stands below a session's table of results: all other tables, or a line for each of them."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from yolo_perf.records import Case, Run
from yolo_perf.report.accuracy import accuracy
from yolo_perf.report.layers import lost_time
from yolo_perf.report.stages import stages
from yolo_perf.report.sweeps import memory, throughput
from yolo_perf.report.tables import wrapped

INDENT = "  "


def whole_tables(run: Run, *, width: int = 80, color: bool = False) -> list[str]:
    """The tables of stages, one size after the other, accuracy, layers, throughput and memory: those there are."""
    tables = [
        stages(tuple(runs), width=width, color=color)
        for _, runs in groupby(run.stages, key=lambda each: each.case.size)
    ]
    if run.accuracy:
        tables.append(accuracy(run, width=width, color=color))
    if run.layers:
        tables.append(lost_time(run.layers, width=width, color=color))
    if run.throughput:
        tables.append(throughput(run.throughput, width=width, color=color))
    if run.memory:
        tables.append(memory(run.memory, width=width, color=color))
    return tables


def also_measured(run: Run, command: str, *, width: int = 80) -> str:
    """A line for each of those tables, below the command that prints them; "" where there is none of them.

    `command` is empty where the run was not kept: then another session alone would show them.
    """
    batches = sorted({each.case.batch for each in run.throughput})
    threads = sorted({each.case.threads for each in run.throughput})
    pictures = f"{run.accuracy[0].pictures} pictures" if run.accuracy else ""
    found: tuple[tuple[str, Iterable[Case], str], ...] = (
        ("stages", (each.case for each in run.stages), ""),
        ("accuracy", (each.case for each in run.accuracy), pictures),
        ("layers", (each.case for each in run.layers), ""),
        (
            "throughput",
            (each.case for each in run.throughput),
            f"batches {_list(batches)}; threads {_list(threads)}",
        ),
        ("memory", (each.case for each in run.memory), ""),
    )
    lines = []
    for name, cases, remark in found:
        if labels := [case.label for case in cases]:
            text = f"{INDENT}{name:<10}  {_named(labels)}{f'; {remark}' if remark else ''}"
            lines.append(wrapped(text, width, indent=" " * (len(INDENT) + 12)))
    if not lines:
        return ""
    heading = (
        f"Also measured; the tables: -v, or\n{INDENT}{command}" if command else "Also measured; the tables: -v"
    )
    return "\n".join([heading, *lines])


def not_measured(reasons: Mapping[str, str], *, width: int = 80) -> list[str]:
    """One line a reason. `reasons` by case label, as in "n-onnx"; they may begin with the optimisation's name."""
    labels: dict[str, list[str]] = {}
    for label, reason in reasons.items():
        name = label.partition("-")[2]
        kind, colon, rest = reason.partition(": ")
        shared = f"{kind}: {rest.removeprefix(f'{name} ')}" if colon else reason
        labels.setdefault(shared, []).append(label)
    return [wrapped(f"Not measured: {_named(each)}: {reason}", width) for reason, each in labels.items()]


def _named(labels: Sequence[str]) -> str:
    """ "onnx, openvino of n, s" where each of the sizes has each of these optimisations, else every label."""
    once = list(dict.fromkeys(labels))
    pairs = [label.partition("-")[::2] for label in once]
    sizes, names = (list(dict.fromkeys(column)) for column in zip(*pairs, strict=True))
    if len(once) == 1 or len(sizes) * len(names) != len(once):
        return _list(once)
    return f"{_list(names)} of {_list(sizes)}"


def _list(items: Iterable[object]) -> str:
    return ", ".join(map(str, items))
