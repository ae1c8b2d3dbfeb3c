"""Every truncation, and bytes changed at random: refused, or harmless."""

import io
import random
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.yolov5.test_checkpoint import members_of, message, packed, saved, text
from yolo_perf.errors import CheckpointError
from yolo_perf.yolov5 import unpickle
from yolo_perf.yolov5.checkpoint import Checkpoint, digest_state, read_checkpoint

SMALL = {"model.0.w": torch.arange(4.0).half(), "model.0.b": torch.arange(2)}


def small_file() -> bytes:
    buffer = io.BytesIO()
    torch.save({"ema": None, "model": SMALL, "names": ["cat"]}, buffer)
    return buffer.getvalue()


def outcome(content: bytes) -> Checkpoint | None:
    """What reading gives, None for a refusal. Any other exception fails the test."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fuzzed.pt"
        path.write_bytes(content)
        try:
            read = read_checkpoint(path)
        except CheckpointError as error:
            assert "fuzzed.pt" in str(error)
            return None
    assert read.state
    assert all(isinstance(tensor, Tensor) for tensor in read.state.values())
    assert read.digest == digest_state(read.state)
    return read


def test_every_truncation_is_refused() -> None:
    content = small_file()
    assert outcome(content) is not None
    for length in range(len(content)):
        assert outcome(content[:length]) is None, length


def test_every_truncation_of_the_pickle_is_refused(tmp_path: Path) -> None:
    members = members_of(saved(SMALL, tmp_path / "a.pt"))
    for length in range(len(members["data.pkl"])):
        path = packed({**members, "data.pkl": members["data.pkl"][:length]}, tmp_path / "b.pt")
        message(path)


changes = st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=8)


def changed(content: bytes, where: list[tuple[int, int]]) -> bytes:
    result = bytearray(content)
    for position, value in where:
        result[position % len(result)] = value
    return bytes(result)


CONTENT = small_file()


DIGEST = digest_state({name: t.float() if t.is_floating_point() else t for name, t in SMALL.items()})


@given(changes)
@settings(max_examples=300, deadline=None)
def test_changed_bytes_are_refused_or_harmless(where: list[tuple[int, int]]) -> None:
    read = outcome(changed(CONTENT, where))  # headers have bytes that nobody reads; checksums guard the rest
    assert read is None or read.digest == DIGEST


@given(changes)
@settings(max_examples=300, deadline=None)
def test_changed_pickles_with_right_checksums(where: list[tuple[int, int]]) -> None:
    buffer = io.BytesIO(CONTENT)
    with zipfile.ZipFile(buffer) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, changed(data, where) if name.endswith("data.pkl") else data)
    outcome(buffer.getvalue())


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_no_more_than_a_malformed_pickle(data: bytes) -> None:
    with suppress(unpickle.MalformedPickleError):
        unpickle.read_pickle(b"\x80\x02" + data)


def test_sequences_of_known_opcodes() -> None:
    plain = [bytes([opcode]) for opcode in b"}])N(uesat\x85\x86RbQ201\x81\x93\x94\x8f\x90\x91ld\x92"]
    names = [b"cos\nsystem\n", b"ccollections\nOrderedDict\n", text("a")]
    opcodes = [*plain, *names, b"K\x01", b"q\0", b"h\0"]
    chance = random.Random(0)
    for _ in range(3000):
        data = b"".join(chance.choices(opcodes, k=chance.randrange(1, 30))) + b"."
        with suppress(unpickle.MalformedPickleError):
            unpickle.read_pickle(data)
