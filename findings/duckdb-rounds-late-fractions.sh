#!/usr/bin/env bash
# DuckDB 2.0.1: read_json rounds a latency of 1.5 to 2 if the first 20,480 rows held whole numbers.
#
# Guess: the type of a column is guessed from a sample, and a value that does not fit it later is an error (a late text
# is), or widens the column.
# Seen: a late fraction is cast to the integer type and rounded, and nothing says so: the maximum of 1, 1, ..., 1.5 is
# 2, and a sum is off. sample_size=-1 reads it right. Milliseconds that are whole at first and fractions later on, or
# accuracies that begin with 0 and 1, meet this as soon as an archive of rounds is long enough.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check duckdb==2.0.1
venv/bin/python - <<'PY'
import json, pathlib
import duckdb


def largest(rows, options=""):
    pathlib.Path("rounds.jsonl").write_text("".join(json.dumps({"ms": ms}) + "\n" for ms in rows))
    try:
        query = f"SELECT max(ms), any_value(typeof(ms)) FROM read_json('rounds.jsonl'{options})"
        return duckdb.execute(query).fetchall()[0]
    except duckdb.Error as error:
        return type(error).__name__


whole = [1] * 20_480
inside, late = largest([*whole[1:], 1.5]), largest([*whole, 1.5])
text, read_all = largest([*whole, "slow"]), largest([*whole, 1.5], ", sample_size=-1")
print(f"duckdb {duckdb.__version__}, rows of 1 and then one of 1.5: largest and its type")
print("guess: 1.5, or an error, wherever it stands")
print(f"seen:  row 20,480: {inside}; row 20,481: {late}; a text there: {text}; sample_size=-1: {read_all}")
assert inside == read_all == (1.5, "DOUBLE") and late == (2, "BIGINT"), "the behaviour has changed"
assert text == "InvalidInputException", "the behaviour has changed"
PY
