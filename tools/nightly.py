"""What the nightly workflow does beyond one line: `measure` on the runner, then `propose` what was recorded.

    python -m tools.nightly measure [OPTION...]
    python -m tools.nightly propose BASELINES DEFAULT_BRANCH

`propose` reads the folder of baselines that `measure` left, copies what is new in it into this checkout's, and
opens a pull request of each machine's, or brings the open one up to date. It needs git, and `gh` with a token.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

BASELINES = Path("baselines")
ENOUGH_SESSIONS = 5
"""So many sessions of a machine are kept: what it differs by between sessions is known well enough then."""
MACHINE = re.compile(r"[a-z0-9][a-z0-9.-]{0,80}")
FILE = re.compile(r"\d{4,8}_baseline\.json|calibration\.json")
MAX_BYTES = 1 << 28
BOT = ("github-actions[bot]", "41898282+github-actions[bot]@users.noreply.github.com")


def session_options(saved: int) -> list[str]:
    """Options of the benchmarks where a machine has so many saved sessions: compare with them, add to them."""
    compare = ["--benchmark-compare"] if saved else []
    return compare + (["--perf-save"] if saved < ENOUGH_SESSIONS else [])


def measure(given: Sequence[str]) -> int:
    """Run the benchmarks against this machine's baseline where there is one; pytest's exit status."""
    from yolo_perf import escape
    from yolo_perf.archive.histories import sessions
    from yolo_perf.errors import YoloPerfError
    from yolo_perf.machine.identity import identify
    from yolo_perf.machine.naming import describe, slug

    machine = identify(with_torch=False)
    try:
        saved = len(sessions(BASELINES, machine))
    except YoloPerfError as error:
        print(escape.github("error", str(error)), flush=True)
        return 1
    options = session_options(saved)
    said = f"{describe(machine)} ({slug(machine)}): {saved} saved sessions, {' '.join(options)}"
    print(escape.line(said), flush=True)
    return subprocess.run(["pytest", "benchmarks/", "--perf-full", *given, *options], check=False).returncode


def fresh(recorded: Path, known: Path) -> dict[str, list[Path]]:
    """Files of `recorded` that `known` lacks or has otherwise, by machine: those of a baseline's name only."""
    found: dict[str, list[Path]] = {}
    for folder in sorted(recorded.iterdir()):
        if folder.is_symlink() or not folder.is_dir() or not MACHINE.fullmatch(folder.name):
            continue
        for path in sorted(folder.iterdir()):
            if path.is_symlink() or not path.is_file() or not FILE.fullmatch(path.name):
                continue
            there = known / folder.name / path.name
            if path.stat().st_size <= MAX_BYTES and not (
                there.is_file() and there.read_bytes() == path.read_bytes()
            ):
                found.setdefault(folder.name, []).append(path)
    found.pop("reference", None)  # published machines are no nightly's to change
    # A calibration differs every night: one that is there is only renewed together with a new baseline.
    return {
        machine: paths
        for machine, paths in found.items()
        if any(not (known / machine / path.name).exists() for path in paths)
    }


def propose(recorded: Path, default_branch: str) -> None:
    """One branch and one pull request a machine. Raises CalledProcessError where git or gh fails."""
    for machine, paths in fresh(recorded, BASELINES).items():
        branch = f"baselines/{machine}"
        _run("git", "switch", "--force-create", branch, f"origin/{default_branch}")
        for path in paths:
            target = BASELINES / machine / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        _run("git", "add", "--", str(BASELINES / machine))
        title = f"Baseline of {machine}"
        own = ("-c", f"user.name={BOT[0]}", "-c", f"user.email={BOT[1]}")
        _run(
            "git", *own, "commit", "-m", title, "-m", "Recorded by the nightly benchmarks on this kind of runner."
        )
        # The branch is ours: what an earlier night proposed and nobody merged, this night's replaces.
        _run("git", "push", "--force", "origin", f"HEAD:refs/heads/{branch}")
        _open_pull_request(branch, default_branch, title, [path.name for path in paths])


def _open_pull_request(branch: str, base: str, title: str, names: Sequence[str]) -> None:
    """Open one where none is open; an open one follows its branch by itself."""
    asked = ("gh", "pr", "list", "--head", branch, "--base", base, "--state", "open", "--json", "number")
    if _run(*asked).strip() not in ("", "[]"):
        print(f"{branch}: the open pull request was brought up to date")
        return
    server, repository, number = (os.environ[f"GITHUB_{name}"] for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    run = f"{server}/{repository}/actions/runs/{number}"
    body = f"Recorded by [the nightly benchmarks]({run}): {', '.join(names)}. Nothing reads it until it is merged."
    _run("gh", "pr", "create", "--head", branch, "--base", base, "--title", title, "--body", body)
    print(f"{branch}: a pull request was opened")


def _run(*words: str) -> str:
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout


def main(arguments: Sequence[str]) -> int:
    """The exit status of a command."""
    match arguments:
        case ["measure", *given]:
            return measure(given)
        case ["propose", recorded, default_branch]:
            propose(Path(recorded), default_branch)
            return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
