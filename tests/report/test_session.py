"""What stands below a session's table."""

import pytest

from tests.factories import full_run, run
from yolo_perf.report.session import also_measured, not_measured, whole_tables

COMMAND = "yolo-perf report .pytest_cache/d/yolo-perf/last-run.json --tables"


def test_each_thing_that_was_measured_has_a_table_and_a_line() -> None:
    whole = full_run()
    lines = also_measured(whole, COMMAND).splitlines()
    assert lines[:2] == ["Also measured; the tables: -v, or", f"  {COMMAND}"]
    said = [line.split()[0] for line in lines[2:] if not line.startswith("   ")]
    kinds = {name: getattr(whole, name) for name in ("stages", "accuracy", "layers", "throughput", "memory")}
    assert said == [name for name, found in kinds.items() if found]
    assert len(said) > 2
    sizes = len({each.case.size for each in whole.stages})
    assert len(whole_tables(whole)) == len(said) + max(0, sizes - 1)


@pytest.mark.parametrize("width", [80, 120])
def test_lines_fit(width: int) -> None:
    absent = {
        f"{size}-{name}": f"skipped: {name} needs a wand" for size in "nsmlx" for name in ("a" * 30, "b" * 40)
    }
    text = "\n".join([also_measured(full_run(), COMMAND, width=width), *not_measured(absent, width=width)])
    assert max(map(len, text.splitlines())) <= width


def test_nothing_else_measured_is_no_line() -> None:
    assert also_measured(run(), COMMAND) == ""
    assert whole_tables(run()) == []


def test_a_run_that_was_not_kept_names_no_command() -> None:
    assert also_measured(full_run(), "").splitlines()[0] == "Also measured; the tables: -v"


def test_one_line_a_reason() -> None:
    sizes, engines = ("n", "s"), ("openvino", "openvino-int8")
    absent = {f"{size}-{name}": f"skipped: {name} needs openvino: sorry" for size in sizes for name in engines}
    absent |= {"n-onnx": "its test failed", "s-eager": "its test failed"}
    assert not_measured(absent) == [
        "Not measured: openvino, openvino-int8 of n, s: skipped: needs openvino: sorry",
        "Not measured: n-onnx, s-eager: its test failed",
    ]
    assert not_measured({}) == []
