#!/usr/bin/env bash
# PyTorch 2.13.0 (CPU): the same generator and seed give other bits on another CPU, and so does an elementwise logit.
#
# Guess: Generator().manual_seed(0) with uniform_(-b, b) is a function of the seed alone, and an elementwise function of
# a few floats does not depend on the vendor of the CPU.
# Seen: the generator's integers are the same, but "x * (to - from) + from" is compiled with a fused multiply-add in the
# AVX2 and AVX-512 builds of the kernel and without one in the plain build, so half of the numbers differ in
# their last bits; torch.logit goes through MKL's vector log, which takes another path by CPU (MKL_CBWR stands for one).
# normal_ of 16 numbers or more differs as well. random_ (integers) does not: weights to be the same everywhere are
# made from integers by single operations.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cat > bits.py <<'PY'
import hashlib
import json

import torch


def bits(tensor):
    return hashlib.sha256(tensor.numpy().tobytes()).hexdigest()[:12]


def drawn(method, *arguments):
    tensor = torch.empty(4096)
    return getattr(tensor, method)(*arguments, generator=torch.Generator().manual_seed(0))


probabilities = torch.linspace(0.001, 0.999, 4096)
print(json.dumps({
    "uniform_(0, 1)": bits(drawn("uniform_", 0.0, 1.0)),
    "uniform_(-0.3, 0.3)": bits(drawn("uniform_", -0.3, 0.3)),
    "normal_(0, 1)": bits(drawn("normal_", 0.0, 1.0)),
    "random_(0, 2**24)": bits(drawn("random_", 0, 2**24)),
    "logit": bits(torch.logit(probabilities)),
}))
PY
cat > show.py <<'PY'
import json, os, subprocess, sys

def run(**settings):
    kept = {k: v for k, v in os.environ.items() if k not in ("ATEN_CPU_CAPABILITY", "MKL_CBWR")}
    return json.loads(subprocess.check_output([sys.executable, "bits.py"], env={**kept, **settings}, text=True))

plain, wide, other = run(ATEN_CPU_CAPABILITY="default"), run(ATEN_CPU_CAPABILITY="avx2"), run(MKL_CBWR="COMPATIBLE")
here = run()
print("guess: all the same, whatever the CPU")
for name in plain:
    print(f"seen:  {name:<20} plain {plain[name]}  AVX2 {wide[name]}  MKL's compatible path {other[name]}")
assert plain["uniform_(-0.3, 0.3)"] != wide["uniform_(-0.3, 0.3)"], "the behaviour has changed"
assert plain["random_(0, 2**24)"] == wide["random_(0, 2**24)"] == other["random_(0, 2**24)"], "the behaviour has changed"
assert here["logit"] != other["logit"], "the behaviour has changed"
PY
venv/bin/python show.py
