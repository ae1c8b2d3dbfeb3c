"""One file from a server that fails in every way that was thought of."""

import errno
import json
import re
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pipeline.site import BODY, HALF, RUBBISH, TAG, Answer, Diary, Site, serve
from yolo_perf.errors import DownloadError
from yolo_perf.pipeline.download import discard, download, publish


def fetch(
    site: Site,
    part: Path,
    diary: Diary | None = None,
    *,
    tries: int = 5,
    timeout_s: float = 5,
    at_most: int = 1 << 20,
) -> Diary:
    diary = diary or Diary()
    download(
        f"{site.url}/file",
        part,
        at_most=at_most,
        watcher=diary,
        patience=diary.patience(tries, timeout_s=timeout_s),
    )
    return diary


def asked(site: Site) -> list[str | None]:
    return [headers.get("range") for headers in site.requests]


def test_a_file_arrives_whole_and_takes_its_name(site: Site, part: Path) -> None:
    diary = fetch(site, part)
    assert part.read_bytes() == BODY
    assert (diary.said, diary.pauses) == ([], [])
    assert diary.seen[0] == (0, 10240)
    assert diary.seen[-1] == (10240, 10240)
    publish(part, part.with_name("file"))
    assert [path.name for path in part.parent.iterdir()] == ["file"]
    assert part.with_name("file").read_bytes() == BODY


def test_a_broken_connection_is_gone_on_from_where_it_broke(site: Site, part: Path) -> None:
    site.answers = [HALF]
    diary = fetch(site, part)
    assert part.read_bytes() == BODY
    assert asked(site) == [None, "bytes=5120-"]
    assert site.requests[1]["if-range"] == TAG["ETag"]
    assert diary.pauses == [1]
    assert diary.said == ["the connection broke at 0.00 of 0.01 MiB: trying again in 1 s (1 of 4)"]


def test_the_next_run_goes_on_as_well(site: Site, part: Path) -> None:
    site.answers = [HALF]
    with pytest.raises(DownloadError, match=r"the connection broke at 0\.00 of 0\.01 MiB\.$"):
        fetch(site, part, tries=1)
    assert part.read_bytes() == BODY[:5120]
    fetch(site, part)
    assert part.read_bytes() == BODY
    assert asked(site) == [None, "bytes=5120-"]


def test_a_part_that_is_whole_is_not_asked_for(site: Site, part: Path) -> None:
    fetch(site, part)
    fetch(site, part)
    assert len(site.requests) == 1


def test_a_file_that_changed_is_begun_anew(site: Site, part: Path) -> None:
    site.answers = [HALF]
    site.files["/file"] = changed = b"changed" * 2000
    fetch(site, part)
    assert part.read_bytes() == changed
    assert len(site.requests) == 2  # If-Range: the whole file at once


@pytest.mark.parametrize(
    "headers",
    [
        {"ETag": '"another"', "Content-Range": "bytes 5120-10239/10240"},
        TAG | {"Content-Range": "bytes 5120-10240/10241"},
        TAG | {"Content-Range": "bytes 0-5119/10240"},
        TAG | {"Content-Range": "bytes 5120-"},
        TAG,
    ],
)
def test_a_part_of_something_else_is_not_joined_to_ours(site: Site, part: Path, headers: dict[str, str]) -> None:
    site.answers = [HALF, Answer(status=206, body=b"x" * 5120, headers=headers)]
    diary = fetch(site, part)
    assert part.read_bytes() == BODY
    assert asked(site) == [None, "bytes=5120-", None]
    assert "the file has changed on the server since it was begun" in diary.said[1]


def test_a_server_without_ranges_begins_anew(site: Site, part: Path) -> None:
    site.answers = [HALF]
    site.ranges = False
    fetch(site, part)
    assert part.read_bytes() == BODY


def test_without_a_validator_nothing_is_gone_on_with(site: Site, part: Path) -> None:
    site.answers = [Answer(body=BODY[:5120], length=len(BODY), headers={"ETag": 'W/"weak"'})]
    fetch(site, part)
    assert part.read_bytes() == BODY
    assert asked(site) == [None, None]


def test_the_date_of_change_serves_where_there_is_no_tag(site: Site, part: Path) -> None:
    date = {"Last-Modified": "Tue, 22 Nov 2022 16:24:12 GMT"}
    rest = Answer(status=206, body=BODY[5120:], headers=date | {"Content-Range": "bytes 5120-10239/*"})
    site.answers = [Answer(body=BODY[:5120], length=len(BODY), headers=date), rest]
    fetch(site, part)
    assert part.read_bytes() == BODY
    assert site.requests[1]["if-range"] == date["Last-Modified"]


def test_a_part_longer_than_the_file_is_begun_anew(site: Site, part: Path) -> None:
    site.answers = [Answer(body=BODY[:5120], length=len(BODY), headers=TAG), Answer(status=416)]
    fetch(site, part)
    assert part.read_bytes() == BODY
    assert asked(site) == [None, "bytes=5120-", None]


def test_a_part_of_another_address_is_begun_anew(site: Site, part: Path) -> None:
    site.answers = [HALF]
    with pytest.raises(DownloadError):
        fetch(site, part, tries=1)
    note = part.with_name("file.part.json")
    note.write_text(note.read_text().replace("/file", "/other"))
    fetch(site, part)
    assert part.read_bytes() == BODY
    assert asked(site) == [None, None]


@pytest.mark.parametrize(
    "note", [b"", b"{}", b"\xff", b"[" * 100_000, b'{"url": 1, "validator": null, "total": 1}']
)
def test_a_damaged_note_costs_the_part_and_nothing_else(site: Site, part: Path, note: bytes) -> None:
    part.write_bytes(b"rubbish")
    part.with_name("file.part.json").write_bytes(note)
    fetch(site, part)
    assert part.read_bytes() == BODY
    assert asked(site) == [None]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_passing_answers_are_asked_again(site: Site, part: Path, status: int) -> None:
    site.answers = [Answer(status=status), Answer(status=status)]
    diary = fetch(site, part)
    assert part.read_bytes() == BODY
    assert diary.pauses == [1, 2]
    assert f"the server answered {status} (" in diary.said[0]


def test_tries_are_bounded(site: Site, part: Path) -> None:
    site.answers = [Answer(status=503)] * 9
    diary = Diary()
    with pytest.raises(DownloadError) as caught:
        fetch(site, part, diary)
    assert (
        str(caught.value)
        == f"Cannot fetch {site.url}/file: the server answered 503 (Service Unavailable) (tried 5 times)."
    )
    assert diary.pauses == [1, 2, 4, 8]
    assert len(site.requests) == 5
    assert not part.exists()


@pytest.mark.parametrize("status", [401, 403, 404, 410, 418, 599, 204])
def test_lasting_answers_are_taken(site: Site, part: Path, status: int) -> None:
    site.answers = [Answer(status=status)]
    with pytest.raises(DownloadError, match=rf"the server answered {status}( \(|\.)"):
        fetch(site, part)
    assert len(site.requests) == 1


@pytest.mark.parametrize("sent", [b"", BODY[:5120]])
def test_a_silent_server_is_given_up(site: Site, part: Path, sent: bytes) -> None:
    site.answers = [Answer(body=sent, length=len(BODY), headers=TAG, stall=True)]
    diary = fetch(site, part, timeout_s=0.1)
    assert part.read_bytes() == BODY
    assert diary.said == ["the server was silent for 0.1 s: trying again in 1 s (1 of 4)"]
    assert asked(site)[1] == ("bytes=5120-" if sent else None)


def test_a_server_that_answers_nothing_at_all_is_given_up(part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        site = Site(port=deaf.getsockname()[1])
        with pytest.raises(DownloadError, match=r"silent for 0\.05 s \(tried 2 times\)\.$"):
            fetch(site, part, tries=2, timeout_s=0.05)


@pytest.mark.parametrize(
    "answer", [RUBBISH, Answer(raw=b""), Answer(raw=b"HTTP/1.1 200 OK\r\nX: " + b"x" * 99999)]
)
def test_what_does_not_speak_http(site: Site, part: Path, answer: Answer) -> None:
    site.answers = [answer]
    with pytest.raises(DownloadError) as caught:
        fetch(site, part, tries=1)
    assert re.search("no connection|what answers does not speak HTTP", str(caught.value))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("answer", [RUBBISH, Answer(raw=b"")])
def test_what_did_not_speak_http_for_once(site: Site, part: Path, answer: Answer) -> None:
    site.answers = [answer]
    fetch(site, part)
    assert part.read_bytes() == BODY


def test_chunks_that_break_off(site: Site, part: Path) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\nde"
    site.answers = [Answer(raw=chunked)]
    diary = fetch(site, part)
    assert part.read_bytes() == BODY
    assert "the connection broke" in diary.said[0]


def test_no_server_is_heard_of_at_once(part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        site = Site(port=closed.getsockname()[1])
    diary = Diary()
    with pytest.raises(DownloadError, match=r"no connection \(Connection refused\)\.$"):
        fetch(site, part, diary)
    assert diary.pauses == []


def test_an_unknown_name_is_heard_of_at_once(part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr("socket.getaddrinfo", unknown)
    diary = Diary()
    with pytest.raises(
        DownloadError, match=r"the server's name is not known here \(Name or service not known\)\.$"
    ):
        fetch(Site(port=80), part, diary)
    assert diary.pauses == []


def test_a_network_that_is_lost_on_the_way_is_waited_for(
    site: Site, part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.answers = [HALF]
    connect, calls = socket.create_connection, iter([False, True, True, False])

    def wavering(*arguments: object, **named: object) -> socket.socket:
        if next(calls):
            raise OSError(errno.ENETUNREACH, "Network is unreachable")
        return connect(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("socket.create_connection", wavering)
    diary = fetch(site, part)
    assert part.read_bytes() == BODY
    assert diary.pauses == [1, 2, 4]
    assert "no connection (Network is unreachable)" in diary.said[1]
    assert asked(site) == [None, "bytes=5120-"]


def test_a_full_disk_is_an_error_of_the_disk(site: Site, part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("yolo_perf.pipeline.download._write", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        fetch(site, part)
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize("known", [False, True])
def test_a_link_that_lies_in_the_place_of_a_part_is_not_followed(site: Site, part: Path, known: bool) -> None:
    victim = part.parent / "victim"
    victim.write_bytes(BODY[: len(BODY) // 2])
    part.symlink_to(victim)
    note = part.with_name(f"{part.name}.json")
    if known:
        noted = {"url": f"{site.url}/file", "validator": TAG["ETag"], "total": len(BODY)}
        note.write_text(json.dumps(noted))
    else:
        note.symlink_to(victim)
    fetch(site, part)
    assert part.read_bytes() == BODY
    assert victim.read_bytes() == BODY[: len(BODY) // 2]


def test_an_interruption_keeps_what_has_arrived(site: Site, part: Path) -> None:
    class Impatient(Diary):
        def at(self, have: int, total: int | None) -> None:
            if have:
                raise KeyboardInterrupt

    site.answers = [HALF]
    with pytest.raises(KeyboardInterrupt):
        fetch(site, part, Impatient())
    assert part.read_bytes() == BODY[: part.stat().st_size]
    assert part.stat().st_size
    fetch(site, part)
    assert part.read_bytes() == BODY
    assert asked(site)[1] is not None


def test_what_is_discarded_leaves_nothing(site: Site, part: Path) -> None:
    fetch(site, part)
    discard(part)
    discard(part)
    assert list(part.parent.iterdir()) == []


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 300), max_size=4), ranges=st.booleans(), tagged=st.booleans())
def test_wherever_it_breaks_the_file_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], ranges: bool, tagged: bool
) -> None:
    """Each try ends after so many bytes, with or without ranges and validators; the fifth is honest."""
    body = bytes(range(256)) + b"the end" * 10
    part = tmp_path_factory.mktemp("fetch") / "file.part"
    with pytest.MonkeyPatch.context() as patch, serve() as site:
        patch.setenv("no_proxy", "127.0.0.1")
        site.files["/file"], site.ranges = body, ranges
        honest = site.honest

        def breaking(path: str, headers: dict[str, str]) -> Answer:
            answer = honest(path, headers)
            cut = cuts.pop(0) if cuts else len(body)
            headers = answer.headers if tagged else {k: v for k, v in answer.headers.items() if k != "ETag"}
            return Answer(status=answer.status, body=answer.body[:cut], length=len(answer.body), headers=headers)

        patch.setattr(site, "honest", breaking)
        fetch(site, part)
    assert part.read_bytes() == body
