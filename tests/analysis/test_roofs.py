import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.factories import machine, peaks
from yolo_perf.analysis.roofs import measure_roofs, remembered_roofs
from yolo_perf.machine.naming import fingerprint
from yolo_perf.records import Machine, Peaks


class Meter:
    """Stands in for the measurement: every one finds a faster memory."""

    def __init__(self) -> None:
        self.measured: list[Machine] = []

    def __call__(self, found: Machine) -> Peaks:
        self.measured.append(found)
        return replace(peaks(), bytes_per_s=len(self.measured) * 1e9)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "new" / "cache"
    monkeypatch.setenv("YOLO_PERF_CACHE", str(folder))
    return folder


@pytest.fixture
def meter(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Meter:
    found = Meter()
    monkeypatch.setattr("yolo_perf.analysis.roofs.measure_peaks", found)
    return found


def the_file(cache: Path) -> Path:
    (path,) = cache.iterdir()
    return path


def test_roofs_are_remembered_after_they_were_measured(meter: Meter, cache: Path) -> None:
    measured = measure_roofs(machine())
    assert the_file(cache).name.startswith(f"roofs-{fingerprint(machine())}-2-")
    os.utime(the_file(cache), (0, 1_700_000_000))
    assert remembered_roofs(machine()) == (measured, "2023-11-14T22:13:20+00:00")
    assert len(meter.measured) == 1


def test_roofs_that_were_never_measured_are_measured_once(meter: Meter) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    first, when = remembered_roofs(machine())
    assert before <= datetime.fromisoformat(when) <= datetime.now(UTC)
    assert remembered_roofs(machine())[0] == first
    assert meter.measured == [machine()]


def test_measuring_again_replaces_what_was_remembered(meter: Meter) -> None:
    measure_roofs(machine())
    assert measure_roofs(machine()).bytes_per_s == 2e9
    assert remembered_roofs(machine())[0].bytes_per_s == 2e9


def test_another_machine_or_number_of_cores_has_roofs_of_its_own(meter: Meter, cache: Path) -> None:
    others = [machine(), machine(cpu_model="Intel Xeon"), machine(usable_cores=1)]
    assert [measure_roofs(other).bytes_per_s for other in others] == [1e9, 2e9, 3e9]
    assert [remembered_roofs(other)[0].bytes_per_s for other in others] == [1e9, 2e9, 3e9]
    assert len(list(cache.iterdir())) == 3


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"flops_per_s": {"fp32": 1e9}, "bytes_per_s": NaN, "threads": 2, "method": ""}',
        b'{"flops_per_s": {"fp32": 0}, "bytes_per_s": 1e9, "threads": 2, "method": ""}',
        b'{"flops_per_s": {"fp7": 1e9}, "bytes_per_s": 1e9, "threads": 2, "method": ""}',
    ],
)
def test_a_damaged_file_is_measured_anew_and_replaced(meter: Meter, cache: Path, content: bytes) -> None:
    measure_roofs(machine())
    the_file(cache).write_bytes(content)
    assert remembered_roofs(machine())[0].bytes_per_s == 2e9
    assert remembered_roofs(machine())[0].bytes_per_s == 2e9
    assert len(meter.measured) == 2


def test_a_cache_folder_that_cannot_be_written_loses_the_memory_only(
    meter: Meter, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache.parent.mkdir()
    cache.write_text("a file where the folder would be")
    with caplog.at_level("INFO", logger="yolo_perf"):
        assert measure_roofs(machine()).bytes_per_s == 1e9
    assert "The roofs could not be remembered" in caplog.text
    assert remembered_roofs(machine())[0].bytes_per_s == 2e9
    assert cache.read_text() == "a file where the folder would be"
