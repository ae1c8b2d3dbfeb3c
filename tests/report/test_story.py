from dataclasses import replace
from pathlib import Path

import pytest

from tests.factories import decision, full_run, machine, measurement, run, saved_pairs
from yolo_perf.archive.saved_run import read_saved
from yolo_perf.records import Comparison, Run
from yolo_perf.report.story import Story, Told, headline, tell

REFERENCE = Path(__file__).parents[2] / "baselines" / "reference" / "ryzen-7-6800hs.json"


def days(*told: Told) -> list[tuple[Path, Told]]:
    return [(Path(f"{number}.json"), each) for number, each in enumerate(told)]


def on(day: int, seconds: float = 0.04, **changes: object) -> Run:
    return run(measurement((seconds,) * 3), created=f"2026-01-{day:02}T00:00:00+00:00", **changes)


def test_the_newest_run_is_what_it_is_about_whatever_the_order() -> None:
    story = tell(days(on(3), on(1), on(2)))
    assert story.subject == on(3)
    assert [each.created[8:10] for each in story.history] == ["01", "02", "03"]
    assert {c.verdict for c in story.comparisons} == {"unchanged"}
    assert "2 earlier session(s)" in story.basis


def test_a_single_run_has_no_verdict_and_that_is_no_pass() -> None:
    assert headline(tell(days(on(1)))).kind == "open"
    assert headline(tell([])) == headline(Story(subject=None))
    assert headline(tell([])).kind == "open"


def test_a_slower_session_fails() -> None:
    found = headline(tell(days(on(1), on(2, 0.4))))
    assert (found.kind, found.text) == ("fail", "Regressed: n-eager.")


def test_what_the_session_itself_found_counts_more_than_a_comparison_made_up_here() -> None:
    own = (Comparison(label="n-eager", metric="latency", verdict="unchanged", reason="paired"),)
    story = tell(days(on(1), on(2, 0.4, comparisons=own, compared_with="0001_baseline.json")))
    assert story.comparisons == own
    assert "0001_baseline.json" in story.basis
    assert headline(story).kind == "pass"


def test_other_machines_stand_beside_and_are_no_history() -> None:
    other = replace(full_run(), machine=machine(model=17), created="2025-01-01T00:00:00+00:00")
    reference = read_saved(REFERENCE)
    story = tell(days(reference, other, on(1)))
    assert story.others == (other, reference)
    assert story.history == (on(1),)
    assert not story.comparisons


def test_sessions_of_the_shelf_are_history_once_and_none_is_later() -> None:
    story = tell(days(on(2)), [on(1), on(2), on(9)])
    assert [each.created[8:10] for each in story.history] == ["01", "02"]
    assert not story.comparisons  # the shelf was not named: it is shown, not judged by


def test_what_was_cut_short_or_slowed_down_is_said_and_compares_with_nothing() -> None:
    story = tell(days(on(1, complete=False), on(2, configuration={"slow_down": "n-eager=4"}), on(3)))
    assert story.history == (on(3),)
    assert story.notes == (
        "0.json was interrupted: it is partial.",
        "1.json was slowed down on purpose: n-eager=4.",
    )


@pytest.mark.parametrize(
    ("pairs", "kind", "text"),
    [
        (saved_pairs(decision(), decision("n-onnx", "regressed")), "fail", "Regressed: n-onnx."),
        (saved_pairs(decision("n-onnx", "missing", pairs=0)), "fail", "Missing: n-onnx."),
        (saved_pairs(decision(), failure="head ended."), "fail", "Failed: head ended."),
        (saved_pairs(decision(), invalid_controls=("(fma)",)), "open", "Not decided: the host was not fair"),
        (saved_pairs(decision(), complete=False), "open", "Not decided: the comparison was cut short"),
        (saved_pairs(decision(verdict="inconclusive")), "open", "Not decided: no case could be told."),
        (saved_pairs(), "open", "No verdict"),
        (saved_pairs(decision(), decision("n-onnx", "improved")), "pass", "No regression; improved: n-onnx."),
        (
            saved_pairs(decision(), decision("n-onnx", "inconclusive")),
            "pass",
            "No regression. Inconclusive: n-onnx.",
        ),
    ],
)
def test_the_headline_of_pairs(pairs: Told, kind: str, text: str) -> None:
    found = headline(tell(days(pairs)))
    assert found.kind == kind
    assert found.text.startswith(text)
