"""The table of what each optimisation detects, beside eager."""

from collections.abc import Sequence

from rich.text import Text

from yolo_perf.records import Accuracy, Run
from yolo_perf.report.tables import columns, render, wrapped
from yolo_perf.verdict.accuracy import Standing, floor, lost, standing, tolerance

FORMULA = (
    "Average precision is COCO's by pycocotools: 101 points, the mean over the classes and over IoU 0.50 to 0.95, "
    "100 boxes a picture; confidence above 0.001, suppression at IoU 0.6."
)
AGREEMENT = "SQNR: of box sizes or class scores against eager. Boxes: found by both, of those either finds."


def accuracy(run: Run, *, width: int = 80, color: bool = False) -> str:
    """One row a case: mAP where there are labels, what it loses where that is known, the agreement with eager."""
    table = columns("accuracy", ("mAP50", "mAP50-95", "lost", "may lose", "SQNR dB", "boxes %"), "")
    for each in run.accuracy:
        loss, stands = lost(each), standing(each)
        table.add_row(
            each.case.label,
            average_precision(each.map50),
            average_precision(each.map50_95),
            "-" if loss is None else f"{loss:z.3f}",
            "-" if loss is None else f"{tolerance(each):.3f}",
            f"{each.sqnr_db:.1f}",
            f"{100 * each.box_agreement:.1f}",
            _mark(stands),
        )
    notes = [_data(run.accuracy), AGREEMENT, *unknowns(run.accuracy)]
    if any(each.map50 is not None for each in run.accuracy):
        notes.insert(1, FORMULA)
    return "\n".join([render(table, width=width, color=color), *(wrapped(note, width) for note in notes)])


def unknowns(rows: Sequence[Accuracy]) -> list[str]:
    """Why accuracy is unknown, of which cases, and what decides in its place: a sentence for each reason."""
    found: dict[tuple[str, str], list[Accuracy]] = {}
    for each in rows:
        stands = standing(each)
        if stands.unknown:
            found.setdefault((stands.unknown, stands.basis), []).append(each)
    return [_unknown(why, basis, cases, every=len(cases) == len(rows)) for (why, basis), cases in found.items()]


def _unknown(why: str, basis: str, cases: Sequence[Accuracy], *, every: bool) -> str:
    of = "" if every else f" of {', '.join(each.case.label for each in cases)}"
    if basis == "nothing":
        return f"Accuracy{of} is unknown: {why}, and neither it nor eager finds a box. Nothing can be said."
    least = sorted({floor(each) for each in cases})
    asked = " to ".join(f"{100 * share:g}" for share in dict.fromkeys((least[0], least[-1])))
    return f"Accuracy{of} is unknown: {why}. The boxes decide: {asked} % are asked for."


def against_eager(accuracy: Accuracy) -> str:
    """How a case stands against eager, in a few words."""
    stands = standing(accuracy)
    if stands.basis == "labels":
        return stands.fault or "within"
    return f"unknown, {stands.fault or 'boxes agree'}"


def _mark(stands: Standing) -> Text:
    """What stands against a case, or that its accuracy is unknown."""
    if stands.basis == "labels":
        return Text("too much" if stands.fault else "", style="bold red")
    if stands.basis == "boxes" and stands.fault:
        return Text("too few", style="bold red")
    return Text("unknown", style="yellow")


def average_precision(value: float | None) -> str:
    """A mAP with three decimals, "-" where there is none."""
    return "-" if value is None else f"{value:.3f}"


def _data(rows: Sequence[Accuracy]) -> str:
    """On what: pictures, boxes, weights, shapes."""
    first = rows[0]
    labelled = f"{first.boxes} labelled boxes" if first.boxes else "no labels, so no average precision"
    square = sorted({each.case.backend for each in rows if each.protocol == "square"})
    weights = ", ".join(dict.fromkeys(each.weights.source for each in rows))
    shapes = f"square for {', '.join(square)}, else rectangular" if square else "rectangular"
    return (
        f"{first.pictures} pictures of {first.data}, {labelled}, weights {weights}, "
        f"{first.case.image_size} px, {shapes}."
    )
