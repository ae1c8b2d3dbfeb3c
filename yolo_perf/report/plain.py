"""Records as flat rows of plain values in SI units: what JSON and CSV hold."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from yolo_perf.analysis.audit import Audit, explain
from yolo_perf.analysis.figures import figures
from yolo_perf.analysis.layers import efficiency, lost_seconds, roof_dtype
from yolo_perf.analysis.roofline import attainable_flops_per_s, bound
from yolo_perf.analysis.stages import stage_figures
from yolo_perf.analysis.work import LayerCount, beyond
from yolo_perf.archive.baselines import Shelf
from yolo_perf.archive.histories import Spread
from yolo_perf.pairing.contest import Contest, geometric_mean
from yolo_perf.proof.calibration import Calibration
from yolo_perf.records import LayerProfile, Memory, Peaks, ProfilerRun, Run, StageRun, Work
from yolo_perf.verdict.accuracy import floor, lost, standing, tolerance
from yolo_perf.verdict.compare import Column

Row = dict[str, object]


def model_rows(rows: Sequence[tuple[str, Work, Sequence[LayerCount]]], peaks: Peaks) -> list[Row]:
    """One row a model: counts per image, what its MACs leave out, and its place under this machine's roofs."""
    return [
        {
            "size": size,
            "parameters": work.weight_bytes // 4,
            "weight_bytes": work.weight_bytes,
            "macs": work.macs,
            "flops": work.flops,
            "activation_bytes": work.activation_bytes,
            "compulsory_bytes": work.compulsory_bytes,
            "operational_intensity": work.operational_intensity,
            "ridge_point": peaks.ridge_point(),
            "bound": bound(work, peaks),
            **{f"flops_{name.strip('_')}": flops for name, flops in sorted(beyond(layers).items())},
            "uncounted": work.uncounted,
        }
        for size, work, layers in rows
    ]


def layer_document(profile: LayerProfile) -> Row:
    """A layer profile with its rows, the machine's roofs, and how well the layers add up."""
    return {
        "case": msgspec.to_builtins(profile.case),
        "weights": msgspec.to_builtins(profile.weights),
        "peaks": msgspec.to_builtins(profile.peaks),
        "picture": profile.picture,
        "complete": profile.complete,
        "rounds": profile.rounds,
        "planned_rounds": profile.planned_rounds,
        "latency_s": profile.latency_s,
        "layers_s": profile.layers_s,
        "between_s": profile.between_s,
        "node_cost_s": profile.node_cost_s,
        "layers": layer_rows(profile),
    }


def profiler_document(run: ProfilerRun) -> Row:
    """A profiler's run with all of its rows."""
    return {**msgspec.to_builtins(run), "overhead": run.overhead, "complete": run.complete}


def profiler_rows(run: ProfilerRun) -> list[Row]:
    """One row a function, operator or node."""
    found: list[Row] = msgspec.to_builtins(run.functions or run.operators or run.nodes)
    return [{**row, "rounds": run.rounds, "complete": run.complete} for row in found]


def stage_document(run: StageRun) -> Row:
    """A case's stages: figures, and the times of every picture."""
    return {**msgspec.to_builtins(run), "complete": run.complete, "stages": stage_figures(run)}


def stage_rows(run: StageRun) -> list[Row]:
    """One row a stage."""
    case = run.case
    return [
        {
            "size": case.size,
            "optimization": case.backend,
            "batch": case.batch,
            "stage": stage,
            **figures,
            "pictures": len(run.times) * case.batch,
            "cold": run.cold,
            "complete": run.complete,
        }
        for stage, figures in stage_figures(run).items()
    ]


def memory_rows(rows: Sequence[Memory]) -> list[Row]:
    """One row a case, in bytes."""
    return [
        {
            "case": row.case.id,
            "base_bytes": row.base_bytes,
            "loaded_bytes": row.loaded_bytes,
            "peak_bytes": row.peak_bytes,
            "expected_bytes": row.expected_bytes,
            "weight_bytes": row.weight_bytes,
            "activation_bytes": row.activation_bytes,
        }
        for row in rows
    ]


def accuracy_rows(run: Run) -> list[Row]:
    """One row a case: average precisions, what is lost against eager (None where unknown, and why), agreement."""
    return [
        {
            "case": each.case.id,
            "weights": each.weights.source,
            "data": each.data,
            "pictures": each.pictures,
            "boxes": each.boxes,
            "protocol": each.protocol,
            "map50": each.map50,
            "map50_95": each.map50_95,
            "eager_map50_95": each.eager_map50_95,
            "map50_95_lost": lost(each),
            "map50_95_tolerance": tolerance(each),
            "sqnr_db": each.sqnr_db,
            "box_agreement": each.box_agreement,
            "compared_boxes": each.compared_boxes,
            "box_agreement_floor": floor(each),
            **msgspec.to_builtins(standing(each)),
        }
        for each in run.accuracy
    ]


def audit_rows(rows: Sequence[Audit]) -> list[Row]:
    """One row a quantised case; shares as fractions."""
    return [
        {
            **{name: value for name, value in msgspec.to_builtins(row).items() if name != "float_layers"},
            "float_layers": " ".join(name for name, _ in row.float_layers),
            "speed_up": row.speed_up,
            "explanation": explain(row),
        }
        for row in rows
    ]


def contest_document(found: Contest) -> Row:
    """A contest with all of its figures, and what was found best."""
    best = found.best
    return {
        **msgspec.to_builtins(found),
        "accuracy_unknown": found.unknown,
        "best": best.case.backend if best else None,
        "as_fast": [each.case.backend for each in found.level],
        "front": [each.case.backend for each in found.front],
        "rows": contest_rows(found),
    }


def contest_rows(found: Contest) -> list[Row]:
    """One row a contender."""
    return [
        {
            "case": each.case.id,
            "latency_s": each.latency_s,
            "speed_up": geometric_mean(found.speed_ups(each)),
            "speed_up_low": min(found.speed_ups(each)),
            "speed_up_high": max(found.speed_ups(each)),
            "map50_95": each.accuracy.map50_95,
            "map50_95_lost": found.lost(each),
            "box_agreement": each.accuracy.box_agreement,
            "memory_bytes": each.memory_bytes,
            "obstacle": found.obstacle(each),
            "best": each is found.best,
            "pareto": each in found.front,
        }
        for each in found.contenders
    ]


def machine_document(columns: Sequence[Column]) -> list[Row]:
    """Machines side by side, each with its roofs and cases."""
    return [
        {
            "name": each.name,
            "published": each.published,
            "flops_per_s": each.flops_per_s,
            "bytes_per_s": each.bytes_per_s,
            "ridge_point": each.flops_per_s / each.bytes_per_s,
            "method": each.method,
            "notes": each.notes,
            "cases": machine_rows([each]),
        }
        for each in columns
    ]


def machine_rows(columns: Sequence[Column]) -> list[Row]:
    """One row a case and machine."""
    return [
        {
            "machine": each.name,
            "published": each.published,
            "size": size,
            "optimization": optimization,
            "best_is": cell.of,
            "latency_s": cell.latency_s,
            "images_per_s": cell.images_per_s,
            "utilization": cell.utilization,
            "efficiency": cell.efficiency,
        }
        for each in columns
        for (size, optimization), cell in each.cells.items()
    ]


def shelf_rows(shelves: Sequence[Shelf], here: str) -> list[Row]:
    """One row a machine of a folder of baselines, and one a published machine; `here` is this one's name."""
    rows: list[Row] = []
    for shelf in shelves:
        newest = shelf.runs[-1][1] if shelf.runs else None
        cases = shelf.reference.results if shelf.reference else newest.measurements if newest else ()
        rows.append(
            {
                "name": shelf.name,
                "this_machine": shelf.name == here,
                "published": shelf.reference is not None,
                "sessions": len(shelf.runs),
                "newest": newest and newest.created,
                "commit": newest and newest.commit.id,
                "dirty": newest and newest.commit.dirty,
                "cases": len(cases),
                "damaged": shelf.damaged,
            }
        )
    return rows


def saved_document(path: Path, run: Run, spreads: Sequence[Spread]) -> Row:
    """A saved run: where, when, on what, its roofs, and its cases with their figures."""
    return {
        "path": str(path),
        "created": run.created,
        "complete": run.complete,
        "machine": msgspec.to_builtins(run.machine),
        "peaks": {**msgspec.to_builtins(run.peaks), "ridge_point": run.peaks.ridge_point()},
        "commit": msgspec.to_builtins(run.commit),
        "data": run.data,
        "configuration": run.configuration,
        "cases": saved_rows(run, spreads),
    }


def saved_rows(run: Run, spreads: Sequence[Spread]) -> list[Row]:
    """One row a case, with its relative spread between the saved sessions of its machine."""
    return [
        {
            "size": measurement.case.size,
            "optimization": measurement.case.backend,
            **figures(measurement, run.peaks),
            "rounds": len(measurement.round_seconds),
            "sessions": spread.sessions,
            "spread": spread.deviation,
        }
        for measurement, spread in zip(run.measurements, spreads, strict=True)
    ]


def layer_rows(profile: LayerProfile) -> list[Row]:
    """One row a layer, blocks ahead of their leaves; times per image."""
    case, peaks = profile.case, profile.peaks
    return [
        {
            "layer": layer.name,
            "kind": layer.kind,
            "leaf": layer.leaf,
            "seconds": layer.seconds,
            "share": None if layer.seconds is None else layer.seconds / profile.layers_s,
            "flop_share": layer.flop_share,
            "macs": layer.work.macs,
            "flops": layer.work.flops,
            "bytes": layer.work.compulsory_bytes,
            "operational_intensity": layer.work.operational_intensity,
            "achieved_flops_per_s": layer.work.flops / layer.seconds if layer.seconds else None,
            "attainable_flops_per_s": attainable_flops_per_s(layer.work, peaks, roof_dtype(layer, case)),
            "efficiency": efficiency(layer, case, peaks),
            "bound": bound(layer.work, peaks, roof_dtype(layer, case)),
            "lost_seconds": None if layer.seconds is None else lost_seconds(layer, case, peaks),
            "fused_into": layer.fused_into,
            "operators": layer.operators,
            "dtype": layer.dtype,
            "complete": profile.complete,
        }
        for layer in profile.layers
    ]


def calibration_rows(found: Calibration) -> list[Row]:
    """The noise of each case, standard deviations of logarithms and fractions."""
    return [{"case": label, **msgspec.to_builtins(noise)} for label, noise in found.cases.items()]
