"""ONNX Runtime's profile, read as data and mapped back to the layers that the graph was exported from."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import msgspec

from yolo_perf.analysis.work import OWN
from yolo_perf.errors import DataError
from yolo_perf.records import Count

_LATER_CALL = re.compile(r"_\d+$")
SUFFIX = "_kernel_time"
RUN = "model_run"
FREE_OPERATOR = "Reshape"
"""Moves nothing in these graphs, so that its time in a profile is the profiler's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node of the optimised graph in one run, as the profiler saw it."""

    name: str
    operator: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arguments:
    op_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    name: str
    cat: str = ""
    dur: Count = 0  # microseconds
    args: _Arguments = _Arguments()


def read_profile(path: Path) -> list[tuple[Node, ...]]:
    """The nodes of every run in the order in which they ran. Raises DataError for what is no such profile."""
    try:
        events = msgspec.json.decode(path.read_bytes(), type=list[_Event])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"Cannot read ONNX Runtime's profile {path}: {error}.") from error
    runs: list[tuple[Node, ...]] = []
    nodes: list[Node] = []
    for event in events:
        if event.cat == "Node" and event.name.endswith(SUFFIX):
            name = event.name.removesuffix(SUFFIX)
            nodes.append(Node(name=name, operator=event.args.op_name, seconds=event.dur / 1e6))
        elif event.name == RUN:
            runs.append(tuple(nodes))
            nodes = []
    return runs


def node_cost(runs: Iterable[Sequence[Node]]) -> float:
    """Seconds that the profiler adds to every node: what the nodes that move nothing take; 0 without any.

    ONNX Runtime closes a node's interval only after it has put the node's record together. The lower quartile
    stands for it: noise only adds time.
    """
    free = [node.seconds for run in runs for node in run if node.operator == FREE_OPERATOR]
    return quantiles(free, n=4)[0] if len(free) > 1 else 0.0


def by_leaf(
    nodes: Sequence[Node], leaves: Sequence[str], cost: float
) -> tuple[dict[str, float], dict[str, list[str]]]:
    """Seconds of one run's nodes by leaf with `cost` taken off each, and the operators that ran for it."""
    seconds: dict[str, float] = {}
    operators: dict[str, list[str]] = {}
    for node, layer in zip(nodes, layer_names(nodes, leaves), strict=True):
        seconds[layer] = seconds.get(layer, 0.0) + max(0.0, node.seconds - cost)
        operators.setdefault(layer, []).append(node.operator)
    return seconds, operators


def layer_names(nodes: Sequence[Node], leaves: Sequence[str]) -> list[str]:
    """The leaf of every node of a run.

    A node that the runtime put in under a name of its own (a change of layout) belongs to the layer that ran
    before it; ahead of the first, to the first.
    """
    known = frozenset(leaves)
    found = [leaves[0]]
    for node in nodes:
        found.append(leaf_of(node.name, known) or found[-1])
    return found[1:]


def leaf_of(node: str, leaves: frozenset[str]) -> str | None:
    """The leaf that a node's name tells: "/model.2/m/m.0/cv1/conv/Conv_quant" is of model.2.m.0.cv1.conv.

    The exporter repeats a container's name in its members' ("m/m.0" is the member 0 of m) and numbers a
    module's later calls ("m_1").
    """
    parts: list[str] = []
    found = None
    for segment in node.strip("/").split("/"):
        if parts and segment.startswith(f"{parts[-1]}."):
            parts.pop()
        again = ".".join([*parts, _LATER_CALL.sub("", segment)])
        parts.append(segment)
        module = ".".join(parts)
        found = next((leaf for leaf in (module, f"{module}.{OWN}", again) if leaf in leaves), found)
    return found
