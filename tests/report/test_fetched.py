from dataclasses import replace
from pathlib import Path

from yolo_perf.pipeline.official import Fetched
from yolo_perf.report.fetched import fetched, fetched_rows

WEIGHTS = Fetched(
    name="yolov5n.pt", path=Path("/data/weights/yolov5n.pt"), bytes=4_062_133, sha256="4f" * 32, fresh=True
)
PICTURES = Fetched(name="coco128", path=Path("/data/coco128"), bytes=22 << 20, sha256="ab" * 32, fresh=True)


def test_what_was_fetched_and_how_to_use_it() -> None:
    there = replace(PICTURES, sha256=None, fresh=False)
    assert (
        fetched((WEIGHTS, PICTURES, there), Path("/data"))
        == """\
/data/weights/yolov5n.pt  3.87 MiB  fetched
  sha256 4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f
/data/coco128  22.00 MiB  fetched
  sha256 of its archive abababababababababababababababababababababababababababababababab
/data/coco128  22.00 MiB  there already, and sound

To use it: export YOLO_PERF_DATA=/data"""
    )


def test_a_folder_is_quoted_for_the_shell() -> None:
    assert fetched((), Path("/my data")).endswith("export YOLO_PERF_DATA='/my data'")


def test_rows_hold_bytes() -> None:
    assert fetched_rows([WEIGHTS]) == [
        {
            "name": "yolov5n.pt",
            "path": "/data/weights/yolov5n.pt",
            "bytes": 4_062_133,
            "sha256": "4f" * 32,
            "fresh": True,
        }
    ]
