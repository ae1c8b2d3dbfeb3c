"""The table of a contest: every optimisation's speed, accuracy and memory, and the one to choose."""

from rich.text import Text

from yolo_perf import units
from yolo_perf.report.tables import columns, render, wrapped
from yolo_perf.verdict.contest import Contender, Contest, geometric_mean


def contest(found: Contest, *, width: int = 80, color: bool = False) -> str:
    """One row a contender, the Pareto front marked; then the best one with its evidence, or why there is none."""
    table = columns(f"yolov5{found.size}", ("ms/image", "x eager", "from..to", "mAP", "boxes %", "MiB"), "")
    best, front = found.best, found.front
    for each in found.contenders:
        ratios = found.speed_ups(each)
        table.add_row(
            each.case.backend,
            units.milliseconds(each.latency_s),
            f"{geometric_mean(ratios):.2f}",
            f"{min(ratios):.2f}..{max(ratios):.2f}",
            "-" if each.accuracy.map50_95 is None else f"{each.accuracy.map50_95:.3f}",
            units.percent(each.accuracy.box_agreement),
            "-" if each.memory_bytes is None else f"{each.memory_bytes / units.MEBI:.0f}",
            _mark(each, each is best, each in front),
        )
    notes = [f"Skipped: {reason}" for reason in found.skipped]
    return "\n".join(
        [
            render(table, width=width, color=color),
            *(wrapped(note, width, indent="  ") for note in (*verdict(found), *notes)),
        ]
    )


def verdict(found: Contest) -> list[str]:
    """The best one with its evidence, and who is as fast."""
    best = found.best
    limit = f"mAP50-95 within {found.limits.max_map_drop:g} of eager's"
    if found.limits.max_memory_bytes is not None:
        limit += f", at most {found.limits.max_memory_bytes / units.MEBI:.0f} MiB"
    if best is None:
        return [f"None: nothing has {limit}."]
    ratios = found.speed_ups(best)
    text = (
        f"Best: {best.case.backend}, {geometric_mean(ratios):.2f} times as fast as eager "
        f"({min(ratios):.2f} to {max(ratios):.2f} over {len(ratios)} sets of processes, all in turn); {limit}"
    )
    text += (
        "."
        if best.map_drop is not None
        else ": not known, as there are no labels; its output agrees with eager's."
    )
    lines = [text]
    if found.level:
        names = ", ".join(each.case.backend for each in found.level)
        lines.append(f"As fast within what the sets differ by: {names}.")
    return lines


def _mark(contender: Contender, best: bool, front: bool) -> Text:
    if best:
        return Text("best", style="bold green")
    return Text(
        contender.obstacle or ("pareto" if front else ""), style="" if not contender.obstacle else "yellow"
    )
