"""The tests of services/ledger/domain/tail.py."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from services.ledger.adapters import open_store
from services.ledger.domain.chain import Chains, filter_of
from services.ledger.domain.tail import LONGEST_TAIL_S, TOLD_EVERY_S, Tails, Told
from services.ledger.ports import MAX_US, MIN_US, EventFilter, LedgerStore
from tests.unit.services.ledger.books import TS
from theory.core.chain import NewEvent
from theory.core.clock import FakeClock
from theory.core.errors import Invalid
from theory.core.ledger import PlanEvent

_ALL = EventFilter()
_QUEUE = filter_of(["scratch.queue.*"], MIN_US, MAX_US)


@pytest.fixture
async def store() -> AsyncIterator[LedgerStore]:
    opened = await open_store("memory:")
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def tails(store: LedgerStore, clock: FakeClock) -> Tails:
    return Tails(store, clock)


async def _append(store: LedgerStore, *kinds: str, chain: str = "p-1") -> None:
    events = [PlanEvent(chain, NewEvent(f"{kind}/{at}/{id(kinds)}", kind, TS, {})) for at, kind in enumerate(kinds)]
    await Chains(store, FakeClock()).append(events, role="resources")


def _seqs(told: Told) -> list[int]:
    return [each.seq for each in told.events]


async def test_what_is_there_is_told_and_then_what_comes(store: LedgerStore, tails: Tails) -> None:
    await _append(store, "scratch.kv.changed", "scratch.kv.changed")
    async with aclosing(tails.follow("p-1", after_seq=1, chosen=_ALL)) as following:
        first = await anext(following)
        assert (_seqs(first), first.after_seq, first.head.seq) == ([2], 2, 2)
        waiting = asyncio.ensure_future(anext(following))
        await asyncio.sleep(0)
        await _append(store, "scratch.kv.changed", chain="p-other")
        await asyncio.sleep(0)
        assert not waiting.done()
        await _append(store, "scratch.kv.changed")
        assert _seqs(await waiting) == [3]


async def test_a_chain_that_does_not_exist_is_waited_for(store: LedgerStore, tails: Tails) -> None:
    async with aclosing(tails.follow("p-1", after_seq=0, chosen=_ALL)) as following:
        waiting = asyncio.ensure_future(anext(following))
        await asyncio.sleep(0)
        await _append(store, "scratch.kv.changed")
        assert _seqs(await waiting) == [1]


async def test_a_position_moves_past_what_nobody_wants(store: LedgerStore, tails: Tails, clock: FakeClock) -> None:
    async with aclosing(tails.follow("p-1", after_seq=0, chosen=_QUEUE)) as following:
        waiting = asyncio.ensure_future(anext(following))
        await asyncio.sleep(0)
        await _append(store, "scratch.kv.changed", "scratch.kv.changed")
        await clock.until_sleepers(1)
        clock.advance(TOLD_EVERY_S)
        silent = await waiting
        assert (_seqs(silent), silent.after_seq) == ([], 2)
        waiting = asyncio.ensure_future(anext(following))
        await asyncio.sleep(0)
        await _append(store, "scratch.queue.published")
        assert _seqs(await waiting) == [3]


async def test_a_tail_ends_with_its_position(store: LedgerStore, tails: Tails, clock: FakeClock) -> None:
    await _append(store, "scratch.kv.changed")
    told: list[Told] = []

    async def read() -> None:
        async for each in tails.follow("p-1", after_seq=0, chosen=_ALL):
            told.append(each)  # noqa: PERF401 - what was told is looked at while more comes

    reading = asyncio.create_task(read())
    while not reading.done():
        await asyncio.sleep(0)
        if clock.sleepers:
            clock.advance(TOLD_EVERY_S)
    assert clock.monotonic() <= LONGEST_TAIL_S + 2 * TOLD_EVERY_S
    assert {each.after_seq for each in told} == {1}
    assert [_seqs(each) for each in told][:2] == [[1], []]


async def test_what_another_replica_appended_is_found(store: LedgerStore, tails: Tails, clock: FakeClock) -> None:
    async with aclosing(tails.follow("p-1", after_seq=0, chosen=_ALL)) as following:
        waiting = asyncio.ensure_future(anext(following))
        await clock.until_sleepers(1)
        store.listen(lambda _: None)  # from now on nobody here is told
        await _append(store, "scratch.kv.changed")
        looking = asyncio.create_task(tails.run())
        await clock.until_sleepers(2)
        clock.advance(1.0)
        assert _seqs(await waiting) == [1]
        looking.cancel()


async def test_a_long_chain_is_told_in_pages(store: LedgerStore, tails: Tails) -> None:
    await _append(store, *(["scratch.kv.changed"] * 1500))
    following = tails.follow("p-1", after_seq=0, chosen=_ALL)
    assert [len((await anext(following)).events) for _ in range(2)] == [1000, 500]


@pytest.mark.parametrize(
    "kind", ["", "*", "scratch", ".kv", "scratch.", "scratch.**", "Scratch.*", "a.b" * 40, "a.*.b"]
)
def test_what_is_no_kind_and_no_family_is_refused(kind: str) -> None:
    with pytest.raises(Invalid) as caught:
        filter_of([kind], MIN_US, MAX_US)
    assert caught.value.reason == "EVENT_KIND_INVALID"


def test_a_filter_has_bounds() -> None:
    with pytest.raises(Invalid, match="at most 64"):
        filter_of([f"a.k{at}" for at in range(65)], MIN_US, MAX_US)
    with pytest.raises(Invalid, match="behind its end"):
        filter_of([], 2, 1)


@pytest.mark.parametrize(
    ("kinds", "begin", "end", "taken"),
    [
        ([], MIN_US, MAX_US, ["a.b", "scratch.kv.changed", "scratch.queue.published", "scratchy.x"]),
        (["a.b"], MIN_US, MAX_US, ["a.b"]),
        (["scratch.*"], MIN_US, MAX_US, ["scratch.kv.changed", "scratch.queue.published"]),
        (["scratch.kv.*", "a.b"], MIN_US, MAX_US, ["a.b", "scratch.kv.changed"]),
        ([], 5, 6, ["a.b", "scratch.kv.changed", "scratch.queue.published", "scratchy.x"]),
        ([], 6, MAX_US, []),
        ([], MIN_US, 5, []),
    ],
)
def test_a_filter_takes_kinds_families_and_times(kinds: list[str], begin: int, end: int, taken: list[str]) -> None:
    chosen = filter_of(kinds, begin, end)
    every = ["a.b", "scratch.kv.changed", "scratch.queue.published", "scratchy.x"]
    assert [kind for kind in every if chosen.takes(kind, 5)] == taken
