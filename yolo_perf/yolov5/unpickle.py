"""A pickle read as data: nothing in it is imported, called or hashed beyond plain keys.

`pickle.Unpickler` with a strict `find_class` would keep a file from running code, but not from ending the
process: a few megabytes of nested tuples used as a dictionary key overflow the C stack while they are
hashed, forty shared pairs take for ever, and one large memo index asks for gigabytes. So the opcodes that
`pickletools.genops` decodes are interpreted here, by a machine that builds only plain containers and the
three inert records below. What it does not know, it refuses.
"""

import pickletools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MAX_BYTES = 1 << 24
"""Longest pickle that is read. The largest official model's has well under 1 MiB."""
MAX_OPCODES = 2_000_000
"""Most opcodes that are followed. The smallest official model takes 33 thousand."""


class MalformedPickleError(ValueError):
    """The bytes are no pickle, or ask for what no checkpoint needs. Its text is a clause, no sentence."""


@dataclass(frozen=True, slots=True, eq=False)
class Global:
    """A class or function by name only. It is never looked up."""

    module: str
    name: str


@dataclass(slots=True, eq=False, repr=False)  # no repr: the graph may hold itself
class Made:
    """What the file wanted `kind(*args)` to be, with the state it wanted set on it."""

    kind: object
    args: tuple[object, ...]
    state: object = None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Storage:
    """A tensor's memory: the member `data/<key>` of the archive, `numel` elements of type `kind`."""

    kind: Global
    key: str
    numel: int


class _Machine:
    """The stack, the marks in it and the memo of one pickle."""

    __slots__ = ("marks", "memo", "stack")

    def __init__(self) -> None:
        self.stack: list[object] = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}

    def top(self) -> Any:
        """The last value above the last mark."""
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise MalformedPickleError("its stack is empty where a value is needed")
        return self.stack[-1]

    def pop(self) -> Any:
        """The last value above the last mark, taken off."""
        value = self.top()
        del self.stack[-1]
        return value

    def pop_mark(self) -> list[Any]:
        """Everything above the last mark, taken off together with the mark."""
        if not self.marks:
            raise MalformedPickleError("a mark is missing")
        at = self.marks.pop()
        items = self.stack[at:]
        del self.stack[at:]
        return items


def _put(machine: _Machine, index: int | None) -> None:
    machine.memo[len(machine.memo) if index is None else index] = machine.top()


def _get(machine: _Machine, index: int) -> None:
    if index not in machine.memo:
        raise MalformedPickleError("it refers to a value it never made")
    machine.stack.append(machine.memo[index])


def _drop(machine: _Machine, _: object) -> None:
    if machine.marks and len(machine.stack) == machine.marks[-1]:
        machine.marks.pop()
    else:
        machine.pop()


def _tuple(machine: _Machine, count: int) -> None:
    items = [machine.pop() for _ in range(count)]
    machine.stack.append(tuple(reversed(items)))


def _extend(machine: _Machine, items: list[object]) -> None:
    target = machine.top()
    if type(target) is list:
        target.extend(items)
    elif type(target) is not Made:  # elements of a foreign container have no meaning here
        raise MalformedPickleError("it appends to something that is no list")


def _fill(machine: _Machine, items: list[Any]) -> None:
    target = machine.top()
    if len(items) % 2:
        raise MalformedPickleError("a dictionary key has no value")
    if type(target) is dict:
        # A key that is not plain leads to no tensor, and hashing a nested tuple can overflow the C stack.
        target.update((k, v) for k, v in zip(items[::2], items[1::2], strict=True) if _plain(k))
    elif type(target) is not Made:
        raise MalformedPickleError("it sets items of something that is no dictionary")


def _plain(key: object) -> bool:
    return key is None or type(key) in (str, int, float, bool, bytes)


def _append(machine: _Machine, _: object) -> None:
    _extend(machine, [machine.pop()])


def _set_item(machine: _Machine, _: object) -> None:
    value = machine.pop()
    _fill(machine, [machine.pop(), value])


def _dict(machine: _Machine, _: object) -> None:
    items = machine.pop_mark()
    machine.stack.append({})
    _fill(machine, items)


def _global(machine: _Machine, arg: str) -> None:
    module, _, name = arg.partition(" ")
    machine.stack.append(Global(module, name))


def _stack_global(machine: _Machine, _: object) -> None:
    name, module = machine.pop(), machine.pop()
    if type(name) is not str or type(module) is not str:
        raise MalformedPickleError("a class is named by something that is no text")
    machine.stack.append(Global(module, name))


def _make(machine: _Machine, _: object) -> None:
    args, kind = machine.pop(), machine.pop()
    if type(args) is not tuple:
        raise MalformedPickleError("the arguments of an object are no tuple")
    # An ordered dictionary is the one object that is understood here, as its items come by later opcodes.
    ordered = type(kind) is Global and (kind.module, kind.name) == ("collections", "OrderedDict") and not args
    machine.stack.append({} if ordered else Made(kind, args))


def _make_with_keywords(machine: _Machine, _: object) -> None:
    machine.pop()  # keyword arguments: nothing that a model needs is made with them
    _make(machine, None)


def _build(machine: _Machine, _: object) -> None:
    state, target = machine.pop(), machine.top()
    if type(target) is Made:
        target.state = state
    elif type(target) is not dict:  # a state dict carries its `_metadata` so, which says nothing of weights
        raise MalformedPickleError("it sets the state of something that has none")


def _storage(machine: _Machine, _: object) -> None:
    match machine.pop():
        case ("storage", Global() as kind, str() as key, str(), int() as numel) if type(numel) is int:
            machine.stack.append(Storage(kind, key, numel))
        case _:
            raise MalformedPickleError("a tensor's storage is described in an unknown way")


_Action = Callable[[_Machine, Any], object]


def _constant(value: object) -> _Action:
    return lambda machine, _: machine.stack.append(value)


def _fresh(kind: Callable[[], object]) -> _Action:
    return lambda machine, _: machine.stack.append(kind())


def _push(machine: _Machine, arg: object) -> None:
    machine.stack.append(arg)


_PUSHES = """INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING
UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8"""

# Left out, so refused: EXT1, EXT2 and EXT4 (the registry of copyreg), INST and OBJ (objects of protocol 0),
# PERSID (a storage as text), and the out-of-band buffers of protocol 5.
_ACTIONS: dict[str, _Action] = {
    **dict.fromkeys(_PUSHES.split(), _push),
    **dict.fromkeys(("PROTO", "FRAME", "STOP"), lambda machine, _: None),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _get),
    **dict.fromkeys(("REDUCE", "NEWOBJ"), _make),
    **dict.fromkeys(("APPENDS", "ADDITEMS"), lambda machine, _: _extend(machine, machine.pop_mark())),
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    "EMPTY_TUPLE": _constant(()),
    "EMPTY_LIST": _fresh(list),
    "EMPTY_DICT": _fresh(dict),
    "EMPTY_SET": _fresh(list),  # a set is kept as a list: its members may be anything, and are not hashed
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "POP": _drop,
    "POP_MARK": lambda machine, _: machine.pop_mark(),
    "DUP": lambda machine, _: machine.stack.append(machine.top()),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.pop_mark())),
    "TUPLE1": lambda machine, _: _tuple(machine, 1),
    "TUPLE2": lambda machine, _: _tuple(machine, 2),
    "TUPLE3": lambda machine, _: _tuple(machine, 3),
    "LIST": lambda machine, _: machine.stack.append(machine.pop_mark()),
    "DICT": _dict,
    "FROZENSET": lambda machine, _: machine.stack.append(tuple(machine.pop_mark())),
    "APPEND": _append,
    "SETITEM": _set_item,
    "SETITEMS": lambda machine, _: _fill(machine, machine.pop_mark()),
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "NEWOBJ_EX": _make_with_keywords,
    "BUILD": _build,
    "BINPERSID": _storage,
}


def read_pickle(data: bytes) -> object:
    """What the pickle describes, in plain containers, `Global`, `Made` and `Storage`; sets come as lists.

    The graph may share nodes and hold itself. Raises MalformedPickleError and nothing else.
    """
    if len(data) > MAX_BYTES:
        raise MalformedPickleError(f"it is longer than {MAX_BYTES >> 20} MiB")
    machine = _Machine()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the decoder's word on odd escapes in protocol 0 strings
            for count, (opcode, arg, _) in enumerate(pickletools.genops(data)):
                action = _ACTIONS.get(opcode.name)
                if action is None:
                    raise MalformedPickleError(f"it uses the opcode {opcode.name}, which no checkpoint needs")
                if count == MAX_OPCODES:
                    raise MalformedPickleError(f"it has more than {MAX_OPCODES} opcodes")
                action(machine, arg)
    except MalformedPickleError:
        raise
    except ValueError as error:  # all that genops raises, undecodable text included
        raise MalformedPickleError("it is cut short or damaged") from error
    return machine.pop()


def attributes(value: object) -> dict[Any, object]:
    """What an object of the file would have as attributes; {} for anything else."""
    state = value.state if isinstance(value, Made) else None
    if isinstance(state, tuple) and state:  # (attributes, slots)
        state = state[0]
    return state if isinstance(state, dict) else {}


def members(value: object) -> list[object]:
    """The members of a set, which protocol 2 makes from a list; [] for anything else."""
    inner = value.args[0] if isinstance(value, Made) and value.args else value
    return inner if isinstance(inner, list) else []
