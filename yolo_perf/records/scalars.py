"""Numbers that a saved file may hold, and names that it chooses from."""

from typing import Annotated, Literal

from msgspec import Meta

Dtype = Literal["fp32", "bf16", "int8"]
Bound = Literal["compute", "memory"]
Verdict = Literal["regressed", "improved", "unchanged", "inconclusive", "new", "missing", "incomparable"]
Metric = Literal["latency", "utilization", "efficiency", "accuracy"]
Protocol = Literal["rectangular", "square"]


Seconds = Annotated[float, Meta(ge=1e-9, lt=1e7)]
Count = Annotated[int, Meta(ge=0, lt=2**62)]
Positive = Annotated[int, Meta(gt=0, lt=2**62)]
Rate = Annotated[float, Meta(gt=0, lt=1e20)]
Share = Annotated[float, Meta(ge=0, le=1)]
