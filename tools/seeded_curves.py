"""How far BF16's rounding is from the signal after every layer, with seeded and with official weights.

    YOLO_PERF_DATA=FOLDER python tools/seeded_curves.py [NAME]

Prints the curves, keeps them in `docs/seeded.csv` (the seeded ones as NAME, "seeded" by default) and draws all
that are there into `docs/seeded.svg`. The folder holds pictures and `weights/yolov5n.pt`. Any CPU does: one
without BF16 rounds to the same format, only slowly.
"""

import csv
import os
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from yolo_perf.analysis.parity import sqnr_db
from yolo_perf.backends import eager_bf16
from yolo_perf.backends.subject import prepare_subject
from yolo_perf.pipeline.images import open_dataset, synthetic
from yolo_perf.pipeline.letterbox import letterbox
from yolo_perf.records import Case
from yolo_perf.yolov5.model import YoloV5
from yolo_perf.yolov5.sizes import SIZES

DOCS = Path(__file__).parents[1] / "docs"
TABLE, CHART = DOCS / "seeded.csv", DOCS / "seeded.svg"
SIDE, PICTURES = 640, 2  # pixels; pictures of each kind
COLOURS = {"n": "#1f77b4", "s": "#2ca02c", "m": "#e08000", "l": "#9467bd", "x": "#d62728"}
DASHES = {"official": "7 3", "before": "2 3"}
WIDTH, HEIGHT, LEFT, TOP, RIGHT = 800, 420, 50, 20, 130
MOST_DB = 60

Curves = dict[tuple[str, str], tuple[float, ...]]
"""By name and size: the SQNR in dB of the output of layers 0 to 23."""


def main() -> None:
    """Measure official n and the five seeded sizes; print, keep and draw them."""
    name = sys.argv[1] if len(sys.argv) > 1 else "seeded"
    data = Path(os.environ["YOLO_PERF_DATA"])
    pictures = [
        torch.from_numpy(letterbox(dataset.load(index), SIDE)[0])[None]
        for dataset in (open_dataset(data), synthetic())
        for index in range(PICTURES)
    ]
    curves = read()
    curves["official", "n"] = curve("n", data, pictures)
    for size in SIZES:
        curves[name, size] = curve(size, None, pictures)
        print(f"{name} {size}", *(f"{value:.0f}" for value in curves[name, size]), flush=True)
    print("official n", *(f"{value:.0f}" for value in curves["official", "n"]))
    with TABLE.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(("weights", "size", *range(len(curves["official", "n"]))))
        rows.writerows((*key, *(f"{value:.1f}" for value in values)) for key, values in sorted(curves.items()))
    CHART.write_text(chart(curves), encoding="utf-8")


def read() -> Curves:
    """The curves that are kept; none where there is no file."""
    if not TABLE.exists():
        return {}
    with TABLE.open(newline="", encoding="utf-8") as stream:
        _, *rows = csv.reader(stream)
    return {(name, size): tuple(map(float, values)) for name, size, *values in rows}


def curve(size: str, data: Path | None, pictures: list[Tensor]) -> tuple[float, ...]:
    """Of every layer before the head, the mean over pictures of its output's SQNR in dB."""
    subject = prepare_subject(size, data, synthetic(), SIDE)
    case = Case(size=size, backend="eager-bf16", batch=1, image_size=SIDE, threads=torch.get_num_threads())
    rounded = eager_bf16.module(subject, case)
    assert isinstance(rounded, YoloV5)
    pairs = [(outputs(subject.model, x), outputs(rounded, x)) for x in pictures]
    found = torch.tensor(
        [[sqnr_db(a.numpy(), b.float().numpy()) for a, b in zip(*pair, strict=True)] for pair in pairs]
    )
    return tuple(found.mean(0).tolist())


def outputs(model: YoloV5, picture: Tensor) -> list[Tensor]:
    """What every layer before the head gives for a picture."""
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        kept.append(output)

    hooks = [layer.register_forward_hook(keep) for layer in list(model.model)[:-1]]
    with torch.inference_mode():
        model(picture)
    for hook in hooks:
        hook.remove()
    return kept


def chart(curves: Curves) -> str:
    """The curves as an SVG: layers to the right, dB upwards."""
    count = max(map(len, curves.values()))

    def at(layer: float, db: float) -> tuple[float, float]:
        return LEFT + layer * (WIDTH - LEFT - RIGHT) / (count - 1), HEIGHT - 50 - db * (
            HEIGHT - 50 - TOP
        ) / MOST_DB

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    ]
    for db in range(0, MOST_DB + 1, 10):
        (x, y), (end, _) = at(0, db), at(count - 1, db)
        parts.append(f'<path d="M{x} {y:.1f}H{end:.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{x - 8}" y="{y + 4:.1f}" text-anchor="end">{db}</text>')
    for layer in range(0, count, 2):
        x, y = at(layer, 0)
        parts.append(f'<text x="{x:.1f}" y="{y + 18:.1f}" text-anchor="middle">{layer}</text>')
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 10}">layer; SQNR of its output under BF16 rounding, dB</text>')
    for index, ((name, size), values) in enumerate(curves.items()):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(i, min(v, MOST_DB)) for i, v in enumerate(values)))
        style = f'stroke="{"black" if name == "official" else COLOURS[size]}" fill="none" stroke-width="2"'
        style += f' stroke-dasharray="{DASHES[name]}"' if name in DASHES else ""
        y = TOP + 20 * index + 10
        parts.append(f'<polyline points="{points}" {style}/>')
        parts.append(f'<path d="M{WIDTH - RIGHT + 15} {y}h24" {style}/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 44}" y="{y + 4}">{name} {size}</text>')
    return "\n".join((*parts, "</svg>\n"))


if __name__ == "__main__":
    main()
