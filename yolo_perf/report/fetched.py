"""What was fetched, and how to use it."""

from collections.abc import Sequence
from pathlib import Path

from yolo_perf import escape
from yolo_perf.pipeline.official import Fetched
from yolo_perf.units import mebibytes


def fetched(items: Sequence[Fetched], folder: Path) -> str:
    """Two lines an item, and the setting that makes the suite use the folder."""
    lines = []
    for item in items:
        state = "fetched" if item.fresh else "there already, and sound"
        lines.append(f"{escape.printable(str(item.path))}  {mebibytes(item.bytes)} MiB  {state}")
        if item.sha256:
            what = "sha256" if item.path.suffix else "sha256 of its archive"
            lines.append(f"  {what} {item.sha256}")
    return "\n".join([*lines, "", f"To use it: export YOLO_PERF_DATA={escape.command(folder)}"])


def fetched_rows(items: Sequence[Fetched]) -> list[dict[str, object]]:
    """One row an item, in plain values and bytes."""
    return [
        {
            "name": item.name,
            "path": str(item.path),
            "bytes": item.bytes,
            "sha256": item.sha256,
            "fresh": item.fresh,
        }
        for item in items
    ]
