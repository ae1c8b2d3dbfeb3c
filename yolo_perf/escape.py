"""Foreign text in each medium: what files, CPUs, branches and cases call themselves is never a command there.

One function a medium, used by every door. Needs the standard library alone, as tools without packages do.
"""

import csv
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO

FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""A spreadsheet takes a cell that begins with one for a formula."""
SPECIAL = "\\`*_[]<>|@#~&!$"
APART = "&#8203;"
"""A space without width. GitHub looks for names and addresses in what character references stand for, too."""
_COLOUR = re.compile(r"(\x1b\[[0-9;]*m)")
_COMMAND = re.compile(r"^((?:[^\S\n]|\x1b\[[0-9;]*m)*):(?=:)", re.MULTILINE)
_BLOCK = re.compile(r"[-+=](?=[ =+-]|$)")  # a list, a rule, or what makes a heading of the line above
_LINKED = re.compile(r"(?i)(?<=:)(?=//)|(?<=\bwww)(?=\.)|(?<=\bgh)(?=-\d)|(?<=\bmailto)(?=:)|(?<=\bxmpp)(?=:)")


def printable(text: str) -> str:
    """The text on one line, a "?" for whatever is no letter: controls, line ends, what turns the direction."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def spelled(text: str) -> str:
    r"""The text on one line, what is no letter spelled out, as in `\x1b`: for data, where two names stay two."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return text.replace("##[", r"#\x23[")  # a command in GitHub's log, wherever in a line


def terminal(text: str, *, color: bool = False) -> str:
    """Whole lines for a terminal or a log: letters and line ends, and colours where they are asked for.

    GitHub takes a line of a log that begins with "::", or has "##[" anywhere, for a command.
    """
    shown = "\n".join(_letters(line, color=color) for line in text.split("\n"))
    return _COMMAND.sub(r"\1: ", shown).replace("##[", "# #[")


def line(text: str) -> str:
    """One whole line for a terminal or a log."""
    return terminal(printable(text))


def _letters(text: str, *, color: bool) -> str:
    if text.isprintable() or not color:
        return printable(text)
    parts = _COLOUR.split(text)  # every other one is a colour
    return "".join(part if number % 2 else printable(part) for number, part in enumerate(parts))


def command(*words: object) -> str:
    """A command line that may be pasted into a shell: every word stays one."""
    return shlex.join(printable(str(word)) for word in words)


def option(name: str, value: object) -> tuple[str, ...]:
    """The words of an option; one word where its value would pass for an option of its own."""
    return (f"{name}={value}",) if str(value).startswith("-") else (name, str(value))


def markdown(text: str) -> str:
    """The text on one line, with nothing in it that Markdown, HTML or GitHub would take for theirs."""
    one = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    cut = _LINKED.sub("\0", one)
    shown = "".join(_reference(letter) for letter in cut)
    return f"&#{ord(shown[0])};{shown[1:]}" if _BLOCK.match(shown) else shown


def _reference(letter: str) -> str:
    if letter == "\0":
        return APART
    if letter in SPECIAL:
        return f"&#{ord(letter)};{APART if letter in '@#' else ''}"
    return letter


def code_span(text: str) -> str:
    """The text as code in Markdown, letter for letter: its fence is longer than any run of backquotes in it."""
    one = printable(" ".join(text.splitlines()))
    fence = "`" * (1 + max(map(len, re.findall("`+", one)), default=0))
    pad = " " if one[:1] in ("`", " ") or one[-1:] in ("`", " ") else ""
    return f"{fence}{pad}{one}{pad}{fence}"


def csv_text(heading: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """Rows as CSV under a heading; floats so that reading them gives the same again, None as nothing.

    A text that a spreadsheet would take for a formula is led by an apostrophe, as OWASP advises; every cell is on
    one line. Sequences are their items between blanks.
    """
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([csv_cell(name) for name in heading])
    for row in rows:
        unknown = row.keys() - set(heading)
        if unknown:
            raise ValueError(f"not in the heading: {', '.join(sorted(unknown))}")
        writer.writerow([csv_cell(row.get(name, "")) for name in heading])
    return stream.getvalue()


def csv_cell(value: object) -> object:
    """A number as it is; any other value as a text that does nothing."""
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, list | tuple):
        value = " ".join(map(str, value))
    text = spelled(str(value))
    return f"'{text}" if text.lstrip().startswith((*FORMULA, "::")) else text


def github(name: str, text: str) -> str:
    """A command for GitHub's log, as in `::error::...`, that holds the text and is one line."""
    shown = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return f"::{name}::{shown}"
