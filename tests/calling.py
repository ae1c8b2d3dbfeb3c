"""Calls `yolo-perf` in this process, as its console script does."""

import pytest

from yolo_perf import cli


def call_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str, str]:
    """Its exit status, output and errors. No mistake of a user's shows a traceback."""
    monkeypatch.setattr("sys.argv", ["yolo-perf", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return int(ended.value.code or 0), out, err
