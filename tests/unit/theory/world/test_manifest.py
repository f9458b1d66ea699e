"""The manifest of a mount: read as it was written, and never believed where it is torn."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from theory.core.cid import Cid
from theory.world.manifest import NAME, Entry, Manifest

ENTRIES = {"/artifacts/a b/é": Entry(7, 3, Cid.of(b"one").hex), "/artifacts/c": Entry(8, 0, Cid.of(b"").hex)}
WRITTEN = Manifest("boot-1", {"world": "p-1", "positions": ["p-1@3"]}, complete=True, entries=ENTRIES)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def test_what_was_written_is_read(root: int, tmp_path: Path) -> None:
    WRITTEN.write(root)
    WRITTEN.write(root)
    assert Manifest.read(root) == WRITTEN
    assert [each.name for each in tmp_path.iterdir()] == [NAME]
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o444


def test_a_directory_without_one_is_no_mount(root: int) -> None:
    assert Manifest.read(root) is None


@pytest.mark.parametrize("data", [b"", b"theory", b"something else\n{}\n"])
def test_a_file_of_somebody_else_makes_no_mount(root: int, tmp_path: Path, data: bytes) -> None:
    (tmp_path / NAME).write_bytes(data)
    assert Manifest.read(root) is None


@pytest.mark.parametrize("cut", [25, 60, 150, 170, 200, 240])
def test_a_torn_one_says_that_it_is_a_mount_and_nothing_more(root: int, tmp_path: Path, cut: int) -> None:
    WRITTEN.write(root)
    data = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).chmod(0o600)
    (tmp_path / NAME).write_bytes(data[:cut] + b"\0 x\n")
    found = Manifest.read(root)
    assert found is not None
    assert (dict(found.entries), found.complete) == ({}, False)


def test_a_link_in_its_place_is_not_followed(root: int, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"theory world mount 1\n{}\n")
    (tmp_path / NAME).symlink_to("elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        Manifest.read(root)
    os.unlink(NAME, dir_fd=root)
    WRITTEN.write(root)
    assert (tmp_path / "elsewhere").read_bytes() == b"theory world mount 1\n{}\n"
