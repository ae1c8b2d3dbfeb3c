"""What the tests of a session found, kind by kind, and why others found nothing."""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from yolo_perf.records import Accuracy, LayerProfile, Measurement, Memory, StageRun, Timed


class Results:
    """Lists of what was found. A test that runs again takes back what it found before."""

    def __init__(self) -> None:
        self.measurements: list[Measurement] = []
        self.stages: list[StageRun] = []
        self.throughput: list[Timed] = []
        self.memory: list[Memory] = []
        self.accuracy: list[Accuracy] = []
        self.layers: list[LayerProfile] = []
        self.absence: dict[str, str] = {}
        """By node id: why a case was not measured."""
        self._running = ""  # the node id of the test that runs
        self._found: dict[str, list[tuple[list[Any], Any]]] = {}  # what each test found, after where that is kept

    @property
    def kinds(self) -> dict[str, list[Any]]:
        """The lists by the names that they have in a `Run`."""
        return {
            "measurements": self.measurements,
            "stages": self.stages,
            "throughput": self.throughput,
            "memory": self.memory,
            "accuracy": self.accuracy,
            "layers": self.layers,
        }

    def __len__(self) -> int:
        return sum(map(len, self.kinds.values()))

    def begin(self, nodeid: str) -> None:
        """A test runs, for the first time or again, as plugins for repeated attempts make it."""
        self._running = nodeid
        for kind, result in self._found.pop(nodeid, ()):
            kind.remove(result)
        self.absence.pop(nodeid, None)

    def keep(self, kind: list[Any], result: object) -> None:
        """Keep what the running test found, among its kind."""
        kind.append(result)
        self._found.setdefault(self._running, []).append((kind, result))

    def missed(self, report: pytest.TestReport) -> None:
        """Remember why a case was not measured, where a test's report says that."""
        if report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            self.absence[report.nodeid] = f"skipped: {str(reason).removeprefix('Skipped: ')}"
        elif report.failed:
            self.absence[report.nodeid] = "its test failed"
