#!/usr/bin/env bash
# PyTorch 2.13.0: a batch made of a channels-last picture is channels-last or not by the function that repeats it.
#
# Guess: operators keep the memory format of their input, as the channels-last tutorial says of those it supports; a
# batch of copies of a picture in channels-last is in channels-last.
# Seen: torch.cat, indexing and expand().clone() keep it; repeat, tile, stack, repeat_interleave and
# expand().contiguous() give NCHW. Both are right in every number, so a benchmark of channels-last on "the picture, n
# times" also times a conversion that a user's own batch does not have, or has it where nobody looks for it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
venv/bin/python - <<'PY'
import torch

picture = torch.randn(1, 8, 16, 16).to(memory_format=torch.channels_last)
batches = {
    "cat": torch.cat([picture] * 4),
    "picture[[0, 0, 0, 0]]": picture[[0] * 4],
    "expand().clone()": picture.expand(4, -1, -1, -1).clone(),
    "expand().contiguous()": picture.expand(4, -1, -1, -1).contiguous(),
    "repeat": picture.repeat(4, 1, 1, 1),
    "tile": torch.tile(picture, (4, 1, 1, 1)),
    "stack": torch.stack([picture[0]] * 4),
    "repeat_interleave": picture.repeat_interleave(4, 0),
}
assert all(torch.equal(batch, batches["cat"]) for batch in batches.values())
kept = {name: batch.is_contiguous(memory_format=torch.channels_last) for name, batch in batches.items()}
print(f"torch {torch.__version__}: four copies of a channels-last picture")
print("guess: channels-last by each of them")
for name, channels_last in kept.items():
    print(f"seen:  {name:22} {'channels-last' if channels_last else 'NCHW'}")
assert [name for name, channels_last in kept.items() if channels_last] == list(batches)[:3], "it has changed"
PY
