#!/usr/bin/env bash
# ONNX Runtime 1.32.0: an answer taken from an I/O binding is changed by the next run.
#
# Guess: bind_output(name) without a buffer lets ONNX Runtime allocate each run's output, so .numpy() of one run stays.
# Seen: the first run's buffer is bound from then on and .numpy() is a view of it. Two answers kept for comparison are
# one array: any check that a model gives the same result twice, or that two inputs agree, passes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
venv/bin/python - <<'PY'
import numpy as np, onnxruntime
from onnx import TensorProto, helper

ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy"]
graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", ports[:1], ports[1:])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
binding = session.io_binding()
binding.bind_output("y")


def answer(*numbers):
    binding.bind_cpu_input("x", np.array(numbers, np.float32))
    session.run_with_iobinding(binding)
    return binding.get_outputs()[0].numpy()


first = answer(1, 2, 3)
before = first.tolist()
second = answer(10, 20, 30)
plain = [session.run(None, {"x": np.array([n], np.float32)})[0].tolist() for n in (1, 10)]
print(f"onnxruntime {onnxruntime.__version__}, y = -x")
print(f"guess: the first answer stays {before}, as session.run's do: {plain}")
print(f"seen:  after the second run the first answer is {first.tolist()}, shared: {np.shares_memory(first, second)}")
assert before == [-1, -2, -3] and first.tolist() == [-10, -20, -30], "the behaviour has changed"
assert plain == [[-1], [-10]], "the behaviour of session.run has changed"
PY
