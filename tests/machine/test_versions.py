"""What is imported is recorded, whichever package brought it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from yolo_perf.errors import UsageError
from yolo_perf.machine import versions
from yolo_perf.machine.identity import identify
from yolo_perf.machine.versions import version


@pytest.fixture(autouse=True)
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module that two packages bring."""
    (tmp_path / "fake_engine.py").write_text("__version__ = '3.0'\n")
    monkeypatch.setitem(versions.PROVIDERS, "fake_engine", ("fake-engine", "fake-engine-gpu"))
    monkeypatch.syspath_prepend(tmp_path)
    version.cache_clear()
    yield tmp_path
    sys.modules.pop("fake_engine", None)
    sys.modules.pop("bare_engine", None)
    version.cache_clear()


def install(folder: Path, package: str, number: str) -> None:
    info = folder / f"{package.replace('-', '_')}-{number}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {number}\n")


def test_the_usual_package_is_not_named(engine: Path) -> None:
    install(engine, "fake-engine", "1.0")
    assert version("fake_engine") == "1.0"


def test_another_package_of_the_same_module_is_named(engine: Path) -> None:
    install(engine, "fake-engine-gpu", "2.0")
    assert version("fake_engine") == "2.0 (fake-engine-gpu)"


def test_of_two_packages_the_module_itself_tells(engine: Path) -> None:
    install(engine, "fake-engine", "1.0")
    install(engine, "fake-engine-gpu", "2.0")
    assert version("fake_engine") == "3.0"


def test_a_module_without_a_package_has_its_own_version(engine: Path) -> None:
    assert version("fake_engine") == "3.0"
    (engine / "bare_engine.py").touch()
    assert version("bare_engine") == "unknown"


def test_a_package_whose_files_are_gone_has_none(engine: Path) -> None:
    install(engine, "fake-engine", "1.0")
    (engine / "fake_engine.py").unlink()
    assert version("fake_engine") == ""


def test_a_broken_cpuinfo_says_how_to_repair_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cpuinfo", None)
    with pytest.raises(UsageError, match="pip install --force-reinstall py-cpuinfo2"):
        identify.__wrapped__(with_torch=False)
