"""Mounts: what the kernel then keeps, for root too."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.executor.adapters.places import mount


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Path]:
    if not mount.permitted(tmp_path):
        pytest.skip("this user may not mount")
    # The name needs every escape of the kernel's table.
    directory = tmp_path / "a b\tc\\d"
    directory.mkdir()
    yield directory
    mount.unmount_below(tmp_path)


def test_memory_holds_no_more_bytes_than_it_was_given(target: Path) -> None:
    mount.memory(target, size_bytes=64 * 1024, inodes=100, mode=0o700, owner=0)
    with pytest.raises(OSError, match=r".*") as caught:
        (target / "large").write_bytes(bytes(128 * 1024))
    assert caught.value.errno == errno.ENOSPC


def _fill(target: Path, files: int) -> None:
    for number in range(files):
        (target / str(number)).touch()


def test_memory_holds_no_more_files_than_it_was_given(target: Path) -> None:
    mount.memory(target, size_bytes=1024 * 1024, inodes=10, mode=0o700, owner=0)
    with pytest.raises(OSError, match=r".*") as caught:
        _fill(target, 11)
    assert caught.value.errno == errno.ENOSPC


def test_memory_belongs_to_its_owner_alone(target: Path) -> None:
    mount.memory(target, size_bytes=4096, inodes=8, mode=0o500, owner=65532, may_be_swapped=False)
    status = target.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (65532, 65532, 0o500)


def test_what_is_sealed_is_read_only(target: Path) -> None:
    mount.memory(target, size_bytes=4096, inodes=8, mode=0o700, owner=0)
    (target / "file").write_bytes(b"1")
    mount.seal(target)
    with pytest.raises(OSError, match=r".*") as caught:
        (target / "file").write_bytes(b"2")
    assert caught.value.errno == errno.EROFS


def test_a_read_only_view_shows_what_is_below_and_refuses_writing(target: Path) -> None:
    (target / "file").write_bytes(b"1")
    mount.bind_read_only(target)
    assert (target / "file").read_bytes() == b"1"
    with pytest.raises(OSError, match=r".*") as caught:
        (target / "file").write_bytes(b"2")
    assert caught.value.errno == errno.EROFS


def test_mounts_are_found_by_their_true_names_and_taken_down(target: Path) -> None:
    mount.memory(target, size_bytes=4096, inodes=8, mode=0o700, owner=0)
    (target / "inner").mkdir()
    mount.memory(target / "inner", size_bytes=4096, inodes=8, mode=0o700, owner=0)
    assert mount.mounted_below(target.parent) == [target, target / "inner"]
    mount.unmount_below(target)
    assert mount.mounted_below(target.parent) == []


def test_a_mount_that_is_in_use_is_taken_down(target: Path) -> None:
    mount.memory(target, size_bytes=4096, inodes=8, mode=0o700, owner=0)
    with (target / "file").open("wb"):
        mount.unmount_below(target)
        assert mount.mounted_below(target) == []


def test_a_directory_beside_is_no_part_of_it(target: Path, tmp_path: Path) -> None:
    mount.memory(target, size_bytes=4096, inodes=8, mode=0o700, owner=0)
    assert mount.mounted_below(tmp_path / "a b\tc") == []


def test_memory_is_told_from_disk(target: Path) -> None:
    assert not mount.memory_backed(Path("/proc"))
    mount.memory(target, size_bytes=4096, inodes=8, mode=0o700, owner=0)
    assert mount.memory_backed(target)


def test_mounting_where_nothing_is_fails(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r".*"):
        mount.memory(tmp_path / "missing", size_bytes=4096, inodes=8, mode=0o700, owner=os.getuid())


def test_a_sealed_mount_is_opened_for_a_moment_alone(target: Path) -> None:
    mount.memory(target, size_bytes=64 * 1024, inodes=10, mode=0o700, owner=0)
    mount.seal(target)
    with mount.unsealed(target):
        (target / "new").touch()
    with pytest.raises(OSError, match="Read-only"):
        (target / "more").touch()


def test_what_is_no_mount_is_left_as_it_is(tmp_path: Path) -> None:
    with mount.unsealed(tmp_path):
        (tmp_path / "new").touch()
    (tmp_path / "more").touch()
