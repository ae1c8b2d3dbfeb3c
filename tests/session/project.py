"""A project with benchmarks whose sessions run in this process: a tiny image, a fake timer, known roofs."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.factories import peaks
from yolo_perf.backends.registry import Backend
from yolo_perf.errors import BackendUnavailable
from yolo_perf.machine.host import Counters
from yolo_perf.machine.identity import identify
from yolo_perf.records import Peaks

TEST = """
def test_inference(size, optimization, measure_inference):
    measure_inference(size, optimization)
"""


CLOCK = """
import itertools, os
_calls = itertools.count()
def tick():
    '''Every round takes STEP seconds.'''
    return next(_calls) * float(os.environ.get("STEP", "1"))
"""


class Project:
    """A project with benchmarks, run in this process."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
        self.pytester, self.monkeypatch = pytester, monkeypatch
        self.peaks = peaks()
        folder = pytester.mkdir("benchmarks")
        (folder / "test_inference.py").write_text(TEST)
        pytester.makepyfile(fake_clock=CLOCK)
        pytester.makeini("[pytest]\nperf_sizes = n\nperf_optimizations = eager batched\nperf_image_size = 64\n")
        pytester.syspathinsert()
        for place in ("analysis.bench", "machine.peaks"):
            monkeypatch.setattr(f"yolo_perf.{place}.measure_peaks", self._measure_peaks)
        monkeypatch.setattr("yolo_perf.analysis.timing.read", Counters)  # whatever else runs here
        monkeypatch.setattr("yolo_perf.pairing.confirm.alone", nullcontext)  # or measures, in another test
        monkeypatch.delenv("YOLO_PERF_DATA", raising=False)

    def _measure_peaks(self, *_: object) -> Peaks:
        return self.peaks

    def run(self, *options: str, step: float = 1.0, target: str = "benchmarks/") -> pytest.RunResult:
        self.monkeypatch.setenv("STEP", str(step))
        return self.pytester.runpytest_inprocess(
            target,
            "--perf-rounds=3",
            "--perf-confirm=off",  # what a session measures is made up: no process could confirm it
            "--benchmark-timer=fake_clock.tick",
            "-p",
            "no:hypothesispytest",  # it would import hypothesis anew in every session
            *options,
        )

    @property
    def threads(self) -> int:
        """Of every case, by default."""
        return identify(with_torch=False).usable_cores

    @property
    def baselines(self) -> list[Path]:
        return sorted(self.pytester.path.glob("baselines/*/*.json"))


def unavailable(self: Backend) -> None:
    if self.name == "batched":
        raise BackendUnavailable("batched needs luck. pip install luck")
