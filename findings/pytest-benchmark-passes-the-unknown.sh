#!/usr/bin/env bash
# pytest-benchmark 5.3.1: --benchmark-compare-fail passes when no benchmark at all could be compared.
#
# Guess: a gate that was asked to compare, and has a baseline but no benchmark in common with it, fails or warns;
# without any baseline file it does fail (exit code 4).
# Seen: benchmarks are matched by path and name. Rename the test, move the file or start pytest from another folder, and
# a slow-down of a hundred times ends in exit code 0, without a word that nothing was compared.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pytest==9.2.0 pytest-benchmark==5.3.1
venv/bin/python - <<'PY'
import importlib.metadata, os, pathlib, subprocess, sys

TEST = "import time\ndef {name}(benchmark):\n    benchmark.pedantic(time.sleep, args=({seconds},), rounds=3)\n"


def session(name, seconds, *options, folder="."):
    pathlib.Path("suite", "test_speed.py").write_text(TEST.format(name=name, seconds=seconds))
    target = os.path.relpath(pathlib.Path("suite", "test_speed.py"), folder)
    storage = f"--benchmark-storage=file://{pathlib.Path('saved').resolve()}"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", target, storage]
    done = subprocess.run([*command, *options], capture_output=True, text=True, cwd=folder)
    return done.returncode, "arn" in done.stdout.split("Legend")[-1] + done.stderr


GATE = "--benchmark-compare", "--benchmark-compare-fail=min:50%"
pathlib.Path("suite").mkdir()
first = session("test_model", 0.001, "--benchmark-save=base")
same = session("test_model", 0.1, *GATE)
renamed = session("test_network", 0.1, *GATE)
elsewhere = session("test_model", 0.1, *GATE, folder="suite")
print(f"pytest-benchmark {importlib.metadata.version('pytest-benchmark')}, 100 times as slow as the baseline")
print("guess: a failure each time: (exit code, a warning was printed)")
print(f"seen:  same name {same}; renamed {renamed}; started from another folder {elsewhere}")
assert first[0] == 0 and same[0] != 0, "the gate itself has changed"
assert renamed == elsewhere == (0, False), "the behaviour has changed"
PY
