"""Labels of pictures as YOLO keeps them: a text file a picture, a line a box, in shares of the picture."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yolo_perf import files
from yolo_perf.errors import DataError
from yolo_perf.pipeline.images import Dataset

log = logging.getLogger(__name__)

COLUMNS = 5
"""Class, centre x, centre y, width, height; the last four as shares of the picture's sides."""
MAX_BYTES = 1 << 20
"""More than ten thousand boxes on one picture are no labels."""
MOST_CLASSES = 5
"""That a message names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """The true boxes of a dataset's pictures, in its order."""

    rows: tuple[NDArray[np.float64], ...]  # (n, 5) each, as COLUMNS says
    digest: str

    @property
    def boxes(self) -> int:
        """Boxes on all pictures."""
        return sum(len(each) for each in self.rows)


def read_labels(dataset: Dataset, classes: int) -> Labels | None:
    """The labels of a dataset, None where it has none.

    They lie where YOLO puts them: `labels` for `images` in a picture's path, `.txt` for its suffix. A picture
    without such a file has no object; where most have none, that is said. Raises DataError for labels none of
    which is a picture's, for a line that is no box, and for classes that a model of so many `classes` cannot tell:
    they are numbered otherwise then, and what is found would be compared with other things.
    """
    folder = label_folder(dataset)
    if folder is None:
        return None
    files = {path.stem: path for path in sorted(folder.glob("*.txt"))}
    if not files:
        return None
    digest = hashlib.sha256()
    rows = []
    found = 0
    for picture in dataset.paths:
        path = files.get(picture.stem)
        text = _read(path) if path else ""
        found += path is not None
        digest.update(f"{picture.stem}\n{text}\n".encode())
        rows.append(_boxes(text, path or picture))
    if not found:
        raise DataError(
            f"None of the {len(files)} label files in {folder} belongs to a picture in {dataset.paths[0].parent}: "
            f"{dataset.paths[0].name} needs {dataset.paths[0].stem}.txt. Bring pictures and labels together, or "
            "take the labels away to measure agreement with eager only."
        )
    _check_classes(rows, dataset, files, classes)
    if 2 * found < len(rows):
        log.warning(
            "Only %d of %d pictures in %s have a label file. The others count as showing nothing, and what is "
            "found on them as wrong: take them away if they are just not labelled.",
            found,
            len(rows),
            dataset.paths[0].parent,
        )
    if found < len(files):
        log.warning("%d label files in %s have no picture: they are passed over.", len(files) - found, folder)
    return Labels(rows=tuple(rows), digest=digest.hexdigest()[:16])


def label_folder(dataset: Dataset) -> Path | None:
    """The folder of the dataset's labels where there is one."""
    if not dataset.paths:
        return None
    parts = list(dataset.paths[0].parent.parts)
    places = [index for index, part in enumerate(parts) if part == "images"]
    if not places:
        return None
    parts[places[-1]] = "labels"
    folder = Path(*parts)
    return folder if folder.is_dir() else None


def _read(path: Path) -> str:
    try:
        return files.read(path, MAX_BYTES).decode()
    except UnicodeDecodeError as error:
        raise DataError(f"Cannot read the labels {path}: {error}.") from error
    except OSError as error:
        raise DataError(f"Cannot read the labels {path}: {error.strerror or error}.") from error


def _check_classes(
    rows: Sequence[NDArray[np.float64]], dataset: Dataset, files: Mapping[str, Path], classes: int
) -> None:
    """Raise DataError where boxes are of classes that the model has not: which, how many, where the first is."""
    beyond = {
        picture.stem: boxes[boxes[:, 0] >= classes, 0]
        for picture, boxes in zip(dataset.paths, rows, strict=True)
        if (boxes[:, 0] >= classes).any()
    }
    if not beyond:
        return
    every = np.concatenate(list(beyond.values()))
    names = [f"{label:g}" for label in np.unique(every)]
    shown = ", ".join(names[:MOST_CLASSES]) + (", ..." if len(names) > MOST_CLASSES else "")
    raise DataError(
        f"{len(every)} of {sum(map(len, rows))} labelled boxes are of class {shown}, and the model knows classes "
        f"0 to {classes - 1} (first in {files[next(iter(beyond))]}). Labels and weights belong to different sets "
        "of classes: bring weights that were trained on these labels, or take the labels away to measure "
        "agreement with eager only."
    )


def _boxes(text: str, path: Path) -> NDArray[np.float64]:
    """(n, 5) boxes of a label file's text, each once."""
    rows = [
        _box(line.split(), f"{path}, line {number}")
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip()
    ]
    return np.unique(np.array(rows, np.float64).reshape(-1, COLUMNS), axis=0)


def _box(words: list[str], place: str) -> list[float]:
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = []
    if len(values) != COLUMNS:
        raise DataError(f"{place}: a box is 'class x y width height', got {' '.join(words)[:60]!r}.")
    label, *shares = values
    if not label.is_integer() or label < 0:
        raise DataError(f"{place}: class {words[0]}, and classes are numbered from 0.")
    if not all(0 <= share <= 1 for share in shares) or 0 in shares[2:]:
        raise DataError(f"{place}: centre and sides are shares of the picture, above 0 and up to 1.")
    return values
