"""A server whose file fails to arrive, and where its part lies."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline.site import BODY, Site, serve


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve() as found:
        found.files["/file"] = BODY
        yield found


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "file.part"
