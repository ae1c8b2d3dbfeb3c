"""The state of a pytest session that measures: what it was asked, its bench, what it found so far."""

from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from yolo_perf.errors import UsageError
from yolo_perf.guest import mistaken
from yolo_perf.options import read_settings, setting_text
from yolo_perf.session.choice import Choice
from yolo_perf.session.collected import Collected
from yolo_perf.session.host import Host
from yolo_perf.session.results import Results
from yolo_perf.session.terminal import Words

if TYPE_CHECKING:
    from yolo_perf.analysis.accuracy import Judge
    from yolo_perf.analysis.bench import Bench
    from yolo_perf.records import Comparison, Measurement, Peaks, Reference, Run
    from yolo_perf.session.shelf import Chosen

SPREAD = "pytest-xdist switches benchmarks off: nothing is measured, compared or saved. Use -n0."


class PerfSession:
    """State of one pytest session.

    It costs nothing where no test measures: everything heavy hangs on `bench`, made by the first that does.
    """

    def __init__(self, config: pytest.Config):
        """Raises UsageError for settings that cannot be."""
        self.config = config
        self.settings = read_settings(config)
        self.choice = Choice(self.settings)
        self.collected = Collected(config, self.settings)
        self.results = Results()
        self.words = Words()
        self.host = Host(config)
        asked = config.getoption("benchmark_compare", None)
        self.asked: str | bool | None = asked if isinstance(asked, str) else bool(asked) or None
        """What --benchmark-compare names, True for a bare one, None without it."""
        if self.asked is not None and (mistake := mistaken(self.asked, config)):
            raise UsageError(mistake)
        if config.option.perf_save and config.getoption("dist", "no") != "no":
            raise UsageError(SPREAD)
        self.chosen: Chosen | None = None
        self.beside = self._read_beside()
        self.judging = False
        """Whether a test of this session judges detections."""
        self.complete = True
        self.peaks_after: Peaks | None = None
        self.comparisons: tuple[Comparison, ...] = ()
        self._created = datetime.now(UTC).isoformat(timespec="seconds")
        self._judge: Judge | None = None

    def _read_beside(self) -> "Run | Reference | None":
        if not self.config.option.perf_beside:
            return None
        from yolo_perf.archive.baselines import locate_saved
        from yolo_perf.archive.saved_run import read_saved

        return read_saved(locate_saved(self.config.option.perf_beside, self.baselines))

    @cached_property
    def bench(self) -> "Bench":
        """The bench of this session."""
        from yolo_perf.analysis.bench import Bench

        return Bench(self.settings)

    @property
    def baselines(self) -> Path:
        """The folder of baselines."""
        return self.config.rootpath / setting_text(self.config, "baselines")

    @property
    def judges(self) -> bool:
        """Whether this session is asked to compare or to save."""
        return self.asked is not None or bool(self.config.option.perf_save)

    def judge(self, size: str) -> "Judge":
        """Who judges the detections of a size; the previous size's judge is let go, for memory's sake."""
        from yolo_perf.analysis.accuracy import Judge

        if self._judge is None or self._judge.size != size:
            self._judge = None
            self._judge = Judge(self.bench, size, self.settings.accuracy_pictures)
        return self._judge

    def record(self, measurement: "Measurement") -> dict[str, object]:
        """Keep a measurement; its figures for pytest-benchmark's `extra_info`, in SI units."""
        from yolo_perf.analysis.figures import figures

        self.results.keep(self.results.measurements, measurement)
        return figures(measurement, self.bench.peaks)

    @property
    def run(self) -> "Run":
        """The session so far as a record."""
        from yolo_perf.records import Run

        found: dict[str, Any] = {name: tuple(each) for name, each in self.results.kinds.items()}
        return Run(
            created=self._created,
            machine=self.bench.machine,
            peaks=self.bench.peaks,
            peaks_after=self.peaks_after,
            commit=self.host.commit,
            data=self.bench.dataset.name,
            configuration={**self.settings.plain(), "threads": self.bench.threads},
            complete=self.complete,
            comparisons=self.comparisons,
            compared_with=self.chosen.path.name if self.comparisons and self.chosen else "",
            **found,
        )
