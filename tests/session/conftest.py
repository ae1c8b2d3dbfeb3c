"""Sessions of a project, in this process."""

# Sessions in this process forget what they imported, which extension modules do not survive: import it first.
import cv2  # noqa: F401
import onnx  # noqa: F401
import pytest
import torch  # noqa: F401
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


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """Fvcore too, whose import is noisy: by way of the call that keeps it quiet."""
    yolo_perf.analysis.work.count("n", 80, 64)


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(pytester, monkeypatch)
