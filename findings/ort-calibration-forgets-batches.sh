#!/usr/bin/env bash
# ONNX Runtime 1.32.0: CalibMaxIntermediateOutputs throws calibration pictures away.
#
# Guess: the option bounds memory. Ranges are merged every k batches, and the model that comes out is the same one;
# its docstring says so.
# Seen: every full buffer of k batches is dropped before its minimum and maximum are read. Only the last n mod k batches
# count, and where k divides n, "No data is collected." is raised. A picture with large activations, calibrated first of
# eight, is forgotten: the input's scale is a hundred times too small, and everything saturates.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
venv/bin/python - <<'PY'
import numpy as np, onnx, onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, quantize_static

rng = np.random.default_rng(0)
weights = numpy_helper.from_array(rng.normal(size=(8, 3, 3, 3)).astype(np.float32), "w")
ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None if n == "y" else [1, 3, 16, 16]) for n in "xy"]
graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"])], "g", ports[:1], ports[1:], [weights])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "float.onnx")
pictures = [rng.normal(size=(1, 3, 16, 16)).astype(np.float32) * (100 if i == 0 else 1) for i in range(8)]


class Reader(CalibrationDataReader):
    def __init__(self):
        self.left = iter(pictures)

    def get_next(self):
        return next(({"x": picture} for picture in self.left), None)


def scale(buffer):
    quantize_static("float.onnx", "int8.onnx", Reader(), extra_options={"CalibMaxIntermediateOutputs": buffer})
    constants = {c.name: numpy_helper.to_array(c) for c in onnx.load("int8.onnx").graph.initializer}
    return float(constants["x_scale"])


whole, buffered = scale(None), scale(3)
try:
    divided = f"scale {scale(4):.4f}"
except ValueError as error:
    divided = str(error)
print(f"onnxruntime {onnxruntime.__version__}, 8 pictures, the first one 100 times as bright")
print("guess: the same scale whatever the buffer holds")
print(f"seen:  no buffer: scale {whole:.4f}; buffer of 3: scale {buffered:.4f}; buffer of 4: {divided}")
assert whole > 50 * buffered and divided == "No data is collected.", "the behaviour has changed"
PY
