"""Opening below a directory: both ways refuse every step that leads out of it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.executor.adapters.places import mount
from services.executor.adapters.places.beneath import OpenBeneath, best, by_kernel, by_steps
from tests.unit.services.executor.adapters.places.conftest import descriptors

OUTSIDE = b"not for you"


@pytest.fixture(params=[by_kernel, by_steps])
def open_beneath(request: pytest.FixtureRequest) -> OpenBeneath:
    chosen: OpenBeneath = request.param
    if chosen is by_kernel and best() is not by_kernel:
        pytest.skip("this kernel has no openat2")
    return chosen


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "secret").write_bytes(OUTSIDE)
    inside = tmp_path / "root"
    (inside / "a" / "b").mkdir(parents=True)
    (inside / "a" / "b" / "file").write_bytes(b"inside")
    descriptor = os.open(inside, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def _read(open_beneath: OpenBeneath, root: int, relative: bytes) -> bytes:
    with os.fdopen(open_beneath(root, relative, os.O_RDONLY), "rb") as file:
        return file.read()


def test_a_file_in_a_folder_is_opened(open_beneath: OpenBeneath, root: int) -> None:
    assert _read(open_beneath, root, b"a/b/file") == b"inside"


def test_the_directory_itself_is_opened(open_beneath: OpenBeneath, root: int) -> None:
    descriptor = open_beneath(root, b".", os.O_RDONLY | os.O_DIRECTORY)
    assert os.path.sameopenfile(root, descriptor)
    os.close(descriptor)


@pytest.mark.parametrize("relative", [b"../secret", b"a/../../secret", b"a/b/../../../secret"])
def test_no_way_up_leads_out(open_beneath: OpenBeneath, root: int, relative: bytes) -> None:
    with pytest.raises(OSError, match=r".*"):
        _read(open_beneath, root, relative)


def test_an_absolute_path_is_refused(open_beneath: OpenBeneath, root: int, tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r".*"):
        _read(open_beneath, root, os.fsencode(tmp_path / "secret"))


@pytest.mark.parametrize("target", ["../secret", "{tmp}/secret", "a/b/file"])
def test_a_link_at_the_end_is_not_followed(open_beneath: OpenBeneath, root: int, tmp_path: Path, target: str) -> None:
    (tmp_path / "root" / "link").symlink_to(target.replace("{tmp}", str(tmp_path)))
    with pytest.raises(OSError, match=r".*"):
        _read(open_beneath, root, b"link")


@pytest.mark.parametrize("target", ["..", "{tmp}", "a", "/proc/self/root"])
def test_a_link_on_the_way_is_not_followed(open_beneath: OpenBeneath, root: int, tmp_path: Path, target: str) -> None:
    (tmp_path / "root" / "link").symlink_to(target.replace("{tmp}", str(tmp_path)))
    for last in (b"secret", b"b/file", b"etc/hostname"):
        with pytest.raises(OSError, match=r".*"):
            _read(open_beneath, root, b"link/" + last)


def test_a_link_can_be_looked_at(open_beneath: OpenBeneath, root: int, tmp_path: Path) -> None:
    (tmp_path / "root" / "link").symlink_to("../secret")
    descriptor = open_beneath(root, b"link", os.O_PATH)
    assert os.readlink("", dir_fd=descriptor) == "../secret"
    os.close(descriptor)


def test_a_mount_is_not_entered(open_beneath: OpenBeneath, root: int, tmp_path: Path) -> None:
    if not mount.permitted(tmp_path):
        pytest.skip("this user may not mount")
    target = tmp_path / "root" / "a" / "b"
    mount.memory(target, size_bytes=4096, inodes=8, mode=0o700, owner=0)
    try:
        (target / "file").write_bytes(OUTSIDE[:1])
        with pytest.raises(OSError, match=r".*"):
            _read(open_beneath, root, b"a/b/file")
    finally:
        mount.unmount_below(target)


def test_nothing_stays_open_after_a_refusal(open_beneath: OpenBeneath, root: int, tmp_path: Path) -> None:
    (tmp_path / "root" / "link").symlink_to("/")
    before = descriptors()
    for relative in (b"link/etc/hostname", b"link", b"a/b/missing", b"../secret"):
        with pytest.raises(OSError, match=r".*"):
            _read(open_beneath, root, relative)
    assert descriptors() == before
