"""This machine's roofs as they were last measured: what needs no measurement of the same moment reads them."""

import hashlib
import logging
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from yolo_perf import files
from yolo_perf.backends.artefacts import DAMAGE, cache_folder
from yolo_perf.machine import peaks as peaks_module
from yolo_perf.machine.naming import fingerprint
from yolo_perf.machine.peaks import measure_peaks
from yolo_perf.records import Machine, Peaks

log = logging.getLogger(__name__)


def measure_roofs(machine: Machine) -> Peaks:
    """The roofs, measured now and remembered. A cache folder that cannot be written loses the memory only."""
    peaks = measure_peaks(machine)
    path = _path(machine)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, msgspec.json.encode(peaks))
    except OSError as error:
        log.info("The roofs could not be remembered: %s.", error)
    return peaks


def remembered_roofs(machine: Machine, *, anew: bool = False) -> tuple[Peaks, str]:
    """The roofs and when they were measured (ISO 8601, UTC): the last ones of this machine, else measured now."""
    known = None if anew else _last(machine)
    return known or (measure_roofs(machine), datetime.now(UTC).isoformat(timespec="seconds"))


def _last(machine: Machine) -> tuple[Peaks, str] | None:
    """What is remembered, None where that is nothing or damaged."""
    path = _path(machine)
    try:
        peaks = msgspec.json.decode(files.read(path), type=Peaks)
        measured = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (OSError, *DAMAGE):
        return None
    if "fp32" not in peaks.flops_per_s:
        return None
    return peaks, measured.isoformat(timespec="seconds")


def _path(machine: Machine) -> Path:
    """One file for each machine, number of usable cores, and way of measuring."""
    sources = sorted(Path(peaks_module.__file__).parent.glob("*.py"))
    way = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    return cache_folder() / f"roofs-{fingerprint(machine)}-{machine.usable_cores}-{way}.json"
