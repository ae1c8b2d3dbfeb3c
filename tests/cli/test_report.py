import json
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from tests.factories import full_run, machine, measurement, run
from tests.report.test_paired import result as paired_result
from tests.report.test_story import on
from yolo_perf.archive.saved_run import BLOCK, block
from yolo_perf.cli import cli, report
from yolo_perf.errors import BaselineError, UsageError, YoloPerfError
from yolo_perf.machine.naming import slug
from yolo_perf.records import Run
from yolo_perf.report.paired import document


def saved(path: Path, content: Run) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({BLOCK: block(content)}))
    return path


def call(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["report", *map(str, arguments)], catch_exceptions=False, standalone_mode=False)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_markdown_goes_to_the_terminal_where_no_file_is_named(tmp_path: Path) -> None:
    result = call(saved(tmp_path / "a.json", full_run()))
    assert result.output.startswith("## 🟡 No verdict: there is nothing to compare with.")


def test_two_sessions_of_one_machine_are_judged_whatever_their_order(tmp_path: Path) -> None:
    late, early = saved(tmp_path / "a.json", on(2, 0.4)), saved(tmp_path / "b.json", on(1))
    assert call(late, early).output == call(early, late).output
    assert call(late, early).output.startswith("## 🔴 Regressed: n-eager.")


def test_a_page_and_markdown_at_once(tmp_path: Path) -> None:
    pytest.importorskip("plotly", reason="pip install 'yolo-perf[report]'")
    result = call(saved(tmp_path / "a.json", full_run()), "--html", "r.html", "--markdown", "r.md")
    assert result.output == "Wrote r.html\nWrote r.md\n"
    assert Path("r.md").read_text().startswith("## 🟡")
    page = Path("r.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "plotly.js v" in page


def test_a_paired_comparison_is_told_too(tmp_path: Path) -> None:
    path = tmp_path / "ab.json"
    path.write_text(json.dumps(document(paired_result())))
    assert "pairs of fresh processes" in call(path).output


def test_the_sessions_of_the_folder_of_baselines_are_the_history(tmp_path: Path) -> None:
    pytest.importorskip("plotly", reason="pip install 'yolo-perf[report]'")
    for number in (1, 2):
        saved(tmp_path / "baselines" / slug(machine()) / f"000{number}_baseline.json", on(number))
    call(saved(tmp_path / "a.json", on(3)), "--html", "r.html")
    assert 'id="chart-history"' in Path("r.html").read_text()
    damaged = tmp_path / "baselines" / slug(machine()) / "0003_baseline.json"
    damaged.write_text("{")
    result = call(tmp_path / "a.json", "--html", "r.html")
    assert result.stderr.startswith("Without the history in baselines: ")
    assert 'id="chart-history"' not in Path("r.html").read_text()


def test_other_machines_and_references_mix(tmp_path: Path) -> None:
    reference = Path(__file__).parents[2] / "baselines" / "reference" / "ryzen-7-6800hs.json"
    other = saved(
        tmp_path / "b.json", run(measurement((0.01,)), machine=machine(model=17), created="2020-01-01T00:00:00")
    )
    assert call(saved(tmp_path / "a.json", full_run()), other, reference).exit_code == 0


@pytest.mark.parametrize("content", ["", "{", '{"yolo_perf": {"schema": 99}}', '{"benchmarks": []}'])
def test_what_cannot_be_read_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "bad.json").write_text(content)
    with pytest.raises(BaselineError, match=r"bad\.json"):
        call(saved(tmp_path / "a.json", full_run()), tmp_path / "bad.json")


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(BaselineError, match=r"No saved run 'nothing\.json'"):
        call("nothing.json")


def test_unwritable_output_is_heard_of_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"Cannot write no/r\.html"):
        call("nothing.json", "--html", "no/r.html")
    with pytest.raises(click.UsageError, match="Missing parameter: saved"):
        call()


def test_without_the_extra_the_page_says_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(report, "files", missing)
    with pytest.raises(YoloPerfError, match=r"pip install 'yolo-perf\[report\]'"):
        call("nothing.json", "--html", "r.html")
    monkeypatch.setitem(sys.modules, "kaleido", None)


def test_without_kaleido_charts_as_files_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kaleido", None)
    with pytest.raises(YoloPerfError, match=r"pip install 'yolo-perf\[report\]'"):
        call(saved(tmp_path / "a.json", full_run()), "--plots", "svg")


class _Kaleido:
    """In Kaleido's place: what it was asked to draw, or a browser that is not there."""

    def __init__(self, error: Exception | None = None):
        self.error = error
        self.asked: list[dict[str, Any]] = []

    def write_fig_from_object_sync(self, requests: list[dict[str, Any]], kopts: dict[str, Any]) -> None:
        if self.error:
            raise self.error
        assert Path(kopts["plotlyjs"]).is_file()
        self.asked += requests


def test_every_chart_is_drawn_as_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("plotly", reason="pip install 'yolo-perf[report]'")
    drawn = _Kaleido()
    monkeypatch.setitem(sys.modules, "kaleido", drawn)
    result = call(saved(tmp_path / "a.json", full_run()), "--plots", "svg", "--plots-to", "out/plots")
    assert Path("out/plots").is_dir()
    names = [Path(each["path"]).name for each in drawn.asked]
    assert names[:3] == ["roofline.svg", "latency.svg", "accuracy.svg"]
    assert "rounds-s-onnx.svg" in names
    assert result.output.count("Wrote out/plots/") == len(names)


def test_without_a_browser_charts_as_files_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("plotly", reason="pip install 'yolo-perf[report]'")
    monkeypatch.setitem(sys.modules, "kaleido", _Kaleido(RuntimeError("no Chrome\nat all")))
    with pytest.raises(YoloPerfError, match=r"as files: no Chrome Kaleido draws in Chrome or Chromium"):
        call(saved(tmp_path / "a.json", full_run()), "--plots", "svg")
