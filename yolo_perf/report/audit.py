"""The table of what runs in integers, and a sentence for each model why it is faster or slower."""

from collections.abc import Sequence

from yolo_perf import units
from yolo_perf.analysis.audit import Audit, explain
from yolo_perf.report.tables import columns, render, wrapped

SHOWN = 4


def audit(rows: Sequence[Audit], dynamic: tuple[int, int], *, width: int = 80, color: bool = False) -> str:
    """One row a quantised case; `dynamic`: what PyTorch's dynamic quantisation replaces, and the convolutions."""
    table = columns("quantised", ("int MAC %", "int conv", "Q/DQ", "ConvInt", "ms/image", "x FP32", "roof %"))
    for row in rows:
        table.add_row(
            row.label,
            units.percent(row.integer_share),
            f"{row.integer_convolutions}/{row.convolutions}",
            str(row.converting),
            str(row.requantising),
            "-" if row.seconds is None else units.milliseconds(row.seconds),
            "-" if row.speed_up is None else f"{row.speed_up:.2f}",
            "-" if row.utilization is None else units.percent(row.utilization),
        )
    replaced, convolutions = dynamic
    table.add_row("torch dynamic", "0.0" if not replaced else "-", f"0/{convolutions}", *["-"] * 5)
    notes = [f"{row.label}: {explain(row)}" for row in rows]
    notes += [f"{row.label} in float: {_layers(row)}." for row in rows if row.float_layers]
    notes.append(
        f"torch dynamic: PyTorch's dynamic quantisation would replace {replaced} of this model's modules: it "
        f"knows Linear, embedding and recurrent layers, and none of the {convolutions} convolutions."
    )
    notes.append(
        "int MAC %: of the convolutions' multiply-accumulates, those in integer kernels of the graph that the "
        "engine runs. Q/DQ: nodes that convert. ConvInt: the slow kind. x FP32: the same engine, in turn."
    )
    lines = [wrapped(note, width, indent="  ") for note in notes]
    return "\n".join([render(table, width=width, color=color), *lines])


def _layers(row: Audit) -> str:
    shown = ", ".join(f"{name} ({100 * share:.1f} %)" for name, share in row.float_layers[:SHOWN])
    more = len(row.float_layers) - SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
