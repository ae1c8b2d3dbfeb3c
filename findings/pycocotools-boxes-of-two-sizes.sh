#!/usr/bin/env bash
# pycocotools 2.0.11: an object of 32 x 32 pixels is small and medium; COCO.getAnnIds finds it in neither.
#
# Guess: small, medium and large part the objects: each is in one class, and the evaluation and the index agree on it.
# Seen: COCOeval's ranges include both ends, so an area of 1,024 (or 9,216) counts twice; the ranges of getAnnIds
# exclude both ends, so it counts nowhere. Synthetic sets, whose boxes have round sides, are full of these.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pycocotools==2.0.11 numpy==2.4.6
venv/bin/python - <<'PY'
import contextlib, io
import importlib.metadata
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

RANGES = {"small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10)}


def sizes(side):
    """The classes of size in which a box of that side is counted: by COCOeval, by getAnnIds."""
    box = [10.0, 10.0, float(side), float(side)]
    truth = COCO()
    truth.dataset = {
        "images": [{"id": 1}],
        "categories": [{"id": 1}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": box, "area": side**2, "iscrowd": 0}],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        found = truth.loadRes([{"image_id": 1, "category_id": 1, "bbox": box, "score": 0.9}])
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    counted = [name for name, ap in zip(RANGES, evaluation.stats[3:6]) if ap >= 0]
    return counted, [name for name, limits in RANGES.items() if truth.getAnnIds(areaRng=limits)]


seen = {side: sizes(side) for side in (31, 32, 33, 96)}
print(f"pycocotools {importlib.metadata.version('pycocotools')}")
print("guess: one class of size for each box, the same from both")
for side, (evaluated, indexed) in seen.items():
    print(f"seen:  {side} x {side}: COCOeval {evaluated}, getAnnIds {indexed}")
assert seen[31] == (["small"], ["small"]) and seen[33] == (["medium"], ["medium"]), "the behaviour has changed"
assert seen[32] == (["small", "medium"], []), "the behaviour has changed"
assert seen[96] == (["medium", "large"], []), "the behaviour has changed"
PY
