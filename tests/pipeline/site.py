"""A web server on the loopback that is honest, or fails in the way that a test asks for."""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from yolo_perf.pipeline.download import Patience


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is sent instead of the honest answer; `length` is the Content-Length, -1 for none."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    raw: bytes | None = None  # instead of all that
    stall: bool = False  # after the body nothing more comes, and the connection stays


@dataclass
class Site:
    """Files by path, answers to be given before honest ones, and the headers of all requests."""

    files: dict[str, bytes] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    requests: list[dict[str, str]] = field(default_factory=list)
    ranges: bool = True
    release: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def honest(self, path: str, headers: dict[str, str]) -> Answer:
        body = self.files.get(path)
        if body is None:
            return Answer(status=404)
        tag = {"ETag": f'"{hash(body)}"'}
        span = headers.get("range")
        if not self.ranges or span is None or headers.get("if-range") != tag["ETag"]:
            return Answer(body=body, headers=tag)
        start = int(span.removeprefix("bytes=").removesuffix("-"))
        if start >= len(body):
            return Answer(status=416, headers={"Content-Range": f"bytes */{len(body)}"})
        place = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
        return Answer(status=206, body=body[start:], headers=tag | place)


RUBBISH = Answer(raw=b"\x1b[31mSSH-2.0-rubbish\r\n")


@contextlib.contextmanager
def serve() -> Iterator[Site]:
    """A site while it lasts."""
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            site.requests.append(headers)
            answer = site.answers.pop(0) if site.answers else site.honest(self.path, headers)
            if answer.raw is not None:
                self.wfile.write(answer.raw)
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.length != -1:
                self.send_header(
                    "Content-Length", str(len(answer.body) if answer.length is None else answer.length)
                )
            self.end_headers()
            with contextlib.suppress(OSError):  # a client may have left
                self.wfile.write(answer.body)
                self.wfile.flush()
                if answer.stall:
                    site.release.wait(10)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False  # they are joined at the end
    site.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        site.release.set()
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Diary:
    """A watcher that remembers, and pauses that do not pass."""

    said: list[str] = field(default_factory=list)
    seen: list[tuple[int, int | None]] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    def begin(self, name: str, url: str) -> None:
        self.begun.append(name)

    def at(self, have: int, total: int | None) -> None:
        self.seen.append((have, total))

    def say(self, text: str) -> None:
        self.said.append(text)

    def patience(self, tries: int = 5, timeout_s: float = 5) -> Patience:
        return Patience(timeout_s=timeout_s, tries=tries, sleep=self.pauses.append)


BODY = bytes(range(256)) * 40  # 10240 bytes
TAG = {"ETag": f'"{hash(BODY)}"'}
HALF = Answer(body=BODY[:5120], length=len(BODY), headers=TAG)
