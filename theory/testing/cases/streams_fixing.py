"""What every store of streams promises an executor that fixes what an execution reads, over the wire."""

import asyncio
from collections.abc import Sequence

from theory.api.artifacts.v1 import streams_pb2 as pb
from theory.api.artifacts.v1.streams_pb2_grpc import StreamsServiceStub
from theory.core.chunk import MAX_FIXED_BYTES, MAX_FIXED_CHUNKS, MAX_SELECTORS, FixedChunk, chunk_path
from theory.core.cid import Cid
from theory.core.errors import Denied, Invalid
from theory.core.ids import ExecutionId
from theory.core.selector import Selector
from theory.core.stream import MAX_BATCH_CHUNKS, AskedLimits
from theory.core.world_path import WorldName, WorldPath
from theory.sdk.artifacts import ArtifactsClient
from theory.sdk.retention import RetentionClient
from theory.sdk.streams import StreamsClient
from theory.testing.case import Target, case
from theory.testing.cases.streams_series import MIB, Series, numbered
from theory.testing.refusals import refusal
from theory.wire.channel import call
from theory.wire.identity import Role

_OLD_S = 50 * 365 * 24 * 3600.0
"""The clock of a store may be the real one, whatever the service's own says: so much later, every blob is old."""


class _Dispatch:
    """The executor, about to run one execution in the world of a series."""

    def __init__(self, target: Target, series: Series) -> None:
        self.execution_id = f"{target.fresh('plan')}.step"
        self._world = series.world
        self._channel = target.channel(Role.EXECUTOR)

    async def fix(self, *selectors: str) -> list[FixedChunk]:
        world, execution_id = WorldName(self._world), ExecutionId(self.execution_id)
        return await StreamsClient(self._channel).fix(world, execution_id, [Selector.parse(each) for each in selectors])

    async def request(self, *selectors: str, world: str = "", execution_id: str = "") -> object:
        """As `fix`, with whatever texts."""
        request = pb.FixChunksRequest(
            world=world or self._world, execution_id=execution_id or self.execution_id, selectors=selectors
        )
        return await call(StreamsServiceStub(self._channel).FixChunks, request)

    async def read(self, chunk: FixedChunk) -> bytes:
        return await ArtifactsClient(self._channel).get_blob(chunk.cid)


def _fixed(series: Series, chunks: Sequence[bytes], *, start: int = 0) -> list[FixedChunk]:
    return [
        FixedChunk(chunk_path(WorldPath(series.series), start + at), Cid.of(data), len(data))
        for at, data in enumerate(chunks)
    ]


@case()
async def what_is_fixed_is_what_the_ring_keeps(target: Target) -> None:
    """Each kept chunk that a selector names is listed once, with path, CID and size, by series and index (I-134)."""
    series, chunks = Series(target), [*numbered(4), b""]
    other = series.beside("/streams/camera/sound")
    await series.append(*chunks, limits=AskedLimits(max_chunks=3))
    await other.append(b"beep")
    dispatch = _Dispatch(target, series)
    mine, its = _fixed(series, chunks[2:], start=2), _fixed(other, [b"beep"])
    for selectors, expected in (
        ([f"{series.series}/**"], mine),
        (["/streams/**"], [*mine, *its]),
        (["/streams/camera/**", f"{series.series}/**", mine[0].path.text], [*mine, *its]),
        ([each.path.text for each in (mine[2], mine[0], mine[2])], [mine[0], mine[2]]),
    ):
        assert await dispatch.fix(*selectors) == expected
    assert [await dispatch.read(each) for each in mine] == chunks[2:]


@case()
async def what_names_no_chunk_adds_none(target: Target) -> None:
    """Dropped and future chunks, other folders, other worlds: nothing is listed, and it is no error (I-134)."""
    series = Series(target)
    await series.append(*numbered(3), limits=AskedLimits(max_chunks=2))
    dispatch, elsewhere = _Dispatch(target, series), _Dispatch(target, series.elsewhere())
    kept = _fixed(series, numbered(2, start=1), start=1)
    dropped, future = (chunk_path(WorldPath(series.series), idx).text for idx in (0, 3))
    nothing = [dropped, future, series.series, "/streams/cam/**", "/streams/camera/framesets/**"]
    for selector in (*nothing, f"{series.series}/1", f"{series.series}/0/**"):
        assert await dispatch.fix(selector) == []
    assert await dispatch.fix(*nothing, "/streams/**") == kept
    assert await elsewhere.fix("/streams/**") == []


@case()
async def what_is_fixed_stays_when_the_ring_has_dropped_it(target: Target) -> None:
    """Bytes stay readable by their CID; another call looks anew, and what was listed before stays too (I-135)."""
    series, chunks = Series(target), numbered(6)
    dispatch = _Dispatch(target, series)
    fixed: list[FixedChunk] = []
    for start in (0, 2, 4):
        await series.append(*chunks[start : start + 2], limits=AskedLimits(max_chunks=2))
        found = await dispatch.fix("/streams/**")
        assert found == _fixed(series, chunks[start : start + 2], start=start)
        assert await dispatch.fix("/streams/**") == found
        fixed += found
    assert [idx for idx, _ in await series.kept()] == [4, 5]
    assert [await dispatch.read(each) for each in fixed] == chunks


@case("CLOCK")
async def what_is_fixed_survives_a_collection(target: Target) -> None:
    """A blob that is old and that the ring has dropped goes, unless it was fixed for an execution (I-135)."""
    series, chunks = Series(target), numbered(2)
    dispatch, retention = _Dispatch(target, series), RetentionClient(target.channel())
    await series.append(*chunks, limits=AskedLimits(max_chunks=2))
    fixed = await dispatch.fix("/streams/**")
    free = target.fresh("free").encode()
    await ArtifactsClient(target.channel()).put_blob(free)
    await series.append(*numbered(2, start=2))
    lease_s = (await retention.capabilities()).lease.total_seconds()
    for wait_s in (_OLD_S, lease_s + 600):
        await target.advance(wait_s)
        await retention.collect()
    missing = await ArtifactsClient(target.channel()).find_missing([Cid.of(each) for each in (*chunks, free)])
    assert missing == [Cid.of(free)]
    assert [await dispatch.read(each) for each in fixed] == chunks


@case()
async def more_bytes_than_a_message_are_fixed_in_one_call(target: Target) -> None:
    """What an answer of chunks could not carry is listed, and each chunk is a blob (I-134)."""
    series = Series(target)
    chunks = [bytes([at]) * MIB for at in range(9)]
    for start in range(0, 9, 3):
        await series.append(*chunks[start : start + 3])
    dispatch = _Dispatch(target, series)
    fixed = await dispatch.fix("/streams/**")
    assert fixed == _fixed(series, chunks)
    assert await dispatch.read(fixed[0]) == chunks[0]


@case()
async def one_execution_reads_only_so_much(target: Target) -> None:
    """More than 10,000 chunks are `Invalid` with both limits, which the capabilities state; a part is fixed (I-136)."""
    series = Series(target)
    stated = await series.streams.capabilities()
    assert (stated.max_fixed_chunks, stated.max_fixed_bytes) == (MAX_FIXED_CHUNKS, MAX_FIXED_BYTES)
    one, batches = numbered(1), MAX_FIXED_CHUNKS // MAX_BATCH_CHUNKS
    await series.append(*one, limits=AskedLimits(max_chunks=2 * MAX_FIXED_CHUNKS, sample_every_n=0))
    await asyncio.gather(*(series.append(*[b""] * MAX_BATCH_CHUNKS) for _ in range(batches)))
    dispatch = _Dispatch(target, series)
    error = await refusal(dispatch.fix("/streams/**"), Invalid, "CHUNKS_TOO_MANY")
    assert error.metadata == {"max_chunks": str(MAX_FIXED_CHUNKS), "max_bytes": str(MAX_FIXED_BYTES)}
    first = _fixed(series, one)
    assert await dispatch.fix(first[0].path.text) == first


@case()
async def what_is_no_selector_of_streams_fixes_nothing(target: Target) -> None:
    """Malformed names, selectors of artifacts and empty or endless lists are `Invalid` as a whole (I-89)."""
    series = Series(target)
    await series.append(b"x")
    dispatch = _Dispatch(target, series)
    for bad in (
        "/artifacts/**",
        "/artifacts/a",
        "/streams",
        "/streams/",
        "/streams/*/a",
        "streams/**",
        "/streams/A/**",
    ):
        await refusal(dispatch.request("/streams/**", bad), Invalid, "SELECTOR_INVALID")
    for count in (0, MAX_SELECTORS + 1):
        await refusal(dispatch.request(*["/streams/**"] * count), Invalid, "BATCH_SIZE")
    await refusal(dispatch.request("/streams/**", world="A b"), Invalid, "WORLD_INVALID")
    await refusal(dispatch.request("/streams/**", execution_id="A b"), Invalid, "ID_INVALID")
    assert await dispatch.fix(*["/streams/**"] * MAX_SELECTORS) == _fixed(series, [b"x"])


@case()
async def only_the_executor_fixes(target: Target) -> None:
    """Nobody else makes a store keep what its ring would drop (I-84)."""
    series = Series(target)
    await series.append(b"x")
    request = pb.FixChunksRequest(world=series.world, execution_id="p.x", selectors=["/streams/**"])
    for role in (Role.CLIENT, Role.RESOURCES):
        await refusal(call(StreamsServiceStub(target.channel(role)).FixChunks, request), Denied, "ROLE_DENIED")
