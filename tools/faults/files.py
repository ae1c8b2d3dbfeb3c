"""What is no sound file in the place of one: mutated saved runs, FIFOs, devices, folders, links, at every door."""

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tools.faults import Row, campaign
from yolo_perf.archive.saved_run import BLOCK, block
from yolo_perf.records import Run

LIMIT_S = 20.0
DOORS: tuple[tuple[str, ...], ...] = (
    ("report", "{}", "--markdown", "/dev/null"),
    ("compare", "{}", "{sound}"),
    ("history", "{}"),
    ("export", "{}", "--format", "csv"),
    ("export", "{}", "--format", "openmetrics"),
    ("baseline", "show", "{}"),
    ("baseline", "promote", "{}", "--baselines", "{folder}/promoted"),
    ("baseline", "list", "--baselines", "{folder}/baselines"),
    ("prove-gate", "{}"),
)
Mutate = Callable[[bytes, random.Random], bytes]


def flipped(content: bytes, rng: random.Random) -> bytes:
    """One bit of it is another."""
    place = rng.randrange(len(content))
    return content[:place] + bytes([content[place] ^ (1 << rng.randrange(8))]) + content[place + 1 :]


def cut(content: bytes, rng: random.Random) -> bytes:
    """Its end is missing."""
    return content[: rng.randrange(len(content))]


def odd_value(content: bytes, rng: random.Random) -> bytes:
    """One of its values is of another kind or size."""
    document = json.loads(content)
    places = list(_places(document))
    holder, key = places[rng.randrange(len(places))]
    odd: list[object] = [
        None,
        "",
        "x" * 5000,
        -1,
        0,
        1e308,
        float("nan"),
        float("inf"),
        10**400,
        [],
        {},
        True,
        "\x1b]0;x\x07",
        "=1+1",
    ]
    holder[key] = odd[rng.randrange(len(odd))]  # type: ignore[index]
    return json.dumps(document).encode()


def deep(_: bytes, rng: random.Random) -> bytes:
    """Brackets in brackets."""
    return b"[" * rng.randrange(1000, 200_000)


MUTATIONS: tuple[Mutate, ...] = (flipped, cut, odd_value, odd_value, deep)


def run(budget_s: float, seed: int) -> Row:
    """`tried` counts commands that were given something that is no sound file."""
    with tempfile.TemporaryDirectory(prefix="yolo-perf-faults-") as name:
        folder = Path(name)
        sound = folder / "sound.json"
        sound.write_text(json.dumps({BLOCK: block(_sound())}))
        content = sound.read_bytes()

        def attempt(rng: random.Random) -> str:
            path, words = _faulty(folder, content, rng)
            door = DOORS[rng.randrange(len(DOORS))]
            harm = _harm([each.format(path, sound=sound, folder=folder) for each in door], folder)
            _remove(path)
            return f"{words} at {' '.join(door)}: {harm}" if harm else ""

        return campaign("files that are none", budget_s, seed, attempt)


def _sound() -> Run:
    """A run of a few cases."""
    from tests import factories

    return factories.run(*(factories.measurement((0.04, 0.05), backend=name) for name in ("eager", "onnx")))


def _places(value: object) -> Iterator[tuple[object, object]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield value, key
        yield from _places(each)


def _faulty(folder: Path, content: bytes, rng: random.Random) -> tuple[Path, str]:
    """A path with something wrong at it, where a baseline would lie, and what that is."""
    path = folder / "baselines" / "m" / "0001_baseline.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = rng.choice(("mutated", "mutated", "mutated", "a FIFO", "a device", "a folder", "a link to nothing"))
    if kind == "a FIFO":
        os.mkfifo(path)
    elif kind == "a folder":
        path.mkdir()
    elif kind == "mutated":
        mutate = rng.choice(MUTATIONS)
        path.write_bytes(mutate(content, rng))
        kind = mutate.__name__
    else:
        path.symlink_to("/dev/zero" if kind == "a device" else "nowhere")
    return path, kind


def _remove(path: Path) -> None:
    path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def _harm(arguments: Sequence[str], folder: Path) -> str:
    """What went wrong in a command; "" where it said what there was to say and ended."""
    command = [sys.executable, "-c", "from yolo_perf.cli import main; main()", *arguments]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"over {LIMIT_S:.0f} s"
    if b"Traceback" in done.stderr:
        return done.stderr.decode(errors="replace").strip().splitlines()[-1][:200]
    return "" if done.returncode in (0, 1, 2, 3, 4) else f"exit status {done.returncode}"
