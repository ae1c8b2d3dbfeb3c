"""One comparison at a time, and signals that end it."""

import signal
import threading
from pathlib import Path

import pytest

from tests.pairing.test_processes import unix
from yolo_perf.errors import YoloPerfError
from yolo_perf.pairing.processes import alone
from yolo_perf.signals import ENDING_S, GONE, INTERRUPTED_EXIT, ended_by_signals, exit_status


@unix
def test_a_second_comparison_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("YOLO_PERF_CACHE", str(tmp_path / "cache"))
    with alone(), pytest.raises(YoloPerfError, match="Another comparison is timing on this machine"), alone():
        pass
    with alone():
        pass


def test_what_blocks_within_is_no_second_comparison(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("YOLO_PERF_CACHE", str(tmp_path / "cache"))
    with pytest.raises(BlockingIOError), alone():
        raise BlockingIOError


@unix
@pytest.mark.parametrize("name", GONE)
def test_a_signal_to_go_ends_by_way_of_finally(name: str) -> None:
    number = getattr(signal, name)
    inherited = signal.signal(number, signal.SIG_DFL)  # under nohup it is ignored, and stays so
    try:
        with pytest.raises(KeyboardInterrupt), ended_by_signals():
            assert signal.getsignal(number) != signal.SIG_DFL
            try:
                signal.raise_signal(number)
            finally:
                signal.raise_signal(number)  # while results are written: nothing is lost to a second one
        assert exit_status(INTERRUPTED_EXIT) == 128 + number
        assert exit_status(INTERRUPTED_EXIT) == INTERRUPTED_EXIT, "the next command of this process"
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, inherited)


@unix
@pytest.mark.parametrize(("first", "second"), [("SIGINT", "SIGTERM"), ("SIGTERM", "SIGINT"), ("SIGINT", "SIGINT")])
def test_another_signal_while_results_are_written_changes_nothing(first: str, second: str) -> None:
    now = 100.0
    numbers = [getattr(signal, name) for name in (first, second)]
    inherited = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        with ended_by_signals(lambda: now):
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(numbers[0])
            now += ENDING_S - 1
            with ended_by_signals(lambda: now):  # what is measured within has the same ending
                signal.raise_signal(numbers[1])
            now += 1
            with pytest.raises(KeyboardInterrupt):  # it did not end: asked again
                signal.raise_signal(numbers[1])
        assert exit_status(INTERRUPTED_EXIT) == 128 + numbers[0]
    finally:
        for number, handler in inherited.items():
            signal.signal(number, handler)


def test_signals_are_the_main_threads() -> None:
    before = signal.getsignal(signal.SIGTERM)
    found: list[object] = []

    def elsewhere() -> None:
        with ended_by_signals():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [before]


def test_a_cache_that_cannot_be_written_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("YOLO_PERF_CACHE", str(tmp_path / "file"))
    with pytest.raises(YoloPerfError, match=r"^Cannot write the cache folder .*YOLO_PERF_CACHE=FOLDER"), alone():
        pass
