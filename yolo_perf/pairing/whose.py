"""Whose code a side's process imports. Loaded by its path there: the standard library alone."""

import sys
from pathlib import Path
from typing import Any


def map_paths(order: dict[str, Any]) -> None:
    """Let imports find this side's tree where the environment's would find the asking one's.

    What is installed in development mode leads to the tree it was installed from, by a path or by a finder of
    setuptools with a mapping.
    """
    asking, own = Path(order["asking"]).resolve(), Path(order["tree"]).resolve()
    if asking == own:
        return
    places = [Path(place).resolve() for place in sys.path if place]
    for finder in sys.meta_path:
        mapping = getattr(sys.modules.get(getattr(finder, "__module__", "")), "MAPPING", {})
        places += [Path(place).resolve().parent for place in mapping.values()]
    for place in reversed(dict.fromkeys(places)):
        if place.is_relative_to(asking) and "site-packages" not in place.parts:
            sys.path.insert(0, str(own / place.relative_to(asking)))


def foreign(name: str, order: dict[str, Any]) -> str:
    """Why a module is not to be timed as this side's, "" where it may be.

    It was loaded from the other side's tree; or this tree has it, and it was loaded from elsewhere. Where both
    sides have one tree they differ in what is installed, and anything goes.
    """
    own, other = Path(order["tree"]).resolve(), Path(order["other"]).resolve()
    path = getattr(sys.modules.get(name), "__file__", None)
    known = name in sys.stdlib_module_names or name == "__main__"
    if own == other or not path or known:
        return ""
    found = Path(path).resolve()
    if found.is_relative_to(own) and not (other.is_relative_to(own) and found.is_relative_to(other)):
        return ""
    if found.is_relative_to(other) and "site-packages" not in found.parts:
        return f"{name} from the other side's tree ({path})"
    sources = [place / part for place in (own, own / "src") for part in (f"{name}/__init__.py", f"{name}.py")]
    if "." not in name and any(each.is_file() for each in sources):
        return f"{name} from {path}, though its tree has it"
    return ""
