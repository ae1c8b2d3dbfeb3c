"""The table of a contest: every optimisation's speed, accuracy and memory, and the one to choose."""

from rich.text import Text

from yolo_perf import units
from yolo_perf.escape import printable
from yolo_perf.pairing.contest import REFERENCE, Contender, Contest, geometric_mean
from yolo_perf.records import Accuracy
from yolo_perf.report.tables import columns, render, wrapped
from yolo_perf.verdict.accuracy import floor, unknown


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
            _precision(each.accuracy, found),
            units.percent(each.accuracy.box_agreement),
            "-" if each.memory_bytes is None else f"{each.memory_bytes / units.MEBI:.0f}",
            _mark(found.obstacle(each), each is best, each in front),
        )
    notes = [f"Skipped: {reason}" for reason in found.skipped]
    lines = [wrapped(note, width, indent="  ") for note in (*verdict(found), *notes)]
    return "\n".join([render(table, width=width, color=color), *lines] if found.contenders else lines)


def verdict(found: Contest) -> list[str]:
    """The best one with its evidence, and who is as fast."""
    best = found.best
    unknown = f"Accuracy is unknown here: {found.unknown}." if found.unknown else ""
    if not found.contenders:
        return [
            f"yolov5{found.size}: nothing is recommended, and nothing was timed. {unknown} Eager finds no box on "
            f"the {found.reference.pictures} pictures of {found.reference.data} either, so there is nothing to "
            "agree on. Give pictures that show what the weights know: --data."
        ]
    limit = _limit(found)
    if best is None:
        return [f"None: nothing has {limit}. {unknown}".strip()]
    ratios = found.speed_ups(best)
    lines = [
        f"Best: {best.case.backend}, {geometric_mean(ratios):.2f} times as fast as eager "
        f"({min(ratios):.2f} to {max(ratios):.2f} over {len(ratios)} sets of processes, all in turn); "
        f"{_share(best) if found.unknown else limit}."
    ]
    if best.case.backend == REFERENCE:
        lines = [f"Best: eager itself. Nothing that has {limit} is faster."]
    lines += [unknown] if unknown else []
    if found.level:
        names = ", ".join(each.case.backend for each in found.level)
        lines.append(f"As fast within what the sets differ by: {names}.")
    return lines


def _limit(found: Contest) -> str:
    """What was asked of all."""
    limit = f"mAP50-95 within {found.limits.max_map_drop:g} of eager's"
    if found.unknown:
        limit = "boxes that agree with eager's"
    if found.limits.max_memory_bytes is not None:
        limit += f", at most {found.limits.max_memory_bytes / units.MEBI:.0f} MiB"
    return limit


def _share(best: Contender) -> str:
    """How far the best one agrees with eager."""
    share = units.percent(best.accuracy.box_agreement)
    return (
        f"accuracy unknown, {share} % of its boxes and eager's agree (at least {100 * floor(best.accuracy):g} %)"
    )


def _precision(accuracy: Accuracy, found: Contest) -> str:
    """The mAP50-95 where it is evidence, "?" where it is none, "-" where there is none."""
    if accuracy.map50_95 is None:
        return "-"
    return "?" if unknown(accuracy, found.limits.max_map_drop) else f"{accuracy.map50_95:.3f}"


def _mark(obstacle: str, best: bool, front: bool) -> Text:
    if best:
        return Text("best", style="bold green")
    return Text(printable(obstacle) or ("pareto" if front else ""), style="yellow" if obstacle else "")
