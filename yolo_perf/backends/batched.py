"""Eager at a batch above 1: latency and throughput are still reported per image."""

from yolo_perf.backends.eager import module, prepare
from yolo_perf.backends.registry import Backend

BACKENDS = (
    Backend(
        name="batched",
        summary="eager, several images a call",
        prepare=prepare,
        any_shape=prepare,
        module=module,
        batched=True,
        # oneDNN may choose another algorithm at another batch, so sums differ in their last bits.
        min_sqnr_db=50.0,
        min_box_agreement=0.99,
        max_map_drop=0.002,
    ),
)
