#!/usr/bin/env bash
# PyTorch 2.13.0: set_num_threads reaches the calling thread and threads that have not used PyTorch yet, no other ones.
#
# Guess: the setting is the process's (the documentation does not say whose it is), or else it is the thread's.
# Seen: neither. A worker that has used PyTorch once keeps its number when the main thread sets another one. A value set
# inside a worker leaves the main thread alone, and yet becomes the value of every thread started after it. So "one
# thread a model", set in main after the pool has warmed up, does nothing, and get_num_threads in main says it did.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'PY'
from concurrent.futures import ThreadPoolExecutor

import torch

torch.set_num_threads(4)


def fresh():
    """The number that a new thread finds."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


with ThreadPoolExecutor(1) as worker:
    old = worker.submit(torch.get_num_threads).result()
    torch.set_num_threads(1)
    set_in_main = torch.get_num_threads(), worker.submit(torch.get_num_threads).result(), fresh()
    worker.submit(torch.set_num_threads, 3).result()
    set_in_worker = torch.get_num_threads(), worker.submit(torch.get_num_threads).result(), fresh()
print(f"torch {torch.__version__}, 4 threads set at first, the worker has {old}: (main, that worker, a new worker)")
print("guess: 1 set in main (1, 1, 1), then 3 set in the worker (3, 3, 3), or (1, 4, 4) and (1, 3, 4)")
print(f"seen:  1 set in main {set_in_main}, then 3 set in the worker {set_in_worker}")
assert old == 4 and set_in_main == (1, 4, 1) and set_in_worker == (1, 3, 3), "the behaviour has changed"
PY
