"""The table in memory hands its events over, those from before it was started included."""

from services.artifacts.streams.adapters.memory import MemoryStreams
from services.artifacts.streams.domain.streams import Streams
from tests.surroundings import Notes
from theory.core.clock import FakeClock
from theory.core.stream import AskedLimits
from theory.core.world_path import WorldName, WorldPath

W, A = WorldName("w"), WorldPath("/streams/a")


async def test_events_are_handed_over_in_order() -> None:
    clock, ledger = FakeClock(), Notes()
    store = MemoryStreams(clock)
    streams, each = Streams(store, clock), AskedLimits(sample_every_n=1)
    await streams.append(W, A, [b"a", b"b"], limits=each)
    store.start(ledger)
    await streams.append(W, A, [b"c"], limits=each)
    await store.close()
    assert [dict(event.body)["watermark"] for _, event, _ in ledger.appended] == [0, 1, 2]
    assert store.table.events == []
