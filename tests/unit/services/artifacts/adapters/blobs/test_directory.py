"""Files that appear whole or not at all."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.artifacts.adapters.blobs import directory as module
from services.artifacts.adapters.blobs.directory import BlobDirectory, translated
from theory.core.cid import Cid
from theory.core.errors import Exhausted, NotReady, TheoryError, Unavailable

ONE = Cid.of(b"one")


@pytest.fixture(params=["unnamed", "named"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BlobDirectory:
    """A directory on a file system that has unnamed files, and one on a file system that has none."""
    if request.param == "named":
        monkeypatch.setattr(BlobDirectory, "_has_unnamed_files", lambda _: False)
    return BlobDirectory(tmp_path / "blobs")


def put(blobs: BlobDirectory, *data: bytes) -> list[TheoryError | None]:
    drafts = [(Cid.of(each), blobs.draft()) for each in data]
    for (_, draft), each in zip(drafts, data, strict=True):
        draft.write(each)
    try:
        return blobs.publish(drafts)
    finally:
        for _, draft in drafts:
            blobs.discard(draft)


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def test_a_published_draft_is_a_read_only_file_named_by_its_cid(blobs: BlobDirectory, tmp_path: Path) -> None:
    assert put(blobs, b"one") == [None]
    (path,) = files(tmp_path)
    assert path == tmp_path / "blobs" / ONE.hex[:2] / ONE.hex[2:]
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"one", 0o444)
    assert blobs.size_of(ONE) == 3


@pytest.mark.parametrize("count", [1, 3, 40])
def test_a_batch_of_any_size_is_published(blobs: BlobDirectory, count: int) -> None:
    data = [b"%d" % n for n in range(count)]
    assert put(blobs, *data) == [None] * count
    assert [blobs.size_of(Cid.of(each)) for each in data] == [len(each) for each in data]


def test_a_name_that_is_there_is_as_good(blobs: BlobDirectory, tmp_path: Path) -> None:
    assert [*put(blobs, b"one"), *put(blobs, b"one")] == [None, None]
    assert len(files(tmp_path)) == 1


def test_a_draft_that_is_discarded_leaves_nothing(blobs: BlobDirectory, tmp_path: Path) -> None:
    draft = blobs.draft()
    draft.write(b"one")
    blobs.discard(draft)
    blobs.discard(draft)
    assert files(tmp_path) == []


def test_what_an_earlier_process_left_behind_is_swept(tmp_path: Path) -> None:
    BlobDirectory(tmp_path).close()
    (tmp_path / "staging" / "7").write_bytes(b"half of a bl")
    BlobDirectory(tmp_path).close()
    assert files(tmp_path) == []


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    held = BlobDirectory(tmp_path)
    with pytest.raises(NotReady, match="another process"):
        BlobDirectory(tmp_path)
    held.close()
    BlobDirectory(tmp_path).close()


def test_racing_writers_of_one_blob_all_succeed_and_make_it_once(blobs: BlobDirectory, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda _: put(blobs, b"one" * 1000), range(32)))
    assert outcomes == [[None]] * 32
    assert [path.read_bytes() for path in files(tmp_path)] == [b"one" * 1000]


def test_an_unknown_blob_is_none(blobs: BlobDirectory) -> None:
    assert (blobs.size_of(ONE), blobs.open(ONE)) == (None, None)


def test_a_name_that_may_not_be_on_the_disk_counts_for_nothing(
    blobs: BlobDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_self: BlobDirectory, _names: object) -> None:
        raise OSError(errno.EIO, "the disk")

    with monkeypatch.context() as patch:
        patch.setattr(BlobDirectory, "_sync_names", broken)
        (outcome,) = put(blobs, b"one")
    assert isinstance(outcome, Unavailable)
    assert blobs.size_of(ONE) is None
    assert put(blobs, b"one") == [None]
    assert blobs.size_of(ONE) == 3


@pytest.mark.parametrize("count", [2, 9])
def test_bytes_that_do_not_reach_the_disk_get_no_name(
    blobs: BlobDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "the disk")

    monkeypatch.setattr(module.Draft, "sync", broken)
    monkeypatch.setattr(BlobDirectory, "_sync_everything", broken)
    outcomes = put(blobs, *(b"%d" % n for n in range(count)))
    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    assert files(tmp_path) == []


def test_a_short_write_is_carried_on(blobs: BlobDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data)[:2]))
    put(blobs, b"three")
    assert blobs.size_of(Cid.of(b"three")) == 5


@pytest.mark.parametrize(
    ("number", "kind", "reason"),
    [
        (errno.ENOSPC, Exhausted, "DISK_FULL"),
        (errno.EDQUOT, Exhausted, "DISK_FULL"),
        (errno.EIO, Unavailable, "STORE_UNREACHABLE"),
        (errno.EROFS, Unavailable, "STORE_UNREACHABLE"),
    ],
)
def test_errors_of_the_disk_are_told_in_our_words(number: int, kind: type[TheoryError], reason: str) -> None:
    error = translated(OSError(number, "no", "/secret/place"))
    assert (type(error), error.reason) == (kind, reason)
    assert "secret" not in f"{error.message}{error.metadata}"


def test_blobs_are_listed_by_their_digits_and_nothing_else_is(blobs: BlobDirectory, tmp_path: Path) -> None:
    data = [b"%d" % number for number in range(9)]
    put(blobs, *data)
    stray = next(each for each in tmp_path.rglob("00") if each.is_dir()) / "stray"
    stray.touch()
    digits = sorted(Cid.of(each).hex for each in data)
    found, after = [], ""
    while page := blobs.scan(after, 4):
        found += page
        after = page[-1][0]
    assert [each for each, _, _ in found] == digits
    assert {size for _, size, _ in found} == {1}
    stray.unlink()


def test_a_blob_that_is_deleted_can_be_put_again(blobs: BlobDirectory) -> None:
    put(blobs, b"one")
    for _ in range(2):
        blobs.delete(Cid.of(b"one"))
        assert blobs.size_of(Cid.of(b"one")) is None
    put(blobs, b"one")
    assert blobs.size_of(Cid.of(b"one")) == 3


def test_a_blob_in_quarantine_is_kept_and_is_not_there(blobs: BlobDirectory, tmp_path: Path) -> None:
    put(blobs, b"one")
    for _ in range(2):
        blobs.quarantine(Cid.of(b"one"))
    assert blobs.open(Cid.of(b"one")) is None
    assert blobs.scan("", 9) == []
    (kept,) = tmp_path.rglob(f"quarantine/{Cid.of(b'one').hex}")
    assert kept.read_bytes() == b"one"


def test_a_look_finds_it_in_order_and_leaves_nothing(blobs: BlobDirectory, tmp_path: Path) -> None:
    blobs.look()
    assert files(tmp_path) == []


@pytest.mark.parametrize("instead", [False, True])
def test_a_directory_that_is_gone_from_its_path_is_told(blobs: BlobDirectory, tmp_path: Path, *, instead: bool) -> None:
    (tmp_path / "blobs").rename(tmp_path / "elsewhere")
    if instead:  # such as a mount point whose disk is away
        (tmp_path / "blobs").mkdir()
    with pytest.raises(NotReady) as refused:
        blobs.look()
    assert refused.value.reason == "STORE_MISSING"
    assert str(tmp_path) not in refused.value.message


def test_a_disk_that_takes_no_byte_is_told(blobs: BlobDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="full") as refused:
        blobs.look()
    assert translated(refused.value).reason == "DISK_FULL"
