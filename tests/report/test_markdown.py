import re
import shlex
from dataclasses import replace

from hypothesis import given, strategies

from tests.factories import decision, full_run, measurement, run, saved_pairs
from tests.report.test_story import days
from yolo_perf import escape
from yolo_perf.records import Comparison, Interval
from yolo_perf.report.markdown import MOST_ROWS, markdown
from yolo_perf.report.story import Story, tell

SLOWER = decision(
    "n-batched",
    "regressed",
    reason="surely more than +1.0 %",
    ratio=Interval(point=1.1, low=1.05, high=1.15, confidence=0.95),
    base_s=0.4,
    head_s=0.44,
    pairs=36,
    confirmed=True,
)


def test_a_paired_comparison() -> None:
    assert (
        markdown(Story(subject=None, pairs=(saved_pairs(decision(), SLOWER),)))
        == """\
## 🔴 Regressed: n-batched.

base ref:main (aaaaaaaaaa), head path:.: pairs of fresh processes on one machine, 5 min.

Libraries: torch 2.12.0 → 2.13.0.

| case | base ms | head ms | change | interval | verdict | why |
| --- | --- | --- | --- | --- | --- | --- |
| n-batched | 100.00 | 110.00 | +10.0 % | +5.0 % to +15.0 % | REGRESSED | surely more than +1.0 % |

<details><summary>All 2 cases</summary>

| case | base ms | head ms | change | interval | verdict | why |
| --- | --- | --- | --- | --- | --- | --- |
| n-eager | 40.00 | 40.00 | +0.0 % | -1.0 % to +1.0 % | UNCHANGED | surely within 3 % |
| n-batched | 100.00 | 110.00 | +10.0 % | +5.0 % to +15.0 % | REGRESSED | surely more than +1.0 % |

</details>

Again: `yolo-perf ab --base ref:main --head path:. --sizes n`
"""
    )


def test_a_session_with_its_verdicts() -> None:
    verdicts = (
        Comparison(label="n-onnx", metric="latency", verdict="regressed", reason="paired with abc", ratio=1.5),
        Comparison(label="n-eager", metric="latency", verdict="unchanged", reason="", ratio=1.0),
    )
    text = markdown(tell(days(full_run(comparisons=verdicts, compared_with="0007_baseline.json"))))
    assert text.startswith(
        "## 🔴 Regressed: n-onnx.\n\nCompared with 0007&#95;baseline.json when it was measured."
    )
    assert "1 regressed, 1 unchanged." in text
    assert "| n-onnx | latency | +50.0 % | REGRESSED | paired with abc |" in text
    assert "| n-eager | latency" not in text
    assert "| n-eager | 1 | 44.00 | 22.7 |" in text
    assert text.endswith("Again: `pytest benchmarks/ --perf-sizes n --benchmark-compare`\n")


def test_only_unchanged_cases_make_no_table() -> None:
    text = markdown(Story(subject=None, pairs=(saved_pairs(decision()),)))
    assert "No regression." in text.splitlines()[0]
    assert text.count("| n-eager |") == 1
    assert text.index("<details>") < text.index("| n-eager |")


def test_thousands_of_cases_stay_a_comment() -> None:
    many = [measurement((0.04,), backend=f"b{number}") for number in range(5000)]
    text = markdown(tell(days(run(*many))))
    assert f"and {5000 - MOST_ROWS} more." in text
    assert len(text) < 65_536


def test_no_name_becomes_markdown_or_html() -> None:
    name = "n-<script>alert(1)</script>|`x`@everyone\n# [a](http://b)"
    pairs = saved_pairs(decision(name, "regressed", reason="*why*"), base=replace(saved_pairs().base, name=name))
    text = markdown(Story(subject=None, pairs=(pairs,)))
    assert "<script" not in text.split("Again:")[0]
    assert "@everyone" not in text.split("Again:")[0]
    (again,) = [line for line in text.splitlines() if line.startswith("Again:")]
    fence, span = re.fullmatch(r"Again: (`+)(.+)\1", again).groups()  # type: ignore[union-attr]
    assert fence not in span  # one code span, and nothing breaks out of it
    assert shlex.split(span)[:4] == ["yolo-perf", "ab", "--base", name.replace("\n", "?")]  # as it would be pasted
    assert len([line for line in text.splitlines() if line.startswith("#")]) == 1


@given(strategies.text())
def test_a_text_is_one_line_without_anything_that_markup_reads(text: str) -> None:
    found = escape.markdown(text)
    assert "\n" not in found
    assert not set(re.sub(r"&#\d+;", "", found)) & set("\\`*_[]<>|@#~&!$")
