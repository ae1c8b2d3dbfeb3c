"""What a server sends that is no file: lies about its length, floods, redirections to elsewhere."""

import http.client
import io
import re
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request

import pytest

from tests.pipeline.site import BODY, HALF, TAG, Answer, Site
from tests.pipeline.test_download import asked, fetch
from yolo_perf.errors import DownloadError
from yolo_perf.pipeline.download import _Redirections


@pytest.mark.parametrize("ends", [0, 1, 5119, 10239])
def test_a_length_that_is_a_lie_is_no_file(site: Site, part: Path, ends: int) -> None:
    site.answers = [Answer(body=BODY[:ends], length=len(BODY), headers=TAG)] * 5
    site.ranges = False
    with pytest.raises(DownloadError, match=r"the connection broke at .* MiB \(tried 5 times\)\.$"):
        fetch(site, part)
    assert part.stat().st_size == ends


def test_more_than_promised_is_not_taken(site: Site, part: Path) -> None:
    site.answers = [HALF, Answer(status=206, body=BODY, headers=TAG | {"Content-Range": "bytes 5120-10239/10240"})]
    with pytest.raises(DownloadError, match=r"it is larger than 0\.01 MiB, so it is another file\.$"):
        fetch(site, part)
    assert list(part.parent.iterdir()) == []


@pytest.mark.parametrize("length", [None, -1, 10])
def test_a_flood_is_stopped(site: Site, part: Path, length: int | None) -> None:
    site.answers = [Answer(body=BODY, length=length)]
    if length == 10:  # as many as promised, whatever follows
        fetch(site, part, at_most=1000)
        assert part.read_bytes() == BODY[:10]
        return
    with pytest.raises(DownloadError, match=r"it is larger than 0\.00 MiB"):
        fetch(site, part, at_most=1000)
    assert list(part.parent.iterdir()) == []


def test_a_length_that_is_not_told(site: Site, part: Path) -> None:
    site.answers = [Answer(body=BODY, length=-1)]
    diary = fetch(site, part)
    assert part.read_bytes() == BODY
    assert diary.seen[-1] == (10240, None)


def test_redirections_keep_the_range(site: Site, part: Path) -> None:
    to = Answer(status=302, headers={"Location": "/elsewhere"})
    site.files["/elsewhere"] = BODY
    site.answers = [to, HALF, to]
    fetch(site, part)
    assert part.read_bytes() == BODY
    assert asked(site) == [None, None, "bytes=5120-", "bytes=5120-"]


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/file",
        "data:,hello",
        "gopher://x/",
        "/file",
        "http://[::1",
        "http://a:b/",
        f"http://{'a' * 70}/",
        "//",
    ],
)
def test_redirections_to_elsewhere_are_not_followed(site: Site, part: Path, location: str) -> None:
    site.answers = [Answer(status=302, headers={"Location": location})] * 50
    with pytest.raises(DownloadError) as caught:
        fetch(site, part, tries=1)
    message = str(caught.value)
    assert message.isprintable()
    assert re.search("redirected to an address that is not followed|is no address|no connection", message)
    assert not part.exists()


def test_https_does_not_become_http() -> None:
    request = Request("https://a.example/file", headers={"Range": "bytes=1-"})
    found = follow(request, "https://b.example/file")
    assert found is not None
    assert (found.host, found.get_header("Range")) == ("b.example", "bytes=1-")
    with pytest.raises(HTTPError) as caught:
        follow(request, "http://b.example/file")
    caught.value.close()


def follow(request: Request, url: str) -> Request | None:
    return _Redirections().redirect_request(request, io.BytesIO(), 302, "", http.client.HTTPMessage(), url)
