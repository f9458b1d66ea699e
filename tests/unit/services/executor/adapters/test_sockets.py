"""The sockets of attempts on a disk: where they are, whose they are, and that nothing of them stays."""

import os
import socket
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from services.executor.adapters.places import mount
from services.executor.adapters.places.layout import PROCESSOR_UID
from services.executor.adapters.sockets import AttemptSockets
from services.executor.ports import AttemptPlace, Bearer
from theory.core.clock import SystemClock
from theory.core.errors import Corrupt, NotReady
from theory.core.jcs import JSON
from theory.core.secret import Secret
from theory.wire.gate import Gate

ABOUT: Mapping[str, JSON] = {"plan_id": "p", "epoch": 1}


async def _bearer() -> Secret:
    return Secret("token", "")


def _gate(bearer: Bearer) -> Gate:
    return Gate({}, SystemClock(), bearer)


@pytest.fixture
async def sockets(tmp_path: Path) -> AsyncIterator[AttemptSockets]:
    opened = await AttemptSockets.open(tmp_path / "home", _gate)
    yield opened
    assert list((tmp_path / "home" / "sockets").iterdir()) == []
    await opened.close()


def _place(tmp_path: Path, name: str = "p.a-a0") -> AttemptPlace:
    place = AttemptPlace(name, tmp_path / "home" / "attempts" / name)
    (place.directory / "run").mkdir(parents=True)
    return place


def _leave(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)


def _answers(path: Path) -> bool:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"/proc/self/fd/{folder}/{path.name}")
    except OSError:
        return False
    finally:
        os.close(folder)
    return True


async def test_a_place_may_lie_deeper_than_a_socket_could(sockets: AttemptSockets, tmp_path: Path) -> None:
    place = _place(tmp_path, f"{'p' * 100}.{'a' * 100}-a0")
    path = place.directory / "run" / "theory.sock"
    async with sockets.serving(place, ABOUT, _bearer):
        assert _answers(path)
        assert (path.parent / "attempt.json").read_bytes() == b'{"epoch":1,"plan_id":"p"}'
    assert not path.exists()


async def test_nobody_but_the_processor_may_connect(sockets: AttemptSockets, tmp_path: Path) -> None:
    """I-170."""
    place = _place(tmp_path)
    async with sockets.serving(place, ABOUT, _bearer):
        status = (place.directory / "run" / "theory.sock").stat()
        assert status.st_mode & 0o777 == 0o600
        assert status.st_uid == (PROCESSOR_UID if os.getuid() == 0 else os.getuid())


async def test_what_a_killed_executor_left_is_replaced(sockets: AttemptSockets, tmp_path: Path) -> None:
    """I-171."""
    place = _place(tmp_path)
    path = place.directory / "run" / "theory.sock"
    _leave(path)
    (path.parent / "attempt.json").write_text("torn")
    (path.parent / "attempt.json").chmod(0o444)
    for _ in range(2):
        async with sockets.serving(place, ABOUT, _bearer):
            assert _answers(path)
            assert (path.parent / "attempt.json").read_bytes() == b'{"epoch":1,"plan_id":"p"}'


async def test_links_that_a_killed_executor_left_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "home" / "sockets"
    folder.mkdir(parents=True)
    (folder / "7").symlink_to(tmp_path)
    opened = await AttemptSockets.open(tmp_path / "home", _gate)
    assert list(folder.iterdir()) == []
    await opened.close()
    assert tmp_path.is_dir()


async def test_two_at_once_have_one_each(sockets: AttemptSockets, tmp_path: Path) -> None:
    first, second = _place(tmp_path, "p.a-a0"), _place(tmp_path, "p.b-a0")
    async with sockets.serving(first, ABOUT, _bearer):
        async with sockets.serving(second, ABOUT, _bearer):
            assert _answers(second.directory / "run" / "theory.sock")
        assert not (second.directory / "run" / "theory.sock").exists()
        assert _answers(first.directory / "run" / "theory.sock")


async def test_a_sealed_folder_is_sealed_again(sockets: AttemptSockets, tmp_path: Path) -> None:
    if not mount.permitted(tmp_path):
        pytest.skip("this user may not mount")
    place = _place(tmp_path)
    run = place.directory / "run"
    mount.memory(run, size_bytes=64 * 1024, inodes=16, mode=0o500, owner=0)
    mount.seal(run)
    try:
        async with sockets.serving(place, ABOUT, _bearer):
            assert _answers(run / "theory.sock")
            with pytest.raises(OSError, match="Read-only"):
                (run / "more").touch()
        assert not (run / "theory.sock").exists()
        with pytest.raises(OSError, match="Read-only"):
            (run / "more").touch()
    finally:
        mount.unmount_below(place.directory)


async def test_a_place_that_is_gone_is_told(sockets: AttemptSockets, tmp_path: Path) -> None:
    with pytest.raises(Corrupt):
        async with sockets.serving(AttemptPlace("p.a-a0", tmp_path / "nowhere"), ABOUT, _bearer):
            pass


async def test_what_is_in_the_way_is_told(sockets: AttemptSockets, tmp_path: Path) -> None:
    place = _place(tmp_path)
    (place.directory / "run" / "theory.sock").mkdir()
    with pytest.raises(NotReady):
        async with sockets.serving(place, ABOUT, _bearer):
            pass
    (place.directory / "run" / "theory.sock").rmdir()
