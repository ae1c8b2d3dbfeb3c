"""The comment on a pull request: hostile artefacts, and a played `gh` that knows one repository."""

import contextlib
import io
import json
import tracemalloc
import zipfile
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.report.test_paired import outcome, result
from tools import pr_comment
from tools.pr_comment import ArtefactError, Case, Found, comment, read_document, read_event, unpack
from yolo_perf.report.paired import document

SHA = "0123456789abcdef0123456789abcdef01234567"
URL = "https://example.invalid/actions/runs/7"
EVENT = {
    "repository": {"full_name": "us/yolo-perf"},
    "workflow_run": {
        "id": 7,
        "html_url": URL,
        "run_started_at": "2026-11-24T10:00:00Z",
        "conclusion": "failure",
        "head_sha": SHA,
        "head_branch": "a branch",
        "head_repository": {"full_name": "them/fork"},
    },
}
RUN = read_event(EVENT)
REAL = json.dumps(document(result())).encode()


def zipped(content: bytes, name: str = "ab.json", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as files:
        files.writestr(name, content)
    return stream.getvalue()


# What the artefact holds

COMMENT = f"""\
<!-- yolo-perf gate -->
### Performance gate did not pass

| case | change % | interval % | verdict |
| --- | ---: | ---: | --- |
| n-onnx | +5.0 | +4.0..+6.2 | **regressed** |
| n-warp | - | - | **missing** |
| n-batched p90 | +5.0 | +4.0..+6.2 | improved |
| n-onnx-int8 | - | - | new |
| n-batched | +0.1 | ?..? | inconclusive |
| n-eager | +0.0 | -1.0..+1.0 | unchanged |
| (suite) | +5.0 | +4.0..+6.2 | unchanged |

Measured in 1.5 min, by the pull request's own run.

Commit 0123456789. [Log, summary and reports]({URL})"""


def test_the_comment_of_a_real_comparison() -> None:
    assert comment(RUN, read_document(REAL)) == COMMENT


def test_an_unfair_host_and_a_partial_measurement_are_said() -> None:
    partial = document(result(outcome=outcome(complete=False, invalid_controls=("(fma)",), decisions=())))
    partial["yolo_perf_ab"]["decisions"] = []
    text = comment(RUN, read_document(json.dumps(partial).encode()))
    assert "No case was measured." in text
    assert "The host was not fair: (fma) differ between the sides" in text
    assert "Not all of it was measured." in text


def test_whether_it_passed_is_githubs_word() -> None:
    assert "### Performance gate did not pass\n\nNo comparison was made of this commit." in comment(RUN, None)
    assert "### Performance gate ran out of time\n" in comment(replace(RUN, conclusion="timed_out"), None)
    assert "### Performance gate had nothing to compare\n" in comment(replace(RUN, conclusion="success"), None)


@pytest.mark.parametrize(
    ("verdicts", "headline"),
    [
        (("unchanged", "improved"), "passed"),
        (("unchanged", "inconclusive", "incomparable"), "found nothing slower, 2 of 3 undecided"),
        (("inconclusive",), "decided nothing"),
        ((), "decided nothing"),
    ],
)
def test_what_was_not_decided_did_not_pass(verdicts: tuple[str, ...], headline: str) -> None:
    cases = tuple(Case(label="n-onnx", verdict=verdict, change=None) for verdict in verdicts)
    found = Found(cases=cases, unfair=(), seconds=60.0, complete=True)
    assert f"### Performance gate {headline}\n" in comment(replace(RUN, conclusion="success"), found)


def changed(**changes: Any) -> bytes:
    plain = document(result())["yolo_perf_ab"]
    decision, others = plain["decisions"][0], plain["decisions"][1:]
    top = {name: changes.pop(name) for name in list(changes) if name in plain}
    plain["decisions"] = [{**decision, **changes}, *others]
    return json.dumps({"yolo_perf_ab": {**plain, **top}}).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"yolo_perf_ab": null}',
        b'{"yolo_perf_ab": {"seconds": ' + b"9" * 5000 + b"}}",
        changed(label="n-onnx | [click](https://evil.invalid)"),
        changed(label="@everyone"),
        changed(label="n-onnx\n# Approved"),
        changed(label="n-onnx\n"),
        changed(label="n-" + "x" * 1000),
        changed(label=["n-onnx"]),
        changed(verdict="approved by the maintainers"),
        changed(verdict={}),
        changed(ratio={"point": "1.0", "low": 1, "high": 1}),
        changed(ratio={"point": True, "low": 1, "high": 1}),
        changed(ratio={"point": float("nan"), "low": 1, "high": 1}),
        changed(ratio={"point": float("inf"), "low": 1, "high": 1}),
        changed(ratio={"point": 1e300, "low": 1, "high": 1}),
        changed(ratio={"point": -1, "low": 1, "high": 1}),
        changed(ratio={"point": 1}),
        changed(ratio=[1, 2, 3]),
        changed(seconds="<img src=x>"),
        changed(seconds=None),
        changed(invalid_controls=["(fma) <b>"]),
        changed(invalid_controls="(fma)"),
        changed(decisions=[{}] * 101),
        changed(decisions={"a": 1}),
    ],
)
def test_a_hostile_document_is_refused_in_our_own_words(content: bytes) -> None:
    with pytest.raises(ArtefactError) as raised:
        read_document(content)
    assert str(raised.value) in (
        "ab.json is no comparison of yolo-perf's.",
        "ab.json holds more cases than there are.",
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=50)
@given(label=JSON, verdict=JSON, ratio=JSON, seconds=JSON, controls=JSON, complete=JSON)
def test_no_text_of_an_artefact_comes_through(
    label: Any, verdict: Any, ratio: Any, seconds: Any, controls: Any, complete: Any
) -> None:
    case = {"label": label, "verdict": verdict, "ratio": ratio}
    plain = {"decisions": [case], "invalid_controls": controls, "seconds": seconds, "complete": complete}
    try:
        found = read_document(json.dumps({"yolo_perf_ab": plain}).encode())
    except ArtefactError:
        return
    assert found.cases[0].label == label
    assert pr_comment.LABEL.fullmatch(label)


def test_an_archive_is_read_no_further_than_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert unpack(zipped(REAL)) == REAL
    monkeypatch.setattr(pr_comment, "MAX_DOCUMENT", 1000)
    bomb = zipped(b"0" * 50_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(ArtefactError, match="larger than"):
            unpack(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


@pytest.mark.parametrize(
    "archive",
    [
        b"",
        b"PK\x03\x04 no more",
        zipped(b"{}", "../ab.json"),
        zipped(REAL)[:-30],
        zipped(REAL).replace(b"\x08\x00", b"\x63\x00"),
    ],
    ids=["empty", "cut", "elsewhere", "shortened", "compression"],
)
def test_a_damaged_archive_is_refused(archive: bytes) -> None:
    with pytest.raises(ArtefactError, match=r"holds no ab\.json that can be read"):
        unpack(archive)


METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
ARCHIVES = [zipped(REAL, method=method) for method in METHODS]


@settings(max_examples=400)
@given(
    st.sampled_from(ARCHIVES),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
    st.integers(0, 40),
)
def test_an_archive_with_any_bytes_changed_is_read_or_refused(
    archive: bytes, changes: list[tuple[float, int]], cut: int
) -> None:
    content = bytearray(archive[: len(archive) - cut])
    for place, value in changes:
        content[int(place * len(content))] = value
    with contextlib.suppress(ArtefactError):
        read_document(unpack(bytes(content)))


def ends(archive: bytes) -> list[bytes]:
    """The archive with each byte of its headers and of its directory changed, one at a time."""
    places = [*range(60), *range(len(archive) - 110, len(archive))]
    return [
        archive[:place] + bytes([value]) + archive[place + 1 :] for place in places for value in (0, 9, 127, 255)
    ]


@pytest.mark.parametrize("method", METHODS)
def test_an_archive_with_a_header_changed_is_read_or_refused(method: int) -> None:
    refused = 0
    for content in ends(zipped(REAL, method=method)):
        try:
            read_document(unpack(content))
        except ArtefactError as error:
            assert str(error).isprintable()
            refused += 1
    assert refused > 100
