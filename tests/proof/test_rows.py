import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.proof import recorded
from yolo_perf.errors import BaselineError
from yolo_perf.proof.rows import MAX_ROUNDS, Header, Row, Rows, header_line, read_rows, row_line, write_rows
from yolo_perf.records import HostUse, Pair, Turn


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.xz"])
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    rows = recorded.recording(
        recorded.rows(2), recorded.rows(1, inject="spin=3%"), recorded.rows(1, disturb="memory")
    )
    write_rows(rows, tmp_path / name)
    assert read_rows(tmp_path / name) == rows
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_seconds_are_written_in_microseconds(tmp_path: Path) -> None:
    turn = Turn(
        label="n-eager",
        base=recorded.side(0.1234567891, 2, steal_s=0.0299999999, involuntary_switches=3),
        head=recorded.side(4e-9, 2),
    )
    row = Row(at=1, took=2.5, pair=Pair(turns=(turn,)))
    write_rows(Rows(rows=(row,)), tmp_path / "rows.jsonl")
    (read,) = read_rows(tmp_path / "rows.jsonl").rows[0].pair.turns
    assert read.base.round_seconds == (0.123457, 0.123457)
    assert read.base.host == HostUse(steal_s=0.03, involuntary_switches=3)
    assert read.head.round_seconds == (1e-6, 1e-6)  # not 0, which no round takes


def test_a_file_without_a_header_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join(map(row_line, recorded.rows(2))) + b"\n\n")
    assert read_rows(path) == Rows(rows=recorded.rows(2))


def test_an_injection_is_parsed() -> None:
    injection = recorded.rows(1, inject="spin=3%@n-onnx")[0].injection
    assert injection is not None
    assert (injection.kind, injection.amount, injection.case) == ("spin", 0.03, "n-onnx")


def plain(**changes: Any) -> dict[str, Any]:
    return {**json.loads(row_line(recorded.rows(1)[0])), **changes}


def turn(**changes: Any) -> dict[str, Any]:
    side = {"round_seconds": [0.1]}
    return {"turns": [{"label": "n-eager", "base": side, "head": side, **changes}]}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda: plain(took=-1), r"took"),
        (lambda: plain(at="yesterday"), r"Expected `float`"),
        (lambda: plain(disturb="earthquake"), "unknown disturbance 'earthquake'"),
        (lambda: plain(inject="magic=3%"), "inject reads KIND=AMOUNT"),
        (lambda: plain(pair={"turns": []}), "it has no case"),
        (lambda: plain(pair=turn(control=True)), "it has no case"),
        (lambda: plain(pair={"turns": turn()["turns"] * 2}), "a case is there twice"),
        (lambda: plain(pair=turn(head={"round_seconds": [0.1, 0.1]})), "1 and 2 rounds of 'n-eager'"),
        (lambda: plain(pair=turn(head={"round_seconds": [0.0]})), "round_seconds"),
        (lambda: plain(pair=turn(head={"round_seconds": [float("nan")]})), "invalid character"),
        (lambda: plain(pair=turn(head={"round_seconds": [1e999]})), "invalid character"),
        (
            lambda: plain(pair=turn(base={"round_seconds": [1] * 2000}, head={"round_seconds": [1] * 2000})),
            "2000 and 2000 rounds",
        ),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, damage: Callable[[], Any], message: str) -> None:
    assert MAX_ROUNDS < 2000
    path = tmp_path / "rows.jsonl"
    path.write_bytes(
        header_line(Header(machine="here", created="now"))
        + row_line(recorded.rows(1)[0])
        + json.dumps(damage()).encode()
    )
    with pytest.raises(BaselineError, match=message) as caught:
        read_rows(path)
    assert str(caught.value).startswith(f"{path}, line 3: no recorded pair: ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no pairs"),
        (header_line(Header(machine="here", created="now")), "holds no pairs"),
        (b"\xff\xfe\x00", "line 1: no recorded pair"),
        (b'{"at": ' + b"[" * 200_000, "line 1: no recorded pair"),
        (b'{"x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "line 1: no recorded pair"),
        (b'{"yolo_perf_rows": {"schema": 2}}', "has schema 2, this yolo-perf reads up to 1"),
        (b'{"yolo_perf_rows": {"schema": "1"}}', "line 1: no recorded pair"),
        (b"7", "line 1: no recorded pair"),
        (b" " * (5 << 20), "larger than any recording"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(BaselineError, match=message):
        read_rows(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda packed: packed[: len(packed) // 2], "is damaged: its end is missing"),
        (lambda packed: packed + packed, "is damaged: more follows its end"),
        (lambda packed: b"PK" + packed, "is damaged"),
        (lambda _: b"", "is damaged: its end is missing"),
    ],
)
def test_a_damaged_archive_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes], message: str) -> None:
    path = tmp_path / "rows.jsonl.xz"
    path.write_bytes(damage(lzma.compress(b"".join(map(row_line, recorded.rows(3))))))
    with pytest.raises(BaselineError, match=message):
        read_rows(path)


def test_a_file_that_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match=r"Cannot read .*: No such file"):
        read_rows(tmp_path / "none.jsonl")
    with pytest.raises(BaselineError, match=r"Cannot write .*: No such file"):
        write_rows(recorded.recording(recorded.rows(1)), tmp_path / "none" / "rows.jsonl")


@pytest.mark.parametrize("content", [b"\n" * (4 << 20), b" " * (4 << 20)])
def test_a_few_bytes_that_stand_for_many_are_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setattr("yolo_perf.proof.rows.MAX_BYTES", 1 << 20)
    path = tmp_path / "rows.jsonl.xz"
    path.write_bytes(lzma.compress(content))
    with pytest.raises(BaselineError, match="larger than any recording"):
        read_rows(path)
