#!/usr/bin/env bash
# OpenCV 5.0.0: top_k of cv2.dnn.NMSBoxes is not the number of boxes that are kept.
#
# Guess: with top_k=2, the two best boxes that survive suppression come back (its documentation: "picked indices").
# Seen: the two best candidates are taken first and suppressed then. Where they lie on one object, one box comes back,
# and the other object is lost, though the limit had room for it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check opencv-python-headless==5.0.0.93 numpy==2.4.6
venv/bin/python - <<'PY'
import cv2, numpy as np

boxes = [[0, 0, 10, 10], [1, 0, 10, 10], [50, 50, 10, 10]]
scores = [0.9, 0.8, 0.7]
every = np.ravel(cv2.dnn.NMSBoxes(boxes, scores, 0.1, 0.45)).tolist()
two = np.ravel(cv2.dnn.NMSBoxes(boxes, scores, 0.1, 0.45, top_k=2)).tolist()
print(f"opencv {cv2.__version__}, two overlapping boxes and a third one elsewhere")
print("guess: [0, 2] without a limit, [0, 2] with top_k=2")
print(f"seen:  {every} without a limit, {two} with top_k=2")
assert every == [0, 2] and two == [0], "the behaviour has changed"
PY
