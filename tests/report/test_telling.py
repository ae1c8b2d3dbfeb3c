"""Of many cases a reader is shown those that tell the most, and how many are left out."""

import json
import re
from dataclasses import replace

import pytest

from tests.factories import measurement, run
from yolo_perf.records import Comparison, Run, Verdict
from yolo_perf.report.page import page
from yolo_perf.report.story import Story
from yolo_perf.report.tables import results
from yolo_perf.report.telling import MOST_CASES, first_of, left_out, telling


def many(count: int) -> Run:
    """Cases that take 0.1, 0.2, 0.3 ... s under the same work: the slower, the further from the roof."""
    return run(*(measurement((0.1 * (i + 1),), threads=i + 1, nodeid=f"test.py::test[{i}]") for i in range(count)))


def verdict(number: int, of: Verdict) -> Comparison:
    return Comparison(
        label="n-eager",
        metric="latency",
        verdict=of,
        reason="",
        nodeid=f"test.py::test[{number}]",
    )


def threads(shown: Run) -> list[int]:
    return [m.case.threads for m in shown.measurements]


def test_few_cases_are_all_shown() -> None:
    whole = many(3)
    assert telling(whole, most=3) is whole
    assert left_out(whole, whole) == ""


def test_the_slowest_against_their_roof_come_first_and_keep_their_order() -> None:
    assert threads(telling(many(5), most=3)) == [1, 4, 5], "the fastest is told by name"


def test_a_verdict_comes_before_any_latency() -> None:
    found = [verdict(0, "regressed"), verdict(1, "unchanged"), verdict(2, "improved"), verdict(4, "unchanged")]
    assert threads(telling(many(5), found, most=2)) == [1, 3]
    assert threads(telling(many(5), [verdict(1, "regressed")], most=2)) == [1, 2]


def test_the_worst_verdict_of_a_case_counts() -> None:
    found = [verdict(0, "unchanged"), replace(verdict(0, "missing"), metric="utilization")]
    assert threads(telling(many(3), found, most=1)) == [1]


def test_a_page_of_many_cases_holds_the_telling_ones_and_says_so() -> None:
    whole = many(MOST_CASES + 100)
    text = page(Story(subject=whole, history=(whole, whole)), "")
    assert "Not shown, as they tell less: 100 cases of inference." in text
    (rounds,) = re.findall(r'id="rounds-data">(.*?)</script>', text)
    assert len(json.loads(rounds)) == MOST_CASES
    (figures,) = re.findall(r'id="figures">(.*?)</script>', text)
    assert len(json.loads(figures)["rounds"]["data"]) == MOST_CASES


def test_a_table_of_many_cases_says_what_is_left_out() -> None:
    text = results(many(MOST_CASES + 1))
    assert text.count("\n  eager ") == MOST_CASES
    assert "Not shown, as they tell less: 1 cases of inference." in " ".join(text.split())


@pytest.mark.parametrize(("count", "said"), [(2, ""), (3, "1 of 3 are not shown: --json and --csv have all.")])
def test_rows_beyond_the_most_are_counted(count: int, said: str) -> None:
    assert first_of(range(count), most=2) == said
