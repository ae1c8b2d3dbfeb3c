"""Which cases a session was asked to measure: of those that its baseline has, the others are not missing."""

import contextlib
import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from yolo_perf.settings import Settings

if TYPE_CHECKING:
    from yolo_perf.records import Measurement


class Collected:
    """The tests of inference that were collected, and those that were deselected."""

    def __init__(self, config: pytest.Config, settings: Settings):
        self._config = config
        self._settings = settings
        self._deselected: set[str] = set()
        self.labels: dict[str, str] = {}
        """By node id, as in "n-onnx"."""

    def deselect(self, items: Iterable[pytest.Item]) -> None:
        """A case that was deselected is not missing."""
        self._deselected.update(item.nodeid for item in items)

    def collect(self, items: Iterable[pytest.Item]) -> None:
        """These are to be measured."""
        self.labels.update((item.nodeid, label_of(item)) for item in items)

    def expects(self, measurement: "Measurement") -> bool:
        """Whether this session was asked for a baseline's case.

        A case whose test was collected was; one whose test is no more, too, unless it was deselected or other
        files, sizes or optimisations were named.
        """
        nodeid, settings = measurement.nodeid, self._settings
        if nodeid in self.labels:
            return True
        name = nodeid.partition("::")[0]
        file = (self._config.rootpath / name).resolve()
        arguments = [
            place for argument in self._config.args if "::" not in argument for place in self._at(argument)
        ]
        return (
            nodeid not in self._deselected
            and measurement.case.size in settings.sizes
            and (not settings.optimizations or measurement.case.backend in settings.optimizations)
            # An installed test's node id begins at the package that pytest was given.
            and any(file.is_relative_to(place) or (place / name).is_file() for place in arguments)
        )

    def _at(self, argument: str) -> list[Path]:
        """Where the tests are that an argument of pytest's names: a path, or a package with --pyargs."""
        path = (self._config.invocation_params.dir / argument).resolve()
        if not self._config.option.pyargs or path.exists():
            return [path]
        with contextlib.suppress(ImportError, ValueError):
            if spec := importlib.util.find_spec(argument):
                return [Path(each).resolve() for each in spec.submodule_search_locations or [spec.origin or ""]]
        return []


def label_of(item: pytest.Item) -> str:
    """The label of an item's case: "n-onnx"; its name where its parameters do not tell."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return "-".join(str(parameters[name]) for name in ("size", "optimization") if name in parameters) or item.name
