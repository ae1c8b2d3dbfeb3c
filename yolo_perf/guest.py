"""Manners in a session of pytest that may be somebody else's.

An installed plugin is in every session of its environment. Whose a session is, its collected tests tell: what is
done before that has to be undone, or done by nobody, where none of them uses a fixture of this suite.
"""

import contextlib
import importlib.util
import os
import re
import sys
import warnings
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

FIXTURE = "measure_inference"
SWEEP = "measure_throughput"
ACCURACY = "measure_accuracy"
LAYERS = "measure_layers"
STAGES, MEMORY = "measure_stages", "measure_memory"
FIXTURES = (FIXTURE, STAGES, SWEEP, MEMORY, ACCURACY, LAYERS)
"""Those that measure."""
BENCH = "perf_bench"
"""For benchmarks of one's own: pytest-benchmark times and judges them as it does any."""
MOST_FILES, MOST_BYTES = 2000, 1 << 20
TOOK = (
    "--benchmark-compare took {!r} for the saved run. Write --benchmark-compare=NUMBER, or put the option last: "
    "pytest benchmarks/ --benchmark-compare"
)
_NAMED = re.compile("|".join((*FIXTURES, BENCH)).encode())


class HeldWarnings:
    """What pytest-benchmark warns of while it starts, kept until it is known whose session this is.

    It looks for its own saved runs before anything is collected, and says that there are none: false words in a
    session that compares with a baseline of this suite, and needed ones in any other.
    """

    def __init__(self) -> None:
        self._show = warnings.showwarning
        self._kept: list[str] = []
        warnings.showwarning = self._hold

    def _hold(
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        *rest: Any,
        **named: Any,
    ) -> None:
        if category.__module__.partition(".")[0] == "pytest_benchmark":
            self._kept.append(warnings.formatwarning(message, category, filename, lineno))
        else:
            self._show(message, category, filename, lineno, *rest, **named)

    def stop(self) -> None:
        """Everybody has started: what is warned of from now on is shown by whoever does that."""
        if warnings.showwarning == self._hold:
            warnings.showwarning = self._show

    def drop(self) -> None:
        """What was kept is not for this session."""
        self._kept.clear()

    def say(self, config: pytest.Config) -> None:
        """What was kept, where Python would have written it."""
        self.stop()
        if self._kept:
            with uncaptured(config):
                sys.stderr.write("".join(self._kept))
                sys.stderr.flush()
        self._kept.clear()


@contextlib.contextmanager
def uncaptured(config: pytest.Config) -> Iterator[None]:
    """What is written meanwhile is seen, and no test's."""
    capture = config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
        yield


def fixtures_of(item: pytest.Item) -> frozenset[str]:
    """The names of the fixtures that a collected test uses."""
    return frozenset(getattr(item, "fixturenames", ()))


def mistaken(asked: str | bool, config: pytest.Config) -> str:
    """Why --benchmark-compare cannot work, before pytest-benchmark trips over that; "" where it may.

    Only where the tests that were meant mention this suite: all else is pytest-benchmark's to answer.
    """
    named = asked if isinstance(asked, str) else ""
    path = Path(named.partition("::")[0])
    tests = named and (path.is_dir() or path.suffix == ".py")
    if tests and mention([path]):
        return TOOK.format(named)
    if importlib.util.find_spec("cpuinfo") is None and mention(_tests(config)):
        from yolo_perf.machine.identity import NO_CPUINFO

        return NO_CPUINFO  # which pytest-benchmark would ask for now
    if tests or not named or path.is_file() or (len(path.parts) <= 2 and not path.exists()):
        return ""
    if not mention(_tests(config)):
        return ""
    if path.exists():
        return f"{path} is no regular file: not a saved run. Give a file, or a number as in 0001."
    return f"No such saved run: {path}. Give a file, or a number as in 0001."


def _tests(config: pytest.Config) -> list[Path]:
    return [Path(argument.partition("::")[0]) for argument in config.args]


def mention(places: Iterable[Path]) -> bool:
    """Whether a Python file of these files and folders names a fixture of this suite; the first 2,000 are read."""
    return any(_NAMED.search(content) for content in islice(_sources(places), MOST_FILES))


def _sources(places: Iterable[Path]) -> Iterator[bytes]:
    for place in places:
        for path in _python_files(place):
            with contextlib.suppress(OSError):
                if path.is_file() and path.stat().st_size <= MOST_BYTES:
                    yield path.read_bytes()


def _python_files(place: Path) -> Iterator[Path]:
    if not place.is_dir():
        yield place
        return
    for folder, names, files in os.walk(place):
        names[:] = [name for name in names if not name.startswith((".", "__"))]
        yield from (Path(folder) / file for file in files if file.endswith(".py"))
