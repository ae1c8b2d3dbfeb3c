"""Pickles that mean harm: nothing of them runs."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.yolov5.test_checkpoint import handmade, message, module, table, tensor_opcodes, text
from yolo_perf.yolov5 import checkpoint, unpickle
from yolo_perf.yolov5.checkpoint import read_checkpoint


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A file that any of the attacks would make."""
    path = tmp_path / "canary"
    yield path
    assert not path.exists()


def attacks(canary: Path) -> dict[str, bytes]:
    touch = text(f"touch {canary}")
    write = text(f"open({str(canary)!r}, 'w').close()")
    inner = b"cos\nsystem\n" + touch + b"\x85"
    return {
        "reduce": inner + b"R",
        "newobj": inner + b"\x81",
        "newobj_ex": inner + b"}\x92",
        "eval": b"cbuiltins\neval\n" + write + b"\x85R",
        "python2": b"c__builtin__\nexec\n" + write + b"\x85R",
        "subprocess": b"csubprocess\ncheck_call\n](" + text("touch") + text(str(canary)) + b"e\x85R",
        "stack_global": text("os") + text("system") + b"\x93" + touch + b"\x85R",
        "dotted": text("os") + text("system.__call__") + b"\x93" + touch + b"\x85R",
        "getattr": b"cbuiltins\ngetattr\ncshutil\nos\n" + text("system") + b"\x86R" + touch + b"\x85R",
        "setstate": b"cos\nsystem\n)R}" + text("__setstate__") + b"cos\nsystem\nsb" + touch + b"b",
        "import": b"cthis_module.does_not\nexist\n)R",
    }


@pytest.mark.parametrize("attack", attacks(Path("x")))
def test_nothing_runs(tmp_path: Path, canary: Path, attack: str) -> None:
    evil = attacks(canary)[attack]
    if attack not in ("dotted", "setstate", "import", "newobj", "newobj_ex"):  # the canary would sing
        pickle.loads(b"\x80\x02" + evil + b".")
        assert canary.exists()
        canary.unlink()
    assert "holds no tensors" in message(handmade(evil, tmp_path / "root.pt"))
    weights = table(w=tensor_opcodes())
    beside = handmade(table(evil=evil, model=weights), tmp_path / "beside.pt")
    assert list(read_checkpoint(beside).state) == ["w"]
    nested = module(weights, modules=table(child=evil))
    assert list(read_checkpoint(handmade(nested, tmp_path / "nested.pt")).state) == ["w"]
    parameter = handmade(module(table(w=evil)), tmp_path / "parameter.pt")
    assert "w is not a dense tensor" in message(parameter)
    rebuilt = b"ctorch._utils\n_rebuild_parameter\n(" + evil + b"\x88NtR"
    assert "w is not a dense tensor" in message(handmade(table(w=rebuilt), tmp_path / "rebuilt.pt"))


@pytest.mark.parametrize("opcode", [b"\x82\x01", b"\x83\x01\x00", b"\x84\x01\x00\x00\x00"])
def test_extension_opcodes_are_refused(tmp_path: Path, opcode: bytes) -> None:
    assert "opcode EXT" in message(handmade(table(a=opcode), tmp_path / "ext.pt"))


@pytest.mark.parametrize(
    "body",
    [b"(ios\nsystem\n", b"(cos\nsystem\no", b"Pstorage\n", b"\x97", b"\x96\0\0\0\0\0\0\0\0\x98"],
    ids=["INST", "OBJ", "PERSID", "NEXT_BUFFER", "READONLY_BUFFER"],
)
def test_opcodes_that_no_checkpoint_needs_are_refused(tmp_path: Path, body: bytes) -> None:
    assert "which no checkpoint needs" in message(handmade(body, tmp_path / "odd.pt"))


@pytest.mark.parametrize(
    "body",
    [b"", b"0", b"u", b"}u", b"}(Ku", b"Na", b"Ns", b"NNNs", b"(N}u", b"h\x07", b"j\xff\xff\xff\x7f", b"NNR",
     b"cos\nsystem\nNR", b"NNb", b"NN\x93", b"NQ", b"(NNt", b"\x86", b"(N\x85", b"}(NN", b"\xff", b"S'\\d'\n",
     text("storage") + b"Q", b"Ixyz\n", b"I" + b"9" * 5000 + b"\n", b"X\x02\0\0\0\xff\xff"],
)  # fmt: skip
def test_malformed_pickles_are_refused(tmp_path: Path, body: bytes) -> None:
    message(handmade(body, tmp_path / "odd.pt"))


def test_a_large_memo_index_takes_no_memory(tmp_path: Path) -> None:
    body = b"Nr\xff\xff\xff\x7f0" + table(w=tensor_opcodes())
    assert list(read_checkpoint(handmade(body, tmp_path / "memo.pt")).state) == ["w"]


@pytest.mark.parametrize("key", [b")" + b"\x85" * 300_000, b")" + b"2\x86" * 200], ids=["deep", "shared"])
def test_nested_keys_are_never_hashed(tmp_path: Path, key: bytes) -> None:
    # The first would overflow the C stack, the second take 2**200 steps.
    body = table(w=tensor_opcodes()) + key + b"Ns"
    assert list(read_checkpoint(handmade(body, tmp_path / "keys.pt")).state) == ["w"]


def test_modules_that_hold_themselves(tmp_path: Path) -> None:
    state = table(_parameters=b"}", _modules=b"}" + text("a") + b"h\x00s")
    body = b"cmodels.yolo\nModel\n)\x81q\x00" + state + b"b"
    assert "nest without end" in message(handmade(body, tmp_path / "cycle.pt"))


def test_modules_shared_exponentially(tmp_path: Path) -> None:
    body = module(table(w=tensor_opcodes()))
    for level in range(40):
        put = b"q" + bytes([level])
        body = body + put + b"0" + module(b"}", table(a=b"h" + put[1:], b=b"h" + put[1:]))
    assert "too many" in message(handmade(body, tmp_path / "laughs.pt"))


def test_bounds_on_the_pickle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = handmade(b"N0" * 100 + b"N", tmp_path / "long.pt")
    monkeypatch.setattr(unpickle, "MAX_OPCODES", 50)
    assert "opcodes" in message(path)
    monkeypatch.setattr(checkpoint, "MAX_BYTES", 50)
    assert "longer than any" in message(path)


def test_names_that_are_no_text(tmp_path: Path) -> None:
    for index, name in enumerate((text("\x1b[31m"), text("a" * 600), b"K\x01", b"N")):
        body = b"}" + name + tensor_opcodes() + b"s"
        assert "no plain text" in message(handmade(body, tmp_path / f"{index}.pt"))
        assert "no plain text" in message(handmade(module(body), tmp_path / f"m{index}.pt"))
