"""Files in, thin sessions out: the same figures as the whole reader's, refusals, the index, and processes."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.factories import machine, measurement, peaks, run
from tests.verdict.test_compare import write_reference
from yolo_perf.analysis.figures import utilization
from yolo_perf.archive import thin
from yolo_perf.archive.saved_run import block, read_run
from yolo_perf.archive.thin import Absence, read_files, read_folder, read_session
from yolo_perf.machine.naming import describe, slug
from yolo_perf.records import Commit
from yolo_perf.records import Run as SavedRun
from yolo_perf.verdict.history import Session
from yolo_perf.verdict.sessions import steady_latency_s

SAVED = next((Path(__file__).parents[2] / "baselines").glob("amd-epyc-*/0001_baseline.json"))
GOOD = run(measurement((0.04, 0.05)), measurement((0.08,), backend="batched", batch=4))


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("YOLO_PERF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def indexed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every folder has an index, however few its files are."""
    monkeypatch.setattr(thin, "INDEXED_FROM", 1)


def write(path: Path, found: SavedRun, change: Callable[[dict[str, Any]], None] = lambda _: None) -> Path:
    document = {"machine_info": {}, "benchmarks": [], "yolo_perf": block(found)}
    change(document)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, default=str))
    return path


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on no file may be read."""

    def refuse(path: Path) -> Session:
        raise AssertionError(path)

    monkeypatch.setattr(thin, "read_session", refuse)


def test_a_real_run_has_the_figures_of_the_whole_reader() -> None:
    whole, found = read_run(SAVED), read_session(SAVED)
    assert isinstance(found, Session)
    assert (found.name, found.commit) == (SAVED.name, whole.commit)
    assert (found.machine, found.described) == (slug(whole.machine), describe(whole.machine))
    assert found.created.isoformat() == whole.created
    assert [each.case for each in found.subjects] == [each.case for each in whole.measurements]
    assert [each.digest for each in found.subjects] == [each.weights.digest for each in whole.measurements]
    steady = [steady_latency_s(each) for each in whole.measurements]
    assert found.seconds == tuple(steady)
    assert found.utilizations == pytest.approx(
        [utilization(m, whole.host_peaks, s) for m, s in zip(whole.measurements, steady, strict=True)]
    )


def test_roofs_before_and_after_are_averaged_and_a_time_without_zone_is_utc(tmp_path: Path) -> None:
    after = replace(peaks(), flops_per_s={"fp32": 50e9})
    saved = run(measurement((0.04,)), peaks_after=after, created="2026-01-01T12:00:00")
    found = read_session(write(tmp_path / "a.json", saved))
    assert isinstance(found, Session)
    assert found.created == datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert found.utilizations == pytest.approx((4e9 / 0.04 / 100e9,))  # sqrt(200 x 50) GFLOP/s


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda d: d.pop("yolo_perf"), "foreign", "has no `yolo_perf` block"),
        (lambda d: d["yolo_perf"].update(schema=2), "damaged", "has schema 2, this yolo-perf reads up to 1"),
        (lambda d: d["yolo_perf"].update(complete=False), "interrupted", "a session that is interrupted"),
        (lambda d: d["yolo_perf"]["configuration"].update(slow_down="n-onnx=1.2"), "slowed", "on purpose"),
        (lambda d: d["yolo_perf"].update(measurements=[]), "empty", "without any measurement"),
        (lambda d: d["yolo_perf"].update(created="yesterday"), "damaged", "`$.yolo_perf.created`"),
        (lambda d: d["yolo_perf"].update(created="0001-01-01T00:00:00+05:00"), "damaged", "a date in the year 1"),
        (lambda d: d["yolo_perf"]["measurements"][0].update(round_seconds=[]), "damaged", "length >= 1"),
        (lambda d: d["yolo_perf"]["measurements"][0].update(round_seconds=[-1.0]), "damaged", "round_seconds"),
        (lambda d: d["yolo_perf"]["peaks"]["flops_per_s"].pop("fp32"), "damaged", "has no peak of fp32"),
        (
            lambda d: d["yolo_perf"]["measurements"][1]["work"].update(macs=0, other_flops=0),
            "damaged",
            "has a case without work",
        ),
    ],
)
def test_what_gives_no_session_is_told(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], kind: str, words: str
) -> None:
    path = write(tmp_path / "a.json", GOOD, change)
    found = read_session(path)
    assert isinstance(found, Absence)
    assert found.kind == kind
    assert words in found.reason
    assert str(path) in found.reason


@pytest.mark.parametrize("content", [b"{", b"", b"[1]", b"\xff\xfe", b'{"yolo_perf": ' + b"[" * 100_000, b"NaN"])
def test_rubbish_is_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    found = read_session(path)
    assert isinstance(found, Absence)
    assert found.kind == "damaged"


def test_what_is_no_file_or_too_large_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    monkeypatch.setattr("yolo_perf.files.MAX_BYTES", 10)
    kinds = [read_session(tmp_path / "none.json"), read_session(tmp_path / "pipe.json"), read_session(tmp_path)]
    kinds.append(read_session(write(tmp_path / "a.json", GOOD)))
    reasons = [each.reason for each in kinds if isinstance(each, Absence)]
    assert reasons[0].endswith(": No such file or directory.")
    assert reasons[1].endswith(": it is a FIFO, not a file.")
    assert reasons[2].endswith(": it is a folder, not a file.")
    assert reasons[3].endswith(": it is larger than 0 MiB.")


def test_a_folder_is_searched_and_what_is_no_run_is_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "baselines"
    write(folder / "b" / "0001_baseline.json", GOOD)
    write(folder / "a.json", run(measurement((0.03,))))
    write(folder / ".hidden.json", GOOD)
    (folder / "notes.txt").write_text("{")
    (folder / "calibration.json").write_text('{"schema": 1}')
    write_reference(folder / "reference" / "laptop.json")
    os.mkfifo(folder / "pipe.json")
    (folder / "c.json").symlink_to("nowhere")
    found = read_folder(folder)
    assert [each.name for each in found if isinstance(each, Session)] == ["a.json", "0001_baseline.json"]
    assert [each.reason for each in found if isinstance(each, Absence)] == [
        f"Cannot read {folder / 'c.json'}: No such file or directory."
    ]


@pytest.mark.usefixtures("indexed")
def test_what_was_read_once_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "runs"
    write(folder / "a.json", GOOD)
    write(folder / "b.json", replace(GOOD, commit=Commit(id="1234", branch=None, dirty=True)))
    write(folder / "c.json", replace(GOOD, complete=False))
    write(folder / "d.json", run(measurement(), machine=machine(cpu_model="Intel Xeon")))
    (folder / "e.json").write_text("{}")
    first = read_folder(folder)
    assert len(first) == 4
    forbid(monkeypatch)
    assert read_folder(folder) == first


@pytest.mark.usefixtures("indexed")
def test_only_what_changed_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "runs"
    for name in "abc":
        write(folder / f"{name}.json", GOOD)
    read_folder(folder)
    write(folder / "b.json", run(measurement((0.07, 0.08))))
    (folder / "c.json").unlink()
    seen: list[str] = []
    real = read_session

    def counted(path: Path) -> Session | Absence:
        seen.append(path.name)
        return real(path)

    monkeypatch.setattr(thin, "read_session", counted)
    found = read_folder(folder)
    assert seen == ["b.json"]
    assert [each.seconds for each in found if isinstance(each, Session)] == [(0.04, 0.02), (0.07,)]
    read_folder(folder)
    assert seen == ["b.json"]


@pytest.mark.usefixtures("indexed")
@pytest.mark.parametrize("damage", [b"", b"\x93\x90\x90", b"\x93\x90\x90\x81\xa6a.json\x99\x00\x00\xc0\xc0"])
def test_a_damaged_index_is_made_anew(tmp_path: Path, cache: Path, damage: bytes) -> None:
    folder = tmp_path / "runs"
    write(folder / "a.json", GOOD)
    first = read_folder(folder)
    (place,) = cache.iterdir()
    sound = place.read_bytes()
    place.write_bytes(damage)
    assert read_folder(folder) == first
    assert place.read_bytes() == sound


@pytest.mark.usefixtures("indexed")
def test_an_index_that_points_beyond_its_tables_is_not_believed(tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "runs"
    write(folder / "a.json", GOOD)
    first = read_folder(folder)
    (place,) = cache.iterdir()
    index = thin._load(place)
    index.entries["a.json"].subjects = 5
    place.write_bytes(msgspec.msgpack.encode(index))
    assert read_folder(folder) == first


@pytest.mark.usefixtures("indexed")
def test_without_a_cache_folder_all_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("YOLO_PERF_CACHE", str(tmp_path / "file"))
    write(tmp_path / "runs" / "a.json", GOOD)
    assert len(read_folder(tmp_path / "runs")) == 1


def test_many_files_are_shared_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thin, "SHARED_FROM", 5)
    monkeypatch.setattr(thin, "CHUNK", 2)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    paths = [write(tmp_path / f"{i}.json", run(measurement((0.01 * (i + 1),)))) for i in range(5)]
    paths[3].write_text("{")
    called: list[int] = []
    found = read_files(paths, lambda: called.append(1))
    assert called == [1]
    assert [each.seconds[0] if isinstance(each, Session) else each.kind for each in found] == pytest.approx(
        [0.01, 0.02, 0.03, "damaged", 0.05]
    )
