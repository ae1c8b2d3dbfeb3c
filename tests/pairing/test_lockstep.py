"""The script of a side's pytest: what it makes of a stopwatch, by hand; and whose tree it imports from."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.clocks import Clock
from yolo_perf.pairing.lockstep import Wire, _last_line, _Once, _Prepared, _Repeated
from yolo_perf.pairing.whose import foreign, map_paths
from yolo_perf.pairing.worker import convolution, injected


class Spoken(Wire):
    """Orders by hand, and the answers to them."""

    def __init__(self, *orders: dict[str, Any]):
        self._heard = io.StringIO()
        super().__init__(io.StringIO("".join(json.dumps(each) + "\n" for each in orders)), self._heard)

    @property
    def answers(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._heard.getvalue().splitlines()]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr("yolo_perf.pairing.lockstep.time.perf_counter", found)
    return found


def lasting(clock: Clock, seconds: float, calls: list[object] | None = None) -> Any:
    def call(*args: object) -> object:
        clock.now += seconds
        if calls is not None:
            calls.append(args)
        return "found"

    return call


def test_a_repeated_call_is_estimated_by_the_least_of_rounds_of_a_millisecond(clock: Clock) -> None:
    calls: list[object] = []
    ready = _Repeated(lasting(clock, 1e-4, calls)).ready()
    assert ready["seconds"] == pytest.approx(1e-4)
    assert ready["iterations"] is None  # as many as whoever asks wants
    assert len(calls) == 1 + 4 + 5 * 16


def test_a_slow_call_is_estimated_once(clock: Clock) -> None:
    calls: list[object] = []
    assert _Repeated(lasting(clock, 2.0, calls)).ready()["seconds"] == 2
    assert len(calls) == 1


def test_a_round_is_all_of_its_calls(clock: Clock) -> None:
    assert _Repeated(lasting(clock, 0.5)).round(1) == 0.5
    assert _Repeated(lasting(clock, 0.5)).round(4) == 2


def test_pedantic_rounds_are_set_up_and_torn_down_untimed(clock: Clock) -> None:
    calls: list[object] = []
    gone: list[object] = []

    def setup() -> tuple[tuple[int], dict[str, Any]]:
        clock.now += 100
        return (7,), {}

    given = {"setup": setup, "teardown": lambda *args: gone.append(args)}
    target = _Prepared(lasting(clock, 0.25, calls), given, iterations=1, warmups=2, rounds=9)
    assert target.ready() == {"ready": "pedantic", "seconds": None, "iterations": 1, "rounds": 9, "warmups": 2}
    assert target.round(1) == 0.25
    assert calls == gone == [(7,)]


def test_pedantic_iterations_are_its_own(clock: Clock) -> None:
    target = _Prepared(lasting(clock, 0.25), {"args": (1,)}, iterations=4, warmups=0, rounds=9)
    assert target.round(1) == 1


def test_a_target_of_one_round_is_called_once(clock: Clock) -> None:
    calls: list[object] = []
    wire = Spoken({"do": "time", "iterations": 1, "warmup": 0}, {"do": "on"})
    once = _Once(wire, lasting(clock, 0.5, calls), 1)
    assert once(3) == "found"
    once.finish()
    assert calls == [(3,)]
    ready, timed = wire.answers
    assert (ready["rounds"], ready["iterations"]) == (1, 1)
    assert timed["seconds"] == 0.5


def test_a_target_of_one_round_need_not_be_timed(clock: Clock) -> None:
    calls: list[object] = []
    wire = Spoken({"do": "on"})
    once = _Once(wire, lasting(clock, 0.5, calls), 1)
    assert once() == "found"
    once.finish()
    assert len(calls) == len(wire.answers) == 1


def test_slow_downs_by_hand(clock: Clock) -> None:
    clock.tick = 1 / 1024
    spun = _Repeated(injected(lasting(clock, 1.0), "spin", 0.5, convolution))
    assert spun.round(1) == pytest.approx(1.5, abs=0.01)
    now_and_then = injected(lasting(clock, 1.0), "intermittent", 4.0, convolution)
    took = [_Repeated(now_and_then).round(1) for _ in range(5)]
    assert took == pytest.approx([1, 1, 1, 1, 5], abs=0.02)


@pytest.fixture
def trees(tmp_path: Path) -> dict[str, str]:
    for name in ("head", "base"):
        (tmp_path / name / "src" / "lump").mkdir(parents=True)
        (tmp_path / name / "src" / "lump" / "__init__.py").write_text(f"name = {name!r}\n")
    return {"asking": str(tmp_path / "head"), "tree": str(tmp_path / "base")}


def test_what_is_installed_from_the_asking_tree_is_found_in_the_sides_own(
    trees: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [f"{trees['asking']}/src", "", "/elsewhere"])
    map_paths(trees)
    assert sys.path == [f"{trees['tree']}/src", f"{trees['asking']}/src", "", "/elsewhere"]


def test_a_finder_with_a_mapping_is_followed(trees: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    class Finder:
        """As setuptools writes one."""

    finder = type(sys)("__editable___lump_finder")
    finder.MAPPING = {"lump": f"{trees['asking']}/src/lump"}  # type: ignore[attr-defined]
    Finder.__module__ = finder.__name__
    monkeypatch.setitem(sys.modules, finder.__name__, finder)
    monkeypatch.setattr(sys, "meta_path", [Finder])
    monkeypatch.setattr(sys, "path", ["/elsewhere"])
    map_paths(trees)
    assert sys.path == [f"{trees['tree']}/src", "/elsewhere"]


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("base/src/lump/__init__.py", ""),
        ("head/src/lump/__init__.py", "lump from the other side's tree"),
        ("venv/site-packages/lump/__init__.py", "lump from "),
        ("head/.venv/site-packages/lump/__init__.py", "lump from "),
    ],
)
def test_whose_code_a_module_is(
    trees: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str, why: str
) -> None:
    lump = type(sys)("lump")
    lump.__file__ = str(tmp_path / place)
    monkeypatch.setitem(sys.modules, "lump", lump)
    order = {**trees, "other": trees["asking"]}
    assert foreign("lump", order).startswith(why)
    assert bool(foreign("lump", order)) == bool(why)
    assert foreign("lump", {**order, "other": order["tree"]}) == ""  # one tree: its libraries are compared


def test_a_side_within_the_other(trees: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    outer, inner = Path(trees["asking"]), Path(trees["asking"], "inner")
    lump = type(sys)("lump")
    lump.__file__ = str(outer / "src" / "lump" / "__init__.py")
    monkeypatch.setitem(sys.modules, "lump", lump)
    assert foreign("lump", {"tree": str(inner), "other": str(outer)})
    assert foreign("lump", {"tree": str(outer), "other": str(inner)}) == ""
    lump.__file__ = str(inner / "lump.py")
    assert foreign("lump", {"tree": str(outer), "other": str(inner)})


def test_a_link_to_the_asking_tree_is_followed(
    trees: dict[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(trees["asking"])
    monkeypatch.setattr(sys, "path", [str(tmp_path / "link" / "src")])
    map_paths(trees)
    assert sys.path[0] == f"{trees['tree']}/src"


def test_a_warm_up_of_one_round_is_not_timed(clock: Clock) -> None:
    calls: list[object] = []
    wire = Spoken({"do": "time", "iterations": 1, "warmup": 0}, {"do": "on"})
    once = _Once(wire, lasting(clock, 0.5, calls), 1, untimed=2)
    for _ in range(3):
        once()
        assert bool(wire.answers) == (len(calls) == 3)
    once.finish()


def test_what_is_said_of_a_failure_is_its_last_line() -> None:
    assert _last_line(("file.py", 3, "Skipped: not today")) == "Skipped: not today"
    assert _last_line("one\ntwo\n") == "two"
    assert _last_line("") == ""
    assert len(_last_line("x" * 9999)) == 300
