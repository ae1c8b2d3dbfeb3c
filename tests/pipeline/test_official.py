"""Weights and pictures from a mirror on the loopback into a data folder."""

import errno
import hashlib
import io
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest

from tests.pipeline.pictures import encode, gradient
from tests.pipeline.site import Answer, Diary, Site, serve
from yolo_perf import files
from yolo_perf.errors import DataError, DownloadError, UsageError, YoloPerfError
from yolo_perf.pipeline.images import open_dataset
from yolo_perf.pipeline.labels import read_labels
from yolo_perf.pipeline.official import (
    DIGESTS,
    Order,
    fetch_coco128,
    fetch_weights,
    parse_sha256,
    parse_source,
)

DATA = Path(os.environ.get("YOLO_PERF_DATA", "/nonexistent"))
needs_data = pytest.mark.skipif(
    not (DATA / "coco128").is_dir() or not (DATA / "weights/yolov5n.pt").is_file(),
    reason="no coco128/ and weights/yolov5n.pt: set YOLO_PERF_DATA to their folder",
)


@cache
def weights(size: str = "n", classes: int = 80) -> bytes:
    """A checkpoint of a size, all zeros in half precision."""
    import torch

    from yolo_perf.yolov5.model import build

    shapes = build(size, classes, device="meta").state_dict()
    stream = io.BytesIO()
    torch.save({name: torch.zeros(each.shape, dtype=torch.float16) for name, each in shapes.items()}, stream)
    return stream.getvalue()


PICTURE = encode(gradient(8, 8), "JPEG")


def members() -> dict[str, bytes]:
    """COCO128 in small: 128 pictures, two of them without labels, and what else lies in its archive."""
    found = {"coco128/LICENSE": b"free", "coco128/README.txt": b"read me"}
    for number in range(128):
        found[f"coco128/images/train2017/{number:012d}.jpg"] = PICTURE
        if number > 1:
            found[f"coco128/labels/train2017/{number:012d}.txt"] = b"79 0.5 0.5 0.25 0.25\n"
    return found


def packed(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serve() as found:
        yield found


@pytest.fixture
def unpinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the smallest file's digest were as little known as the others'."""
    monkeypatch.delitem(DIGESTS, "yolov5n.pt")


def order(site: Site, folder: Path, digest: str | None = None, diary: Diary | None = None) -> Order:
    diary = diary or Diary()
    return Order(folder=folder, watcher=diary, source=f"{site.url}/", sha256=digest, patience=diary.patience())


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# Weights


def test_weights_come_where_the_suite_looks_for_them(site: Site, tmp_path: Path) -> None:
    site.files["/yolov5n.pt"] = data = weights()
    diary = Diary()
    found = fetch_weights("n", order(site, tmp_path, sha256(data), diary))
    path = tmp_path / "weights/yolov5n.pt"
    assert path.read_bytes() == data
    assert (found.name, found.path, found.bytes) == ("yolov5n.pt", path, len(data))
    assert (found.sha256, found.fresh) == (sha256(data), True)
    assert tree(tmp_path) == [".fetch.lock", "weights/yolov5n.pt"]
    assert diary.begun == ["yolov5n.pt"]
    assert diary.said == ["yolov5n.pt: 3.69 MiB have arrived and are sound"]


def test_what_is_there_and_sound_is_not_fetched_again(unpinned: None, site: Site, tmp_path: Path) -> None:
    site.files["/yolov5n.pt"] = weights("n")
    first = fetch_weights("n", order(site, tmp_path))
    second = fetch_weights("n", order(site, tmp_path))
    assert (first.fresh, second.fresh) == (True, False)
    assert first.sha256 == second.sha256 == sha256(weights("n"))
    assert len(site.requests) == 1


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (lambda: weights("s"), "yolov5n.pt.part is not of the architecture asked for."),
        (lambda: weights("n", 20), "yolov5n.pt.part is not of the architecture asked for."),
        (lambda: weights("n")[:-100], "yolov5n.pt.part is a zip that is cut short or damaged."),
        (lambda: b"<html>Sign in to this network</html>", "is not a PyTorch checkpoint: it is no zip file."),
        (lambda: b"", "yolov5n.pt.part is empty."),
    ],
)
def test_what_fails_its_check_is_deleted(
    unpinned: None, site: Site, tmp_path: Path, data: Callable[[], bytes], reason: str
) -> None:
    site.files["/yolov5n.pt"] = data()
    with pytest.raises(DownloadError) as caught:
        fetch_weights("n", order(site, tmp_path))
    assert str(caught.value).startswith(f"What {site.url}/yolov5n.pt holds is not what it should be: ")
    assert reason in str(caught.value)
    assert "It was deleted." in str(caught.value)
    assert tree(tmp_path) == [".fetch.lock"]


@pytest.mark.parametrize("given", [None, "0" * 64])
def test_a_digest_is_insisted_on(site: Site, tmp_path: Path, given: str | None) -> None:
    site.files["/yolov5n.pt"] = weights("n")
    expected = given or "4f180cf23ba0717ada0badd6c685026d73d48f184d00fc159c2641284b2ac0a3"
    with pytest.raises(DownloadError, match=f"SHA-256 is {sha256(weights('n'))}, expected {expected}"):
        fetch_weights("n", order(site, tmp_path, given))
    assert tree(tmp_path) == [".fetch.lock"]


@pytest.mark.parametrize("data", [b"my own", b""])
def test_a_file_of_the_users_is_never_overwritten(site: Site, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "weights/yolov5n.pt"
    path.parent.mkdir()
    path.write_bytes(data)
    with pytest.raises(
        DataError, match=rf"{path} is there already, .* its SHA-256 is {sha256(data)}, expected 4f18"
    ):
        fetch_weights("n", order(site, tmp_path))
    assert path.read_bytes() == data
    assert site.requests == []


def test_a_dangling_link_is_the_users_too(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "weights/yolov5n.pt"
    path.parent.mkdir()
    path.symlink_to("nowhere")
    with pytest.raises(DataError, match="Move it away"):
        fetch_weights("n", order(site, tmp_path))
    assert site.requests == []


def test_a_missing_file_says_where_to_put_it(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        fetch_weights("x", order(site, tmp_path))
    assert str(caught.value) == (
        f"Cannot fetch {site.url}/yolov5x.pt: the server answered 404 (Not Found). Repeat the command later, name "
        f"another source (--from URL), or fetch it by hand and put it at {tmp_path}/weights/yolov5x.pt."
    )


def test_a_folder_that_is_none(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(YoloPerfError, match=rf"^Cannot write {tmp_path}/file.*: .* --to FOLDER\.$"):
        fetch_weights("n", order(site, tmp_path / "file"))
    with pytest.raises(YoloPerfError, match=rf"^Cannot write {tmp_path}/file"):
        fetch_coco128(order(site, tmp_path / "file"))


def test_a_full_disk_leaves_nothing_under_the_final_name(
    unpinned: None, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    site.files["/yolov5n.pt"] = weights("n")
    monkeypatch.setattr("yolo_perf.pipeline.download._write", full)
    with pytest.raises(YoloPerfError, match=r"No space left on device\. Mend that and repeat the command"):
        fetch_weights("n", order(site, tmp_path))
    assert not (tmp_path / "weights/yolov5n.pt").exists()


def test_a_broken_fetch_is_gone_on_with_by_the_next(unpinned: None, site: Site, tmp_path: Path) -> None:
    site.files["/yolov5n.pt"] = data = weights("n")
    tag = {"ETag": f'"{hash(data)}"'}
    site.answers = [Answer(body=data[:100_000], length=len(data), headers=tag), Answer(status=404)]
    with pytest.raises(DownloadError, match="404"):
        fetch_weights("n", order(site, tmp_path))
    assert tree(tmp_path) == [".fetch.lock", "weights/yolov5n.pt.part", "weights/yolov5n.pt.part.json"]
    fetch_weights("n", order(site, tmp_path))
    assert (tmp_path / "weights/yolov5n.pt").read_bytes() == data
    assert site.requests[-1]["range"] == "bytes=100000-"
    assert tree(tmp_path) == [".fetch.lock", "weights/yolov5n.pt"]


def test_of_two_at_once_one_fetches_and_the_other_waits(unpinned: None, site: Site, tmp_path: Path) -> None:
    site.files["/yolov5n.pt"] = data = weights("n")
    site.answers = [Answer(body=data, length=len(data) + 1, stall=True)]  # the first holds on until it is let go

    class Waiting(Diary):
        def say(self, text: str) -> None:
            super().say(text)
            site.release.set()

    diaries = (Waiting(), Waiting())
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(fetch_weights, "n", order(site, tmp_path, diary=diary)) for diary in diaries]
        found = [run.result(timeout=60) for run in runs]
    assert sorted(each.fresh for each in found) == [False, True]
    assert (tmp_path / "weights/yolov5n.pt").read_bytes() == data
    said = [text for diary in diaries for text in diary.said if "another fetch is at work" in text]
    assert said == [f"another fetch is at work in {tmp_path}: waiting for its end"]
    assert tree(tmp_path) == [".fetch.lock", "weights/yolov5n.pt"]


# COCO128


def test_coco128_comes_where_the_suite_looks_for_it(site: Site, tmp_path: Path) -> None:
    site.files["/coco128.zip"] = data = packed(members())
    found = fetch_coco128(order(site, tmp_path, sha256(data)))
    assert (found.path, found.sha256, found.fresh) == (tmp_path / "coco128", sha256(data), True)
    assert found.bytes == 128 * len(PICTURE) + 126 * 21
    dataset = open_dataset(tmp_path)
    assert (dataset.name, len(dataset)) == ("coco128", 128)
    labels = read_labels(dataset, 80)
    assert labels is not None
    assert labels.boxes == 126
    wanted = [name for name in members() if name.endswith(("jpg", "txt")) and "README" not in name]
    assert tree(tmp_path) == sorted([".fetch.lock", *wanted])

    again = fetch_coco128(order(site, tmp_path))
    assert (again.sha256, again.bytes, again.fresh) == (None, found.bytes, False)
    assert len(site.requests) == 1


def changed(name: str, data: bytes | None) -> bytes:
    files = members()
    if data is None:
        del files[name]
    else:
        files[name] = data
    return packed(files)


FIRST = "coco128/images/train2017/000000000000.jpg"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (changed(FIRST, None), "it holds 127 pictures, expected 128."),
        (changed(FIRST, b"no picture"), "Cannot use "),
        (changed("coco128/labels/train2017/000000000002.txt", b"80 0.5 0.5 0.1 0.1"), "knows classes 0 to 79"),
        (
            packed({n: d for n, d in members().items() if "labels" not in n}),
            "no labels in coco128/labels/train2017",
        ),
        (packed({n: d for n, d in members().items() if "images" not in n}), "No pictures in"),
        (packed({"README": b""}), "No such data folder"),
        (changed("coco128/../../x", b""), "would be written outside its folder"),
        (b"<html>", "is no zip archive"),
    ],
)
def test_an_archive_of_something_else_is_deleted(site: Site, tmp_path: Path, data: bytes, reason: str) -> None:
    site.files["/coco128.zip"] = data
    with pytest.raises(DownloadError) as caught:
        fetch_coco128(order(site, tmp_path))
    assert reason in str(caught.value)
    assert str(caught.value).startswith(f"What {site.url}/coco128.zip holds is not what it should be: ")
    assert [path.name for path in tmp_path.iterdir()] == [".fetch.lock"]


def test_a_digest_of_the_archive_is_insisted_on(site: Site, tmp_path: Path) -> None:
    site.files["/coco128.zip"] = packed(members())
    with pytest.raises(DownloadError, match=f"expected {'0' * 64}"):
        fetch_coco128(order(site, tmp_path, "0" * 64))
    fetch_coco128(order(site, tmp_path))
    with pytest.raises(DataError, match="an unpacked archive has no digest to compare with"):
        fetch_coco128(order(site, tmp_path, "0" * 64))


def test_pictures_of_the_users_are_never_overwritten(site: Site, tmp_path: Path) -> None:
    mine = tmp_path / "coco128/images/train2017/mine.jpg"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(PICTURE)
    with pytest.raises(DataError, match=r"is there already, .* it holds 1 pictures, expected 128\. Move it away"):
        fetch_coco128(order(site, tmp_path))
    assert tree(tmp_path) == ["coco128/images/train2017/mine.jpg"]


def test_what_a_killed_fetch_left_is_cleared(site: Site, tmp_path: Path) -> None:
    site.files["/coco128.zip"] = packed(members())
    left = tmp_path / f".yolo-perf-{files._host()}-{os.getpid()}-12345-00000000.tmp"  # of an earlier process
    half = left / FIRST
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    fetch_coco128(order(site, tmp_path))
    assert not left.exists()
    assert (tmp_path / FIRST).read_bytes() == PICTURE


def test_a_link_planted_for_what_is_unpacked_is_not_followed(site: Site, tmp_path: Path) -> None:
    """As it once was unpacked under a name that anybody knew."""
    site.files["/coco128.zip"] = packed(members())
    victim = tmp_path / "victim"
    victim.mkdir()
    (tmp_path / "data").mkdir()
    (tmp_path / "data/.coco128.new").symlink_to(victim)
    fetch_coco128(order(site, tmp_path / "data"))
    assert not list(victim.iterdir())


def test_an_archive_by_hand_is_to_be_unpacked(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=rf"or fetch it by hand and unpack it at {tmp_path}/coco128\.$"):
        fetch_coco128(order(site, tmp_path))


# What the user gives


@pytest.mark.parametrize("text", ["https://a.example", "http://127.0.0.1:8000/x/", "https://[::1]/y"])
def test_sources(text: str) -> None:
    assert parse_source(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.example",
        "data:,x",
        "file:///etc",
        "ftp://a",
        "https://",
        "https://[::1",
        "https://a b/",
        "https://a/#f",
        "https://a/?q",
        "https://a/\n",
        "https://a:99999/",
        "https://a:b/",
        "https://u:secret@a/",
        "https://ä/",
    ],
)
def test_sources_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="must be a base address") as caught:
        parse_source(text)
    assert "secret" not in str(caught.value)


def test_digests() -> None:
    assert parse_sha256("AB" * 32) == "ab" * 32
    for text in ("", "ab", "g" * 64, "a" * 65, "a" * 64 + "\n"):
        with pytest.raises(UsageError, match="64 hexadecimal digits"):
            parse_sha256(text)


# The real files, where they are at hand


@needs_data
@pytest.mark.slow
def test_the_real_files(site: Site, tmp_path: Path) -> None:
    site.files["/yolov5n.pt"] = (DATA / "weights/yolov5n.pt").read_bytes()
    archive = shutil.make_archive(str(tmp_path / "coco128"), "zip", DATA, "coco128")
    site.files["/coco128.zip"] = Path(archive).read_bytes()
    assert fetch_weights("n", order(site, tmp_path)).sha256 == DIGESTS["yolov5n.pt"]
    assert fetch_coco128(order(site, tmp_path)).fresh
    labels = read_labels(open_dataset(tmp_path), 80)
    assert labels is not None
    assert labels.boxes == 929
