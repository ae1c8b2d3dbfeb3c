#!/usr/bin/env bash
# NNCF 3.4.0: the 8-bit weights of a network's first convolution have 7 bits, whatever CPU it is quantised for.
#
# Guess: INT8 weights use -127..127 in every layer. Halving the range is a remedy for 16-bit sums that saturate on CPUs
# without VNNI, so target_device=CPU_SPR (a Sapphire Rapids, which has it) does not need it.
# Seen: the first convolution's weights stay within -63..63, for CPU_SPR too; later layers reach 127. The layer that is
# most often the most sensitive has half the steps. OverflowFix.DISABLE in the advanced parameters gives them back.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check nncf==3.4.0 openvino==2026.4.1 numpy==2.4.6
venv/bin/python - <<'PY'
import logging
import nncf, numpy as np, openvino
from openvino import opset13

nncf.set_log_level(logging.ERROR)
rng = np.random.default_rng(0)
pictures = nncf.Dataset([rng.normal(size=(1, 3, 16, 16)).astype(np.float32) for _ in range(4)])


def largest(**options):
    """Largest absolute 8-bit weight of each of three convolutions."""
    pixels = layer = opset13.parameter([1, 3, 16, 16], openvino.Type.f32, name="pixels")
    for inputs, outputs in ((3, 8), (8, 8), (8, 8)):
        weights = rng.normal(size=(outputs, inputs, 3, 3)).astype(np.float32)
        layer = opset13.relu(opset13.convolution(layer, weights, [1, 1], [1, 1], [1, 1], [1, 1]))
    quantised = nncf.quantize(openvino.Model([layer], [pixels], "three"), pictures, **options)
    constants = [node for node in quantised.get_ordered_ops() if node.get_type_name() == "Constant"]
    weights = [node.get_data() for node in constants if node.get_element_type() == openvino.Type.i8]
    return sorted((w.shape[1], int(np.abs(w.astype(int)).max())) for w in weights)


fix = nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.DISABLE)
default, rapids = largest(), largest(target_device=nncf.TargetDevice.CPU_SPR)
disabled = largest(advanced_parameters=fix)
print(f"nncf {nncf.__version__}: (input channels, largest 8-bit weight) of three convolutions, the first one takes 3")
print("guess: 127 in each")
print(f"seen:  default {default}, CPU_SPR {rapids}, fix disabled {disabled}")
assert default[0] == rapids[0] == (3, 63) and {w for _, w in default[1:] + rapids[1:]} == {127}, "it has changed"
assert {w for _, w in disabled} == {127}, "the behaviour of OverflowFix.DISABLE has changed"
PY
