"""The table of a model's timed layers."""

from collections.abc import Sequence

from rich.text import Text

from yolo_perf import units
from yolo_perf.analysis.layers import efficiency, lost_seconds, roof_dtype
from yolo_perf.analysis.roofline import attainable_flops_per_s, bound
from yolo_perf.records import Layer, LayerProfile
from yolo_perf.report.remarks import remarks_of
from yolo_perf.report.tables import columns, partial, render, subject_line, wrapped

SHOWN = 3
LOST_SHOWN = 5


def layers(
    profile: LayerProfile, rows: Sequence[Layer], source: str, *, width: int = 80, color: bool = False
) -> str:
    """The chosen rows, how well they add up, the highest and lowest utilisation, and where time is lost.

    `source` names the pictures' data set.
    """
    case, peaks = profile.case, profile.peaks
    table = columns("layer", ("ms", "%", "GMAC", "MB", "FLOP/B", "GFLOP/s", "roof", "eff %"), "bound")
    for layer in rows:
        if layer.seconds is None:
            table.add_row(layer.name, *["-"] * 8, "fused")
            continue
        computes = bool(layer.work.flops and layer.seconds)
        table.add_row(
            layer.name,
            units.milliseconds(layer.seconds),
            units.percent(layer.seconds / profile.layers_s),
            units.giga(layer.work.macs),
            f"{layer.work.compulsory_bytes / 1e6:.1f}",
            f"{layer.work.operational_intensity:.1f}",
            units.giga_rate(layer.work.flops / layer.seconds) if computes else "-",
            f"{attainable_flops_per_s(layer.work, peaks, roof_dtype(layer, case)) / 1e9:.0f}" if computes else "-",
            f"{100 * (efficiency(layer, case, peaks) or 0):.0f}",
            bound(layer.work, peaks, roof_dtype(layer, case)),
        )
    parts: list[str | Text] = [
        wrapped(subject_line(case, profile.weights, source), width),
        *([partial(profile.rounds, profile.planned_rounds)] if not profile.complete else []),
        render(table, width=width, color=color),
        "",
        wrapped(_sum(profile), width),
        "",
        *_extremes(profile),
        "",
        *(wrapped(line, width, indent="    ") for line in _lost(profile)),
        "",
        wrapped(_remarks(profile), width),
        *(wrapped(line, width) for line in remarks_of([profile])),
    ]
    return "\n".join(part if isinstance(part, str) else render(part, width=width, color=color) for part in parts)


def _sum(profile: LayerProfile) -> str:
    alone = profile.layers_s - profile.between_s
    between = (
        f" {units.milliseconds(alone)} ms and {units.milliseconds(profile.between_s)} ms between them, in Python"
        if profile.between_s
        else ""
    )
    cost = (
        f" The instruments' own {profile.node_cost_s * 1e6:.0f} us a node or module are taken off."
        if profile.node_cost_s
        else ""
    )
    off = 100 * (profile.layers_s / profile.latency_s - 1)
    return (
        f"Layers{between}: {units.milliseconds(profile.layers_s)} ms an image; without instruments "
        f"{units.milliseconds(profile.latency_s)} ms: "
        f"the sum differs by {off:+z.1f} %. Interquartile means of {profile.rounds} rounds, in turn.{cost}"
    )


def lost_time(profiles: Sequence[LayerProfile], *, width: int = 80, color: bool = False) -> str:
    """The layer of each case that loses the most time against its own roof."""
    table = columns("layers of", ("ms/image", "lost ms", "lost %"), "most of it in", "bound")
    for profile in profiles:
        case, peaks = profile.case, profile.peaks
        lost = {layer.name: lost_seconds(layer, case, peaks) for layer in profile.leaves}
        worst = max(profile.leaves, key=lambda layer: lost[layer.name])
        total = sum(max(0.0, seconds) for seconds in lost.values())
        table.add_row(
            case.label,
            units.milliseconds(profile.layers_s),
            units.milliseconds(total),
            units.percent(total / profile.layers_s),
            f"{worst.name} ({units.milliseconds(lost[worst.name])} ms)",
            bound(worst.work, peaks, roof_dtype(worst, case)),
        )
    return render(table, width=width, color=color)


def _extremes(profile: LayerProfile) -> list[str]:
    """The leaves of highest and lowest utilisation: achieved FLOP/s over the peak."""
    peaks = profile.peaks.flops_per_s
    found = [
        (layer.work.flops / layer.seconds / peaks[layer.dtype], layer.name)
        for layer in profile.leaves
        if layer.seconds and layer.work.flops
    ]
    found.sort(reverse=True)
    lines = ["Highest utilisation of the compute peak, measured:"]
    lines += [f"  {name:24} {units.percent(share):>6} %" for share, name in found[:SHOWN]]
    lines += ["Lowest:"]
    lines += [f"  {name:24} {units.percent(share):>6} %" for share, name in found[-SHOWN:]]
    return lines


def _lost(profile: LayerProfile) -> list[str]:
    """Where to look: the leaves that take the most time beyond what the roofs ask for."""
    case, peaks = profile.case, profile.peaks
    lost = [(lost_seconds(layer, case, peaks), layer) for layer in profile.leaves]
    lost.sort(key=lambda pair: -pair[0])
    lines = ["Where to look, by time lost against the layer's own roof:"]
    lines += [
        f"  {layer.name:24} {units.milliseconds(seconds):>6} ms lost "
        f"({units.percent(seconds / profile.layers_s):>4} %), "
        f"{bound(layer.work, peaks, roof_dtype(layer, case))} bound, {layer.kind}"
        for seconds, layer in lost[:LOST_SHOWN]
        if seconds > 0
    ]
    return lines


def _remarks(profile: LayerProfile) -> str:
    case, peaks = profile.case, profile.peaks
    text = (
        "MB are compulsory: inputs, weights and outputs once, each operator by itself. eff % is the least time "
        "under the roofs over the time taken."
    )
    if any((efficiency(layer, case, peaks) or 0) > 1 for layer in profile.leaves):
        text += " Above 100 %: served by caches, faster than memory could."
    fused = [f"{layer.name} in {layer.fused_into}" for layer in profile.leaves if layer.fused_into]
    return text + (f" Fused: {', '.join(fused)}." if fused else "")
