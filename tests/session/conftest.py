"""Sessions of a project, in this process."""

import sys

# Sessions in this process forget what they imported, which extension modules do not survive: import it first.
import cv2  # noqa: F401
import onnx  # noqa: F401
import pytest
import torch  # noqa: F401
from _pytest.pytester import SysModulesSnapshot
from rich import console  # noqa: F401

import yolo_perf.analysis.accuracy
import yolo_perf.analysis.bench
import yolo_perf.analysis.layers
import yolo_perf.analysis.stages
import yolo_perf.analysis.work
import yolo_perf.pairing.confirm
import yolo_perf.report.accuracy
import yolo_perf.report.layers
import yolo_perf.report.markdown
import yolo_perf.report.session
import yolo_perf.report.stages
import yolo_perf.report.sweeps
import yolo_perf.report.tables
import yolo_perf.verdict.sessions
import yolo_perf.yolov5.seeded
from tests.session.project import Project

FOLDER = "pytest-of-"
"""Below which every test has its own."""


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """Fvcore too, whose import is noisy: by way of the call that keeps it quiet."""
    yolo_perf.analysis.work.count("n", 80, 64)


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a session imports late, as torch does of itself, nobody imports again: tests may run in any order."""
    monkeypatch.setattr("_pytest.pytester.SysModulesSnapshot", Kept)


class Kept(SysModulesSnapshot):
    """Forgets of what was imported meanwhile only the session's own files."""

    def restore(self) -> None:
        imported = dict(sys.modules)
        super().restore()
        for name, module in imported.items():
            if FOLDER not in (getattr(module, "__file__", None) or ""):
                sys.modules.setdefault(name, module)


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(pytester, monkeypatch)
