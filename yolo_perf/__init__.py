"""yolo-perf: a performance regression suite for YOLOv5 inference on CPUs."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("yolo-perf")
except PackageNotFoundError:  # the source tree is on the path without being installed
    __version__ = "0.0.0+uninstalled"
