"""Worlds that are dropped: at once for everyone, in pieces for the table, for ever."""

import asyncio

import pytest

from services.artifacts.adapters.bindings.memory import MemoryBindings
from services.artifacts.ports import Fence, Hold, PathKey, Pin, PinKind
from services.artifacts.retention.domain import dropping
from services.artifacts.retention.domain.dropping import Dropping
from theory.core.cid import Cid
from theory.core.clock import FakeClock
from theory.core.errors import NotReady, Unavailable
from theory.core.ids import ExecutionId, PlanId
from theory.core.world_path import WorldName

W, V = WorldName("w"), WorldName("v")
CID = Cid.of(b"one")


class Streams:
    """Whose streams were dropped; fails as often as it was told to."""

    def __init__(self, failures: int = 0) -> None:
        self.dropped: list[str] = []
        self.failures = failures

    async def drop(self, world: WorldName) -> int:
        if self.failures:
            self.failures -= 1
            raise Unavailable("STORE_UNREACHABLE", "away")
        self.dropped.append(world.text)
        return 0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def table(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> MemoryBindings:
    monkeypatch.setattr(dropping, "_ROWS", 3)
    table = MemoryBindings(clock)
    holds = [
        Hold(PathKey(world.text, f"/artifacts/{n}"), CID, 3, "text/plain", clock.now(), None)
        for world in (W, V)
        for n in range(7)
    ]
    await table.write(lambda step: step.bind(holds))
    await table.write(lambda step: step.pin([Pin(f"x{n}", "w", CID, PinKind.INPUT) for n in range(4)]))
    return table


async def test_all_paths_and_pins_of_the_world_go_and_no_others(table: MemoryBindings, clock: FakeClock) -> None:
    streams = Streams()
    dropped = await Dropping(table, streams, clock).drop(W)
    assert (dropped.world, dropped.paths, dropped.done) == ("w", 7, True)
    assert table.table.bound_page(W, "", "", 9) == []
    assert len(table.table.bound_page(V, "", "", 9)) == 7
    assert not table.table.pins
    assert streams.dropped == ["w"]
    (event,) = table.table.events
    assert event.plan_id == "system.artifacts"
    assert (event.event.kind, event.event.body) == ("world.dropped", {"world": "w", "paths": 7})


async def test_a_repeat_changes_nothing(table: MemoryBindings, clock: FakeClock) -> None:
    first = await Dropping(table, Streams(), clock).drop(W)
    clock.advance(60)
    assert await Dropping(table, Streams(), clock).drop(W) == first
    assert len(table.table.events) == 1


async def test_calls_at_once_share_the_work(table: MemoryBindings, clock: FakeClock) -> None:
    streams = Streams()
    worlds = Dropping(table, streams, clock)
    one, other = await asyncio.gather(worlds.drop(W), worlds.drop(W))
    assert one == other
    assert streams.dropped == ["w"]


async def test_a_world_with_an_open_reservation_is_left_alone(table: MemoryBindings, clock: FakeClock) -> None:
    fence = Fence(ExecutionId("x"), PlanId("p"), W, 1, open=True, time=clock.now())
    await table.write(lambda step: step.fence([fence]))
    with pytest.raises(NotReady) as refused:
        await Dropping(table, Streams(), clock).drop(W)
    assert (refused.value.reason, refused.value.metadata) == ("WORLD_BUSY", {"world": "w", "execution_id": "x"})
    assert len(table.table.bound_page(W, "", "", 9)) == 7
    assert table.table.dropped(["w"]) == {}


async def test_what_was_left_undone_is_done_at_the_next_start(table: MemoryBindings, clock: FakeClock) -> None:
    with pytest.raises(Unavailable):
        await Dropping(table, Streams(failures=1), clock).drop(W)
    assert table.table.dropped(["w"])["w"].done is False
    worlds = Dropping(table, Streams(failures=1), clock)
    running = asyncio.ensure_future(worlds.run())
    await clock.until_sleepers(1)
    clock.advance(60)
    await running
    assert table.table.dropped(["w"])["w"].done is True
    assert table.table.dropping() == []
    await worlds.close()
