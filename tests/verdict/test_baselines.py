import json
import os
import threading
from pathlib import Path

import pytest

from tests.factories import machine, measurement, run
from yolo_perf.errors import BaselineError
from yolo_perf.machine.identity import slug
from yolo_perf.verdict.baselines import (
    block,
    find_baseline,
    machines_in,
    read_run,
    save_baseline,
    write_document,
)

RUN = run(measurement((0.04, 0.05)), measurement((0.01,), backend="onnx-static-int8", dtype="int8"))


def document() -> dict[str, object]:
    return {"benchmarks": [], "version": "5.3.1", "yolo_perf": block(RUN)}


def test_a_run_survives_the_file(tmp_path: Path) -> None:
    path = save_baseline(document(), tmp_path, machine())
    assert path == tmp_path / slug(machine()) / "0001_baseline.json"
    assert read_run(path) == RUN


def test_the_newest_of_this_machine_is_found(tmp_path: Path) -> None:
    assert find_baseline(tmp_path, machine()) is None
    first = save_baseline(document(), tmp_path, machine())
    second = save_baseline(document(), tmp_path, machine())
    save_baseline(document(), tmp_path, machine(cpu_model="Intel Xeon"))
    assert find_baseline(tmp_path, machine()) == second
    assert find_baseline(tmp_path, machine(), "0001") == first
    assert find_baseline(tmp_path, machine(), "0007") is None
    assert find_baseline(tmp_path, machine(usable_cores=1)) is None
    assert len(machines_in(tmp_path)) == 2
    assert machines_in(tmp_path / "none") == ()


def test_sessions_that_save_at_once_get_numbers_of_their_own(tmp_path: Path) -> None:
    threads = [threading.Thread(target=save_baseline, args=(document(), tmp_path, machine())) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    saved = sorted((tmp_path / slug(machine())).iterdir())
    assert [path.name[:4] for path in saved] == [f"{i:04d}" for i in range(1, 9)]
    assert all(read_run(path) == RUN for path in saved)


def test_no_room_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = save_baseline(document(), tmp_path, machine())

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BaselineError, match=r"No space left.*Nothing was changed"):
        save_baseline(document(), tmp_path, machine())
    with pytest.raises(OSError, match="No space"):
        write_document(document(), first)
    assert list(first.parent.iterdir()) == [first]
    assert read_run(first) == RUN


def write(path: Path, **changes: object) -> Path:
    path.write_text(json.dumps({"yolo_perf": {**block(RUN), **changes}}))
    return path


def test_foreign_and_damaged_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    cases: list[tuple[bytes, str]] = [
        (b"", "damaged or not a saved run"),
        (b"{", "damaged"),
        (b"[1]", "damaged"),
        (b'"text"', "damaged"),
        (b"\xff\xfe\x00", "damaged"),
        (b'{"benchmarks": []}', "not written by yolo-perf"),
        (b'{"yolo_perf": null}', "not written by yolo-perf"),
        (b'{"yolo_perf": {"schema": 99}}', "has schema 99, this yolo-perf reads up to 1. Upgrade"),
        (b'{"yolo_perf": {"schema": 0}}', "damaged"),
        (b'{"yolo_perf": {"schema": 1}}', "damaged"),
        (b'{"yolo_perf": ' + b"[" * 200_000, "damaged"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "damaged"),
        (json.dumps(document()).encode()[:-100], "damaged"),
    ]
    for content, message in cases:
        path.write_bytes(content)
        with pytest.raises(BaselineError, match=message) as error:
            read_run(path)
        assert str(path) in str(error.value)


@pytest.mark.parametrize("rounds", [[], [0], [-1.0], [1e300], ["1"], [None], [float("nan")], [float("inf")]])
def test_times_that_cannot_be_are_refused(tmp_path: Path, rounds: list[object]) -> None:
    measurements = block(RUN)["measurements"]
    measurements[0]["round_seconds"] = rounds
    with pytest.raises(BaselineError, match="damaged"):
        read_run(write(tmp_path / "run.json", measurements=measurements))


def test_a_case_without_its_peak_is_refused(tmp_path: Path) -> None:
    plain = block(RUN)
    del plain["peaks"]["flops_per_s"]["int8"]
    with pytest.raises(BaselineError, match="no peak of int8"):
        read_run(write(tmp_path / "run.json", peaks=plain["peaks"]))


def test_no_file_and_no_permission(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="No such file"):
        read_run(tmp_path / "none.json")
    with pytest.raises(BaselineError, match="Cannot read"):
        read_run(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(BaselineError, match="Cannot save a baseline"):
        save_baseline(document(), tmp_path / "file", machine())
