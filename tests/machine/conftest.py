"""A fake system tree, and a machine to change one fact of."""

from collections.abc import Callable
from pathlib import Path

import pytest

from yolo_perf.records import Machine

Tree = Callable[[dict[str, str]], Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Writes {path: text} under a fresh root and returns the root. Call again to add."""

    def write(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n", encoding="utf-8")
        return tmp_path

    return write


@pytest.fixture
def machine() -> Machine:
    return Machine(
        cpu_model="AMD EPYC",
        vendor="AuthenticAMD",
        architecture="x86_64",
        family=25,
        model=1,
        stepping=1,
        isa=("avx", "avx2", "f16c", "fma", "sse4_2"),
        sockets=1,
        physical_cores=2,
        logical_cores=2,
        usable_cores=2,
        clock_hz_min=None,
        clock_hz_max=None,
        clock_hz_reported=2.5e9,
        memory_bytes=2**34,
        caches={"L1d": 2**15, "L2": 2**19, "L3": 2**25},
        governor=None,
        hypervisor=None,
        os="Linux 6.8",
        python="3.11.7",
        libraries={"numpy": "2.4.6"},
    )
