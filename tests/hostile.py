"""Names that want to be more than names, and what no door may let through. One list for every medium."""

import csv
from io import StringIO
from typing import Any

from yolo_perf.escape import FORMULA

NAMES = (
    "=cmd|' /C calc'!A1",
    "+1+1",
    "-2+3",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    " =1",
    "＝1",
    "x\n::error::false",
    "x\r::error::false",
    "::set-env name=PATH::/false",
    "  ::warning::false",
    "\u2028::error::false",
    "##[error]false",
    "x ###[group]y",
    "\x1b]0;title\x07",
    "\x1b]8;;https://false.invalid\x1b\\link\x1b]8;;\x1b\\",
    "\x1b[2J\x1b[31mred",
    "\x9b31m",
    "a\x08\x08b\x7f",
    "a\u202eb\u2066c",
    "\x00",
    "a\nFAKE n-eager 1.00",
    "; touch false",
    "$(touch false)",
    "`touch false`",
    "'; touch false; '",
    "``` '; touch false",
    '"; touch false; "',
    "a\\' ; touch false",
    "[a](https://false.invalid)",
    "![a](https://false.invalid/x.png)",
    "https://false.invalid",
    "www.false.invalid",
    "a@false.invalid",
    "@everyone #1 GH-1",
    "<script>alert(1)</script>",
    "<!-- a",
    "a | b",
    "$x$ **b** ~~c~~",
    "# heading",
    "- item",
    "--help",
    'a"b\\c,d;e',
)

FOREIGN = {
    "cpu_model", "vendor", "os", "python", "governor", "hypervisor", "source", "data", "picture", "branch", "id",
    "backend", "method", "name", "kind", "compared_with", "label", "reason", "renamed_from", "torch",
}  # fmt: skip
"""Keys of saved files whose texts are shown somewhere."""


def named(document: Any, name: str, keys: frozenset[str] | set[str] = FOREIGN) -> Any:
    """The document with this name ahead of every text under these keys: what differed still does."""
    if isinstance(document, dict):
        return {
            key: name + value if key in keys and isinstance(value, str) else named(value, name, keys)
            for key, value in document.items()
        }
    return [named(each, name, keys) for each in document] if isinstance(document, list | tuple) else document


def loose(text: str) -> list[str]:
    """Lines of a terminal's or log's text that a name got out of: [] where none did."""
    return [
        line
        for line in text.split("\n")
        if not line.isprintable() or line.lstrip().startswith(("::", "FAKE")) or "##[" in line
    ]


def formulas(text: str) -> list[str]:
    """Cells of a CSV that a spreadsheet would run or that are not on one line. Numbers are none."""
    cells = [cell for row in csv.reader(StringIO(text)) for cell in row]
    return [cell for cell in cells if not number(cell) and (cell.lstrip().startswith(FORMULA) or loose(cell))]


def number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
