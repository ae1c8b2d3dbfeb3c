"""Official YOLOv5 weights out of their checkpoint, without running anything that the file contains.

A checkpoint is a zip whose pickle holds whole Python objects of upstream's classes. `torch.load` would
import and call what it names; with `weights_only=True` it refuses these files, because of the foreign
classes. So the pickle is read as data (see `unpickle`), and the tensors are picked out of the object graph:
a module keeps them in `_parameters` and `_buffers`, and its children in `_modules`. Sizes, strides and
offsets are checked against the archive before any memory is taken.
"""

import hashlib
import math
import struct
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeVar

from yolo_perf import files
from yolo_perf.errors import CheckpointError
from yolo_perf.yolov5.unpickle import (
    MAX_BYTES,
    Global,
    Made,
    MalformedPickleError,
    Storage,
    attributes,
    members,
    read_pickle,
)

if TYPE_CHECKING:
    import torch

_T = TypeVar("_T")

_MAX_UNPACKED = 8 << 30  # bytes in all members; the largest official file has 0.2 GiB
_MAX_ENTRIES = 100_000  # tensors and modules visited, a shared one at every visit
_MAX_NAME = 512  # characters; a module that holds itself makes names without end
_MAX_DIMS = 8
_MAX_COUNT = 1 << 40  # elements, offsets and strides: more is no model, and slow to multiply
_MAX_GROWTH = 8  # bytes as loaded over bytes in the file: half to single is 2, a shared tensor more
_ZIP_ERRORS = (zipfile.BadZipFile, struct.error, EOFError, OSError, RuntimeError, ValueError, OverflowError)

_DTYPES = {
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "DoubleStorage": "float64",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
}
_PARAMETERS = ("_rebuild_parameter", "_rebuild_parameter_with_state")

_OPTIONAL = ("num_batches_tracked", "anchor_grid", "stride")
"""Last parts of names that inference does not read and that files have or lack by their age.

`num_batches_tracked` counts training steps (absent before PyTorch 0.4.1);
`anchor_grid` was a buffer of the head up to release 5, and is derived from `anchors` since; `stride`
is a plain attribute upstream, and a buffer in some forks.
"""

_AGAIN = "The file may be damaged: download or copy it again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The weights of one file: `model.0.conv.weight` and so on, floating point ones as float32.

    `names` are the class names, () where the file has none; `digest` is of the tensors, see `digest_state`;
    `source` is the file's name.
    """

    state: "dict[str, torch.Tensor]"
    names: tuple[str, ...]
    digest: str
    source: str


def read_checkpoint(path: Path) -> Checkpoint:
    """The tensors and class names of a YOLOv5 checkpoint, or of a plain state dict, saved by `torch.save`.

    The moving average (`ema`) is taken where the file has one, as upstream does. Raises CheckpointError.
    """
    source = path.name
    try:
        if not path.is_file():
            problem = "is not a file" if path.exists() else "does not exist"
            raise CheckpointError(f"{path} {problem}. Give the path of a YOLOv5 .pt file.")
        with files.opened(path) as file:
            archive = _Archive(file, source)
            tensors, names = _find_weights(archive.pickle(), source)
            state = _load_all(_canonical(tensors), archive)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or 'input/output error'}.") from error
    return Checkpoint(state=state, names=names, digest=digest_state(state), source=source)


def digest_state(state: "Mapping[str, torch.Tensor]") -> str:
    """SHA-256, in hex, of the tensors' names, types, shapes and bytes in order of name."""
    import torch

    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name!r} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def match_state(
    state: "Mapping[str, torch.Tensor]", expected: Mapping[str, tuple[int, ...]], source: str
) -> "dict[str, torch.Tensor]":
    """The tensors of `expected`, by its names and in its order; shapes must be equal, and none left over.

    A `module.` before all names, and a second `model.`, are stripped. `num_batches_tracked`, `anchor_grid`
    and `stride` may be present or absent on either side. Raises CheckpointError that names the first few
    keys of every kind of difference.
    """
    have = _canonical(state)
    missing = [name for name in expected if name not in have and not _optional(name)]
    unexpected = [name for name in have if name not in expected and not _optional(name)]
    wrong = [
        f"{name} {tuple(have[name].shape)} instead of {tuple(shape)}"
        for name, shape in expected.items()
        if name in have and tuple(have[name].shape) != tuple(shape)
    ]
    kinds = (("missing", missing), ("unexpected", unexpected), ("of another shape", wrong))
    if problems := [f"{len(names)} {kind}: {_first(names)}" for kind, names in kinds if names]:
        raise CheckpointError(
            f"{source} is not of the architecture asked for. Tensors {'; '.join(problems)}. "
            "Check that the size and the class count are the file's."
        )
    return {name: have[name] for name in expected if name in have}


def guess_classes(state: "Mapping[str, torch.Tensor]", source: str = "The checkpoint") -> int:
    """The class count, from the rows of the head's first convolution: 3 anchors x (4 box + 1 + classes)."""
    key = "model.24.m.0.weight"
    tensor = _canonical(state).get(key)
    if tensor is None or not tensor.ndim:
        raise CheckpointError(f"{source} has no {key}, so it is no YOLOv5 detector of the v6 or v7 family.")
    rows = tensor.shape[0]
    if rows % 3 or rows < 3 * 6:
        raise CheckpointError(
            f"{source}: {key} has {rows} rows, not 3 x (5 + classes). Give a YOLOv5 detection model."
        )
    return rows // 3 - 5


def _optional(name: str) -> bool:
    return name.rpartition(".")[2] in _OPTIONAL


def _first(names: list[str], few: int = 3) -> str:
    more = f" and {len(names) - few} more" if len(names) > few else ""
    return ", ".join(names[:few]) + more


def _canonical(named: Mapping[str, _T]) -> dict[str, _T]:
    """The same, without prefixes that every name carries: `module.` of a wrapper, or a second `model.`."""
    names = dict(named)
    while names:
        for prefix, cut in (("module.", 7), ("model.model.", 6)):
            if all(name.startswith(prefix) for name in names):
                names = {name[cut:]: value for name, value in names.items()}
                break
        else:
            break
    return names


class _Archive:
    """The zip of a checkpoint, its members checked: stored as they are, of sizes that the file can hold."""

    def __init__(self, file: IO[bytes], source: str):
        self.source = source
        self.size = file.seek(0, 2)
        self._storages: dict[str, bytearray] = {}
        file.seek(0)
        start = file.read(512)
        try:
            self._zip = zipfile.ZipFile(file)
        except _ZIP_ERRORS as error:
            raise CheckpointError(f"{source} {_not_a_zip(start)}") from error
        self._members = {member.filename: member for member in self._zip.infolist()}
        self._check_members()
        self._prefix = self._find_prefix()
        marked = f"{self._prefix}byteorder" in self._members
        order = self._read("byteorder").strip() if marked else b"little"
        if order != sys.byteorder.encode():
            raise CheckpointError(
                f"{source} was saved with another byte order than this machine's. "
                "Load it with PyTorch where it was saved, and save it on a machine like this one."
            )

    def _check_members(self) -> None:
        infos = self._zip.infolist()
        if len(self._members) != len(infos):
            raise CheckpointError(f"{self.source} has two members of one name. {_AGAIN}")
        for member in infos:
            if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
                raise CheckpointError(
                    f"{self.source}: {member.filename[:80]!r} is compressed or encrypted, which PyTorch "
                    "never does. Unpack the file and pack it again with `zip -0 -r`."
                )
        total = sum(member.file_size for member in infos)
        # Members that overlap would let a small file claim any size.
        if total > min(self.size, _MAX_UNPACKED) or any(m.file_size != m.compress_size for m in infos):
            raise CheckpointError(f"{self.source} claims more bytes than it can hold. {_AGAIN}")

    def _find_prefix(self) -> str:
        pickles = [n for n in self._members if n.endswith("/data.pkl") and n.count("/") == 1]
        if len(pickles) != 1:
            raise CheckpointError(
                f"{self.source} is a zip, but not one that torch.save wrote: it should have one "
                f"data.pkl in a folder, and has {len(pickles)}. Give a YOLOv5 .pt file."
            )
        prefix = pickles[0].removesuffix("data.pkl")
        if prefix + "constants.pkl" in self._members:
            raise CheckpointError(
                f"{self.source} is a TorchScript export. Give the checkpoint that it was exported from."
            )
        return prefix

    def _read(self, name: str) -> bytes:
        try:
            return self._zip.read(self._members[self._prefix + name])
        except _ZIP_ERRORS as error:
            raise CheckpointError(f"{self.source}: its member {name[:80]!r} is damaged. {_AGAIN}") from error

    def pickle(self) -> object:
        """What `data.pkl` describes."""
        if self._members[self._prefix + "data.pkl"].file_size > MAX_BYTES:
            raise CheckpointError(f"{self.source}: its pickle is longer than any model's. {_AGAIN}")
        try:
            return read_pickle(self._read("data.pkl"))
        except MalformedPickleError as error:
            raise CheckpointError(f"{self.source}: its pickle cannot be read: {error}. {_AGAIN}") from error

    def storage(self, storage: Storage, itemsize: int, name: str) -> bytearray:
        """The bytes of a storage, exactly as many as it declares. `name` is the tensor's, for the message."""
        member = f"data/{storage.key}"
        info, expected = self._members.get(self._prefix + member), storage.numel * itemsize
        if info is None or info.file_size != expected:
            problem = "is missing" if info is None else f"has {info.file_size} bytes instead of {expected}"
            raise CheckpointError(f"{self.source}: the data of {name} {problem}. {_AGAIN}")
        if storage.key not in self._storages:
            self._storages[storage.key] = bytearray(self._read(member))
        return self._storages[storage.key]


def _not_a_zip(start: bytes) -> str:
    """Why a file that begins so is no zip, as the end of a sentence, and what to do."""
    if not start:
        return "is empty. Download or copy it again."
    if start.startswith(b"PK"):
        return f"is a zip that is cut short or damaged. {_AGAIN}"
    if start.startswith(b"\x80") or start[257:262] == b"ustar":
        return (
            "is in the format of PyTorch before 1.6. If you trust it, load and save it again with a newer "
            "PyTorch: torch.save(torch.load(old, weights_only=False), new)."
        )
    return "is not a PyTorch checkpoint: it is no zip file. Give a YOLOv5 .pt file."


def _find_weights(root: object, source: str) -> tuple[dict[str, object], tuple[str, ...]]:
    """Tensors by name, still as the pickle describes them, and the class names."""
    table = root if isinstance(root, dict) else {}
    for candidate in (table.get("ema"), table.get("model"), table.get("state_dict"), root):
        if "_modules" in (module := attributes(candidate)):
            tensors, names = _module_tensors(module, source), module.get("names")
        elif isinstance(candidate, dict) and any(map(_is_tensor, candidate.values())):
            tensors = {_checked(name, source): value for name, value in candidate.items()}
            names = table.get("names")
        else:
            continue
        if tensors:
            return tensors, _class_names(names)
    raise CheckpointError(
        f"{source} holds no tensors under ema, model or state_dict, nor at its root. Give a YOLOv5 .pt file."
    )


def _module_tensors(root: dict[str, object], source: str) -> dict[str, object]:
    """Parameters and persistent buffers of a module and its descendants, in the order of `state_dict()`."""
    found: dict[str, object] = {}
    pending = [("", root)]
    budget = _MAX_ENTRIES
    while pending:
        prefix, module = pending.pop()
        tables = [module.get(key) for key in ("_parameters", "_buffers", "_modules")]
        parameters, buffers, children = (table if isinstance(table, dict) else {} for table in tables)
        transient = members(module.get("_non_persistent_buffers_set"))
        budget -= 1 + len(parameters) + len(buffers) + len(children) + len(transient)
        if budget < 0 or len(prefix) > _MAX_NAME:
            raise CheckpointError(f"{source}: its modules nest without end, or are too many. {_AGAIN}")
        skipped = {name for name in transient if isinstance(name, str)}
        for key, value in (*parameters.items(), *buffers.items()):
            if value is not None and key not in skipped:
                found[prefix + _checked(key, source)] = value
        pending += [(f"{prefix}{_checked(k, source)}.", attributes(v)) for k, v in reversed(children.items())]
    return found


def _checked(name: object, source: str) -> str:
    """The name itself, where it is text that can be shown."""
    if type(name) is not str or not name.isprintable() or len(name) > _MAX_NAME:
        raise CheckpointError(f"{source} has a tensor or module whose name is no plain text. {_AGAIN}")
    return name


def _class_names(value: object) -> tuple[str, ...]:
    """Class names in order of class, from a list or from a dictionary by number; () where there are none."""
    if isinstance(value, dict) and all(type(key) is int for key in value):
        value = [value[key] for key in sorted(value)]
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        return tuple(value)
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """A tensor as the file describes it: elements of a storage, all of them inside it."""

    storage: Storage
    dtype: str
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def _is_tensor(value: object) -> bool:
    kind = value.kind if isinstance(value, Made) else None
    return isinstance(kind, Global) and kind.module == "torch._utils" and kind.name.startswith("_rebuild_")


def _view(value: object, name: str, source: str) -> _View:
    """The description of the tensor `name`, checked against the length of its storage."""
    match value:
        case Made(kind=Global(module="torch._utils", name=kind), args=(inner, *_)) if kind in _PARAMETERS:
            value = inner
    match value:
        case Made(
            kind=Global(module="torch._utils", name="_rebuild_tensor_v2"),
            args=(Storage() as storage, int() as offset, tuple() as size, tuple() as stride, *_),
        ) if storage.kind.module == "torch" and storage.kind.name in _DTYPES:
            pass
        case _:
            raise CheckpointError(
                f"{source}: {name} is not a dense tensor of a type that weights have. "
                "Save the model again in single or half precision."
            )
    counts = (storage.numel, offset, *size, *stride)
    fits = (
        all(type(count) is int and 0 <= count < _MAX_COUNT for count in counts)
        and len(size) == len(stride) <= _MAX_DIMS
        and math.prod(size) <= storage.numel
        and (0 in size or _last(offset, size, stride) < storage.numel)
    )
    if not fits:
        raise CheckpointError(f"{source}: {name} reaches outside its data. {_AGAIN}")
    return _View(storage=storage, dtype=_DTYPES[storage.kind.name], offset=offset, size=size, stride=stride)


def _last(offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> int:
    """Index in the storage of the tensor's last element."""
    return offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))


def _load_all(tensors: Mapping[str, object], archive: _Archive) -> "dict[str, torch.Tensor]":
    """The tensors themselves, each in memory of its own."""
    views = {name: _view(value, name, archive.source) for name, value in tensors.items()}
    # Many views of one storage could otherwise fill the memory from a small file.
    if 4 * sum(math.prod(view.size) for view in views.values()) > _MAX_GROWTH * archive.size:
        raise CheckpointError(f"{archive.source}: its tensors are far larger than their data. {_AGAIN}")
    return {name: _load(view, name, archive) for name, view in views.items()}


def _load(view: _View, name: str, archive: _Archive) -> "torch.Tensor":
    """One tensor, contiguous; float32 where it is floating point, and then finite."""
    import torch

    dtype: torch.dtype = getattr(torch, view.dtype)
    data = archive.storage(view.storage, dtype.itemsize, name)
    tensor = torch.empty(view.size, dtype=torch.float32 if dtype.is_floating_point else dtype, device="cpu")
    if tensor.numel():
        tensor.copy_(torch.frombuffer(data, dtype=dtype).as_strided(view.size, view.stride, view.offset))
    if not torch.isfinite(tensor).all():
        raise CheckpointError(
            f"{archive.source}: {name} holds values that are not finite. "
            "The training diverged or the file is damaged: take another checkpoint."
        )
    return tensor
