"""One file over HTTP into a `.part` beside its place, gone on with where an earlier try broke off.

What has arrived is gone on with only where the server vouches that the file is still the same: its ETag or date of
change is noted beside the part and asked for with the rest (RFC 9110, If-Range).
"""

import http.client
import itertools
import os
import re
import socket
import stat
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import urlsplit

import msgspec

from yolo_perf import __version__, files
from yolo_perf.errors import DownloadError
from yolo_perf.units import mebibytes

CHUNK = 1 << 18
PASSING = (408, 425, 429, 500, 502, 503, 504)
"""Answers that may be another one a little later."""

_HEADERS = {"User-Agent": f"yolo-perf/{__version__}", "Accept-Encoding": "identity"}
_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")
_DAMAGE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_NO_HTTP = "is redirected to an address that is not followed (only https, and http from http)"


class Watcher(Protocol):
    """Who is told how far a download is."""

    def begin(self, name: str, url: str) -> None:
        """A download begins."""

    def at(self, have: int, total: int | None) -> None:
        """So many bytes have arrived, of so many where the server said."""

    def say(self, text: str) -> None:
        """Something to know happened: a try failed, another fetch is waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a silent server is waited for, and how often and after what pause it is asked again."""

    timeout_s: float = 30
    tries: int = 5
    wait_s: float = 1  # before the second try, and twice as long before every further one
    sleep: Callable[[float], None] = time.sleep


class _PassingError(Exception):
    """Something that may be gone at the next try, in words."""


class _UnreachableError(_PassingError):
    """No connection came about. Passing only where one had come about before."""


class _Note(msgspec.Struct, frozen=True):
    """What a part is a part of."""

    url: str
    validator: str | None
    total: int | None


def download(url: str, part: Path, *, at_most: int, watcher: Watcher, patience: Patience) -> None:
    """Bring all of what `url` holds into the file `part`.

    Raises DownloadError where the server does not give it, or gives more than `at_most` bytes, and OSError where
    the disk does not take it. What has arrived stays in `part`, but for what is too large.
    """
    transfer = _Transfer(
        opener=_opener(), url=url, part=part, at_most=at_most, watcher=watcher, timeout_s=patience.timeout_s
    )
    pause = patience.wait_s
    for attempt in itertools.count(1):
        try:
            transfer.run()
            break
        except _PassingError as fault:
            # A machine without a network should say so at once; one that loses it for a while should not give up.
            if attempt >= patience.tries or (attempt == 1 and isinstance(fault, _UnreachableError)):
                tries = f" (tried {attempt} times)" if attempt > 1 else ""
                raise DownloadError(f"Cannot fetch {url}: {fault}{tries}.") from fault
            watcher.say(f"{fault}: trying again in {pause:g} s ({attempt} of {patience.tries - 1})")
        patience.sleep(pause)
        pause *= 2


def discard(part: Path) -> None:
    """Forget what has arrived."""
    part.unlink(missing_ok=True)
    _note_path(part).unlink(missing_ok=True)


def publish(part: Path, path: Path) -> None:
    """Give a whole download its final name, in one step and after its bytes are on the disk."""
    with part.open("rb+") as stream:
        os.fsync(stream.fileno())
    part.replace(path)
    _note_path(part).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Transfer:
    """What is fetched, whereto; each `run` is one try."""

    opener: urllib.request.OpenerDirector
    url: str
    part: Path
    at_most: int
    watcher: Watcher
    timeout_s: float

    def run(self) -> None:
        """Ask for what is missing of the part and write it. Raises _PassingError, DownloadError, OSError."""
        note, have = _resumable(self.part, self.url)
        if note and have == note.total:
            self.watcher.at(have, have)
            return
        headers = dict(_HEADERS)
        if note and note.validator:
            headers |= {"Range": f"bytes={have}-", "If-Range": note.validator}
        with self._ask(headers) as response:
            if response.status == HTTPStatus.OK:  # the whole file, whatever was asked for
                have, note = 0, _Note(url=self.url, validator=_validator(response), total=response.length)
                discard(self.part)  # a link that lies there is not followed
                files.write(self.part, b"")
                files.write(_note_path(self.part), msgspec.json.encode(note))
            elif note is None or not _goes_on(response, note, have):
                raise self._changed()
            if max(have, note.total or 0) > self.at_most:
                raise self._too_large(self.at_most)
            have = self._receive(response, have, note.total)
        if note.total is not None and have < note.total:
            raise _PassingError(f"the connection broke at {mebibytes(have)} of {mebibytes(note.total)} MiB")

    def _receive(self, response: http.client.HTTPResponse, have: int, total: int | None) -> int:
        """Bytes in the part when all that the answer holds is appended."""
        limit = self.at_most if total is None else total
        with self.part.open("ab", buffering=0) as stream:  # unbuffered: what is counted is in the file
            self.watcher.at(have, total)
            while chunk := self._read(response):
                have += len(chunk)
                if have > limit:
                    raise self._too_large(limit)
                _write(stream, chunk)
                self.watcher.at(have, total)
        return have

    def _changed(self) -> _PassingError:
        discard(self.part)
        return _PassingError("the file has changed on the server since it was begun")

    def _too_large(self, limit: int) -> DownloadError:
        discard(self.part)
        return DownloadError(
            f"Cannot fetch {self.url}: it is larger than {mebibytes(limit)} MiB, so it is another file."
        )

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        """What arrives next, b"" at the end."""
        try:
            return response.read1(CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _PassingError(_reason(error, self.timeout_s)) from error

    def _ask(self, headers: dict[str, str]) -> http.client.HTTPResponse:
        """The answer, its body unread: the whole file or a part."""
        request = urllib.request.Request(self.url, headers=headers)  # noqa: S310 - the opener knows HTTP(S) only
        try:
            response: http.client.HTTPResponse = self.opener.open(request, timeout=self.timeout_s)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise self._changed() from error
            if error.code in PASSING:
                raise _PassingError(f"the server answered {_status(error.code)}") from error
            what = f"it {_NO_HTTP}" if 300 <= error.code < 400 else f"the server answered {_status(error.code)}"
            raise DownloadError(f"Cannot fetch {self.url}: {what}.") from error
        except urllib.error.URLError as error:  # before anything was sent
            raise _UnreachableError(_reason(error.reason, self.timeout_s)) from error
        except (ValueError, http.client.InvalidURL) as error:  # a port, brackets, a host name that can be none
            raise DownloadError(
                f"Cannot fetch {self.url}: that, or what it is redirected to, is no address."
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise _PassingError(_reason(error, self.timeout_s)) from error
        if response.status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            response.close()
            raise DownloadError(f"Cannot fetch {self.url}: the server answered {_status(response.status)}.")
        return response


def _write(stream: IO[bytes], chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[stream.write(rest) :]


class _Redirections(urllib.request.HTTPRedirectHandler):
    """Followed to https, and to http where that is what was asked for. Range and If-Range go along."""

    def redirect_request(  # noqa: PLR0917 - urllib's signature
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """The request of the new address."""
        scheme = urlsplit(newurl).scheme
        if scheme == "https" or scheme == req.type == "http":
            return super().redirect_request(req, fp, code, msg, headers, newurl)
        raise urllib.error.HTTPError(req.full_url, code, msg, headers, fp)

    def http_error_302(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage
    ) -> object:
        """The answer of the new address; the connection to the old one does not stay open where that is none."""
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except ValueError:
            fp.close()
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _opener() -> urllib.request.OpenerDirector:
    """HTTP(S) and the environment's proxies, and none of the files, FTP and data that urllib opens by default."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
        _Redirections(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _resumable(part: Path, url: str) -> tuple[_Note | None, int]:
    """What `part` is known to be a part of, and its bytes; None and 0 where it is to be begun anew."""
    try:
        note = msgspec.json.decode(files.read(_note_path(part)), type=_Note)
        found = part.lstat()
        have = found.st_size if stat.S_ISREG(found.st_mode) else 0  # another's file would be gone on with
    except (OSError, *_DAMAGE):
        return None, 0
    return (note, have) if have and note.url == url else (None, 0)


def _goes_on(response: http.client.HTTPResponse, note: _Note, have: int) -> bool:
    """Whether a partial answer begins where the part ends, and is of the same file."""
    found = re.fullmatch(
        r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)", response.headers["Content-Range"] or ""
    )
    if found is None or int(found[1]) != have:
        return False
    same_size = found[2] == "*" or note.total in (None, int(found[2]))
    return same_size and _validator(response) in (None, note.validator)


def _validator(response: http.client.HTTPResponse) -> str | None:
    """What tells this state of the file from another: a strong ETag, else the date of its change."""
    tag: str | None = response.headers["ETag"]
    if tag and tag.startswith('"'):
        return tag
    date: str | None = response.headers["Last-Modified"]
    return date


def _note_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _status(code: int) -> str:
    # The server's own words are not shown: they could be anything, control characters included.
    known = {each.value: each.phrase for each in HTTPStatus}
    return f"{code} ({known[code]})" if code in known else str(code)


def _reason(error: object, timeout_s: float) -> str:
    """Why a connection failed, in words."""
    if isinstance(error, TimeoutError):
        return f"the server was silent for {timeout_s:g} s"
    if isinstance(error, socket.gaierror):
        return f"the server's name is not known here ({error.strerror})"
    if isinstance(error, OSError):
        words = str(error.strerror or error)
        return f"no connection ({words})" if words.isprintable() else "no connection"
    return "the connection broke, or what answers does not speak HTTP"
