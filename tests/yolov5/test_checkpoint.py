"""Checkpoints, honest and hostile. Every file is made here, but for the official one where it is at hand."""

import os
import struct
import sys
import types
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from yolo_perf.errors import CheckpointError
from yolo_perf.yolov5.checkpoint import digest_state, guess_classes, read_checkpoint

STATE = {
    "model.0.conv.weight": torch.arange(24.0).reshape(2, 3, 2, 2),
    "model.24.m.0.weight": torch.ones(21, 2, 1, 1),
    "model.0.bn.num_batches_tracked": torch.tensor(7),
}


# Files


def saved(value: object, path: Path) -> Path:
    torch.save(value, path)
    return path


def members_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def packed(members: dict[str, bytes], path: Path, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(f"archive/{name}", data)
    return path


def edited(path: Path, edit: Callable[[dict[str, bytes]], object]) -> Path:
    """The same checkpoint with members changed and checksums right."""
    members = members_of(path)
    edit(members)
    return packed(members, path)


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def integer(value: int) -> bytes:
    if 0 <= value < 256:
        return b"K" + bytes([value])
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def tensor_opcodes(
    size: tuple[int, ...] = (2, 2),
    stride: tuple[int, ...] = (2, 1),
    offset: int = 0,
    numel: int = 4,
    storage: str = "FloatStorage",
    key: str = "0",
) -> bytes:
    """A tensor as torch.save writes it, with whatever geometry."""
    persistent = b"(" + text("storage") + f"ctorch\n{storage}\n".encode() + text(key) + text("cpu")
    geometry = b"".join(b"(" + b"".join(map(integer, dims)) + b"t" for dims in (size, stride))
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + persistent + integer(numel) + b"tQ" + integer(offset)
        + geometry + b"\x89ccollections\nOrderedDict\n)RtR"
    )  # fmt: skip


def table(**values: bytes) -> bytes:
    return b"}(" + b"".join(text(name) + value for name, value in values.items()) + b"u"


def module(parameters: bytes, modules: bytes = b"}") -> bytes:
    state = table(_parameters=parameters, _buffers=b"}", _modules=modules)
    return b"cmodels.yolo\nModel\n)\x81" + state + b"b"


def handmade(body: bytes, path: Path, data: bytes = bytes(16)) -> Path:
    return packed({"data.pkl": b"\x80\x02" + body + b".", "data/0": data}, path)


def message(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert path.name in str(caught.value)
    return str(caught.value)


class Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.m = nn.ModuleList([nn.Conv2d(2, 21, 1)])
        self.register_buffer("anchors", torch.ones(3, 3, 2))
        self.register_buffer("scratch", torch.ones(1), persistent=False)


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        act = nn.SiLU()
        layers = [nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 2, 2), bn=nn.BatchNorm2d(2), act=act))]
        layers += [nn.Sequential(OrderedDict(act=act)) for _ in range(23)]
        self.model = nn.Sequential(*layers, Head())
        self.names: object = {1: "dog", 0: "cat"}


@pytest.fixture
def graph(monkeypatch: pytest.MonkeyPatch) -> Iterator[Model]:
    """A model whose classes, as pickled, come from a module that is gone by the time of reading."""
    foreign = types.ModuleType("models_elsewhere")
    for kind in (Head, Model):
        monkeypatch.setattr(kind, "__module__", foreign.__name__)
        setattr(foreign, kind.__name__, kind)
    monkeypatch.setitem(sys.modules, foreign.__name__, foreign)
    torch.manual_seed(0)
    yield Model()
    assert foreign.__name__ not in sys.modules


def saved_graph(value: object, path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    saved(value, path)
    monkeypatch.delitem(sys.modules, "models_elsewhere")
    return path


# Honest files


def test_a_state_dict_comes_back(tmp_path: Path) -> None:
    read = read_checkpoint(saved(STATE, tmp_path / "plain.pt"))
    assert list(read.state) == list(STATE)
    assert all(torch.equal(read.state[name], STATE[name]) for name in STATE)
    assert read.state["model.0.bn.num_batches_tracked"].dtype == torch.int64
    assert (read.names, read.source) == ((), "plain.pt")
    assert read.digest == digest_state(STATE)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol(tmp_path: Path, protocol: int) -> None:
    torch.save(OrderedDict(STATE), tmp_path / "a.pt", pickle_protocol=protocol)
    assert read_checkpoint(tmp_path / "a.pt").digest == digest_state(STATE)


@pytest.mark.parametrize("key", ["model", "state_dict"])
def test_a_state_dict_under_a_key_with_names(tmp_path: Path, key: str) -> None:
    read = read_checkpoint(saved({key: STATE, "names": ["cat", "dog"], "ema": None}, tmp_path / "a.pt"))
    assert set(read.state) == set(STATE)
    assert read.names == ("cat", "dog")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_floating_point_becomes_single(tmp_path: Path, dtype: torch.dtype) -> None:
    halves = {name: value.to(dtype) if value.is_floating_point() else value for name, value in STATE.items()}
    read = read_checkpoint(saved(halves, tmp_path / "half.pt"))
    assert read.state["model.0.conv.weight"].dtype == torch.float32
    assert read.digest == digest_state(STATE)  # these values are exact in every precision


def test_views_parameters_and_empty_tensors(tmp_path: Path) -> None:
    base = torch.arange(12.0)
    state = {
        "transposed": base.reshape(3, 4).t(),
        "offset": base[5:8],
        "every_other": base[::2],
        "scalar": base[3],
        "empty": torch.empty(0, 4),
        "parameter": nn.Parameter(base.clone()),
    }
    read = read_checkpoint(saved(state, tmp_path / "views.pt")).state
    for name, tensor in state.items():
        assert torch.equal(read[name], tensor)
        assert read[name].is_contiguous()
        assert not read[name].requires_grad


def test_a_module_graph(graph: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = {"epoch": -1, "model": graph.half(), "ema": None, "date": None}
    expected = {name: t.float() if t.is_floating_point() else t for name, t in graph.state_dict().items()}
    read = read_checkpoint(saved_graph(root, tmp_path / "graph.pt", monkeypatch))
    assert list(read.state) == list(expected)
    assert "model.24.scratch" not in read.state
    assert read.digest == digest_state(expected)
    assert read.names == ("cat", "dog")
    assert guess_classes(read.state) == 2


def test_the_moving_average_is_preferred(graph: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    average = Model()
    path = saved_graph({"model": graph, "ema": average}, tmp_path / "ema.pt", monkeypatch)
    assert read_checkpoint(path).digest == digest_state(average.state_dict())


def test_a_wrapped_module_alone(graph: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved_graph(nn.DataParallel(graph), tmp_path / "wrapped.pt", monkeypatch)
    assert read_checkpoint(path).digest == digest_state(graph.state_dict())


@pytest.mark.parametrize(
    ("names", "expected"),
    [(["a", "b"], ("a", "b")), ({1: "b", 0: "a"}, ("a", "b")), ({"x": "a"}, ()), ([1, 2], ()), ("ab", ())],
)
def test_class_names(tmp_path: Path, names: object, expected: tuple[str, ...]) -> None:
    assert read_checkpoint(saved({"model": STATE, "names": names}, tmp_path / "a.pt")).names == expected


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    one, two = saved(STATE, tmp_path / "one.pt"), saved({"model": STATE, "epoch": 3}, tmp_path / "two.pt")
    assert one.read_bytes() != two.read_bytes()
    assert read_checkpoint(one).digest == read_checkpoint(two).digest
    assert digest_state({"a": torch.zeros(2)}) != digest_state({"a": torch.zeros(2, 1)})
    assert digest_state({"a": torch.zeros(2)}) != digest_state({"b": torch.zeros(2)})
    assert digest_state({"a": torch.zeros(2)}) != digest_state({"a": torch.zeros(2, dtype=torch.int32)})


def official() -> Path | None:
    path = Path(os.environ.get("YOLO_PERF_DATA", "/nonexistent")) / "weights/yolov5n.pt"
    return path if path.is_file() else None


@pytest.mark.skipif(official() is None, reason="no weights/yolov5n.pt: set YOLO_PERF_DATA to its folder")
def test_the_official_file() -> None:
    path = official()
    assert path is not None
    read = read_checkpoint(path)
    assert len(read.state) == 349
    assert len(read.names) == guess_classes(read.state) == 80
    assert read.names[0] == "person"
    buffers = ("running_mean", "running_var", "num_batches_tracked", "anchors")
    parameters = [value for name, value in read.state.items() if not name.endswith(buffers)]
    assert sum(value.numel() for value in parameters) == 1_872_157
    assert {value.dtype for value in parameters} == {torch.float32}


# Tensors that do not fit their data


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (tensor_opcodes(stride=(3, 1)), "w reaches outside"),
        (tensor_opcodes(offset=1), "w reaches outside"),
        (tensor_opcodes(size=(5,), stride=(1,)), "w reaches outside"),
        (tensor_opcodes(size=(1 << 39,), stride=(0,)), "w reaches outside"),
        (tensor_opcodes(size=(1 << 400,), stride=(1,)), "w reaches outside"),
        (tensor_opcodes(stride=(-2, 1), offset=2), "w reaches outside"),
        (tensor_opcodes(size=(-2, -2)), "w reaches outside"),
        (tensor_opcodes(offset=-1), "w reaches outside"),
        (tensor_opcodes(stride=(1,)), "w reaches outside"),
        (tensor_opcodes(size=(1,) * 9, stride=(1,) * 9), "w reaches outside"),
        (tensor_opcodes(numel=-4), "w reaches outside"),
        (tensor_opcodes(numel=5), "has 16 bytes instead of 20"),
        (tensor_opcodes(numel=8, storage="DoubleStorage"), "has 16 bytes instead of 64"),
        (tensor_opcodes(key="1"), "the data of w is missing"),
        (tensor_opcodes(key="../data.pkl"), "the data of w is missing"),
        (tensor_opcodes(storage="ComplexFloatStorage"), "w is not a dense tensor"),
        (tensor_opcodes(storage="system"), "w is not a dense tensor"),
    ],
)
def test_geometry_is_checked(tmp_path: Path, tensor: bytes, words: str) -> None:
    assert words in message(handmade(table(w=tensor), tmp_path / "odd.pt"))


def test_many_views_of_one_storage(tmp_path: Path) -> None:
    tensor = tensor_opcodes(size=(4096,), stride=(1,), numel=4096)
    body = b"}(" + text("w") + tensor + b"q\x00" + b"".join(text(f"{i}") + b"h\x00" for i in range(500)) + b"u"
    assert "far larger" in message(handmade(body, tmp_path / "many.pt", bytes(4 * 4096)))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite(tmp_path: Path, value: float) -> None:
    state = {"good": torch.ones(3), "bad": torch.tensor([1.0, value]), "worse": torch.tensor([value])}
    assert "bad holds values that are not finite" in message(saved(state, tmp_path / "nan.pt"))


def test_doubles_that_single_cannot_hold(tmp_path: Path) -> None:
    path = saved({"w": torch.tensor([1e300], dtype=torch.float64)}, tmp_path / "double.pt")
    assert "not finite" in message(path)


def test_sparse_and_quantised_tensors_are_refused(tmp_path: Path) -> None:
    path = saved({"w": torch.eye(2).to_sparse()}, tmp_path / "sparse.pt")
    assert "w is not a dense tensor" in message(path)


# Files that are something else


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    assert "does not exist" in message(tmp_path / "none.pt")
    assert "is not a file" in message(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\n", "no zip file"),
        (b"PK\x03\x04" + bytes(100), "cut short"),
        (bytes(257) + b"ustar" + bytes(250), "before 1.6"),
    ],
)
def test_not_a_zip(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "file.pt"
    path.write_bytes(content)
    assert words in message(path)


def test_the_format_before_zip(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert "torch.save(torch.load(" in message(tmp_path / "old.pt")


def test_another_zip(tmp_path: Path) -> None:
    assert "not one that torch.save wrote" in message(packed({"readme": b"hello"}, tmp_path / "a.zip"))
    script = packed({"data.pkl": b"\x80\x02N.", "constants.pkl": b"\x80\x02)."}, tmp_path / "script.pt")
    assert "TorchScript" in message(script)


@pytest.mark.parametrize("value", [{}, {"epoch": 1, "model": None}, [1, 2], 3, {"model": {}, "ema": 1}])
def test_no_tensors(tmp_path: Path, value: object) -> None:
    assert "holds no tensors" in message(saved(value, tmp_path / "none.pt"))


def test_something_else_among_the_tensors(tmp_path: Path) -> None:
    assert "epoch is not a dense tensor" in message(saved({**STATE, "epoch": 3}, tmp_path / "a.pt"))


def test_big_endian(tmp_path: Path) -> None:
    path = saved(STATE, tmp_path / "big.pt")
    other = b"big" if sys.byteorder == "little" else b"little"
    assert "byte order" in message(edited(path, lambda members: members.update(byteorder=other)))


def test_missing_and_short_storage(tmp_path: Path) -> None:
    path = edited(saved(STATE, tmp_path / "a.pt"), lambda members: members.pop("data/0"))
    assert "the data of model.0.conv.weight is missing" in message(path)
    path = edited(saved(STATE, tmp_path / "b.pt"), lambda members: members.update({"data/0": bytes(95)}))
    assert "has 95 bytes instead of 96" in message(path)


def test_a_zip_bomb_is_refused_unread(tmp_path: Path) -> None:
    body = b"\x80\x02" + table(w=tensor_opcodes(size=(1 << 22,), stride=(1,), numel=1 << 22)) + b"."
    bomb = {"data.pkl": body, "data/0": bytes(1 << 24)}
    path = packed(bomb, tmp_path / "bomb.pt", zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 16
    assert "compressed" in message(path)


def test_members_that_claim_too_much(tmp_path: Path) -> None:
    path = handmade(table(w=tensor_opcodes()), tmp_path / "claims.pt")
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    for sizes in ((1 << 30, 1 << 30), (16, 1 << 20)):
        content[entry + 20 : entry + 28] = struct.pack("<II", *sizes)
        path.write_bytes(content)
        assert "claims more bytes" in message(path)


def test_two_members_of_one_name(tmp_path: Path) -> None:
    path = handmade(table(w=tensor_opcodes()), tmp_path / "twice.pt")
    content = path.read_bytes().replace(b"archive/data/0", b"archive/data/1")
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("archive/data.pkl", "archive/data/0", "archive/data/1"):
            archive.writestr(name, bytes(16))
    assert content != path.read_bytes()
    path.write_bytes(path.read_bytes().replace(b"archive/data/1", b"archive/data/0"))
    assert "two members of one name" in message(path)
