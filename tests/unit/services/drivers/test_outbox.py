"""Events leave the outbox in order, once, whatever the ledger does meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from sqlalchemy import Connection, MetaData, text

from services.drivers import outbox
from services.drivers.sql import Database
from tests.servers import Servers
from tests.turned_postgres import TurnedPostgres
from tests.unit.theory.core.refusal import refused
from theory.core.chain import NewEvent
from theory.core.clock import FakeClock
from theory.core.errors import Invalid, TheoryError, Unavailable
from theory.core.jcs import JSON
from theory.core.ledger import Appended, PlanEvent


def event(name: str) -> PlanEvent:
    return PlanEvent("p-1", NewEvent(name, "scratch.kv.changed", "2026-01-02T03:04:05.000006Z", {"key": name}))


class Chain:
    """A ledger that remembers, and fails as told."""

    def __init__(self) -> None:
        self.kept: list[PlanEvent] = []
        self.calls = 0
        self.raises: list[Exception] = []
        self.refuses: dict[str, TheoryError] = {}
        self._grown = asyncio.Event()

    async def append(self, events: Sequence[PlanEvent]) -> Sequence[Appended | TheoryError]:
        self.calls += 1
        if self.raises:
            raise self.raises.pop(0)
        answers = [self.refuses.get(each.event.event_id, Appended(1, "0" * 64)) for each in events]
        self.kept += [each for each, answer in zip(events, answers, strict=True) if isinstance(answer, Appended)]
        self._grown.set()
        return answers

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._grown.clear()
            await self._grown.wait()


PRODUCTS = ["memory", pytest.param("postgresql", marks=pytest.mark.slow)]


@pytest.fixture(params=PRODUCTS)
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "memory":
        return "memory:"
    servers: Servers = request.getfixturevalue("servers")
    return servers.postgres()


async def opened(url: str) -> Database:
    metadata = MetaData()
    outbox.add_to(metadata)
    return await Database.open(url, metadata, durable=False)


@pytest.fixture
async def db(url: str) -> AsyncIterator[Database]:
    made = await opened(url)
    yield made
    await made.close()


@pytest.fixture
def chain() -> Chain:
    return Chain()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def pump(db: Database, chain: Chain, clock: FakeClock) -> AsyncIterator[outbox.Pump]:
    made = outbox.Pump(db, chain.append, clock)
    yield made
    await made.close()


async def keep(db: Database, *names: str) -> None:
    await db.write(lambda connection: outbox.enqueue(connection, [event(each) for each in names]))


async def waiting(db: Database) -> list[tuple[str, str | None]]:
    def rows(connection: Connection) -> list[tuple[str, str | None]]:
        found = connection.execute(text("SELECT event_id, refused FROM outbox ORDER BY position")).all()
        return [(each.event_id, each.refused) for each in found]

    return await db.read(rows)


async def test_what_was_left_by_an_earlier_process_leaves_at_start(
    db: Database, pump: outbox.Pump, chain: Chain, clock: FakeClock
) -> None:
    await keep(db, "b", "a")
    pump.start()
    await clock.until_sleepers(1)
    assert chain.kept == [event("b"), event("a")]
    assert await waiting(db) == []


async def test_a_poke_sends_at_once(db: Database, pump: outbox.Pump, chain: Chain, clock: FakeClock) -> None:
    pump.start()
    await clock.until_sleepers(1)
    await keep(db, "a")
    pump.poke()
    await chain.until(lambda: chain.kept == [event("a")])


async def test_an_event_without_a_poke_leaves_a_little_later(
    db: Database, pump: outbox.Pump, chain: Chain, clock: FakeClock
) -> None:
    pump.start()
    await clock.until_sleepers(1)
    await keep(db, "a")
    clock.advance(5)
    await chain.until(lambda: chain.kept == [event("a")])


async def test_an_event_of_a_transaction_that_failed_never_leaves(
    db: Database, pump: outbox.Pump, chain: Chain, clock: FakeClock
) -> None:
    def fail(connection: Connection) -> None:
        outbox.enqueue(connection, [event("a")])
        raise Unavailable("X", "no")

    with pytest.raises(Unavailable):
        await db.write(fail)
    pump.start()
    await clock.until_sleepers(1)
    assert chain.calls == 0


async def test_a_ledger_that_is_away_is_asked_again_with_growing_pauses(
    db: Database, pump: outbox.Pump, chain: Chain, clock: FakeClock
) -> None:
    chain.raises = [Unavailable("X", "away"), TimeoutError(), Unavailable("X", "away")]
    await keep(db, "a")
    pump.start()
    for calls, pause_s in enumerate((0.1, 0.2, 0.4), start=1):
        await clock.until_sleepers(1)
        assert chain.calls == calls
        clock.advance(pause_s)
    await chain.until(lambda: chain.kept == [event("a")])


async def test_an_event_that_is_refused_for_ever_holds_up_nobody(
    db: Database, pump: outbox.Pump, chain: Chain, clock: FakeClock
) -> None:
    chain.refuses["bad"] = Invalid("EVENT_KIND_INVALID", "no")
    await keep(db, "bad", "good")
    pump.start()
    await clock.until_sleepers(1)
    assert chain.kept == [event("good")]
    assert await waiting(db) == [("bad", "EVENT_KIND_INVALID")]
    assert chain.calls == 1


async def test_an_event_that_is_refused_for_now_is_sent_again(
    db: Database, pump: outbox.Pump, chain: Chain, clock: FakeClock
) -> None:
    chain.refuses["a"] = Unavailable("X", "full")
    await keep(db, "a", "b")
    pump.start()
    await clock.until_sleepers(1)
    assert await waiting(db) == [("a", None)]
    chain.refuses.clear()
    clock.advance(0.1)
    await chain.until(lambda: chain.kept == [event("b"), event("a")])


async def test_the_same_event_waits_once(db: Database) -> None:
    await keep(db, "a")
    await keep(db, "a")
    assert await waiting(db) == [("a", None)]


@pytest.mark.parametrize(("body", "rule"), [({"ratio": 0.5}, "float"), ({"text": "x" * 70_000}, "size")])
async def test_a_body_that_no_chain_takes_is_refused_with_its_effect(
    db: Database, body: dict[str, JSON], rule: str
) -> None:
    bad = PlanEvent("p-1", NewEvent("a", "scratch.kv.changed", "2026-01-02T03:04:05.000006Z", body))
    with refused(Invalid, "EVENT_BODY_INVALID", rule=rule):
        await db.write(lambda connection: outbox.enqueue(connection, [bad]))
    assert await waiting(db) == []


@pytest.mark.slow
async def test_of_replicas_one_carries_at_a_time(servers: Servers, chain: Chain) -> None:
    url = servers.postgres()
    clock = TurnedPostgres(url)
    databases = [await opened(url) for _ in range(2)]
    carrying, gate = asyncio.Event(), asyncio.Event()
    asked: list[int] = []

    async def append(events: Sequence[PlanEvent]) -> Sequence[Appended | TheoryError]:
        asked.append(len(events))
        carrying.set()
        await gate.wait()
        return await chain.append(events)

    one, two = (outbox.Pump(each, append, clock) for each in databases)
    await keep(databases[0], "a", "b")
    one.start()
    await carrying.wait()
    two.start()
    await clock.until_sleepers(1)  # it is not its turn
    await keep(databases[1], "c")
    gate.set()
    await chain.until(lambda: len(chain.kept) >= 2)
    clock.advance(0.1)
    await chain.until(lambda: chain.kept == [event("a"), event("b"), event("c")])
    assert sum(asked) == 3
    for pump, each in zip((one, two), databases, strict=True):
        await pump.close()
        await each.close()
    clock.close()


@pytest.mark.slow
async def test_the_turn_of_a_replica_that_crashed_ends(servers: Servers, chain: Chain) -> None:
    url = servers.postgres()
    clock = TurnedPostgres(url)
    db = await opened(url)
    await keep(db, "a")
    crashed, pump = (outbox.Pump(db, chain.append, clock) for _ in range(2))
    assert await db.write(crashed._take)
    pump.start()
    await clock.until_sleepers(1)
    assert chain.calls == 0
    clock.advance(30)
    await chain.until(lambda: chain.kept == [event("a")])
    await pump.close()
    await db.close()
    clock.close()
