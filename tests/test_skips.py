"""A skip that is not on the list fails where continuous integration runs; one that is on it is listed."""

import re
from dataclasses import replace

import pytest

from . import skips
from .skips import ALLOWED, Allowed, complaint

CPU = "eager-bf16 needs a CPU with amx_bf16 or avx512_bf16; this one has avx2."
PROJECT = f"""
import pytest

def test_it():
    pass

def test_for_a_cpu():
    pytest.skip({CPU!r})

def test_for_a_package():
    pytest.importorskip("no_such_engine", reason="pip install no-such-engine")

@pytest.mark.skipif(True, reason="a bad day")
def test_of_a_mark():
    pass

@pytest.fixture
def tired():
    pytest.skip("a tired fixture")

def test_of_a_fixture(tired):
    pass

@pytest.mark.xfail(reason="known")
def test_expected_to_fail():
    raise AssertionError
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest("from tests.skips import pytest_make_collect_report, pytest_runtest_makereport")
    pytester.makepyfile(PROJECT)
    return pytester


def test_skips_that_are_not_on_the_list_fail(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    result = project.runpytest("-p", "no:yolo-perf", "-rfEs")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=1, skipped=1, failed=1, errors=2, xfailed=1)
    result.stdout.fnmatch_lines(
        [
            # Reasons stand above the summary, which has them too from pytest 9 on.
            "*skips.py lists: a bad day",
            "*skips.py lists: a tired fixture",
            "*skips.py lists: pip install no-such-engine",
            "FAILED *::test_for_a_package*",
            "ERROR *::test_of_a_mark*",
            "ERROR *::test_of_a_fixture*",
            f"SKIPPED * {CPU}",
        ]
    )


def test_a_whole_file_that_is_skipped_fails(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    pytester.makeconftest("from tests.skips import pytest_make_collect_report, pytest_runtest_makereport")
    pytester.makepyfile("import pytest\npytest.importorskip('no_such_engine')\ndef test_it(): pass")
    result = pytester.runpytest("-p", "no:yolo-perf")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*tests/skips.py lists: could not import 'no_such_engine'*"])


def test_a_desk_may_skip(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    result = project.runpytest("-p", "no:yolo-perf")
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=1, skipped=4, xfailed=1)


@pytest.mark.parametrize(
    "reason", ["", "openvino needs openvino, which cannot be imported (no module).", f"{CPU[:20]}"]
)
def test_a_reason_has_to_match_as_a_whole(reason: str) -> None:
    assert complaint(reason).endswith(f"lists: {reason}")


def test_an_entry_counts_where_it_has_a_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Allowed(reason="no browser", why="none can be had")
    monkeypatch.setattr(skips, "ALLOWED", (one,))
    assert complaint("no browser") == ""
    monkeypatch.setattr(skips, "ALLOWED", (replace(one, here=False),))
    assert complaint("no browser") != ""


def test_the_list_is_short_and_says_why() -> None:
    assert len(ALLOWED) < 10
    for each in ALLOWED:
        assert each.why
        assert not re.fullmatch(each.reason, "")
        assert not re.fullmatch(each.reason, "anything else")
