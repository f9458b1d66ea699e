"""What was answered of streams survives kill -9: chunks in the ring, indexes without a gap, counters, samples."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.drills.alone import alone
from theory.core.cid import Cid
from theory.core.errors import TheoryError
from theory.core.stream import AskedLimits, Chunk
from theory.sdk.client import Theory
from theory.wire.home import socket_url

WORLD, PLAN = "drill", "p-drill"
RING, EVERY_N = 40, 7
LIMITS = AskedLimits(max_chunks=RING, sample_every_n=EVERY_N)
SERIES = ["/streams/a/frames", "/streams/b/frames"]
"""The second has one writer, who repeats what was not answered."""
KILLS = 4
WORKERS = 6
ACKED_BEFORE_KILL = 200
PATIENCE_S = 60.0


class Streams:
    """One home, its service, and what the service acknowledged."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.answered: dict[str, dict[int, bytes]] = {series: {} for series in SERIES}
        self.tried = 0
        self.repeat: tuple[int, list[bytes]] | None = None
        self.reasons: set[str] = set()
        """Why appends failed."""
        self._enough = asyncio.Event()

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Theory]:
        """A client of the service, once it answers."""
        urls = {service: socket_url(self.home, service) for service in ("artifacts", "ledger")}
        async with Theory.connect(url_by_service=urls) as theory:
            await _until_it_answers(theory)
            yield theory

    async def work(self, theory: Theory) -> None:
        """Append wherever the stream ends, until the service is gone."""
        while True:
            chunks = self._chunks(2)
            try:
                first_idx, _ = await theory.streams.append_many(WORLD, SERIES[0], chunks, limits=LIMITS, plan_id=PLAN)
            except TheoryError as error:
                self.reasons.add(error.reason)
                return
            self._note(SERIES[0], first_idx, chunks)

    async def work_alone(self, theory: Theory) -> None:
        """Append at an index, and begin with what was not answered before, until the service is gone."""
        while True:
            try:
                await self.append_alone(theory)
            except TheoryError as error:
                self.reasons.add(error.reason)
                return

    async def append_alone(self, theory: Theory) -> None:
        """Append what was not answered, or the next chunks."""
        if self.repeat is None:
            self.repeat = len(self.answered[SERIES[1]]), self._chunks(3)
        expected_idx, chunks = self.repeat
        first_idx, _ = await theory.streams.append_many(
            WORLD, SERIES[1], chunks, expected_idx=expected_idx, limits=LIMITS, plan_id=PLAN
        )
        assert first_idx == expected_idx
        self.repeat = None
        self._note(SERIES[1], first_idx, chunks)

    async def until_enough(self) -> None:
        """Return in the middle of the work."""
        self._enough.clear()
        async with asyncio.timeout(PATIENCE_S):
            await self._enough.wait()

    def _chunks(self, count: int) -> list[bytes]:
        self.tried += count
        return [f"chunk {self.tried - at}".encode() for at in range(count)]

    def _note(self, series: str, first_idx: int, chunks: list[bytes]) -> None:
        self.answered[series].update(enumerate(chunks, first_idx))
        if sum(map(len, self.answered.values())) % ACKED_BEFORE_KILL < len(chunks):
            self._enough.set()


async def _until_it_answers(theory: Theory) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await theory.streams.capabilities()
            except (TheoryError, TimeoutError):
                await asyncio.sleep(0.05)
            else:
                return


async def _kept(theory: Theory, series: str) -> list[Chunk]:
    found: list[Chunk] = []
    page = await theory.streams.read(WORLD, series)
    while page.chunks:
        found += page.chunks
        page = await theory.streams.read(WORLD, series, from_idx=page.next_idx)
    return found


async def _samples(theory: Theory, count: int) -> list[Mapping[str, object]]:
    """The bodies of the samples, once they are so many."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            pages = [page async for page in theory.ledger.events(PLAN, kinds=["streams.sampled"])]
            found: list[Mapping[str, object]] = [event.body for page in pages for event in page.events]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.1)


@pytest.mark.drill
async def test_acknowledged_chunks_survive_kill_9(tmp_path: Path) -> None:
    streams = Streams(tmp_path)
    async with alone("ledger", tmp_path):
        for _ in range(KILLS):
            async with alone("artifacts", tmp_path) as process, streams.client() as theory:
                workers = [asyncio.create_task(streams.work(theory)) for _ in range(WORKERS)]
                workers.append(asyncio.create_task(streams.work_alone(theory)))
                await streams.until_enough()
                process.kill()
                await asyncio.gather(*workers)

        async with alone("artifacts", tmp_path), streams.client() as theory:
            await streams.append_alone(theory)
            single = await theory.streams.status(WORLD, SERIES[1])
            assert single.chunk_count == len(streams.answered[SERIES[1]])
            assert streams.reasons <= {"SERVICE_UNREACHABLE"}
            expected: Counter[tuple[object, object]] = Counter()
            for series in SERIES:
                stream, kept = await theory.streams.status(WORLD, series), await _kept(theory, series)
                answered = streams.answered[series]
                assert stream.watermark_idx + 1 == stream.chunk_count <= streams.tried
                assert stream.chunk_count - stream.dropped_chunks == len(kept) == RING
                assert [each.idx for each in kept] == list(range(stream.dropped_chunks, stream.chunk_count))
                assert stream.kept_bytes == sum(len(each.data) for each in kept)
                assert max(answered) <= stream.watermark_idx
                lost = {each.idx: each.data for each in kept if answered.get(each.idx, each.data) != each.data}
                assert lost == {}
                assert len({each.data for each in kept}) == len(kept)
                expected.update((series, idx) for idx in range(0, stream.chunk_count, EVERY_N))
            samples = await _samples(theory, expected.total())
            assert Counter((each["series"], each["watermark"]) for each in samples) == expected
            for each in samples:
                data = streams.answered[str(each["series"])].get(int(str(each["watermark"])))
                assert data is None or Cid.of(data).text == each["cid"]
