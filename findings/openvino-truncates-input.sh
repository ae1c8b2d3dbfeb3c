#!/usr/bin/env bash
# OpenVINO 2026.4.1: floats fed to a model with 8-bit input are truncated without a word, modulo 256.
#
# Guess: an array of another type is an error, as in ONNX Runtime ("Unexpected input data type").
# Seen: compiled(array) casts it as NumPy does. A picture normalised to 0..1 by habit, given to a model whose input was
# made u8 by preprocessing steps, becomes zeros (black), and 300 becomes 44. There is no exception and no warning.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check openvino==2026.4.1 numpy==2.4.6
venv/bin/python - <<'PY'
import warnings
import numpy as np, openvino
from openvino import opset13

warnings.simplefilter("error")
core = openvino.Core()
pixels = opset13.parameter([1, 4], openvino.Type.f32, name="pixels")
model = openvino.Model([opset13.multiply(pixels, np.float32(1))], [pixels], "same")
steps = openvino.preprocess.PrePostProcessor(model)
steps.input().tensor().set_element_type(openvino.Type.u8)
compiled = core.compile_model(steps.build(), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
bytes_in = compiled(np.array([[0, 100, 200, 255]], np.uint8))[0].tolist()
unit = compiled(np.array([[0.0, 0.4, 0.8, 0.99]], np.float32))[0].tolist()
wide = compiled(np.array([[-1, 256, 300, 7]], np.int64))[0].tolist()
print(f"openvino {openvino.__version__}, a model that gives back its u8 input")
print("guess: an error for float32 and int64 arrays")
print(f"seen:  u8 {bytes_in}; 0, 0.4, 0.8, 0.99 -> {unit}; -1, 256, 300, 7 -> {wide}")
assert bytes_in == [[0, 100, 200, 255]], "the model has changed"
assert unit == [[0, 0, 0, 0]] and wide == [[255, 0, 44, 7]], "the behaviour has changed"
PY
