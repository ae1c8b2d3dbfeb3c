#!/usr/bin/env bash
# pytest-benchmark 5.3.1: a test that fails after its timing is saved, and is the baseline that the right one loses to.
#
# Guess: benchmark(f) returns f's result so that it can be checked, and the timing of a test that fails the check is not
# saved with the others.
# Seen: only an exception inside f drops the timing. A model that is fast because it is wrong is saved by
# --benchmark-autosave; the run after the correction fails --benchmark-compare-fail, and is right. Nothing in the saved
# file tells the failed one apart.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pytest==9.2.0 pytest-benchmark==5.3.1
venv/bin/python - <<'PY'
import json, pathlib, subprocess, sys
import importlib.metadata

TEST = """
import time
def model():
    time.sleep({seconds})
    return {answer}
def test_model(benchmark):
    assert benchmark.pedantic(model, rounds=3) == 42
"""


def session(seconds, answer, *options):
    pathlib.Path("test_model.py").write_text(TEST.format(seconds=seconds, answer=answer))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_model.py", *options]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, "Performance has regressed" in done.stdout + done.stderr


wrong = session(0.001, 41, "--benchmark-autosave")
saved = [json.loads(path.read_text()) for path in pathlib.Path(".benchmarks").rglob("*.json")]
right = session(0.1, 42, "--benchmark-compare", "--benchmark-compare-fail=min:50%")
names = [case["name"] for run in saved for case in run["benchmarks"]]
print(f"pytest-benchmark {importlib.metadata.version('pytest-benchmark')}")
print("guess: the wrong and fast model fails and leaves no timing; the right one has nothing to lose to")
print(f"seen:  wrong: exit code {wrong[0]}, saved {names}; right: exit code {right[0]}, regressed {right[1]}")
assert wrong[0] == 1 and names == ["test_model"] and right[0] != 0 and right[1], "the behaviour has changed"
PY
