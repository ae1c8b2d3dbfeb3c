#!/usr/bin/env bash
# ruptures 1.1.10: change points exist at multiples of five only, so a step in a short history moves or is made two.
#
# Guess: the optimal segmentation of a noise-free step at index 7 is one change at 7; Dynp and Pelt are exact.
# Seen: the default jump=5 allows changes at 5, 10, 15, ... alone. Dynp reports 5. Pelt reports two changes, 5 and 10,
# and nothing happened at either. KernelCPD takes the same argument, does not heed it (as documented) and reports 7.
# With a point a commit, the wrong commit is blamed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check ruptures==1.1.10 numpy==2.4.6 scipy==1.17.1
venv/bin/python - <<'PY'
import importlib.metadata
import numpy as np, ruptures

series = np.repeat([0.0, 1.0], [7, 23])
found = {
    "Pelt": ruptures.Pelt(model="l2").fit(series).predict(pen=0.1),
    "Dynp": ruptures.Dynp(model="l2").fit(series).predict(n_bkps=1),
    "Pelt, jump=1": ruptures.Pelt(model="l2", jump=1).fit(series).predict(pen=0.1),
    "KernelCPD, jump=5": ruptures.KernelCPD(kernel="linear", jump=5).fit(series).predict(pen=0.1),
}
found = {name: [int(index) for index in indices[:-1]] for name, indices in found.items()}
print(f"ruptures {importlib.metadata.version('ruptures')}, 30 points, a step at 7 and no noise")
print("guess: [7] from each")
print(f"seen:  {found}")
assert found["Pelt"] == [5, 10] and found["Dynp"] == [5], "the behaviour has changed"
assert found["Pelt, jump=1"] == found["KernelCPD, jump=5"] == [7], "the behaviour has changed"
PY
