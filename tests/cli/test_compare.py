"""Verdicts of `yolo-perf compare` on saved runs; no process is started and nothing measured."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.factories import machine, measurement, peaks, run
from yolo_perf import cli
from yolo_perf.archive.baselines import save_baseline
from yolo_perf.archive.saved_run import BLOCK, block, write_document
from yolo_perf.records import Run


class Files:
    """Saved runs, and the command over them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
        self.folder, self.monkeypatch, self.capsys = folder, monkeypatch, capsys

    def write(self, name: str, saved: Run) -> str:
        path = self.folder / f"{name}.json"
        write_document({BLOCK: block(saved)}, path)
        return str(path)

    def compare(self, *arguments: str) -> tuple[int, str, str]:
        options = ("--baselines", str(self.folder / "baselines"))
        self.monkeypatch.setattr("sys.argv", ["yolo-perf", "compare", *arguments, *options])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return int(ended.value.code or 0), *self.capsys.readouterr()


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Files:
    return Files(tmp_path, monkeypatch, capsys)


def test_two_runs_of_one_machine_get_verdicts(files: Files) -> None:
    base, slow = files.write("base", run(measurement())), files.write("slow", run(measurement((0.2,))))
    code, out, _ = files.compare(base, slow)
    assert code == 1
    assert f"{slow} against {base}: 1 regressed." in out
    assert "From session to session, so weak" in out
    assert "REGRESSED n-eager: latency +400.0 %, beyond +118.5 % (1 session, default noise)" in out
    code, out, _ = files.compare(slow, base)
    assert (code, "1 improved." in out) == (0, True)


def test_json_stays_json(files: Files) -> None:
    base, slow = files.write("base", run(measurement())), files.write("slow", run(measurement((0.2,))))
    code, out, err = files.compare(base, slow, "--json")
    assert (code, out[0], "REGRESSED n-eager" in err) == (1, "[", True)


def test_missing_fails_and_strict_minds_what_cannot_be_compared(files: Files) -> None:
    both = files.write("both", run(measurement(), measurement(backend="onnx")))
    one = files.write("one", run(measurement()))
    other = files.write("other", run(measurement(), measurement(backend="onnx", threads=1)))
    none = files.write("none", run(measurement(threads=1)))
    assert files.compare(both, one)[0] == 1
    assert files.compare(one, both)[0] == 0
    assert files.compare(both, other)[0] == 0
    assert files.compare(both, other, "--strict")[0] == 3
    assert files.compare(one, none)[0] == 3


def test_a_baseline_brings_its_history(files: Files) -> None:
    paths = [
        save_baseline({BLOCK: block(run(measurement((seconds,))))}, files.folder / "baselines", machine())
        for seconds in (0.0400, 0.0401, 0.0402)
    ]
    code, out, _ = files.compare(str(paths[1]), files.write("head", run(measurement())))
    assert (code, "(2 sessions, default noise)" in out) == (0, True)


def test_other_machines_only_inform_unless_asked(files: Files) -> None:
    base = files.write("base", run(measurement()))
    faster = replace(peaks(), flops_per_s={"fp32": 400e9, "int8": 800e9})
    other = files.write("other", run(measurement(), machine=machine(cpu_model="Xeon"), peaks=faster))
    code, out, _ = files.compare(base, other)
    assert (code, "against" in out) == (0, False)
    assert files.compare(base, other, "--fail-on-efficiency")[0] == 1


def test_what_is_no_run_to_compare_is_said(files: Files) -> None:
    base, empty = files.write("base", run(measurement())), files.write("empty", run())
    code, out, err = files.compare(base, empty)
    assert (code, out) == (1, "")
    assert f"Error: {empty} holds no measurements of inference" in err
    cut = files.write("cut", run(measurement(), complete=False))
    code, _, err = files.compare(cut, base)
    assert code == 1
    assert f"Error: {cut} holds a session that was interrupted" in err
