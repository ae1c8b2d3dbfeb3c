import math
from dataclasses import replace
from pathlib import Path

import pytest

from tests.factories import machine
from yolo_perf.errors import BaselineError
from yolo_perf.machine.naming import fingerprint, slug
from yolo_perf.proof.calibration import (
    Calibration,
    CaseNoise,
    calibrate,
    read_calibration,
    session_rules,
    write_calibration,
)

FOUND = Calibration(
    created="2026-01-01T00:00:00+00:00",
    machine=slug(machine()),
    fingerprint=fingerprint(machine()),
    python="3.11.7",
    libraries={},
    sessions=9,
    pairs=16,
    cases={"n-eager": CaseNoise(session_sd=0.02, session_floor=0.05, paired_sd=0.01, paired_floor=0.004)},
)


def test_one_case_by_hand() -> None:
    """Neighbours differ by 0.01, 0.02, 0.03: quartiles 0.015 and 0.025, so the far fence is 0.055."""
    paired = [-0.01, 0.01, -0.008, 0.008, -0.006, 0.006, 0.0, 0.002]
    noise = calibrate({"a": [0.0, 0.01, 0.03, 0.0]}, {"a": paired})["a"]
    assert noise.session_sd == pytest.approx(math.sqrt(0.0006 / 3))
    assert noise.session_floor == pytest.approx(math.expm1(0.055))
    assert noise.gateable
    assert noise.paired_floor is not None
    assert 0 < noise.paired_floor < 0.01


def test_cases_are_shrunk_towards_each_other() -> None:
    """Of 5 sessions each a case's own spread is worth as much as that of all."""
    quiet, loud = calibrate({"a": [0.0] * 5, "b": [-0.04, 0.04, 0.0, -0.04, 0.04]}, {}).values()
    assert quiet.session_sd == pytest.approx(0.02)
    assert loud.session_sd == pytest.approx(math.sqrt((0.0016 + 0.0008) / 2))
    assert (quiet.paired_sd, quiet.paired_floor) == (None, None)


def test_a_wild_case_is_no_subject_of_a_gate() -> None:
    noise = calibrate({"a": [0.0, 0.5, 0.0, 0.5]}, {})["a"]
    assert (noise.session_floor, noise.gateable) == (0.10, False)


def test_too_few_values_say_nothing() -> None:
    noise = calibrate({"a": [0.0]}, {"a": [0.1, 0.2]})["a"]
    assert (noise.session_sd, noise.session_floor, noise.paired_floor) == (None, None, None)
    assert noise.paired_sd == pytest.approx(0.1 / math.sqrt(2))


def test_what_is_written_is_read_and_used(tmp_path: Path) -> None:
    assert read_calibration(tmp_path, machine()) is None
    assert session_rules(tmp_path, machine()).noise_of("n-eager") == (0.20, 10, "default")
    path = write_calibration(tmp_path, FOUND)
    assert path == tmp_path / slug(machine()) / "calibration.json"
    assert read_calibration(tmp_path, machine()) == FOUND
    assert session_rules(tmp_path, machine()).noise_of("n-eager") == (0.02, 12, "calibrated")
    assert FOUND.paired_floors == {"n-eager": 0.004}


@pytest.mark.parametrize("content", [b"", b"{", b"[[[", b'{"schema": 2}', b"\xff", b"{}"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = write_calibration(tmp_path, FOUND)
    path.write_bytes(content)
    with pytest.raises(BaselineError, match=r"calibration\.json is damaged"):
        read_calibration(tmp_path, machine())


def test_another_machine_s_file_is_refused(tmp_path: Path) -> None:
    write_calibration(tmp_path, replace(FOUND, fingerprint="0" * 12))
    with pytest.raises(BaselineError, match="of another machine"):
        read_calibration(tmp_path, machine())
