"""Every version that pyproject.toml promises as the lowest is one that `tox -e lowest` installs."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
NEWEST_ONLY = {"kaleido", "nncf", "openvino"}
"""Tried in the one version that constraints.txt pins: they need a browser, or gigabytes."""


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def test_every_lower_bound_is_installed_somewhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    promised = [
        *project["dependencies"],
        *(each for name in ("history", "openvino", "report") for each in project["optional-dependencies"][name]),
    ]
    lowest, newest = pins("constraints-lowest.txt"), pins("constraints.txt")
    for requirement in promised:
        name, bound = re.fullmatch(r"([\w-]+)>=([^,]+).*", requirement).groups()  # type: ignore[union-attr]
        tried = (newest if name in NEWEST_ONLY else lowest)[name]
        assert numbers(tried)[: len(numbers(bound))] == numbers(bound), f"{requirement}, tried with {tried}"
