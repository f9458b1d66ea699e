"""A register on put-if-absent: one call each, no update lost, no chain that breaks or comes back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from grpclib import Status

from services.drivers.modal import Connection
from services.drivers.modal_objects import Dictionary, drop_dictionary, find_dictionary
from services.drivers.moments import to_us
from services.resources.kv.adapters.modal.cells import OP_BYTES, Applied, Cell, Cells, Heads, Write
from tests.fakes.modal import FakeModal, Fault
from tests.fakes.modal.replicas import connected
from theory.core.clock import FakeClock
from theory.core.errors import Corrupt, Unavailable

pytestmark = pytest.mark.slow

_DAY_S = 86_400


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeModal]:
    with FakeModal() as made:
        yield made


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def connection(fake: FakeModal) -> AsyncIterator[Connection]:
    fake.hub.skew_s = 0
    async with connected(fake) as made:
        yield made


@pytest.fixture
async def dictionary(connection: Connection) -> AsyncIterator[Dictionary]:
    yield await find_dictionary(connection, "d", create=True)
    await drop_dictionary(connection, "d")


@pytest.fixture
def replica(dictionary: Dictionary, clock: FakeClock) -> Callable[[], "Replica"]:
    return lambda: Replica(dictionary, clock)


class Replica:
    """Cells that know nothing yet."""

    _count = 0

    def __init__(self, dictionary: Dictionary, clock: FakeClock) -> None:
        self.cells = Cells(dictionary, Heads(), clock)

    async def put(self, value: bytes, expire_us: int = 0) -> Applied | None:
        return await self.cells.update("k", lambda cell, now_us: Write(value, expire_us), self.op())

    async def append(self, *, op: bytes | None = None, since_us: int | None = None) -> bytes:
        """One letter more."""

        def longer(cell: Cell, now_us: int) -> Write:
            return Write((cell.value or b"") + b"x")

        applied = await self.cells.update("k", longer, op or self.op(), since_us=since_us)
        assert applied is not None
        return (applied.before.value or b"") + b"x"

    async def get(self) -> bytes | None:
        cell = await self.cells.read("k")
        return None if cell is None else cell.value

    def op(self) -> bytes:
        Replica._count += 1
        return Replica._count.to_bytes(OP_BYTES)


async def test_an_operation_on_a_key_that_is_known_is_one_call(fake: FakeModal, replica: Callable[[], Replica]) -> None:
    one = replica()
    await one.put(b"1")
    for work, call in ((one.put(b"2"), "DictUpdate"), (one.get(), "DictGet"), (one.append(), "DictUpdate")):
        since = len(fake.hub.calls)
        await work
        assert fake.hub.counts(since) == {call: 1}


async def test_a_key_that_is_not_known_takes_two_or_three(fake: FakeModal, replica: Callable[[], Replica]) -> None:
    since = len(fake.hub.calls)
    assert await replica().get() is None
    assert fake.hub.counts(since) == {"DictGet": 1}
    await replica().put(b"1")
    assert fake.hub.counts(since) == {"DictGet": 1, "DictUpdate": 2}
    since = len(fake.hub.calls)
    assert await replica().get() == b"1"
    assert fake.hub.counts(since) == {"DictGet": 4}


async def test_what_one_replica_writes_every_other_reads(replica: Callable[[], Replica]) -> None:
    one, two = replica(), replica()
    for value in (b"1", b"2", b"3"):
        await one.put(value)
        assert await two.get() == value
        await two.put(value + value)
        assert await one.get() == value + value


async def test_no_update_is_lost_however_many_write(replica: Callable[[], Replica]) -> None:
    replicas = [replica() for _ in range(4)]
    seen = await asyncio.gather(*(replicas[idx % 4].append() for idx in range(40)))
    assert sorted(map(len, seen)) == list(range(1, 41))


async def test_those_who_begin_at_once_agree(replica: Callable[[], Replica]) -> None:
    await asyncio.gather(*(replica().append() for _ in range(6)))
    assert await replica().get() == b"x" * 6


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_lost_answer_is_settled(fake: FakeModal, replica: Callable[[], Replica], when: str) -> None:
    one = replica()
    await one.append()
    fake.call(lambda: fake.hub.faults.arm(Fault("DictUpdate", when, Status.ABORTED, times=2)))
    assert await one.append() == b"xx"
    assert await replica().get() == b"xx"


async def test_a_write_that_cannot_be_settled_is_found_later(fake: FakeModal, replica: Callable[[], Replica]) -> None:
    one = replica()
    await one.append()
    fake.call(
        lambda: fake.hub.faults.arm(
            Fault("DictUpdate", "after", Status.ABORTED, times=3), Fault("DictGet", "before", Status.ABORTED, times=9)
        )
    )
    with pytest.raises(Unavailable):
        await one.append()
    fake.call(fake.hub.faults.clear)
    assert await one.append() == b"xxx"


async def test_a_write_that_is_known_by_its_op_is_done_once(replica: Callable[[], Replica], clock: FakeClock) -> None:
    one, two, op, since_us = replica(), replica(), bytes(range(OP_BYTES)), to_us(clock.now())
    assert await one.append(op=op, since_us=since_us) == b"x"
    for _ in range(12):
        await two.append()
    clock.advance(30)
    assert await two.append(op=op, since_us=since_us) == b"x"
    assert await replica().append(op=op, since_us=since_us) == b"x"
    assert await two.get() == b"x" * 13


async def test_replicas_at_once_with_one_op_write_once(replica: Callable[[], Replica], clock: FakeClock) -> None:
    op, since_us = bytes(range(OP_BYTES)), to_us(clock.now())
    ours = [replica().append(op=op, since_us=since_us) for _ in range(4)]
    await asyncio.gather(*ours, *(replica().append() for _ in range(4)))
    assert await replica().get() == b"x" * 5


async def test_a_change_of_nothing_writes_nothing(fake: FakeModal, replica: Callable[[], Replica]) -> None:
    one, two = replica(), replica()
    assert await one.cells.update("k", lambda cell, now_us: None, one.op(), begin=False) is None
    assert await one.cells.update("k", lambda cell, now_us: Write(b"0"), one.op(), begin=False) is None
    await one.put(b"1")
    await two.put(b"2")
    since = len(fake.hub.calls)
    applied = await one.cells.update("k", lambda cell, now_us: None, one.op())
    assert applied is not None
    assert applied.before.value == b"2"
    assert "DictUpdate" not in fake.hub.counts(since)


async def test_a_long_chain_is_not_walked_from_its_beginning(fake: FakeModal, replica: Callable[[], Replica]) -> None:
    one, two = replica(), replica()
    await two.put(b"")
    for _ in range(60):
        await one.append()
    for reader in (two, replica()):
        since = len(fake.hub.calls)
        assert await reader.get() == b"x" * 60
        assert fake.hub.counts(since)["DictGet"] < 24


async def test_a_key_that_is_written_now_and_then_stays_whole(
    fake: FakeModal, replica: Callable[[], Replica], clock: FakeClock
) -> None:
    one = replica()
    for _ in range(20):
        await one.append()
        _pass(fake, clock, 2 * _DAY_S)
    assert await replica().get() == b"x" * 20


async def test_a_key_that_is_only_read_stays(fake: FakeModal, replica: Callable[[], Replica], clock: FakeClock) -> None:
    one = replica()
    await one.put(b"kept")
    for _ in range(10):
        _pass(fake, clock, 3 * _DAY_S)
        assert await one.get() == b"kept"
    assert await replica().get() == b"kept"


async def test_a_key_that_nobody_touches_for_a_week_begins_anew(
    fake: FakeModal, replica: Callable[[], Replica], clock: FakeClock
) -> None:
    one = replica()
    for _ in range(3):
        await one.append()
    _pass(fake, clock, 8 * _DAY_S)
    assert await replica().get() is None
    assert await one.append() == b"x"
    assert await replica().get() == b"x"


@pytest.mark.parametrize("planted", [b"", b"\x01", bytes(40), b"\x02" + bytes(60)])
async def test_what_is_no_cell_is_not_ours(
    replica: Callable[[], Replica], dictionary: Dictionary, planted: bytes
) -> None:
    applied = await replica().put(b"1")
    assert applied is not None
    await dictionary.put(f"v:k:{applied.before.version + 1}", planted)
    with pytest.raises(Corrupt):
        await replica().get()
    await dictionary.put("h:k", b"short")
    with pytest.raises(Corrupt):
        await replica().get()


def test_a_cell_comes_back_as_it_went() -> None:
    for cell in (Cell(7), Cell(7, b""), Cell(7, b"\x00\xff", 1 << 50, 1 << 51, bytes(range(OP_BYTES)))):
        assert Cell.unpack(7, cell.pack()) == cell


def test_a_cell_lives_until_its_end() -> None:
    assert Cell(1, b"", 0).live(1 << 60)
    assert Cell(1, b"", 10).live(9)
    assert not Cell(1, b"", 10).live(10)
    assert not Cell(1).live(0)


def _pass(fake: FakeModal, clock: FakeClock, s: float) -> None:
    clock.advance(s)
    fake.hub.skew_s += s
