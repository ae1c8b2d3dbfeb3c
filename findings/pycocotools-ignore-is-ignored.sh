#!/usr/bin/env bash
# pycocotools 2.0.11: an annotation marked "ignore" counts, and the mark is erased from the caller's annotations.
#
# Guess: the evaluation reads gt["ignore"], so an object marked so can be missed without loss, as a crowd can.
# Seen: _prepare reads the mark and overwrites it with iscrowd in the next line. The missed object halves AP, and the
# annotations that were handed in have lost the mark: nobody who looks afterwards sees why.
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


def score(**mark):
    """AP of a detector that finds one of two objects, and the other one's annotation afterwards."""
    seen, missed = [10.0, 10.0, 50.0, 50.0], [200.0, 200.0, 50.0, 50.0]
    common = {"image_id": 1, "category_id": 1, "area": 2500, "iscrowd": 0}
    annotations = [{"id": 1, "bbox": seen, **common}, {"id": 2, "bbox": missed, **common, **mark}]
    truth = COCO()
    truth.dataset = {"images": [{"id": 1}], "categories": [{"id": 1}], "annotations": annotations}
    truth.createIndex()
    found = truth.loadRes([{"image_id": 1, "category_id": 1, "bbox": seen, "score": 0.9}])
    evaluation = COCOeval(truth, found, "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return round(float(evaluation.stats[0]), 3), annotations[1]["ignore"]


with contextlib.redirect_stdout(io.StringIO()):
    plain, marked, crowd = score(), score(ignore=1), score(iscrowd=1)
print(f"pycocotools {importlib.metadata.version('pycocotools')}, one of two objects found: (AP, ignore afterwards)")
print("guess: unmarked (0.505, 0), ignore=1 (1.0, 1), iscrowd=1 (1.0, 1)")
print(f"seen:  unmarked {plain}, ignore=1 {marked}, iscrowd=1 {crowd}")
assert plain == marked == (0.505, 0) and crowd == (1.0, 1), "the behaviour has changed"
PY
