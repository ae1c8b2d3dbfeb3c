"""One side of a paired measurement: a process that prepares cases and times rounds when it is told to.

Run as a script under the side's own interpreter; `open` names the source tree whose `yolo_perf` is the side's.
This file is always the one of the command that asks: both sides are timed by the same lines, whatever the trees
hold. It needs of a tree only what `_Cases` calls.

Orders come as lines of JSON on stdin, answers go as lines of JSON to what stdout was; whatever else prints,
prints to stderr. Seconds throughout.
"""

import ctypes
import gc
import importlib.util
import json
import mmap
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Call = Callable[[], object]
PR_SET_PDEATHSIG = 1
TRIALS = 5
"""Calls of which the quickest says how many rounds a case takes."""


def beside(name: str) -> Any:
    """A module of the asking command's package, by its path below it: no tree's package is imported for it."""
    path = Path(__file__).resolve().parent.parent.joinpath(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"_asking_{path.stem}", path)
    assert spec is not None and spec.loader is not None  # noqa: S101 - a file of Python has both
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


allocator, host = beside("machine/allocator"), beside("machine/host")


def injected(
    call: Callable[..., object], kind: str, amount: float, work: "Callable[[float], Call]"
) -> Callable[..., object]:
    """The call with a known slow-down: what a gate has to find.

    `spin` keeps busy for `amount` of the call's own time on top; `convolution` computes on top what takes about
    as long; `intermittent` makes one call in five `amount` times as long on top.
    """
    clock = time.perf_counter
    count = 0
    extra: Call | None = None

    def prolong(seconds: float) -> None:
        end = clock() + seconds
        while clock() < end:
            pass

    def injected_call(*args: Any, **kwargs: Any) -> object:
        nonlocal count, extra
        started = clock()
        found = call(*args, **kwargs)
        took = clock() - started
        count += 1
        if kind == "spin" or (kind == "intermittent" and count % 5 == 0):
            prolong(took * amount)
        elif kind == "convolution":
            if extra is None and count > 1:
                extra = work(took * amount)
            if extra is not None:
                extra()
        return found

    return injected_call


def convolution(seconds: float) -> Call:
    """A call that computes 3x3 convolutions for about so many seconds, by the count of them."""
    import torch

    image, kernel = torch.ones(1, 16, 40, 40), torch.ones(16, 16, 3, 3)

    def run(times: int) -> None:
        with torch.inference_mode():
            for _ in range(times):
                torch.nn.functional.conv2d(image, kernel, padding=1)

    run(20)
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        run(20)
        best = min(best, (time.perf_counter() - started) / 20)
    times = max(1, round(seconds / best))
    return lambda: run(times)


class _Cases:
    """The side's cases as calls. All that is asked of the side's tree is asked here."""

    def __init__(self, order: dict[str, Any]):
        from yolo_perf.backends.registry import backends
        from yolo_perf.pipeline.images import open_dataset

        self._order = order
        self._backends = backends()
        self._dataset = open_dataset(Path(order["data"]) if order["data"] else None)
        self._subjects: dict[str, Any] = {}

    def names(self) -> list[str]:
        """Optimisations that this tree has."""
        return list(self._backends)

    def unavailable(self, name: str) -> str | None:
        """Why an optimisation cannot run here, None where it can."""
        from yolo_perf.errors import BackendUnavailable

        try:
            self._backends[name].check_available()
        except BackendUnavailable as error:
            return str(error)
        return None

    def load(self, size: str) -> None:
        """Bring a size's model into memory."""
        from yolo_perf.backends.subject import prepare_subject

        data = Path(self._order["data"]) if self._order["data"] else None
        self._subjects[size] = prepare_subject(size, data, self._dataset, self._order["image_size"])

    def prepare(self, size: str, name: str) -> "tuple[Call, Any, int]":
        """The case as a call, the inference callable itself, and the images a call."""
        from yolo_perf.records import Case

        order, backend = self._order, self._backends[name]
        case = Case(
            size=size,
            backend=name,
            batch=order["batch"] if backend.batched else 1,
            image_size=order["image_size"],
            threads=order["threads"],
            dtype=backend.dtype,
        )
        infer = backend.prepare(self._subjects[size], case)
        images = self.images(case.batch)
        return (lambda: infer(images)), infer, case.batch

    def images(self, number: int) -> Any:
        """The first pictures as one batch."""
        from yolo_perf.pipeline.letterbox import letterbox, stack

        pictures = [self._dataset.load(index % len(self._dataset)) for index in range(number)]
        return stack([letterbox(picture, self._order["image_size"])[0] for picture in pictures])

    def weights(self, size: str) -> str:
        """Digest of a size's weights."""
        return str(self._subjects[size].weights.digest)


class Worker:
    """Answers orders: `open`, `prepare`, `control`, `time`."""

    def __init__(self) -> None:
        self._calls: dict[str, Call] = {}
        self._kept: list[object] = []  # machine code and arrays that ctypes does not keep alive
        self._cases: _Cases | None = None
        self._order: dict[str, Any] = {}

    def answer(self, order: dict[str, Any]) -> dict[str, Any]:
        """What one order gives."""
        reply: dict[str, Any] = getattr(self, f"do_{order['do']}")(order)
        if order["do"] in ("open", "prepare"):
            _check_tree()
        return reply

    def do_open(self, order: dict[str, Any]) -> dict[str, Any]:
        """Load the side's package.

        Its folder is on the path for this one import: other packages in it, where it is a site-packages, are not
        the side's.
        """
        settled = allocator.settle(order["allocator"])
        sys.path.insert(0, order["tree"])
        try:
            import yolo_perf
        finally:
            sys.path.remove(order["tree"])
        self._order, self._cases = order, _Cases(order)
        for size in order["sizes"]:
            self._cases.load(size)
        found = Path(str(yolo_perf.__file__)).resolve().parent.parent
        return {
            "tree": str(found),
            "optimizations": self._cases.names(),
            "libraries": _libraries(),
            "allocator": settled,
        }

    def do_prepare(self, order: dict[str, Any]) -> dict[str, Any]:
        """Make a case ready. Where a sample is asked for: its output in that file, and a warm call's seconds.

        Of several, the least: a host's slow spell must not leave a case with few rounds.
        """
        assert self._cases is not None  # noqa: S101 - `open` came first
        size, name, label = order["size"], order["optimization"], order["label"]
        if reason := self._cases.unavailable(name):
            return {"unavailable": reason}
        call, infer, batch = self._cases.prepare(size, name)
        self._calls[label] = call = self._injected(label, call)
        if not order.get("sample"):
            return {}
        import numpy as np

        images = self._cases.images(order["pictures"])
        np.save(order["sample"], np.concatenate([infer(images[i : i + 1]) for i in range(len(images))]))
        least = float("inf")
        for _ in range(TRIALS):
            started = time.perf_counter()
            call()
            least = min(least, time.perf_counter() - started)
        return {"seconds": least, "batch": batch, "weights": self._cases.weights(size)}

    def _injected(self, label: str, call: Call) -> Call:
        for kind, amount, only in self._order["inject"]:
            if only in ("", label):
                call = injected(call, kind, amount, convolution)
        return call

    def do_control(self, order: dict[str, Any]) -> dict[str, Any]:
        """Make a control kernel ready: a call of the same machine code on either side."""
        kind, label = order["kind"], order["label"]
        self._calls[label] = python_loop if kind == "python" else self._compiled(order)
        return {}

    def _compiled(self, order: dict[str, Any]) -> Call:
        """A kernel of LLVM IR text, over buffers of its own."""
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        module = llvm.parse_assembly(order["ir"])
        target = llvm.Target.from_default_triple()
        machine = target.create_target_machine(cpu=order["cpu"], features=order["features"], opt=3)
        engine = llvm.create_mcjit_compiler(module, machine)
        engine.finalize_object()
        address = engine.get_function_address(order["function"])
        # Whole pages from the system, not from an allocator that a side's environment may set up differently.
        pages = [mmap.mmap(-1, size) for size in order["buffers"]]
        pointers = [ctypes.addressof(ctypes.c_char.from_buffer(page)) for page in pages]
        for page, content in zip(pages, order["contents"], strict=True):
            data = bytes.fromhex(content)
            page[: len(data)] = data
        self._kept += [engine, pages]
        doubles = order["doubles"]
        kinds = [ctypes.c_int64, *[ctypes.c_void_p] * len(pointers), *[ctypes.c_double] * len(doubles)]
        function = ctypes.CFUNCTYPE(None, *kinds)(address)
        count = order["count"]
        return lambda: function(count, *pointers, *doubles)

    def do_time(self, order: dict[str, Any]) -> dict[str, Any]:
        """Seconds of one round, after untimed ones, with what the system did meanwhile."""
        call, clock = self._calls[order["label"]], time.perf_counter
        for _ in range(order["warmup"]):
            call()
        before = host.read()
        started = clock()
        call()
        seconds = clock() - started
        return {"seconds": seconds, "host": host.read().since(before)}


def _check_tree() -> None:
    """Raise ImportError where a module of the package was not found in the side's tree but elsewhere.

    An editable installation answers for what a tree lacks, and then another tree's code would be timed.
    """
    package = Path(str(sys.modules["yolo_perf"].__file__)).resolve().parent
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if name.startswith("yolo_perf.") and path and not Path(path).resolve().is_relative_to(package):
            raise ImportError(f"{package.parent} has no {name}: its package is not one that can be compared here")


def python_loop() -> int:
    """A fixed piece of interpreter work, about ten milliseconds."""
    total = 0
    for number in range(150_000):
        total += number & 7
    return total


def _libraries() -> dict[str, str]:
    """Versions that decide speed, and the interpreter's."""
    version = beside("machine/versions").version
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in ("torch", "onnxruntime", "numpy", "llvmlite"):
        if text := version(name):
            found[name] = text
    return found


def die_with(parent: int) -> None:
    """Ask the kernel to end this process when the one that started it ends, even where this one is stopped."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it ended before it was asked, or never was this one's parent
            sys.stderr.write(
                'this interpreter is a child of what was started. A wrapper has to end in: exec python "$@"; '
                "what is started is what is stopped while the other side runs\n"
            )
            sys.exit(1)


def main() -> None:
    """Read orders until stdin ends. A failure is an answer; only the last line of its traceback goes back."""
    die_with(int(sys.argv[1]))
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    worker = Worker()
    gc.disable()  # a collection in a round would be noise of ours
    for line in sys.stdin:
        try:
            reply = worker.answer(json.loads(line))
        except Exception as error:  # noqa: BLE001 - the outermost door of this process: all is told to the asker
            reply = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(reply) + "\n")


if __name__ == "__main__":
    main()
