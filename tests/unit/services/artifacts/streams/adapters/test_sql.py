"""Streams in SQL, on every product: answers as in memory, replicas that share them, and what a restart keeps."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy import func, select

from services.artifacts.streams.adapters import open_streams
from services.artifacts.streams.adapters.memory import MemoryStreams
from services.artifacts.streams.adapters.sql import SqlStreams
from services.artifacts.streams.adapters.sql.schema import CHUNK, STREAM
from services.artifacts.streams.domain.streams import Streams
from services.artifacts.streams.ports import StreamKey
from services.drivers.sql import Database
from tests.servers import Servers
from tests.surroundings import Notes
from theory.core.clock import Clock, FakeClock, SystemClock
from theory.core.errors import AlreadyExists, Corrupt, NotFound, TheoryError, Unavailable
from theory.core.ledger import Appended, PlanEvent
from theory.core.stream import MAX_CHUNK_BYTES, AppendedChunks, AskedLimits, Stream
from theory.core.world_path import PathPrefix, WorldName, WorldPath

PRODUCTS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]
W, A = WorldName("w"), WorldPath("/streams/a")
NAMES = ["/streams/a", "/streams/a/b", "/streams/a.b", "/streams/é", "/streams/a/b/c", "/streams/z"]
STEPS = 50

Opener = Callable[[Clock], Awaitable[SqlStreams]]


@pytest.fixture(params=PRODUCTS)
async def opener(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Opener]:
    """Opens one database, as each replica does."""
    url = f"sqlite:///{tmp_path}/streams.db"
    if request.param == "postgresql":
        servers: Servers = request.getfixturevalue("servers")
        url = servers.postgres()
    opened: list[SqlStreams] = []

    async def open_it(clock: Clock) -> SqlStreams:
        store = await open_streams(url, clock)
        assert isinstance(store, SqlStreams)
        opened.append(store)
        return store

    yield open_it
    for each in opened:
        await each.close()


class Ledger(Notes):
    """Says when it has so many events."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.full = asyncio.Event()
        self._count = count

    async def append(self, events: Sequence[PlanEvent]) -> Sequence[Appended | TheoryError]:
        answers = await super().append(events)
        if len(self.appended) >= self._count:
            self.full.set()
        return answers


def database_of(store: SqlStreams) -> Database:
    return store._database


async def test_it_answers_as_the_one_in_memory_does(opener: Opener) -> None:
    chance, clock = random.Random(7), FakeClock()
    both = [Streams(await opener(clock), clock), Streams(MemoryStreams(clock), clock)]
    for _ in range(STEPS):
        world, series = WorldName(chance.choice("wv")), WorldPath(chance.choice(NAMES))
        chunks = [bytes([chance.randrange(3)]) * chance.choice([0, 1, 300_000]) for _ in range(chance.randint(1, 6))]
        expected_idx = chance.choice([None, chance.randrange(12)])
        limits = AskedLimits(chance.choice([None, 5]), MAX_CHUNK_BYTES, chance.choice([None, 100]))
        clock.advance(1)
        answers = [
            await _answer(each.append(world, series, chunks, expected_idx=expected_idx, limits=limits)) for each in both
        ]
        assert answers[0] == answers[1]
        from_idx, most = chance.randrange(15), chance.randint(1, 9)
        pages = [await _answer(each.read(world, series, from_idx=from_idx, max_chunks=most)) for each in both]
        assert pages[0] == pages[1]
        prefix = chance.choice([None, PathPrefix("/streams/"), PathPrefix("/streams/a/")])
        after = chance.choice(["", *NAMES])
        listed = [await each.page(world, prefix, after=after, limit=2) for each in both]
        assert listed[0] == listed[1]
    assert await _status_of_all(both[0]) == await _status_of_all(both[1])


async def _answer(asked: Awaitable[object]) -> object:
    try:
        return await asked
    except TheoryError as error:
        return type(error), error.reason, dict(error.metadata)


async def _status_of_all(streams: Streams) -> list[Stream]:
    return [each for name in "vw" for each in await streams.page(WorldName(name), None, after="", limit=100)]


async def test_replicas_give_each_index_once(opener: Opener) -> None:
    replicas = [Streams(await opener(SystemClock()), SystemClock()) for _ in range(3)]
    # There it is before they meet: whoever makes a stream holds one more lock.
    await replicas[0].append(W, A, [b"first"], limits=AskedLimits(max_chunks=20))
    idx_of: dict[bytes, int] = {}

    async def work(replica: Streams, name: int) -> None:
        for at in range(15):
            data = f"{name} {at}".encode()
            idx_of[data] = (await replica.append(W, A, [data, data])).first_idx

    await asyncio.gather(*(work(each, name) for name, each in enumerate(replicas)))
    assert sorted(idx_of.values()) == list(range(1, 91, 2))
    [stream] = await replicas[0].status_many(W, [A])
    assert isinstance(stream, Stream)
    assert (stream.chunk_count, stream.dropped_chunks) == (91, 71)
    page = await replicas[1].read(W, A)
    assert [each.idx for each in page.chunks] == list(range(71, 91))
    assert all(each.idx - idx_of[each.data] in {0, 1} for each in page.chunks)


async def test_replicas_make_no_stream_above_another(opener: Opener) -> None:
    replicas = [Streams(await opener(SystemClock()), SystemClock()) for _ in range(2)]
    names = ["/streams/a", "/streams/a/b", "/streams/a/b/c"]
    for world in ("w1", "w2", "w3"):
        answers = await asyncio.gather(
            *(
                each.append(WorldName(world), WorldPath(name), [b"x"])
                for at, name in enumerate(names)
                for each in replicas[at % 2 :][:1]
            ),
            return_exceptions=True,
        )
        assert [each for each in answers if isinstance(each, AppendedChunks)] == [AppendedChunks(0, 0)]
        assert {type(each) for each in answers} == {AppendedChunks, AlreadyExists}


async def test_rows_are_as_many_as_the_counters_say(opener: Opener) -> None:
    store = await opener(FakeClock())
    streams = Streams(store, FakeClock())
    for at in range(7):
        await streams.append(W, A, [b"x"] * (at + 1), limits=AskedLimits(max_chunks=4))
    counts = await database_of(store).read(
        lambda connection: (
            connection.scalar(select(func.count()).select_from(CHUNK)),
            connection.execute(select(STREAM.c.chunk_count, STREAM.c.dropped_chunks)).all(),
        )
    )
    assert counts == (4, [(28, 24)])


async def test_what_was_answered_is_there_after_a_restart(opener: Opener) -> None:
    clock, ledger = FakeClock(), Ledger(3)
    ledger.away = Unavailable("SERVICE_UNREACHABLE", "away")
    store = await opener(clock)
    store.start(ledger)
    limits = AskedLimits(max_chunks=3, sample_every_n=2)
    await Streams(store, clock).append(W, A, [b"a", b"b", b"c", b"d"], expected_idx=0, limits=limits)
    await store.close()

    ledger.away = None
    store = await opener(clock)
    store.start(ledger)
    streams = Streams(store, clock)
    assert [each.data for each in (await streams.read(W, A)).chunks] == [b"b", b"c", b"d"]
    assert await streams.append(W, A, [b"a", b"b", b"c", b"d"], expected_idx=0) == AppendedChunks(0, 3)
    assert await streams.append(W, A, [b"e"]) == AppendedChunks(4, 4)
    async with asyncio.timeout(10):
        await ledger.full.wait()
    assert [dict(event.body)["watermark"] for _, event, _ in ledger.appended] == [0, 2, 4]


async def test_bytes_that_changed_on_the_disk_are_never_given_as_good(opener: Opener) -> None:
    store = await opener(FakeClock())
    streams = Streams(store, FakeClock())
    await streams.append(W, A, [b"a", b"b"])
    await database_of(store).write(
        lambda connection: connection.execute(CHUNK.update().where(CHUNK.c.idx == 0).values(data=b"x")).rowcount
    )
    with pytest.raises(Corrupt):
        await streams.read(W, A)
    assert [each.data for each in (await streams.read(W, A, from_idx=1)).chunks] == [b"b"]


async def test_a_stream_that_is_there_needs_no_lock_of_its_world(opener: Opener) -> None:
    store = await opener(FakeClock())
    key = StreamKey("w", "/streams/a")
    await Streams(store, FakeClock()).append(W, A, [b"x"])
    held = await store.write(key, lambda table: table.held([key, StreamKey("w", "/streams/none")]))
    assert list(held) == [key]


async def test_a_dropped_world_leaves_no_rows_and_every_replica_knows_it(opener: Opener) -> None:
    one, other = await opener(FakeClock()), await opener(FakeClock())
    await Streams(one, FakeClock()).append(W, A, [b"x", b"y"])
    await Streams(one, FakeClock()).append(WorldName("v"), A, [b"z"])
    assert await Streams(other, FakeClock()).drop(W) == 1
    with pytest.raises(NotFound):
        await Streams(one, FakeClock()).append(W, A, [b"x"])
    with pytest.raises(NotFound):
        await Streams(one, FakeClock()).append(W, WorldPath("/streams/other"), [b"x"])
    counted = select(select(func.count()).select_from(STREAM).scalar_subquery(), func.count()).select_from(CHUNK)
    assert tuple(await one._database.read(lambda connection: connection.execute(counted).one())) == (1, 1)
