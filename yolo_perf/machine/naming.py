"""What a machine is called: the part of what it reports that names a baseline, and words for people."""

import hashlib
import json
import re

from yolo_perf.records import Machine

_MARKETING = re.compile(
    r"\((?:R|TM)\)|\bwith Radeon.*|@.*|\b\d+-Core\b|\b(?:CPU|Processor)\b|\b\d+th Gen\b", re.IGNORECASE
)


def fingerprint(machine: Machine) -> str:
    """12 hex digits of the hardware that decides speed.

    The same on every run of one machine: clocks, bytes of memory, system and libraries are left out, since
    they move between runs or are for a comparison to report, not for an identity.
    """
    facts = [
        machine.architecture,
        machine.vendor,
        machine.cpu_model,
        machine.family,
        machine.model,
        machine.stepping,
        list(machine.isa),
        machine.sockets,
        machine.physical_cores,
        machine.logical_cores,
        machine.usable_cores,
        sorted(machine.caches.items()),
    ]
    return hashlib.sha256(json.dumps(facts, ensure_ascii=True).encode()).hexdigest()[:12]


def slug(machine: Machine) -> str:
    """A readable folder name, of a-z, 0-9 and "-" only: "amd-epyc-25-1-1-2c-1f0c9a3b"."""
    name = re.sub(r"[^a-z0-9]+", "-", plain_model(machine.cpu_model).lower()).strip("-")[:40].strip("-")
    numbers = [str(n) for n in (machine.family, machine.model, machine.stepping) if n is not None]
    return "-".join([name or "cpu", *numbers, f"{machine.usable_cores}c", fingerprint(machine)[:8]])


def describe(machine: Machine) -> str:
    """A short phrase for people: "AMD EPYC, 2 cores", "AMD EPYC, 2 of 8 cores"."""
    usable, physical = machine.usable_cores, machine.physical_cores
    count = f"{usable}" if usable == physical else f"{usable} of {physical}"
    return f"{plain_model(machine.cpu_model)}, {count} core{'' if physical == 1 else 's'}"


def plain_model(cpu_model: str) -> str:
    """A CPU's name without trademarks, clock, core count and the word CPU."""
    return " ".join(_MARKETING.sub(" ", cpu_model).split()) or cpu_model.strip() or "unknown CPU"
