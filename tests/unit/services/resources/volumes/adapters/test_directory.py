"""Volumes as directories: what containers find there, what hostile ones leave, and what a crash cuts short."""

import asyncio
import errno
import os
import stat
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.resources.volumes.adapters import directory
from services.resources.volumes.ports import VolumeStore
from tests.surroundings import opening
from tests.unit.theory.world.test_removal import nest
from theory.core.adapters import Volume
from theory.core.clock import FakeClock
from theory.core.errors import Exhausted, Invalid, NotReady, TheoryError, Unavailable
from theory.core.scratch import ENDED_KEPT


@asynccontextmanager
async def opened(root: Path, clock: FakeClock | None = None) -> AsyncIterator[VolumeStore]:
    """Closed without waiting for the removals to begin; `left_in_trash` waits for them."""
    surroundings = opening(clock)
    store = await directory.open(url_of(root), surroundings)
    surroundings.start()
    yield store
    await surroundings.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "with space" / "volumes"


def url_of(root: Path) -> str:
    return f"file://{root}".replace(" ", "%20")


def left_in_trash(root: Path) -> list[str]:
    """What is still there once the thread that deletes has nothing to do."""
    for thread in threading.enumerate():
        if thread.name == "volumes-trash":
            thread.join()
    return sorted(each.name for each in (root / "trash").iterdir())


async def test_anyone_may_write_into_a_volume_and_nobody_near_it(root: Path) -> None:
    umask = os.umask(0o077)
    try:
        async with opened(root) as store:
            await store.create(plan_id="p-1", name="a")
            place = Path(await store.locate(plan_id="p-1", name="a"))
    finally:
        os.umask(umask)
    assert place == root / "plans" / "p-1" / "a" / "data"
    assert stat.S_IMODE(place.stat().st_mode) == 0o1777
    assert stat.S_IMODE((root / "plans").stat().st_mode) == 0o700


async def test_the_place_of_a_relative_directory_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = await directory.open("file:here%20it/is", opening())
    await store.create(plan_id="p-1", name="a")
    assert await store.locate(plan_id="p-1", name="a") == f"{tmp_path}/here it/is/plans/p-1/a/data"


@pytest.mark.parametrize("url", ["file://host/path", "file:", "file:///a?b", "file:///a#b"])
async def test_an_address_of_no_directory_is_refused(url: str) -> None:
    with pytest.raises(Invalid, match="file:///path"):
        await directory.open(url, opening())


async def test_a_restart_forgets_nothing(root: Path) -> None:
    clock = FakeClock()
    async with opened(root, clock) as store:
        made = await store.create(plan_id="p-1", name="a")
        (Path(await store.locate(plan_id="p-1", name="a")) / "file").write_bytes(b"1")
        await store.end_plan("p-2")
    clock.advance(ENDED_KEPT.total_seconds())
    async with opened(root, clock) as store:
        assert await store.create(plan_id="p-1", name="a") == made
        assert (Path(await store.locate(plan_id="p-1", name="a")) / "file").read_bytes() == b"1"
        with pytest.raises(NotReady):
            await store.create(plan_id="p-2", name="a")


async def test_ends_are_forgotten_when_no_process_of_the_plan_can_live(root: Path) -> None:
    clock = FakeClock()
    async with opened(root, clock) as store:
        await store.end_plan("p-1")
        clock.advance(ENDED_KEPT.total_seconds() + 1)
        await store.end_plan("p-2")
        assert [each.name for each in (root / "ended").iterdir()] == ["p-2"]
    clock.advance(ENDED_KEPT.total_seconds() + 1)
    async with opened(root, clock):
        assert list((root / "ended").iterdir()) == []


async def test_what_a_crash_left_half_made_is_no_volume_and_becomes_one(root: Path) -> None:
    async with opened(root) as store:
        (root / "plans" / "p-1" / "a" / "data").mkdir(parents=True)
        assert await store.list(plan_id="p-1") == []
        made = await store.create(plan_id="p-1", name="a")
        assert await store.list(plan_id="p-1") == [made]
        assert stat.S_IMODE(Path(await store.locate(plan_id="p-1", name="a")).stat().st_mode) == 0o1777


async def test_a_removal_that_a_crash_cut_short_is_finished_at_the_start(root: Path) -> None:
    (root / "trash" / "p-1.a.00" / "data" / "folder").mkdir(parents=True)
    async with opened(root):
        assert left_in_trash(root) == []


async def test_two_processes_share_one_directory(root: Path) -> None:
    async with opened(root) as one, opened(root) as other:
        stores = (one, other) * 4
        made = await asyncio.gather(*(each.create(plan_id="p-1", name="a") for each in stores))
        assert made == [Volume("a", made[0].create_time)] * 8
        await other.end_plan("p-1")
        with pytest.raises(NotReady):
            await one.create(plan_id="p-1", name="b")


def _links(place: Path, outside: Path) -> None:
    (place / "file").symlink_to(outside / "kept")
    (place / "folder").symlink_to(outside)
    (place / "loop").symlink_to("loop")


def _depth(place: Path, _: Path) -> None:
    nest(place, 10_000)


def _names(place: Path, _: Path) -> None:
    (place / os.fsdecode(b"\xff\xfe\n")).mkdir()
    (place / os.fsdecode(b"\xff\xfe\n") / "-rf").touch()
    (place / "made").touch()


def _closed(place: Path, _: Path) -> None:
    inner = place / "folder" / "inner"
    inner.mkdir(parents=True)
    (inner / "file").touch()
    for each in (inner, inner.parent, place):
        each.chmod(0o000)


def _devices(place: Path, _: Path) -> None:
    os.mkfifo(place / "pipe")


@pytest.mark.slow
@pytest.mark.parametrize("fill", [_links, _depth, _names, _closed, _devices])
@pytest.mark.parametrize("end", [True, False], ids=["with the plan", "alone"])
async def test_nothing_in_a_volume_stops_its_removal(
    root: Path, tmp_path: Path, fill: Callable[[Path, Path], None], *, end: bool
) -> None:
    """I-106: whatever lies in it, all of it goes, and nothing outside is touched."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_bytes(b"stays")
    async with opened(root) as store:
        await store.create(plan_id="p-1", name="a")
        fill(Path(await store.locate(plan_id="p-1", name="a")), outside)
        await (store.end_plan("p-1") if end else store.delete(plan_id="p-1", name="a"))
        assert await store.list(plan_id="p-1") == []
        assert left_in_trash(root) == []
    assert (outside / "kept").read_bytes() == b"stays"


@pytest.mark.parametrize(
    ("code", "kind", "reason"),
    [(errno.ENOSPC, Exhausted, "DISK_FULL"), (errno.EIO, Unavailable, "STORE_UNREACHABLE")],
)
async def test_what_the_system_refuses_is_said_in_our_words(
    root: Path, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[TheoryError], reason: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code), str(root))

    async with opened(root) as store:
        monkeypatch.setattr(Path, "mkdir", refuse)
        with pytest.raises(kind) as caught:
            await store.create(plan_id="p-1", name="a")
    assert caught.value.reason == reason
    assert str(root) not in str(caught.value)


async def test_it_is_ready_while_its_directory_is_there(root: Path) -> None:
    surroundings = opening()
    await directory.open(url_of(root), surroundings)
    await surroundings.ready()
    (root / "plans").rmdir()
    with pytest.raises(Unavailable):
        await surroundings.ready()
    await surroundings.close()
