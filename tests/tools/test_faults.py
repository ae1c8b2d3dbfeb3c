"""The campaigns of faults run, and find nothing, in the second or two that they have here."""

import sys

import pytest

from tools.faults import Row
from tools.faults.__main__ import CAMPAIGNS, main

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="no SIGSTOP here")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CAMPAIGNS if name != "signals"])
def test_a_campaign_does_no_harm(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--budget", "4", "--seed", "7"]) == 0, capsys.readouterr().out


def test_a_row_that_failed_is_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Row(kind="made up", tried=3, failed=1, first="it fell")
    monkeypatch.setattr("tools.faults.four.run", lambda *_: found)
    assert main(["four"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "| made up | 3 | 1 | it fell |"


def test_an_unknown_campaign_is_said() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["flood"])
    assert ended.value.code == 2
