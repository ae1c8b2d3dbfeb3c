import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from tests.factories import machine, measurement, peaks
from yolo_perf.analysis import memory
from yolo_perf.analysis.bench import Bench
from yolo_perf.analysis.memory import activation_peak_bytes, expected_bytes, measure_memory, require_memory
from yolo_perf.analysis.work import count
from yolo_perf.backends.artefacts import ENVIRONMENT
from yolo_perf.backends.registry import Subject, backends
from yolo_perf.errors import BackendUnavailable, NotEnoughMemory, YoloPerfError
from yolo_perf.machine.memory import free_bytes, peak_rss_bytes, reset_peak_rss, rss_bytes
from yolo_perf.records import Case, Memory
from yolo_perf.settings import Settings

CASE = measurement(image_size=64).case
WEIGHT_BYTES = 4 * 1_867_405
ALIVE = 1_000
"""Stands for the activations of 32x32."""
PLENTY = 2**50
SUBJECT = Subject(
    load=lambda: pytest.fail("loaded"),
    weights=measurement().weights,
    calibration_name="grey",
    calibration=lambda: iter(()),
)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Activations by hand, and memory without end."""
    monkeypatch.setattr(memory, "activation_peak_bytes", lambda *_: ALIVE)
    monkeypatch.setattr(memory, "free_bytes", lambda: PLENTY)


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache folder, with nothing kept in memory before or after."""
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))
    activation_peak_bytes.cache_clear()
    monkeypatch.setattr(memory, "_alive", lambda *_: ALIVE)
    return tmp_path


Answer = Callable[..., "subprocess.CompletedProcess[bytes]"]


def child(stdout: bytes = b"", stderr: bytes = b"", returncode: int = 0) -> Answer:
    """A process that ends at once."""
    return lambda command, **_: subprocess.CompletedProcess(command, returncode, stdout, stderr)


def refused(monkeypatch: pytest.MonkeyPatch, answer: Answer) -> str:
    """What a user is told of a process that answers so."""
    monkeypatch.setattr(subprocess, "run", answer)
    with pytest.raises(YoloPerfError) as error:
        measure_memory(CASE, SUBJECT, backends()["eager"], None)
    return str(error.value)


def test_the_peak_lies_between_one_convolution_and_everything_moved() -> None:
    """The first convolution reads 3 x 32 x 32 and writes 16 x 16 x 16; no peak is above all that is ever moved."""
    assert 4 * (3 * 32 * 32 + 16 * 16 * 16) <= memory._alive("n", 80) <= count("n", 80, 32).activation_bytes


@pytest.mark.usefixtures("cache")
def test_a_peak_is_counted_once_and_then_read_from_its_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert activation_peak_bytes("n") == ALIVE
    (kept,) = tmp_path.glob("yolov5n-80-alive-*.json")
    assert kept.read_bytes() == b"1000"
    activation_peak_bytes.cache_clear()
    monkeypatch.setattr(memory, "_alive", lambda *_: pytest.fail("counted again"))
    assert activation_peak_bytes("n") == ALIVE
    activation_peak_bytes.cache_clear()


@pytest.mark.parametrize("damage", [b'"1000"', b"{", b"\xff\xfe", b"1000.5"])
def test_a_damaged_file_is_counted_anew(cache: Path, damage: bytes) -> None:
    activation_peak_bytes("n")
    (kept,) = cache.glob("*.json")
    kept.write_bytes(damage)
    activation_peak_bytes.cache_clear()
    assert activation_peak_bytes("n") == ALIVE
    activation_peak_bytes.cache_clear()
    assert activation_peak_bytes("n") == ALIVE
    activation_peak_bytes.cache_clear()
    assert [path.read_bytes() for path in cache.glob("*.json")] == [b"1000"]


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize(
    ("changes", "weights", "activations"),
    [
        ({"image_size": 32}, WEIGHT_BYTES, ALIVE),
        ({"image_size": 64}, WEIGHT_BYTES, 4 * ALIVE),
        ({"image_size": 640}, WEIGHT_BYTES, 400 * ALIVE),
        ({"batch": 8, "image_size": 64}, WEIGHT_BYTES, 32 * ALIVE),
        ({"dtype": "int8", "image_size": 64}, WEIGHT_BYTES // 4, ALIVE),
        ({"dtype": "bf16", "image_size": 64}, WEIGHT_BYTES // 2, 2 * ALIVE),
    ],
)
def test_expected_bytes_by_hand(changes: dict[str, Any], weights: int, activations: int) -> None:
    assert expected_bytes(replace(CASE, **changes)) == pytest.approx((weights, activations), abs=100)


@pytest.mark.usefixtures("counted")
def test_a_case_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    weights, activations = expected_bytes(CASE)
    monkeypatch.setattr(memory, "free_bytes", lambda: memory.HEADROOM * (weights + activations))
    require_memory(CASE)
    monkeypatch.setattr(memory, "free_bytes", lambda: memory.HEADROOM * (weights + activations) - 1)
    with pytest.raises(NotEnoughMemory, match=r"n-eager-b1-64px-t2 may take .* Choose a smaller batch, image or"):
        require_memory(CASE)


@pytest.mark.usefixtures("counted")
def test_a_bench_does_not_run_what_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("yolo_perf.analysis.bench.measure_peaks", lambda *_: peaks())
    monkeypatch.setattr("yolo_perf.analysis.bench.identify", machine)
    monkeypatch.setattr(memory, "free_bytes", lambda: 0)
    monkeypatch.setattr(Bench, "_reference", lambda *_: SimpleNamespace(subject=SUBJECT))
    bench = Bench(Settings(sizes=("n",), image_size=32))
    with pytest.raises(NotEnoughMemory, match="n-eager-b1-32px-t2"):
        bench.measure("n", backends()["eager"], "", lambda *_: pytest.fail("timed"))


@pytest.mark.usefixtures("counted")
def test_an_answer_is_told_above_what_the_engine_alone_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    orders: list[memory.Order] = []

    def answer(command: list[str], *, input: bytes, **_: Any) -> "subprocess.CompletedProcess[bytes]":  # noqa: A002
        orders.append(msgspec.json.decode(input, type=memory.Order))
        return subprocess.CompletedProcess(command, 0, b'{"base":100,"loaded":160,"peak":250}', b"a warning")

    monkeypatch.setattr(subprocess, "run", answer)
    found = measure_memory(CASE, SUBJECT, backends()["eager"], Path("pictures"), "system")
    assert found == Memory(
        case=CASE,
        base_bytes=100,
        loaded_bytes=60,
        peak_bytes=150,
        weight_bytes=WEIGHT_BYTES,
        activation_bytes=4 * ALIVE,
    )
    order = memory.Order(
        case=CASE, weights=SUBJECT.weights, calibration_name="grey", data="pictures", allocator="system"
    )
    assert orders == [order]


@pytest.mark.usefixtures("counted")
def test_a_killed_process_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    told = refused(monkeypatch, child(returncode=-9))
    assert told == (
        "n-eager-b1-64px-t2: the process that shows its memory failed: "
        "it was killed, most likely for want of memory."
    )


@pytest.mark.usefixtures("counted")
def test_a_warning_does_not_hide_that_a_process_was_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "it was killed" in refused(monkeypatch, child(stderr=b"UserWarning: deprecated\n", returncode=-9))


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize(
    "garbage", [b"", b"{}", b"\xff", b'{"base":1,"loaded":2}', b'{"base":"1","loaded":2}', b"[]"]
)
def test_an_answer_that_is_none_is_told_with_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, garbage: bytes
) -> None:
    assert refused(monkeypatch, child(garbage, returncode=3)).endswith("memory failed: exit code 3.")


@pytest.mark.usefixtures("counted")
def test_the_last_words_of_a_process_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    last = "Traceback\n  somewhere\nMemoryError: no \xff room\n".encode("latin-1")
    assert refused(monkeypatch, child(stderr=last, returncode=1)).endswith("failed: MemoryError: no � room.")


@pytest.mark.usefixtures("counted")
def test_a_process_that_hangs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: list[str], *, timeout: float, **_: Any) -> "subprocess.CompletedProcess[bytes]":
        raise subprocess.TimeoutExpired(command, timeout)

    told = refused(monkeypatch, hang)
    assert told == "n-eager-b1-64px-t2: no answer in 600 s from the process that shows its memory."


@pytest.mark.usefixtures("counted")
def test_a_missing_engine_is_told_before_a_process_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("started"))
    with pytest.raises(BackendUnavailable, match="pip install no_such_engine"):
        measure_memory(CASE, SUBJECT, replace(backends()["eager"], requires=("no_such_engine",)), None)


def limited(folder: Path, most: str, used: str) -> int:
    """Free bytes in a container of that limit and use."""
    (folder / "memory.max").write_text(f"{most}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    return free_bytes(folder)


def test_a_containers_limit_is_respected(tmp_path: Path) -> None:
    assert limited(tmp_path, "5000000", "4000000") == 1_000_000
    assert limited(tmp_path, "5000000", "6000000") == 0


@pytest.mark.parametrize("most", ["max", str(PLENTY), ""])
def test_what_limits_nothing_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: str) -> None:
    class Available:
        available = 7_000_000

    monkeypatch.setattr("psutil.virtual_memory", Available)
    assert limited(tmp_path, most, "4000000") == 7_000_000
    assert free_bytes(tmp_path / "absent") == 7_000_000


def test_the_peak_is_at_least_what_is_resident() -> None:
    reset_peak_rss()
    held = bytearray(b"x") * 2**24
    now, most = rss_bytes(), peak_rss_bytes()
    assert now > len(held)
    assert most is not None
    assert most >= 0.99 * now


@pytest.mark.slow
@pytest.mark.parametrize("name", ["eager", "onnx"])
def test_a_real_process_holds_at_least_its_weights(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))
    monkeypatch.setattr("yolo_perf.analysis.bench.measure_peaks", lambda *_: peaks())
    bench = Bench(Settings(sizes=("n",), image_size=64, threads=1))
    backend = backends()[name]
    case: Case = bench.case("n", backend)
    found = measure_memory(case, bench.subject("n"), backend, None)
    assert (found.case, found.weight_bytes) == (case, WEIGHT_BYTES)
    assert WEIGHT_BYTES // 2 < found.loaded_bytes < 200 * 2**20
    assert found.loaded_bytes <= found.peak_bytes < 400 * 2**20
    assert found.base_bytes > 10 * 2**20
