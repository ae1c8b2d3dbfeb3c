"""Writes a pull request's one comment on what its perf-gate found, or brings it up to date.

    python3 -m tools.pr_comment EVENT.json

Runs with a token that may write, in the context of the default branch. The artefact was made by the pull request's
own code, so it is hostile: of a limited size, read as data, and of its text only names and verdicts of a known
form are repeated. Which pull request it is, GitHub says: the artefact is not asked. Needs `gh` and no package.
"""

import io
import json
import lzma
import re
import struct
import subprocess
import sys
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yolo_perf import escape, units

MARKER = "<!-- yolo-perf gate -->"
AUTHOR = "github-actions[bot]"
ARTEFACT, DOCUMENT = "perf-gate", "ab.json"
MAX_ZIP, MAX_DOCUMENT, MAX_CASES = 32 << 20, 64 << 20, 100
LABEL = re.compile(r"[a-z]-[a-z0-9-]{1,40}( p90)?|\(suite\)")
CONTROL = re.compile(r"\([a-z]{1,20}\)")
VERDICTS = ("regressed", "missing", "improved", "new", "inconclusive", "incomparable", "unchanged")
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,  # a damaged stream; lzma's and bzip2's:
    lzma.LZMAError,
    OSError,
    EOFError,
    struct.error,  # headers that are cut off
    KeyError,  # no such member
    ValueError,  # places before the beginning, names that are no text
    OverflowError,
    IndexError,
    MemoryError,
    RuntimeError,  # a password; NotImplementedError, a kind of it, an unknown compression
)
"""What zipfile raises for damaged archives. It documents the first alone."""
LOUD, OPEN = ("regressed", "missing"), ("inconclusive", "incomparable")


class GitHubError(Exception):
    """What GitHub refused: one line."""


class ArtefactError(Exception):
    """What is wrong with an artefact: one line of our own words, which the pull request is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The finished run of the gate, as GitHub's event tells it."""

    repository: str
    number: int  # of the run
    url: str
    started: str  # ISO 8601, of this attempt
    conclusion: str
    commit: str
    head_repository: str
    branch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case's verdict; the change is head over base with its interval, None where there is none."""

    label: str
    verdict: str
    change: tuple[float, float, float | None] | None  # point, low, high (None: no bound)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What an artefact says, checked."""

    cases: tuple[Case, ...]
    unfair: tuple[str, ...]  # controls that differed
    seconds: float
    complete: bool


def read_event(event: Any) -> Run:
    """The run of a `workflow_run` event."""
    run = event["workflow_run"]
    head = run["head_repository"]
    return Run(
        repository=event["repository"]["full_name"],
        number=run["id"],
        url=run["html_url"],
        started=run["run_started_at"],
        conclusion=run["conclusion"],
        commit=run["head_sha"],
        head_repository=head["full_name"] if head else "",  # a fork that is gone
        branch=run["head_branch"],
    )


def find_pull_request(run: Run) -> int | None:
    """The number of the open pull request whose head is the run's commit; None where it went on or was closed."""
    owner = run.head_repository.partition("/")[0]
    query = ["-f", f"head={owner}:{run.branch}", "-f", "state=open", "-f", "per_page=100"]
    for found in _json(_gh("--method", "GET", f"repos/{run.repository}/pulls", *query)):
        head, base = found["head"], found["base"]
        if (
            head["sha"] == run.commit
            and head["repo"] is not None
            and head["repo"]["full_name"] == run.head_repository
            and base["repo"]["full_name"] == run.repository
        ):
            return int(found["number"])
    return None


def fetch_document(run: Run) -> bytes | None:
    """The comparison that this attempt of the run uploaded; None where there is none. Raises ArtefactError."""
    listed = _json(_gh("--method", "GET", f"repos/{run.repository}/actions/runs/{run.number}/artifacts"))
    own = [
        each
        for each in listed["artifacts"]
        if each["name"] == ARTEFACT and not each["expired"] and each["created_at"] >= run.started
    ]
    if not own:
        return None
    newest = max(own, key=lambda each: int(each["id"]))
    if newest["size_in_bytes"] > MAX_ZIP:
        raise ArtefactError(f"The artefact is larger than {MAX_ZIP >> 20} MiB.")
    return unpack(_gh(f"repos/{run.repository}/actions/artifacts/{int(newest['id'])}/zip"))


def unpack(archive: bytes) -> bytes:
    """The comparison out of an artefact, read no further than its limit. Raises ArtefactError."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as files, files.open(DOCUMENT) as stream:
            content = stream.read(MAX_DOCUMENT + 1)
    except UNREADABLE as error:
        raise ArtefactError(f"The artefact holds no {DOCUMENT} that can be read.") from error
    if len(content) > MAX_DOCUMENT:
        raise ArtefactError(f"{DOCUMENT} is larger than {MAX_DOCUMENT >> 20} MiB.")
    return content


def read_document(content: bytes) -> Found:
    """What a comparison says. Raises ArtefactError for anything that no comparison of ours looks like."""
    try:
        document = json.loads(content)["yolo_perf_ab"]
        decisions, unfair, complete = (document[key] for key in ("decisions", "invalid_controls", "complete"))
        if not (isinstance(decisions, list) and len(decisions) <= MAX_CASES and isinstance(unfair, list)):
            raise ArtefactError(f"{DOCUMENT} holds more cases than there are.")
        return Found(
            cases=tuple(
                Case(
                    label=_text(each["label"], LABEL),
                    verdict=VERDICTS[VERDICTS.index(each["verdict"])],
                    change=_change(each["ratio"]),
                )
                for each in decisions
            ),
            unfair=tuple(_text(each, CONTROL) for each in unfair[:10]),
            seconds=_number(document["seconds"]),
            complete=complete is True,
        )
    # UnicodeDecodeError is a ValueError; RecursionError is JSON that is nested on purpose.
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArtefactError(f"{DOCUMENT} is no comparison of yolo-perf's.") from error


def comment(run: Run, found: Found | None, problem: str = "") -> str:
    """The comment in Markdown. Whether the gate passed is GitHub's word, the cases are the artefact's."""
    lines = [MARKER, f"### Performance gate {_headline(run, found)}", ""]
    if found is None:
        lines += [problem or "No comparison was made of this commit.", ""]
    else:
        lines += _table(found.cases)
        if found.unfair:
            names = ", ".join(found.unfair)
            lines += [
                f"The host was not fair: {names} differ between the sides, though they are the same code.",
                "",
            ]
        part = "" if found.complete else " Not all of it was measured."
        lines += [f"Measured in {found.seconds / 60:.1f} min, by the pull request's own run.{part}", ""]
    return "\n".join([*lines, f"Commit {run.commit[:10]}. [Log, summary and reports]({run.url})"])


def _headline(run: Run, found: Found | None) -> str:
    """What it comes to. Where nothing failed, what was not decided is still none that passed."""
    if run.conclusion != "success":
        return {"failure": "did not pass", "timed_out": "ran out of time"}[run.conclusion]
    if found is None:
        return "had nothing to compare"
    undecided = sum(case.verdict in OPEN for case in found.cases)
    if undecided == len(found.cases):
        return "decided nothing"
    return f"found nothing slower, {undecided} of {len(found.cases)} undecided" if undecided else "passed"


def publish(run: Run, pull_request: int, body: str, *, begin: bool) -> str:
    """Change our comment there, or `begin` one; what was done. A stranger's with our marker is left alone."""
    issue = f"repos/{run.repository}/issues"
    pages = _json(_gh("--paginate", "--slurp", f"{issue}/{pull_request}/comments?per_page=100"))
    own = [
        int(each["id"])
        for page in pages
        for each in page
        if each["user"]["login"] == AUTHOR and each["body"].startswith(MARKER)
    ]
    content = json.dumps({"body": body}).encode()
    if own:
        _gh("--method", "PATCH", f"{issue}/comments/{own[0]}", "--input", "-", content=content)
        return "updated"
    if not begin:
        return "left out: nothing was measured, and nothing said before"
    _gh("--method", "POST", f"{issue}/{pull_request}/comments", "--input", "-", content=content)
    return "written"


def _table(cases: tuple[Case, ...]) -> list[str]:
    lines = ["| case | change % | interval % | verdict |", "| --- | ---: | ---: | --- |"]
    for case in sorted(cases, key=lambda each: VERDICTS.index(each.verdict)):
        point = low = high = "-"
        if case.change is not None:
            point, low = _signed(case.change[0]), _signed(case.change[1]) if case.change[1] else "?"
            high = "?" if case.change[2] is None else _signed(case.change[2])
        verdict = f"**{case.verdict}**" if case.verdict in LOUD else case.verdict
        interval = f"{low}..{high}" if case.change else "-"
        lines.append(f"| {case.label} | {point} | {interval} | {verdict} |")
    return [*lines, ""] if cases else ["No case was measured.", ""]


def _signed(ratio: float) -> str:
    return units.signed_percent(ratio).removesuffix(" %")


def _text(value: Any, pattern: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError("not a name of ours")
    return value


def _number(value: Any) -> float:
    """A finite number that a report of ours could hold. Neither NaN nor infinity lies between two numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
        raise ValueError("not a number of ours")
    return float(value)


def _change(ratio: Any) -> tuple[float, float, float | None] | None:
    if ratio is None:
        return None
    high = ratio["high"]
    return _number(ratio["point"]), _number(ratio["low"]), None if high is None else _number(high)


def _gh(*arguments: str, content: bytes | None = None) -> bytes:
    """What `gh api` answers. Raises GitHubError with its last words."""
    done = subprocess.run(["gh", "api", *arguments], input=content, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise GitHubError(f"gh api {arguments[-1]}: {said[-1] if said else 'failed'}")
    return done.stdout


def _json(answer: bytes) -> Any:
    return json.loads(answer)


def main(event: Path) -> int:
    """The exit status: 0 where the pull request was told, or is not to be."""
    run = read_event(json.loads(event.read_text(encoding="utf-8")))
    try:
        pull_request = find_pull_request(run)
        if pull_request is None:
            print(f"No open pull request has {run.commit} as its head any more: nothing to say.")
            return 0
        found, problem = None, ""
        try:
            content = fetch_document(run)
            found = read_document(content) if content is not None else None
        except ArtefactError as error:
            problem = str(error)
        begin = found is not None or bool(problem) or run.conclusion != "success"
        done = publish(run, pull_request, comment(run, found, problem), begin=begin)
    except GitHubError as error:
        print(escape.github("error", str(error)))
        return 1
    print(f"Comment on #{pull_request} {done}.")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Usage: python3 -m tools.pr_comment EVENT.json")
    sys.exit(main(Path(sys.argv[1])))
