import logging
import threading
from pathlib import Path

import pytest

from yolo_perf.backends.artefacts import artefact, cache_folder, discard, kept
from yolo_perf.errors import YoloPerfError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("YOLO_PERF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_built_once_for_a_key(cache: Path) -> None:
    built: list[str] = []

    def build(path: Path) -> None:
        built.append(path.name)
        path.write_text("model")

    first = artefact("yolov5n", ".onnx", {"weights": "a"}, build)
    assert artefact("yolov5n", ".onnx", {"weights": "a"}, build) == first
    other = artefact("yolov5n", ".onnx", {"weights": "b"}, build)
    assert first.parent == cache == cache_folder()
    assert len(built) == 2
    assert other != first
    discard(first)
    artefact("yolov5n", ".onnx", {"weights": "a"}, build)
    assert len(built) == 3


def test_an_empty_file_is_built_anew() -> None:
    path = artefact("m", ".onnx", {}, lambda path: path.touch())
    assert path.stat().st_size == 0

    def build(path: Path) -> None:
        path.write_bytes(b"x")

    artefact("m", ".onnx", {}, build)
    assert path.read_bytes() == b"x"


def test_a_failed_build_leaves_nothing(cache: Path) -> None:
    def half(path: Path) -> None:
        path.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        artefact("m", ".onnx", {}, half)
    assert list(cache.iterdir()) == []


def test_a_full_disk_says_what_to_do(cache: Path) -> None:
    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(YoloPerfError, match=r"No space left on device.*YOLO_PERF_CACHE=FOLDER"):
        artefact("m", ".onnx", {}, full)
    assert list(cache.iterdir()) == []


def test_a_cache_that_is_no_folder(cache: Path) -> None:
    cache.write_text("")
    with pytest.raises(YoloPerfError, match="Cannot write the cache folder"):
        artefact("m", ".onnx", {}, lambda path: None)


def test_two_runs_at_once_both_get_the_whole_file(cache: Path) -> None:
    barrier, found = threading.Barrier(4), []

    def build(path: Path) -> None:
        barrier.wait(timeout=10)
        path.write_text("whole" * 1000)

    def run() -> None:
        found.append(artefact("m", ".onnx", {}, build).read_text())

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["whole" * 1000] * 4
    assert len(list(cache.iterdir())) == 1


def test_what_is_built_and_what_is_read_is_said(caplog: pytest.LogCaptureFixture, cache: Path) -> None:
    caplog.set_level(logging.DEBUG, "yolo_perf")

    def said() -> list[str]:
        assert kept("figure", {"key": "a"}, int, lambda: 7) == 7
        words = [record.getMessage().split()[0] for record in caplog.records]
        caplog.clear()
        return words

    assert said() == ["building", "built"]
    assert said() == ["reading"]
    (path,) = cache.glob("figure-*.json")
    path.write_text("{")
    assert said() == ["reading", path.name, "building", "built"]  # "... is damaged: making it anew"
