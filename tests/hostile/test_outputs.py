"""What a hostile processor may leave in `out/`: it is refused, nothing outside is read, and nothing of it stays."""

import os
import socket
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from services.executor.adapters.places import DirectoryPlaces, mount
from services.executor.adapters.places.beneath import best, by_kernel, by_steps
from services.executor.ports.place import AttemptPlace, PlaceRequest
from theory.core.cid import Cid
from theory.core.errors import Invalid, NotFound, TheoryError
from theory.core.world_path import WorldPath

CANARY = b"canary: bytes of the host that no processor may reach"
NAME = "plan-1.hostile-a0"
MAX_BYTES = 1_000_000
MAX_FILES = 100


async def _no_blobs(cid: Cid, into: BinaryIO) -> None:
    raise NotFound("BLOB_UNKNOWN", "there are no blobs here", cid=cid.text)


@pytest.fixture(params=[by_kernel, by_steps], ids=["openat2", "steps"])
async def places(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[DirectoryPlaces]:
    """Without mounts: what the kernel would refuse on the way in must be refused on the way out, too."""
    if request.param is by_kernel and best() is not by_kernel:
        pytest.skip("this kernel has no openat2")
    opened = await DirectoryPlaces.open(tmp_path / "home", _no_blobs, mounts=False, open_beneath=request.param)
    yield opened
    await opened.close()


@pytest.fixture
async def place(places: DirectoryPlaces, tmp_path: Path) -> AsyncIterator[AttemptPlace]:
    (tmp_path / "canary").write_bytes(CANARY)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_bytes(CANARY)
    prepared = await places.prepare(PlaceRequest(NAME, (), {}, MAX_BYTES, MAX_FILES), b"{}")
    (prepared.out / "artifacts" / "outputs").mkdir(parents=True)
    yield prepared
    await places.remove(NAME)
    assert not prepared.directory.exists()
    assert mount.mounted_below(tmp_path) == []
    assert (tmp_path / "outside" / "file").read_bytes() == CANARY


async def _collected(places: DirectoryPlaces, place: AttemptPlace) -> dict[str, bytes]:
    async with places.written(place) as tree:
        return {each.relative: each.file.read() async for each in tree.files()}


async def _refusal(
    places: DirectoryPlaces, place: AttemptPlace, meanwhile: Callable[[], None] = lambda: None
) -> tuple[Invalid, bytes]:
    """Collect until something is refused; `meanwhile` happens after each file. Also what was read before."""
    read = b""
    try:
        async with places.written(place) as tree:
            async for each in tree.files():
                read += each.file.read()
                meanwhile()
    except Invalid as error:
        if error.reason == "OUTPUT_REFUSED":
            return error, read
        raise
    pytest.fail("nothing was refused")


def _fifo(at: Path, outside: Path) -> None:
    os.mkfifo(at)


def _socket(at: Path, outside: Path) -> None:
    directory = os.open(at.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as server:  # its name may be longer than an address allows
        server.bind(f"/proc/self/fd/{directory}/{at.name}")
    os.close(directory)


def _device(kind: int, major: int, minor: int) -> Callable[[Path, Path], None]:
    def plant(at: Path, outside: Path) -> None:
        try:
            os.mknod(at, 0o666 | kind, os.makedev(major, minor))
        except PermissionError:
            pytest.skip("this user may not make devices")

    return plant


def _hard_link_inside(at: Path, outside: Path) -> None:
    (at.parent / "first").write_bytes(b"1")
    at.hardlink_to(at.parent / "first")


def _hard_link_to_the_host(at: Path, outside: Path) -> None:
    at.hardlink_to(outside / "file")


def _sparse(at: Path, outside: Path) -> None:
    with at.open("wb") as file:
        file.truncate(1 << 40)


def _many_files(at: Path, outside: Path) -> None:
    for number in range(MAX_FILES + 2):
        (at.parent / str(number)).touch()


def _many_folders(at: Path, outside: Path) -> None:
    for number in range(2 * MAX_FILES + 65):
        (at.parent / str(number)).mkdir()


def _deep(at: Path, outside: Path) -> None:
    descriptor = os.open(at.parent, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=descriptor)
        deeper = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = deeper
    os.close(descriptor)


def _long_path(at: Path, outside: Path) -> None:
    folder = at.parent / "/".join(["n" * 250] * 5)
    folder.mkdir(parents=True)


HOSTILE: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "link to a host file": (lambda at, outside: at.symlink_to(outside / "file"), "symbolic_link"),
    "link to a host folder": (lambda at, outside: at.symlink_to(outside), "symbolic_link"),
    "link to the root": (lambda at, outside: at.symlink_to("/"), "symbolic_link"),
    "link that climbs": (lambda at, outside: at.symlink_to("../" * 40 + "etc/passwd"), "symbolic_link"),
    "link within the output": (lambda at, outside: at.symlink_to("."), "symbolic_link"),
    "link into the kernel": (lambda at, outside: at.symlink_to("/proc/self/environ"), "symbolic_link"),
    "link to nowhere": (lambda at, outside: at.symlink_to("nowhere"), "symbolic_link"),
    "fifo": (_fifo, "fifo"),
    "socket": (_socket, "socket"),
    "endless device": (_device(stat.S_IFCHR, 1, 5), "device"),
    "disk": (_device(stat.S_IFBLK, 254, 0), "device"),
    "hard link inside": (_hard_link_inside, "hard_link"),
    "hard link to a host file": (_hard_link_to_the_host, "hard_link"),
    "sparse tebibyte": (_sparse, "too_large"),
    "too many files": (_many_files, "too_many_files"),
    "too many folders": (_many_folders, "too_many_files"),
    "three thousand levels": (_deep, "too_deep"),
    "too long a path": (_long_path, "path_bytes"),
    "name that is not UTF-8": (lambda at, outside: (at.parent / os.fsdecode(b"\xff\xfe")).touch(), "not_utf8"),
    "folder that is not UTF-8": (lambda at, outside: (at.parent / os.fsdecode(b"d\xc3")).mkdir(), "not_utf8"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", HOSTILE)
async def test_what_is_no_plain_output_fails_the_attempt(
    places: DirectoryPlaces, place: AttemptPlace, tmp_path: Path, case: str
) -> None:
    """I-69: only regular files within the limits become outputs."""
    plant, rule = HOSTILE[case]
    plant(place.out / "artifacts" / "outputs" / "x.json", tmp_path / "outside")
    error, read = await _refusal(places, place)
    assert error.metadata["rule"] == rule
    assert CANARY not in read
    assert str(tmp_path) not in str(error)


async def test_a_sparse_tebibyte_is_refused_and_no_byte_of_anything_is_read(
    places: DirectoryPlaces, place: AttemptPlace, tmp_path: Path
) -> None:
    outputs = place.out / "artifacts" / "outputs"
    (outputs / "a.json").write_bytes(b"first in order")
    _sparse(outputs / "x.json", tmp_path)
    error, read = await _refusal(places, place)
    assert (error.metadata["rule"], error.metadata["path"]) == ("too_large", "artifacts/outputs/x.json")
    assert read == b""


@pytest.mark.parametrize(
    "name",
    [
        "a\nseq=1",
        "A.json",
        "%2e%2e",
        "cafe\u0301",
        "a\\b",
        " a",
        "a\u202eb",
        "\u212a",
        "a\u2024b",
        "\x1b[2J",
    ],
)
async def test_a_name_that_is_no_world_path_is_seen_as_it_is_and_refused(
    places: DirectoryPlaces, place: AttemptPlace, name: str
) -> None:
    (place.out / "artifacts" / "outputs" / name).write_bytes(b"1")
    relative = f"artifacts/outputs/{name}"
    assert await _collected(places, place) == {relative: b"1"}
    with pytest.raises(TheoryError) as caught:
        WorldPath.parse(f"/{relative}")
    assert caught.value.reason == "PATH_INVALID"


async def test_of_two_names_that_look_alike_one_is_refused(places: DirectoryPlaces, place: AttemptPlace) -> None:
    for name in ("caf\u00e9", "cafe\u0301"):
        (place.out / "artifacts" / "outputs" / name).write_bytes(name.encode())
    found = await _collected(places, place)
    assert len(found) == 2
    accepted = [relative for relative in found if _parses(f"/{relative}")]
    assert accepted == ["artifacts/outputs/caf\u00e9"]


def _parses(text: str) -> bool:
    try:
        WorldPath.parse(text)
    except TheoryError:
        return False
    return True


async def test_a_processor_that_wrote_nothing_left_nothing(places: DirectoryPlaces, place: AttemptPlace) -> None:
    assert await _collected(places, place) == {}


async def test_a_file_that_is_still_written_is_refused(places: DirectoryPlaces, place: AttemptPlace) -> None:
    target = place.out / "artifacts" / "outputs" / "x.json"
    target.write_bytes(b"first")
    error, _ = await _refusal(places, place, lambda: _rewrite(target))
    assert error.metadata["rule"] == "changed"


def _rewrite(target: Path) -> None:
    target.write_bytes(b"other")


async def test_a_folder_that_is_swapped_for_a_link_leads_nowhere(
    places: DirectoryPlaces, place: AttemptPlace, tmp_path: Path
) -> None:
    folder = place.out / "artifacts" / "outputs"
    for name in ("a", "file"):
        (folder / name).write_bytes(b"mine")

    def swap() -> None:
        if not folder.is_symlink():
            folder.rename(place.out / "moved")
            folder.symlink_to(tmp_path / "outside")

    error, read = await _refusal(places, place, swap)
    assert read == b"mine"
    assert error.metadata["rule"] in {"changed", "unreadable"}


async def test_where_the_kernel_helps_devices_and_programs_are_inert(tmp_path: Path) -> None:
    if not mount.permitted(tmp_path):
        pytest.skip("this user may not mount")
    places = await DirectoryPlaces.open(tmp_path / "home", _no_blobs, mounts=True)
    place = await places.prepare(PlaceRequest(NAME, (), {}, MAX_BYTES, MAX_FILES), b"{}")
    _device(stat.S_IFCHR, 1, 5)(place.out / "zero", tmp_path)
    with pytest.raises(PermissionError):
        os.open(place.out / "zero", os.O_RDONLY)
    (place.out / "program").write_bytes(b"#!/bin/true\n")
    (place.out / "program").chmod(0o4755)
    with pytest.raises(PermissionError):
        os.posix_spawn(place.out / "program", ["program"], {})
    with pytest.raises(OSError, match="No space left"):
        _many_folders(place.out / "x", tmp_path)
    await places.remove(NAME)
    await places.close()
    assert mount.mounted_below(tmp_path) == []
    assert list((tmp_path / "home" / "attempts").iterdir()) == []
