#!/usr/bin/env bash
# PyTorch 2.13.0 on CPUs: FlopCounterMode finds three counts for one transformer layer, and none at all for an LSTM.
#
# Guess: FLOP follow from shapes. eval(), no_grad() and the kernel that is chosen do not change them, and a counter that
# does not know an operator says so.
# Seen: training 81,920 (right), eval() 65,536 (the CPU's flash attention is unknown: 0), eval() under no_grad() 0 (one
# fused operator stands for the whole layer). An LSTM counts 0 by oneDNN and its true number without; GRU, which has no
# such kernel, is counted. Utilisation worked out from these is wrong by a share that nothing names.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'PY'
import torch
from torch.utils.flop_counter import FlopCounterMode

LENGTH = WIDTH = 16
projections, attention, feed_forward = 4 * WIDTH * WIDTH, 2 * LENGTH * WIDTH, 2 * WIDTH * 2 * WIDTH
TRUE = 2 * LENGTH * (projections + attention + feed_forward)
layer = torch.nn.TransformerEncoderLayer(WIDTH, 2, 2 * WIDTH, batch_first=True)
tokens = torch.randn(1, LENGTH, WIDTH)
lstm, gru = torch.nn.LSTM(WIDTH, WIDTH), torch.nn.GRU(WIDTH, WIDTH)


def count(module, *, gradients):
    with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(gradients):
        module(tokens)
    return counter.get_total_flops()


training = count(layer.train(), gradients=True)
evaluated, inferred = count(layer.eval(), gradients=True), count(layer, gradients=False)
with_onednn, of_gru = count(lstm, gradients=False), count(gru, gradients=False)
with torch.backends.mkldnn.flags(enabled=False, allow_tf32=False):
    without = count(lstm, gradients=False)
print(f"torch {torch.__version__}, encoder layer of {TRUE:,} FLOP")
print(f"guess: {TRUE:,} each time; an LSTM's count is 4/3 of a GRU's")
print(f"seen:  train {training:,}, eval {evaluated:,}, eval and no_grad {inferred:,}")
print(f"       LSTM {with_onednn:,}, without oneDNN {without:,}; GRU {of_gru:,}")
assert (training, evaluated, inferred) == (TRUE, 65_536, 0), "the behaviour has changed"
assert (with_onednn, 3 * without) == (0, 4 * of_gru), "the behaviour has changed"
PY
