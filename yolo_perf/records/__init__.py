"""Frozen records that cross modules. SI base units throughout: seconds, bytes, FLOP; tuples, not lists.

They are plain dataclasses with annotations that `msgspec` checks when a file is read, so a saved run is
either well formed or refused.
"""

from yolo_perf.records.case import SEEDED, Case, Weights, Work
from yolo_perf.records.comparison import Comparison, Interval, Pair, SideRounds, Turn
from yolo_perf.records.layers import FunctionRow, Layer, LayerProfile, NodeRow, OperatorRow, ProfilerRun
from yolo_perf.records.machine import Machine, Peaks
from yolo_perf.records.measurement import (
    STAGES,
    Accuracy,
    HostUse,
    Measurement,
    Memory,
    Parity,
    StageRun,
    StageTimes,
    Timed,
)
from yolo_perf.records.run import SCHEMA, Commit, PublishedResult, Reference, Run
from yolo_perf.records.scalars import (
    Bound,
    Count,
    Dtype,
    Metric,
    Positive,
    Protocol,
    Rate,
    Seconds,
    Share,
    Verdict,
)

__all__ = [
    "SCHEMA",
    "SEEDED",
    "STAGES",
    "Accuracy",
    "Bound",
    "Case",
    "Commit",
    "Comparison",
    "Count",
    "Dtype",
    "FunctionRow",
    "HostUse",
    "Interval",
    "Layer",
    "LayerProfile",
    "Machine",
    "Measurement",
    "Memory",
    "Metric",
    "NodeRow",
    "OperatorRow",
    "Pair",
    "Parity",
    "Peaks",
    "Positive",
    "ProfilerRun",
    "Protocol",
    "PublishedResult",
    "Rate",
    "Reference",
    "Run",
    "Seconds",
    "Share",
    "SideRounds",
    "StageRun",
    "StageTimes",
    "Timed",
    "Turn",
    "Verdict",
    "Weights",
    "Work",
]
