#!/usr/bin/env bash
# ONNX Runtime 1.32.0 and OpenVINO 2026.4.1 on CPUs: a NaN inside a network need not reach its output.
#
# Guess: one NaN in an activation spreads through everything downstream, so finite outputs prove finite activations.
# Seen: MaxPool of both steps over a NaN (unless it is a window's last number), and OpenVINO's Relu and
# Clip turn it into a number as well. The same file gives NaN in one runtime and plausible numbers in the other.
# (NumPy's maximum and PyTorch's max_pool2d and relu give NaN.)
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  onnxruntime==1.32.0 openvino==2026.4.1 onnx==1.23.2 numpy==2.4.6
venv/bin/python - <<'PY'
import numpy as np, onnx, onnxruntime, openvino
from onnx import TensorProto, helper, numpy_helper

ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None if n == "y" else [1, 1, 2, 4]) for n in "xy"]
bounds = [numpy_helper.from_array(np.float32(value), name) for name, value in (("low", 0), ("high", 6))]
picture = np.array([[[[np.nan, 2, 3, 4], [5, 6, 7, 8]]]], np.float32)
nodes = {
    "Relu": helper.make_node("Relu", ["x"], ["y"]),
    "Clip": helper.make_node("Clip", ["x", "low", "high"], ["y"]),
    "MaxPool": helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2]),
    "Sigmoid": helper.make_node("Sigmoid", ["x"], ["y"]),
}
core, seen = openvino.Core(), {}
for name, node in nodes.items():
    graph = helper.make_graph([node], "g", ports[:1], ports[1:], bounds if name == "Clip" else [])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    loaded = core.read_model(model)
    compiled = core.compile_model(loaded, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answers = session.run(None, {"x": picture})[0], compiled(picture)[0]
    seen[name] = tuple(bool(np.isnan(answer).any()) for answer in answers)
print(f"onnxruntime {onnxruntime.__version__}, openvino {openvino.__version__}: is a NaN left after the operator?")
print("guess: yes, yes in every line")
for name, (ort, ov) in seen.items():
    print(f"seen:  {name:9} onnxruntime {'yes' if ort else 'no':3} openvino {'yes' if ov else 'no'}")
assert seen == {
    "Relu": (True, False), "Clip": (True, False), "MaxPool": (False, False), "Sigmoid": (True, True),
}, "the behaviour has changed"
PY
