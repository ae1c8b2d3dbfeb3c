"""The comment on a pull request, with GitHub played by a program of the name gh."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tools.test_pr_comment import COMMENT, EVENT, REAL, SHA, changed, zipped
from tools import pr_comment
from tools.pr_comment import read_event


def test_a_fork_that_is_gone_has_no_pull_request(gh: "Hub") -> None:
    gone = read_event({**EVENT, "workflow_run": {**EVENT["workflow_run"], "head_repository": None}})  # type: ignore[dict-item]
    gh.pulls = [pull(11, repository=None)]
    assert gone.head_repository == ""
    assert pr_comment.find_pull_request(gone) is None


PROGRAM = """\
#!{python}
import base64, json, pathlib, sys
folder = pathlib.Path({folder!r})
words = sys.argv[1:]
data = sys.stdin.read() if "--input" in words else ""
with (folder / "calls").open("a") as stream:
    stream.write(json.dumps([words, data]) + "\\n")
for part, answer in json.loads((folder / "answers").read_text()):
    if any(part in word for word in words):
        if answer is None:
            sys.exit("gh: Not Found (HTTP 404)")
        sys.stdout.buffer.write(base64.b64decode(answer))
        sys.exit(0)
sys.exit("gh: nothing known of " + " ".join(words))
"""


class Hub:
    """One repository's pull requests, artefacts and comments."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.pulls: list[dict[str, Any]] = [pull(11)]
        self.artefacts: list[dict[str, Any]] = [artefact(3)]
        self.comments: list[list[dict[str, Any]]] = [[]]
        self.archive: bytes | None = zipped(REAL)

    def save(self) -> None:
        from base64 import b64encode

        def plain(value: Any) -> bytes:
            return json.dumps(value).encode()

        answers = [
            ("/zip", self.archive),
            ("/artifacts", plain({"artifacts": self.artefacts})),
            ("/pulls", plain(self.pulls)),
            ("issues/11/comments?", plain(self.comments)),
            ("issues/", b"{}"),
        ]
        encoded = [(part, None if answer is None else b64encode(answer).decode()) for part, answer in answers]
        (self.folder / "answers").write_text(json.dumps(encoded), encoding="utf-8")

    @property
    def written(self) -> list[tuple[str, str, str]]:
        """What was written: method, place, body."""
        lines = (self.folder / "calls").read_text(encoding="utf-8").splitlines()
        calls = [json.loads(line) for line in lines]
        return [(words[2], words[3], json.loads(data)["body"]) for words, data in calls if data]


def pull(number: int, sha: str = SHA, repository: str | None = "them/fork") -> dict[str, Any]:
    head = {"sha": sha, "repo": None if repository is None else {"full_name": repository}}
    return {"number": number, "head": head, "base": {"repo": {"full_name": "us/yolo-perf"}}}


def artefact(number: int, **changes: Any) -> dict[str, Any]:
    plain = {
        "id": number,
        "name": "perf-gate",
        "expired": False,
        "created_at": "2026-11-24T10:30:00Z",
        "size_in_bytes": 1000,
    }
    return {**plain, **changes}


@pytest.fixture
def gh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    if sys.platform == "win32":
        pytest.skip("the played program is a script with a #! line")
    program = tmp_path / "bin" / "gh"
    program.parent.mkdir()
    program.write_text(PROGRAM.format(python=sys.executable, folder=str(tmp_path)), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    hub = Hub(tmp_path)
    hub.save()
    return hub


def tell(hub: Hub, **changes: Any) -> int:
    hub.save()
    event = {**EVENT, "workflow_run": {**EVENT["workflow_run"], **changes}}  # type: ignore[dict-item]
    path = hub.folder / "event.json"
    path.write_text(json.dumps(event), encoding="utf-8")
    return pr_comment.main(path)


def test_a_first_comment_is_written(gh: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(gh) == 0
    assert gh.written == [("POST", "repos/us/yolo-perf/issues/11/comments", COMMENT)]
    assert capsys.readouterr().out == "Comment on #11 written.\n"


def test_our_own_comment_is_updated_and_a_strangers_is_not(gh: Hub) -> None:
    gh.comments = [
        [{"id": 1, "user": {"login": "stranger"}, "body": f"{pr_comment.MARKER} mine"}],
        [
            {"id": 2, "user": {"login": "github-actions[bot]"}, "body": "something else"},
            {"id": 3, "user": {"login": "github-actions[bot]"}, "body": f"{pr_comment.MARKER}\nold"},
        ],
    ]
    assert tell(gh) == 0
    assert gh.written == [("PATCH", "repos/us/yolo-perf/issues/comments/3", COMMENT)]


@pytest.mark.parametrize(
    "pulls",
    [[], [pull(11, sha="f" * 40)], [pull(11, repository="other/fork")], [pull(11, repository=None)]],
    ids=["closed", "went on", "another fork", "fork gone"],
)
def test_only_the_pull_request_of_the_events_commit_is_told(
    gh: Hub, pulls: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    gh.pulls = pulls
    assert tell(gh) == 0
    assert gh.written == []
    assert "nothing to say" in capsys.readouterr().out


def test_an_artefact_that_cannot_be_used_is_said(gh: Hub) -> None:
    gh.archive = zipped(changed(label="n-onnx](https://evil.invalid)"))
    assert tell(gh) == 0
    ((_, _, body),) = gh.written
    assert "evil" not in body
    assert "ab.json is no comparison of yolo-perf's." in body


def test_a_large_artefact_is_not_fetched(gh: Hub) -> None:
    gh.artefacts = [artefact(3, size_in_bytes=1 << 30)]
    gh.archive = None
    assert tell(gh) == 0
    assert "The artefact is larger than 32 MiB." in gh.written[0][2]


@pytest.mark.parametrize(
    "changes", [{"name": "other"}, {"expired": True}, {"created_at": "2026-11-24T09:00:00Z"}], ids=str
)
def test_only_this_attempts_artefact_counts(gh: Hub, changes: dict[str, Any]) -> None:
    gh.artefacts = [artefact(3, **changes)]
    assert tell(gh) == 0
    assert "No comparison was made of this commit." in gh.written[0][2]


def test_where_nothing_was_measured_no_comment_is_begun_but_an_old_one_is_corrected(gh: Hub) -> None:
    gh.artefacts = []
    assert tell(gh, conclusion="success") == 0
    assert gh.written == []
    gh.comments = [[{"id": 3, "user": {"login": "github-actions[bot]"}, "body": pr_comment.MARKER}]]
    assert tell(gh, conclusion="success") == 0
    assert gh.written[0][:2] == ("PATCH", "repos/us/yolo-perf/issues/comments/3")


def test_what_github_refuses_is_one_line(gh: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    gh.archive = None
    assert tell(gh) == 1
    assert capsys.readouterr().out.startswith(
        "::error::gh api repos/us/yolo-perf/actions/artifacts/3/zip: gh: Not Found"
    )
    assert gh.written == []
