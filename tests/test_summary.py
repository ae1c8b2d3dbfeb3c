import logging
from pathlib import Path

import pytest

from yolo_perf.summary import VARIABLE, append_summary, wanted


def test_it_is_appended_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "summary.md"
    monkeypatch.setenv(VARIABLE, str(path))
    assert wanted()
    append_summary("## one")
    append_summary("## two 🟢")
    assert path.read_text(encoding="utf-8") == "## one\n## two 🟢\n"


def test_without_the_variable_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert not wanted()
    append_summary("## one")


def test_one_that_cannot_be_written_fails_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none" / "summary.md"))
    with caplog.at_level(logging.WARNING):
        append_summary("## one")
    assert "Cannot write the step's summary" in caplog.text
