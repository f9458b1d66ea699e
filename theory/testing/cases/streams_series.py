"""A series of a world of its own at a store under test: what the cases of streams do there."""

from collections.abc import Sequence
from typing import Any

from theory.api.artifacts.v1.streams_pb2_grpc import StreamsServiceStub
from theory.core.stream import ANY_LIMITS, AppendedChunks, AskedLimits, ChunkPage, Stream
from theory.sdk.streams import StreamsClient
from theory.testing.case import Target

MIB = 1 << 20


class Series:
    """One stream, used by one client."""

    def __init__(self, target: Target, *, world: str = "", series: str = "/streams/camera/frames") -> None:
        self._target = target
        self.streams = StreamsClient(target.channel())
        self.stub = StreamsServiceStub(target.channel())
        self.world = world or target.fresh("world")
        self.series = series

    @property
    def place(self) -> dict[str, Any]:
        """How requests name it."""
        return {"world": self.world, "series": self.series}

    def beside(self, series: str) -> "Series":
        """Another stream of the same world."""
        return Series(self._target, world=self.world, series=series)

    def elsewhere(self) -> "Series":
        """The stream of the same name in a world that nobody used yet."""
        return Series(self._target, series=self.series)

    async def append(
        self,
        *chunks: bytes,
        expected_idx: int | None = None,
        limits: AskedLimits = ANY_LIMITS,
        plan_id: str | None = None,
    ) -> AppendedChunks:
        """Append chunks in one batch."""
        return await self.streams.append_many(
            self.world, self.series, chunks, expected_idx=expected_idx, limits=limits, plan_id=plan_id
        )

    async def page(self, from_idx: int = 0, *, max_chunks: int = 100, wait_s: int = 0) -> ChunkPage:
        """Read once."""
        return await self.streams.read(self.world, self.series, from_idx=from_idx, max_chunks=max_chunks, wait_s=wait_s)

    async def kept(self) -> list[tuple[int, bytes]]:
        """Every chunk that is kept, with its index, as many calls as it takes."""
        found: list[tuple[int, bytes]] = []
        page = await self.page()
        while page.chunks:
            found += [(each.idx, each.data) for each in page.chunks]
            page = await self.page(page.next_idx)
        return found

    async def status(self) -> Stream:
        """The counters."""
        return await self.streams.status(self.world, self.series)


def numbered(count: int, *, start: int = 0) -> Sequence[bytes]:
    """Chunks that say where they belong."""
    return [f"chunk {start + idx}".encode() for idx in range(count)]
