"""The table of the pipeline's stages."""

from collections.abc import Sequence

from yolo_perf import units
from yolo_perf.analysis.stages import stage_figures
from yolo_perf.records import STAGES, StageRun
from yolo_perf.report.tables import columns, partial, render, wrapped


def stages(runs: Sequence[StageRun], *, width: int = 80, color: bool = False) -> str:
    """Median, p90 and share of every stage, one optimisation after the other."""
    first = runs[0]
    subject = (
        f"yolov5{first.case.size}, {first.case.image_size} px, {first.case.threads} threads, "
        f"weights {first.weights.source}, pictures {first.data}"
    )
    lines = [wrapped(subject, width)]
    table = columns("optimisation", ("stage", "median ms", "p90 ms", "share %"))
    for run in runs:
        name = f"{run.case.backend} x{run.case.batch}" if run.case.batch > 1 else run.case.backend
        for stage, figures in stage_figures(run).items():
            table.add_row(
                name if stage == STAGES[0] else "",
                stage,
                units.milliseconds(figures["median_s"]),
                units.milliseconds(figures["p90_s"]),
                units.percent(figures["share"]),
            )
        table.add_section()
        if not run.complete:
            lines.append(render(partial(len(run.times), run.planned), width=width, color=color))
    lines.append(render(table, width=width, color=color))
    taken = ", ".join(f"{len(run.times) * run.case.batch} ({run.case.backend})" for run in runs)
    lines.append(wrapped(f"Times a picture, over {taken} of {first.pictures} pictures.", width))
    remark = (
        "Cold: the system was asked to drop each file from its cache before it was read."
        if first.cold
        else "Warm: the operating system's cache of the files; without it: yolo-perf stages --cold."
    )
    lines.append(wrapped(f"{remark} Every picture is decoded anew.", width))
    return "\n".join(lines)
