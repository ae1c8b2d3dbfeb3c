#!/usr/bin/env bash
# pytest 8.2.2: to register an object as a plugin evaluates every property that it has, before the session begins.
#
# Guess: registering looks for functions called pytest_*, and a lazy `functools.cached_property` stays lazy.
# Seen: the search for fixtures asks the object for each of its attributes. A property that loads a library has loaded it
# in every session, one that raises is passed over in silence, and a cached one keeps what it was before anything ran:
# this suite saved sessions without their figures that way. 8.3.5 looks at the class instead.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
cat >conftest.py <<'PY'
from functools import cached_property


class State:
    measured = 0

    @cached_property
    def document(self):
        print("  document was asked for: measured", self.measured)
        return {"measured": self.measured}

    @property
    def broken(self):
        print("  broken was asked for")
        raise RuntimeError("nobody hears of this")


def pytest_configure(config):
    config.state = State()
    config.pluginmanager.register(config.state, "state")


def pytest_unconfigure(config):
    config.state.measured = 3
    print("seen at the end:", config.state.document)
PY
echo "def test_nothing(): pass" >test_nothing.py
echo "guess: nothing is asked for before the end, where 3 are measured"
for version in 8.2.2 8.3.5; do
  venv/bin/pip install --quiet --disable-pip-version-check "pytest==$version"
  echo "pytest $version"
  venv/bin/python -m pytest -s -q -p no:cacheprovider >"out-$version"
  grep -E "asked|seen" "out-$version"
done
changed() { echo "the behaviour has changed" >&2; exit 1; }
grep -q "seen at the end: {'measured': 0}" out-8.2.2 || changed
grep -q "broken was asked for" out-8.2.2 || changed
grep -q "seen at the end: {'measured': 3}" out-8.3.5 || changed
