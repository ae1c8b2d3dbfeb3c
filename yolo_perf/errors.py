"""The few exceptions that cross modules. Their text is for the user: what, where, what next."""

from yolo_perf import escape


class YoloPerfError(Exception):
    """Base of everything that is the user's to mend. Doors print its text, without a traceback."""

    def __str__(self) -> str:
        """One printable line, whatever names it holds: no door has to think of it."""
        return escape.line(" ".join(super().__str__().splitlines()))


class UsageError(YoloPerfError):
    """An option or setting cannot be meant as it stands."""


class CheckpointError(YoloPerfError):
    """A checkpoint cannot be read, or is not of the architecture asked for. Names file and key."""


class DataError(YoloPerfError):
    """An image, a label or a data folder cannot be used. Names the path."""


class DownloadError(YoloPerfError):
    """A file cannot be fetched, or is not the one expected. Names its address."""


class BackendUnavailable(YoloPerfError):  # noqa: N818 - a state of this machine, not a mistake
    """This machine or environment lacks what a backend needs. Says what would bring it."""


class NotEnoughMemory(YoloPerfError):  # noqa: N818 - a state of this machine, not a mistake
    """A model does not fit into the memory that is free. Says how much it would take."""


class ParityError(YoloPerfError):
    """A backend's output does not agree with eager's, so its speed means nothing."""


class BaselineError(YoloPerfError):
    """A saved run cannot be read or written. Names the file."""
