"""How long are the stages around the inference: decoding, letterbox, suppression; one picture a round.

Files are read through the operating system's cache, which is warm after the first pass; every round decodes
its picture anew. Postprocessing runs on the smallest chosen model's real output.
"""

from collections.abc import Callable
from itertools import cycle
from typing import TYPE_CHECKING, Any

import pytest

from yolo_perf.pipeline.boxes import postprocess
from yolo_perf.pipeline.letterbox import letterbox

if TYPE_CHECKING:
    from yolo_perf.analysis.bench import Bench

PICTURES, ROUNDS = 32, 128


@pytest.mark.benchmark(group="stages")
@pytest.mark.parametrize("stage", ["load", "preprocess", "postprocess"])
def test_stage(stage: str, perf_bench: "Bench", benchmark: Any) -> None:
    """Seconds of one stage."""
    dataset, side = perf_bench.dataset, perf_bench.settings.image_size
    numbers = range(min(PICTURES, len(dataset)))
    target: Callable[..., object]
    inputs: list[tuple[Any, ...]]
    if stage == "load":
        target, inputs = dataset.load, [(number,) for number in numbers]
    elif stage == "preprocess":
        target, inputs = letterbox, [(dataset.load(number), side) for number in numbers]
    else:
        target, inputs = postprocess, [*perf_bench.outputs(perf_bench.settings.sizes[0], len(numbers))]
    rounds = cycle(inputs)
    benchmark.pedantic(target, setup=lambda: (next(rounds), {}), rounds=ROUNDS, warmup_rounds=len(numbers))
    benchmark.extra_info.update(stage=stage, pictures=len(numbers), data=dataset.name, image_size=side)
