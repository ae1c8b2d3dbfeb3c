"""The job's summary of GitHub Actions: Markdown that a step appends to a file, which the job's page shows."""

import logging
import os
from pathlib import Path
from typing import Any

from yolo_perf import files

log = logging.getLogger(__name__)

VARIABLE = "GITHUB_STEP_SUMMARY"


def wanted() -> bool:
    """Whether this process runs in a step that has a summary."""
    return bool(os.environ.get(VARIABLE))


def append_summary(text: str) -> None:
    """Append to the step's summary, where there is one. A summary that cannot be written fails nothing."""
    if not wanted():
        return
    name = os.environ[VARIABLE]
    try:
        files.append(Path(name), f"{text}\n".encode())
    except OSError as error:
        log.warning("Cannot write the step's summary to %s: %s.", name, error.strerror or error)


def append_pairs(document: dict[str, Any]) -> None:
    """Append the verdict of a paired comparison, by its document."""
    if not wanted():
        return
    from yolo_perf.archive.saved_pairs import PAIRS_BLOCK, as_pairs
    from yolo_perf.report.markdown import markdown
    from yolo_perf.report.story import Story

    append_summary(markdown(Story(subject=None, pairs=(as_pairs(document[PAIRS_BLOCK], "this comparison"),))))
