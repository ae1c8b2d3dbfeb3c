#!/usr/bin/env bash
# pycocotools 2.0.11: a perfect detector has AP 0.564 if the annotations are numbered from 0.
#
# Guess: ids name annotations. Numbered from 0 or from 1, the same boxes give the same AP.
# Seen: matches are kept as the id of the annotation, and 0 stands for "no match". The annotation whose id is 0 can only
# be missed, and its detection is a false positive. Four pictures, four exact boxes: AP 0.564 and AR 0.75.
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


def score(start):
    """AP and AR of exact detections of one box in each of four pictures."""
    box = [10.0, 10.0, 50.0, 50.0]
    truth = COCO()
    truth.dataset = {
        "images": [{"id": image} for image in range(1, 5)],
        "categories": [{"id": 1}],
        "annotations": [
            {"id": start + i, "image_id": i + 1, "category_id": 1, "bbox": box, "area": 2500, "iscrowd": 0}
            for i in range(4)
        ],
    }
    truth.createIndex()
    found = [{"image_id": image, "category_id": 1, "bbox": box, "score": 0.9} for image in range(1, 5)]
    evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return round(float(evaluation.stats[0]), 3), round(float(evaluation.stats[8]), 3)


with contextlib.redirect_stdout(io.StringIO()):
    zero, one = score(0), score(1)
print(f"pycocotools {importlib.metadata.version('pycocotools')}, exact detections: (AP, AR)")
print("guess: (1.0, 1.0) for both")
print(f"seen:  ids from 1 {one}, ids from 0 {zero}")
assert one == (1.0, 1.0) and zero == (0.564, 0.75), "the behaviour has changed"
PY
