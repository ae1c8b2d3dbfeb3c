import json
import math
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.factories import machine, measurement, run
from tests.verdict.test_compare import write_reference
from yolo_perf.archive.baselines import (
    find_baseline,
    inventory,
    lost_by,
    machines_in,
    outdated,
    promote,
    remove,
    save_baseline,
)
from yolo_perf.archive.histories import Spread, sessions, spreads
from yolo_perf.archive.saved_run import block, read_run, require_baseline, write_document
from yolo_perf.errors import BaselineError
from yolo_perf.machine.naming import slug
from yolo_perf.records import HostUse, Run, Weights

RUN = run(measurement((0.04, 0.05)), measurement((0.01,), backend="onnx-static-int8", dtype="int8"))


def document() -> dict[str, object]:
    return {"benchmarks": [], "version": "5.3.1", "yolo_perf": block(RUN)}


def test_a_run_survives_the_file(tmp_path: Path) -> None:
    path = save_baseline(document(), tmp_path, machine())
    assert path == tmp_path / slug(machine()) / "0001_baseline.json"
    assert read_run(path) == RUN


def test_a_file_from_before_the_clock_was_measured_loads(tmp_path: Path) -> None:
    old: Any = document()
    del old["yolo_perf"]["peaks"]["clock_hz_measured"]
    for name in ("clock_reported_is_tsc", "isa_faulting"):
        del old["yolo_perf"]["machine"][name]
    loaded = read_run(save_baseline(old, tmp_path, machine()))
    assert loaded == RUN
    assert (loaded.peaks.clock_hz_measured, loaded.machine.clock_reported_is_tsc) == (None, None)


def test_the_newest_of_this_machine_is_found(tmp_path: Path) -> None:
    assert find_baseline(tmp_path, machine()) is None
    first = save_baseline(document(), tmp_path, machine())
    second = save_baseline(document(), tmp_path, machine())
    save_baseline(document(), tmp_path, machine(cpu_model="Intel Xeon"))
    assert find_baseline(tmp_path, machine()) == second
    assert find_baseline(tmp_path, machine(), "0001") == first
    assert find_baseline(tmp_path, machine(), "0007") is None
    assert find_baseline(tmp_path, machine(usable_cores=1)) is None
    assert len(machines_in(tmp_path)) == 2
    assert machines_in(tmp_path / "none") == ()


def test_sessions_that_save_at_once_get_numbers_of_their_own(tmp_path: Path) -> None:
    threads = [threading.Thread(target=save_baseline, args=(document(), tmp_path, machine())) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    saved = sorted((tmp_path / slug(machine())).iterdir())
    assert [path.name[:4] for path in saved] == [f"{i:04d}" for i in range(1, 9)]
    assert all(read_run(path) == RUN for path in saved)


def test_no_room_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = save_baseline(document(), tmp_path, machine())

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BaselineError, match=r"No space left.*Nothing was changed"):
        save_baseline(document(), tmp_path, machine())
    with pytest.raises(OSError, match="No space"):
        write_document(document(), first)
    assert list(first.parent.iterdir()) == [first]
    assert read_run(first) == RUN


def write(path: Path, **changes: object) -> Path:
    path.write_text(json.dumps({"yolo_perf": {**block(RUN), **changes}}))
    return path


def test_foreign_and_damaged_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    cases: list[tuple[bytes, str]] = [
        (b"", "damaged or not a saved run"),
        (b"{", "damaged"),
        (b"[1]", "damaged"),
        (b'"text"', "damaged"),
        (b"\xff\xfe\x00", "damaged"),
        (b'{"benchmarks": []}', "not written by yolo-perf"),
        (b'{"yolo_perf": null}', "not written by yolo-perf"),
        (b'{"yolo_perf": {"schema": 99}}', "has schema 99, this yolo-perf reads up to 1. Upgrade"),
        (b'{"yolo_perf": {"schema": 0}}', "damaged"),
        (b'{"yolo_perf": {"schema": 1}}', "damaged"),
        (b'{"yolo_perf": ' + b"[" * 200_000, "damaged"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "damaged"),
        (json.dumps(document()).encode()[:-100], "damaged"),
    ]
    for content, message in cases:
        path.write_bytes(content)
        with pytest.raises(BaselineError, match=message) as error:
            read_run(path)
        assert str(path) in str(error.value)


@pytest.mark.parametrize("rounds", [[], [0], [-1.0], [1e300], ["1"], [None], [float("nan")], [float("inf")]])
def test_times_that_cannot_be_are_refused(tmp_path: Path, rounds: list[object]) -> None:
    measurements = block(RUN)["measurements"]
    measurements[0]["round_seconds"] = rounds
    with pytest.raises(BaselineError, match="damaged"):
        read_run(write(tmp_path / "run.json", measurements=measurements))


def test_a_case_without_its_peak_is_refused(tmp_path: Path) -> None:
    plain = block(RUN)
    del plain["peaks"]["flops_per_s"]["int8"]
    with pytest.raises(BaselineError, match="no peak of int8"):
        read_run(write(tmp_path / "run.json", peaks=plain["peaks"]))


@pytest.mark.parametrize(
    ("place", "changes", "message"),
    [
        ("work", {"macs": 0, "other_flops": 0}, "no work in n-eager"),
        ("work", {"weight_bytes": 0, "activation_bytes": 0}, "no work in n-eager"),
        ("peaks", {"bytes_per_s": 1e-300}, "a roof below one a second"),
        ("peaks", {"flops_per_s": {"fp32": 1e9, "int8": 0.5}}, "a roof below one a second"),
    ],
)
def test_figures_that_would_be_divided_by_are_refused(
    tmp_path: Path, place: str, changes: dict[str, object], message: str
) -> None:
    plain = block(RUN)
    (plain["measurements"][0]["work"] if place == "work" else plain["peaks"]).update(changes)
    with pytest.raises(BaselineError, match=f"has {message}: it is damaged"):
        read_run(write(tmp_path / "run.json", **plain))


def test_no_file_and_no_permission(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="No such file"):
        read_run(tmp_path / "none.json")
    with pytest.raises(BaselineError, match="Cannot read"):
        read_run(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(BaselineError, match="Cannot save a baseline"):
        save_baseline(document(), tmp_path / "file", machine())


def kept(folder: Path, found: Run) -> Path:
    """A run as its machine's next baseline."""
    return save_baseline({"yolo_perf": block(found)}, folder, found.machine)


def saved(path: Path, found: Run) -> Path:
    """A run in a file of its own, as pytest-benchmark writes it."""
    path.write_text(json.dumps({"benchmarks": [1], "yolo_perf": block(found)}))
    return path


NO_BASELINES: list[tuple[Run, str]] = [
    (run(measurement(), complete=False), "was interrupted"),
    (run(measurement(), configuration={"slow_down": "n-eager=2"}), "was slowed down on purpose"),
    (run(), "measured no inference"),
]


@pytest.mark.parametrize(("found", "kind"), NO_BASELINES)
def test_what_is_no_baseline_is_refused_wherever_it_lies(tmp_path: Path, found: Run, kind: str) -> None:
    message = f"holds a session that {kind}: it is no baseline."
    with pytest.raises(BaselineError, match=message):
        require_baseline(tmp_path, found)
    with pytest.raises(BaselineError, match=message):
        promote(saved(tmp_path / "run.json", found), tmp_path)
    assert machines_in(tmp_path) == ()
    path = kept(tmp_path, found)
    with pytest.raises(BaselineError, match=f"^{path} {message}"):
        sessions(tmp_path, machine())
    (shelf,) = inventory(tmp_path)
    assert (shelf.runs, shelf.damaged) == ((), (f"{path} {message}",))


def test_a_sound_run_may_be_a_baseline(tmp_path: Path) -> None:
    require_baseline(tmp_path, run(measurement(), configuration={"slow_down": ""}))


def test_the_newest_sessions_come_oldest_first(tmp_path: Path) -> None:
    runs = [run(measurement((0.01 * number,))) for number in range(1, 4)]
    paths = [kept(tmp_path, each) for each in runs]
    kept(tmp_path, run(measurement(), machine=machine(cpu_model="Intel Xeon")))
    assert sessions(tmp_path, machine(), most=2) == tuple(zip(paths[1:], runs[1:], strict=True))
    assert sessions(tmp_path, machine()) == tuple(zip(paths, runs, strict=True))
    assert sessions(tmp_path, machine(usable_cores=1), most=5) == ()


def test_a_damaged_session_is_named_where_it_is_one_of_the_newest(tmp_path: Path) -> None:
    damaged, whole = kept(tmp_path, RUN), kept(tmp_path, RUN)
    damaged.write_text("{")
    assert sessions(tmp_path, machine(), most=1) == ((whole, RUN),)
    with pytest.raises(BaselineError, match=f"{damaged} is damaged"):
        sessions(tmp_path, machine(), most=2)


def test_the_tenthousandth_session_is_newer_than_the_one_before(tmp_path: Path) -> None:
    path = kept(tmp_path, RUN)
    path.rename(path.with_name("9999_baseline.json"))
    newest = kept(tmp_path, RUN)
    assert newest.name == "10000_baseline.json"
    assert find_baseline(tmp_path, machine()) == newest
    assert [each for each, _ in sessions(tmp_path, machine(), most=1)] == [newest]


def test_the_spread_is_of_the_low_quantiles_of_like_cases() -> None:
    weights = Weights(source="w", digest="1", parameters=1, classes=80)
    runs = [
        run(measurement((0.04 * math.e, 1.0, 2.0))),  # a session is one observation, whatever its other rounds
        run(measurement((0.09, 0.04, 0.05)), measurement((9.0,), nodeid="again")),
        run(measurement((1.0,), image_size=320), measurement((1.0,), weights=weights)),
    ]
    assert spreads(runs, [measurement()]) == [Spread(sessions=2, deviation=pytest.approx(math.sqrt(0.5)))]  # type: ignore[arg-type]
    assert spreads(runs[:1], [measurement()]) == [Spread(sessions=1, deviation=None)]
    assert spreads((), [measurement()]) == [Spread(sessions=0, deviation=None)]


def test_a_folder_is_listed_with_its_damage(tmp_path: Path) -> None:
    assert inventory(tmp_path / "none") == ()
    first, second = kept(tmp_path, RUN), kept(tmp_path, RUN)
    first.write_text("{")
    other = kept(tmp_path, run(measurement(), machine=machine(cpu_model="Xeon")))
    write_reference(other.with_name("0002_paper.json"))
    write_reference(tmp_path / "reference" / "laptop.json")
    (tmp_path / "reference" / "torn.json").write_text("[")
    saved(tmp_path / "reference" / "whole.json", RUN)
    (tmp_path / "reference" / "0001_numbered.json").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "README.md").write_text("")
    here, xeon, numbered, laptop, torn, whole = inventory(tmp_path)
    assert (here.name, here.runs) == (slug(machine()), ((second, RUN),))
    assert [text.partition(" is ")[0] for text in here.damaged] == [str(first)]
    assert [path for path, _ in xeon.runs] == [other]
    assert "it is no baseline" in xeon.damaged[0]
    assert (numbered.name, len(numbered.damaged)) == ("0001_numbered", 1)
    assert laptop.reference is not None
    assert (torn.name, torn.runs, torn.reference, len(torn.damaged)) == ("torn", (), None, 1)
    assert (whole.reference, whole.runs) == (None, ((tmp_path / "reference" / "whole.json", RUN),))
    assert machines_in(tmp_path) == (here.name, xeon.name)


def test_what_a_run_would_lose_is_named(tmp_path: Path) -> None:
    smaller = run(measurement())
    assert lost_by(tmp_path, smaller) == ()
    kept(tmp_path, RUN)
    assert lost_by(tmp_path, smaller) == ("n-onnx-static-int8",)
    assert lost_by(tmp_path, RUN) == ()
    assert lost_by(tmp_path, run(machine=machine(cpu_model="Xeon"))) == ()
    kept(tmp_path, smaller).write_text("{")
    with pytest.raises(BaselineError, match="damaged"):
        lost_by(tmp_path, smaller)


def test_a_run_is_promoted_byte_for_byte_to_the_machine_that_it_names(tmp_path: Path) -> None:
    folder = tmp_path / "baselines"
    kept(folder, RUN)
    foreign = machine(cpu_model="../Intel Xeon")
    path = saved(tmp_path / "run.json", run(measurement(), machine=foreign))
    found = promote(path, folder)
    assert found == folder / slug(foreign) / "0001_baseline.json"
    assert found.read_bytes() == path.read_bytes()
    assert sorted(each.name for each in folder.iterdir()) == sorted((slug(machine()), slug(foreign)))
    again = promote(saved(path, run(measurement((0.05,)), machine=foreign)), folder)
    assert again.name == "0002_baseline.json"


def test_a_run_with_fewer_cases_is_promoted_only_where_it_may_shrink(tmp_path: Path) -> None:
    newest = kept(tmp_path, RUN)
    path = saved(tmp_path / "run.json", run(measurement((0.05,))))
    with pytest.raises(BaselineError) as error:
        promote(path, tmp_path)
    assert str(error.value) == (
        f"{path} lacks n-onnx-static-int8, which {newest} has: the gate would no longer see them. "
        "Promote a run that has these too, or give --shrink."
    )
    assert promote(path, tmp_path, shrink=True).name == "0002_baseline.json"


def test_a_session_is_no_baseline_twice(tmp_path: Path) -> None:
    """It would look like two sessions that agree to the digit."""
    first = kept(tmp_path, RUN)
    for path in (first, saved(tmp_path / "run.json", RUN)):
        with pytest.raises(BaselineError, match=f"{path} is a baseline already: {first} holds the same session"):
            promote(path, tmp_path, shrink=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text("{"), "damaged"),
        (lambda path: path.write_text('{"yolo_perf": {"schema": 99}}'), "has schema 99"),
        (write_reference, "without raw rounds"),
        (lambda path: None, "No such file"),
    ],
)
def test_a_file_that_is_no_run_is_not_promoted(tmp_path: Path, make: Callable[[Path], Any], message: str) -> None:
    path = tmp_path / "run.json"
    make(path)
    with pytest.raises(BaselineError, match=message):
        promote(path, tmp_path / "baselines")
    assert not (tmp_path / "baselines").exists()


def test_all_but_the_newest_are_outdated_and_references_never_are(tmp_path: Path) -> None:
    own = [kept(tmp_path, RUN) for _ in range(4)]
    xeon = machine(cpu_model="Xeon")
    others = [kept(tmp_path, run(measurement(), machine=xeon)) for _ in range(3)]
    for number in range(1, 5):
        write_reference(tmp_path / "reference" / f"000{number}_laptop.json")
        write_reference(own[0].with_name(f"100{number}_laptop.json"))
    own[1].write_text("{")  # neither counted nor deleted
    own[3].write_text("{")
    assert outdated(tmp_path, keep=1) == (own[0], *others[:2])
    assert outdated(tmp_path, keep=2) == (others[0],)
    assert outdated(tmp_path, keep=1, machine=slug(xeon)) == tuple(others[:2])
    for name in ("reference", "none", "", ".", f"../{tmp_path.name}/{slug(xeon)}"):
        with pytest.raises(BaselineError, match=r"Machines there: amd-epyc-.*, xeon-"):
            outdated(tmp_path, keep=1, machine=name)
    with pytest.raises(BaselineError, match="Machines there: none"):
        outdated(tmp_path / "none", keep=1, machine="amd")


def test_a_baseline_is_removed_or_its_name_is_said(tmp_path: Path) -> None:
    path = kept(tmp_path, RUN)
    remove(path)
    remove(path)  # another process was faster
    assert not path.exists()
    with pytest.raises(BaselineError, match=f"Cannot delete {tmp_path}: "):
        remove(tmp_path)


def test_what_was_timed_beside_other_work_is_promoted_only_anyway(tmp_path: Path) -> None:
    busy = replace(measurement((1.0, 1.0)), host=HostUse(other_cpu_s=1.0))  # a quarter of 2 threads x 2 s
    path = saved(tmp_path / "run.json", run(busy))
    with pytest.raises(BaselineError, match=r"other work ran beside n-eager\. Measure .* --anyway"):
        promote(path, tmp_path / "baselines")
    assert promote(path, tmp_path / "baselines", anyway=True).name == "0001_baseline.json"
