#!/usr/bin/env bash
# ONNX Runtime 1.32.0: dynamic INT8 gives a picture another answer beside a brighter one; Conv knows no per_channel.
#
# Guess: a batch is independent pictures, so the error of one does not depend on the others; per_channel=True
# gives a convolution one weight scale per output channel, as it does in static quantisation.
# Seen: DynamicQuantizeLinear takes one range over the whole batch. A dim picture loses over 20 dB beside one twenty
# times as bright. The weight scale of Conv stays one number with per_channel=True, and nothing says so.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
venv/bin/python - <<'PY'
import numpy as np, onnx, onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic

rng = np.random.default_rng(0)
weights = numpy_helper.from_array(rng.normal(size=(8, 3, 3, 3)).astype(np.float32), "w")
ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None if n == "y" else ["n", 3, 16, 16]) for n in "xy"]
graph = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"])], "g", ports[:1], ports[1:], [weights])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "float.onnx")
quantize_dynamic("float.onnx", "int8.onnx", per_channel=True)
scales = {c.name: c.dims for c in onnx.load("int8.onnx").graph.initializer}["w_scale"]


def first(model, batch):
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"x": batch})[0][0]


def sqnr(output):
    return 10 * np.log10((true**2).sum() / ((output - true) ** 2).sum())


dim = rng.normal(size=(1, 3, 16, 16)).astype(np.float32)
true = first("float.onnx", dim)
alone = sqnr(first("int8.onnx", dim))
beside = sqnr(first("int8.onnx", np.concatenate((dim, dim * 20))))
print(f"onnxruntime {onnxruntime.__version__}, one convolution, quantize_dynamic(per_channel=True)")
print("guess: the same error alone and in a batch; 8 weight scales for 8 output channels")
print(f"seen:  SQNR {alone:.1f} dB alone, {beside:.1f} dB beside one 20 times as bright; scale of shape {list(scales)}")
assert alone - beside > 15 and list(scales) == [], "the behaviour has changed"
PY
