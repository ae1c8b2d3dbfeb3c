"""What a session's command line says to the sides that it compares."""

import pytest

from yolo_perf.errors import UsageError

OWN = (
    *("--benchmark-", "--junit", "--cov", "--durations", "--maxfail", "--basetemp", "--cache", "--report"),
    *("--lf", "--last-failed", "--ff", "--failed-first", "--nf", "--new-first", "--sw", "--stepwise"),
    *("--exitfirst", "--numprocesses", "--dist", "--tx", "--tb", "--color", "--pdb", "--trace", "--log-"),
    *("--html", "--rootdir", "--collect", "-n", "-x", "-r", "-c"),
)
"""What options begin with that are this session's own, and no side's, which find their settings in their tree."""
OURS = ("--perf-against", "--perf-pairs", "--perf-save", "--perf-strict", "--perf-beside", "--perf-baselines")
VALUED = (
    "-k",
    "-m",
    "-p",
    "-o",
    "-W",
    "--override-ini",
    "--pythonwarnings",
    "--import-mode",
    "--deselect",
    "--ignore",
)
"""Those that are for the sides and take the next word."""


def options_of(config: pytest.Config, *, ours: bool) -> list[str]:
    """The options of this session that are for its tests too; this suite's where tests of it are `ours`.

    What follows an option that is dropped is its value, unless it begins an option or is a place.
    """
    places = {*config.known_args_namespace.file_or_dir, *config.option.file_or_dir}
    words = [str(each) for each in config.invocation_params.args]
    found: list[str] = []
    dropped = False
    while words:
        word = words.pop(0)
        if word in VALUED:
            found += [word, *words[:1]]
            del words[:1]
        elif word.startswith("-"):
            dropped = word.startswith((*OWN, *OURS)) or (word.startswith("--perf-") and not ours)
            found += [] if dropped else [word]
        elif word not in places and not dropped:
            found.append(word)  # the value of an option that goes to the sides
    return found


def places_of(config: pytest.Config) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The files and folders that were given, below the working directory, and what their node ids begin with.

    The names of tests in them are left out of the first: a side may not have those.
    """
    folder, root = config.invocation_params.dir.resolve(), config.rootpath.resolve()
    places, named = [], []
    for word in config.option.file_or_dir:
        name, separator, test = str(word).partition("::")
        path = (folder / name).resolve()
        if not path.is_relative_to(folder):
            raise UsageError(f"{word} lies outside of {folder}: run pytest where all of its tests are.")
        places.append(path.relative_to(folder).as_posix())
        below = path.relative_to(root).as_posix() if path.is_relative_to(root) else ""
        named.append(f"{below}{separator}{test}" if below != "." else "")
    return tuple(dict.fromkeys(places)), tuple(dict.fromkeys(named))
