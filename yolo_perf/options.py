"""The options and ini settings: one table, added to pytest's parser and read back as `Settings`."""

import os
from pathlib import Path

import pytest

from yolo_perf import settings as parse
from yolo_perf.settings import Settings

_SMALLEST = "(default: the smallest that is measured)"
_SETTINGS = (
    ("sizes", "n,s,m,l,x", "model sizes to measure"),
    ("optimizations", "", "optimisations to measure (default: all)"),
    ("batch", str(parse.BATCH), "images a call where an optimisation batches"),
    ("threads", "", "threads of every engine (default: one a physical core that this process may use)"),
    (
        "allocator",
        parse.ALLOCATORS[0],
        "freed memory: keep it for the next call, or leave it to the system",
    ),
    (
        "analysis-optimizations",
        "",
        "optimisations whose stages, layers, memory, batches and threads are measured, or all "
        f"(default: those that --perf-optimizations names, else {','.join(parse.ANALYSED)})",
    ),
    ("analysis-budget", f"{parse.ANALYSIS_BUDGET_S:g}", "seconds of timed rounds of each of those"),
    ("stages-sizes", "", f"model sizes whose stages are timed {_SMALLEST}"),
    ("memory-sizes", "", f"model sizes whose memory is seen, a process each {_SMALLEST}"),
    ("throughput-sizes", "", f"model sizes whose batches and threads are swept {_SMALLEST}"),
    ("batches", ",".join(map(str, parse.BATCHES)), "batches of the sweep"),
    ("thread-counts", "", "threads of the sweep (default: doubled from 1 to the usable cores)"),
    ("layers-sizes", "", f"model sizes whose layers are timed {_SMALLEST}"),
    ("accuracy-sizes", "", f"model sizes whose detections are judged {_SMALLEST}"),
    ("accuracy-pictures", str(parse.ACCURACY_PICTURES), "pictures that they are judged on, at most"),
    ("image-size", str(parse.IMAGE_SIZE), "side of the square input in pixels, a multiple of 32"),
    ("data", "", "folder with pictures and weights (default: $YOLO_PERF_DATA, else drawn pictures)"),
    ("rounds", "", "timed rounds of each case (default: as many as the budget holds, 3 to 50)"),
    ("budget", str(parse.BUDGET_S), "seconds of timed rounds of each case"),
    ("latency-margin", f"{parse.LATENCY_MARGIN * 100:.0f}", "latency may grow by this many per cent, noise aside"),
    ("utilization-margin", f"{parse.UTILIZATION_MARGIN * 100:.0f}", "and utilisation shrink by as much"),
    ("margins", "", "margins of single cases in per cent, as in n-onnx=5 or s-eager:utilization=20"),
    ("confirm", parse.CONFIRM[0], "how a suspected regression is confirmed: auto, fresh (no pairing) or off"),
    ("baselines", "baselines", "folder of saved baselines"),
)


def add_options(parser: pytest.Parser) -> None:
    """Every setting as --perf-<word> and as an ini value perf_<word>."""
    group = parser.getgroup("yolo-perf", "YOLOv5 CPU performance")
    for word, default, text in _SETTINGS:
        name = word.replace("-", "_")
        parser.addini(f"perf_{name}", text, default=default)
        shown = f" [{default}]" if default else ""
        group.addoption(f"--perf-{word}", metavar=word.upper(), default=None, help=text + shown)
    _add_flags(parser, group)


def _add_flags(parser: pytest.Parser, group: pytest.OptionGroup) -> None:
    """Options of a session that are no settings of what is measured. Long, as each says what it is for."""
    group.addoption(
        "--perf-beside",
        metavar="SAVED",
        default="",
        help="show this run beside a saved one: a file, a machine's name, or a reference such as ryzen-7-6800hs",
    )
    group.addoption(
        "--perf-against",
        metavar="SIDE",
        action="append",
        default=[],
        help="compare every collected benchmark with another side, in pairs of fresh processes: ref:main, "
        "path:FOLDER, python:INTERPRETER, env:NAME=VALUE; repeat it to combine them",
    )
    group.addoption(
        "--perf-against-json",
        metavar="FILE",
        default="",
        help="write the verdicts of --perf-against, with every round, as JSON: yolo-perf report reads it",
    )
    group.addoption(
        "--perf-pairs",
        metavar="PAIRS",
        type=int,
        default=None,
        help="pairs of the first look with --perf-against [6]",
    )
    parser.addini("perf_full", "sweep all that there is", type="bool", default=False)
    group.addoption(
        "--perf-full",
        action="store_true",
        help="sweep all that there is: "
        + " ".join(f"--perf-{_word(name)}={text}" for name, text in parse.FULL.items()),
    )
    parser.addini("perf_strict", "what is inconclusive or incomparable fails too", type="bool", default=False)
    group.addoption(
        "--perf-strict", action="store_true", help="what is inconclusive or incomparable fails the session too"
    )
    group.addoption("--perf-save", action="store_true", help="record this session as the machine's new baseline")
    group.addoption(
        "--perf-save-anyway",
        action="store_true",
        help="and record it even where other work ran on the same cores meanwhile",
    )
    group.addoption(
        "--perf-slow-down",
        metavar="CASE=FACTOR",
        default="",
        help="slow cases down on purpose, as in n-onnx=4, to see the gate catch it",
    )


def read_settings(config: pytest.Config) -> Settings:
    """Options first, then ini values, then defaults. Raises UsageError."""
    threads, rounds = setting_text(config, "threads"), setting_text(config, "rounds")
    sizes = parse.parse_sizes(setting_text(config, "sizes"))

    def analysed(name: str) -> tuple[str, ...]:
        return parse.parse_analysed(setting_text(config, name), sizes)

    data = setting_text(config, "data") or os.environ.get("YOLO_PERF_DATA", "")
    return Settings(
        sizes=sizes,
        optimizations=parse.parse_names(setting_text(config, "optimizations")),
        batch=parse.parse_count(setting_text(config, "batch"), "The batch", parse.MAX_BATCH),
        analysis_optimizations=parse.parse_names(setting_text(config, "analysis_optimizations")),
        analysis_budget_s=parse.parse_positive(
            setting_text(config, "analysis_budget"), "The time budget of an analysis in seconds"
        ),
        stages_sizes=analysed("stages_sizes"),
        memory_sizes=analysed("memory_sizes"),
        throughput_sizes=analysed("throughput_sizes"),
        batches=parse.parse_counts(setting_text(config, "batches"), "A batch", parse.MAX_BATCH),
        thread_counts=parse.parse_counts(setting_text(config, "thread_counts"), "A number of threads", 1024),
        layers_sizes=analysed("layers_sizes"),
        accuracy_sizes=analysed("accuracy_sizes"),
        accuracy_pictures=parse.parse_count(setting_text(config, "accuracy_pictures"), "The number of pictures"),
        threads=parse.parse_count(threads, "The number of threads") if threads else None,
        allocator=parse.parse_choice(setting_text(config, "allocator"), "The allocator", parse.ALLOCATORS),
        image_size=parse.parse_image_size(setting_text(config, "image_size")),
        data=Path(data) if data else None,
        rounds=parse.parse_count(rounds, "The number of rounds") if rounds else None,
        budget_s=parse.parse_positive(setting_text(config, "budget"), "The time budget in seconds"),
        latency_margin=parse.parse_margin(setting_text(config, "latency_margin"), "The latency margin"),
        utilization_margin=parse.parse_margin(
            setting_text(config, "utilization_margin"), "The utilisation margin"
        ),
        margins=parse.parse_margins(setting_text(config, "margins")),
        confirm=parse.parse_choice(setting_text(config, "confirm"), "The way to confirm", parse.CONFIRM),
        strict=bool(config.option.perf_strict or config.getini("perf_strict")),
        slow_down=parse.parse_slow_down(config.option.perf_slow_down),
    )


def setting_text(config: pytest.Config, name: str) -> str:
    """A setting's text: the option where it was given, else what a full session has, else the ini value."""
    option = getattr(config.option, f"perf_{name}")
    if option is None and name in parse.FULL and (config.option.perf_full or config.getini("perf_full")):
        return parse.FULL[name]
    return str(option if option is not None else config.getini(f"perf_{name}"))


def _word(name: str) -> str:
    return name.replace("_", "-")
