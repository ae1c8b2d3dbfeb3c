"""Versions of what is imported, whichever package brought it: several bring one module, and overwrite each other.

Standard library alone, and nothing is imported where the packages' metadata can tell.
"""

import functools
import importlib
import importlib.util
from importlib import metadata

PROVIDERS = {
    "cv2": (
        "opencv-python-headless",
        "opencv-python",
        "opencv-contrib-python-headless",
        "opencv-contrib-python",
    ),
    "onnxruntime": (
        "onnxruntime",
        "onnxruntime-openvino",
        "onnxruntime-gpu",
        "onnxruntime-directml",
        "onnxruntime-qnn",
        "onnxruntime-training",
        "ort-nightly",
    ),
    "openvino": ("openvino", "openvino-nightly"),
    "pytest_benchmark": ("pytest-benchmark",),
}
"""Packages that bring a module; the one that this suite asks for stands first."""


@functools.cache
def version(module: str) -> str:
    """The version of what `import module` gives, with its package where that is not the usual; "" without one."""
    if importlib.util.find_spec(module) is None:
        return ""
    usual, *others = PROVIDERS.get(module, (module,))
    found = {name: text for name in (usual, *others) if (text := _installed(name))}
    if len(found) == 1:
        ((name, text),) = found.items()
        return text if name == usual else f"{text} ({name})"
    return str(getattr(importlib.import_module(module), "__version__", "unknown"))


def _installed(package: str) -> str:
    try:
        return metadata.version(package) or ""
    except metadata.PackageNotFoundError:
        return ""
