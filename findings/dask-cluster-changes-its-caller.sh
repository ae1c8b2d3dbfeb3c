#!/usr/bin/env bash
# Dask.distributed 2026.8.0: one LocalCluster changes the threads and the heap of whatever is started after it.
#
# Guess: a cluster of worker processes sets up the workers; once closed, the process that made it is as it was.
# Seen: os.environ of the caller keeps OMP_NUM_THREADS=1 (and MKL's, OpenBLAS's) and MALLOC_TRIM_THRESHOLD_=65536 after
# the cluster is closed. A library that is imported or a process that is started later, say the one to be measured, has
# one thread, and pays page faults for every large array that it frees: glibc gives the pages back at once.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check distributed==2026.8.0 dask==2026.8.0 numpy==2.4.6
cat > caller.py <<'PY'
import os, subprocess, sys

COUNT = """
import resource, numpy
def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def use(): numpy.ones(2_000_000, numpy.float32)
for _ in range(20): use()
start = faults()
for _ in range(100): use()
print((faults() - start) // 100)
"""
NAMES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "MALLOC_TRIM_THRESHOLD_")


def state():
    faults = int(subprocess.check_output([sys.executable, "-c", COUNT], text=True))
    return {name: os.environ.get(name) for name in NAMES}, faults


if __name__ == "__main__":
    for name in NAMES:
        os.environ.pop(name, None)
    before, few = state()
    import distributed

    with distributed.LocalCluster(n_workers=1, processes=True, dashboard_address=None):
        pass
    after, many = state()
    print(f"distributed {distributed.__version__}, a cluster opened and closed")
    print("guess: the environment, and a new process that allocates 8 MB again and again, are as before")
    print(f"seen:  before {before}, {few} page faults an array in a new process")
    print(f"       after  {after}, {many} page faults an array in a new process")
    assert set(before.values()) == {None} and after["MALLOC_TRIM_THRESHOLD_"] == "65536", "the behaviour has changed"
    assert all(after[name] == "1" for name in NAMES[:3]), "the behaviour has changed"
    assert "linux" not in sys.platform or many > few + 100, "page faults no longer differ (glibc alone has them)"
PY
venv/bin/python caller.py
