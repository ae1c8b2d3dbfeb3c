#!/usr/bin/env bash
# PyTorch 2.13.0: torch.profiler's with_flops counts a convolution with padding="same" as nothing.
#
# Guess: padding="same" is padding=1 for a 3 x 3 kernel: the same outputs, the same FLOP, by the profiler as by
# torch.utils.flop_counter.
# Seen: the profiler has 0 for "same", and 0 for a transposed convolution, silently; the other counter has both right.
# For a product that is broadcast the profiler counts the first operand's numbers: 10 for a column times a row, not 100.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'PY'
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

picture = torch.randn(1, 8, 10, 10)
subjects = {
    "padding=1": lambda: torch.nn.Conv2d(8, 8, 3, padding=1)(picture),
    'padding="same"': lambda: torch.nn.Conv2d(8, 8, 3, padding="same")(picture),
    "transposed": lambda: torch.nn.ConvTranspose2d(8, 8, 2, stride=2)(picture),
    "column * row": lambda: torch.ones(10, 1) * torch.ones(1, 10),
}
seen = {}
for name, run in subjects.items():
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        run()
    with torch.no_grad(), profile(activities=[ProfilerActivity.CPU], with_flops=True) as profiler:
        run()
    seen[name] = sum(event.flops for event in profiler.key_averages()), counter.get_total_flops()
print(f"torch {torch.__version__}: FLOP by (torch.profiler, FlopCounterMode)")
print("guess: both 115,200 for the first two, 51,200 for the third; 100 by the profiler for the product")
for name, (profiled, counted) in seen.items():
    print(f"seen:  {name:15} {profiled:8,} {counted:8,}")
assert seen["padding=1"] == (115_200, 115_200) and seen['padding="same"'] == (0, 115_200), "it has changed"
assert seen["transposed"] == (0, 51_200) and seen["column * row"] == (10, 0), "the behaviour has changed"
PY
