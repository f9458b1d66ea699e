"""The client of streams: chunks appended to a series of a world, read by index, and followed."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import TypeAlias

import grpc

from theory.api.artifacts.v1 import streams_pb2 as pb
from theory.api.artifacts.v1.streams_pb2_grpc import StreamsServiceStub
from theory.core.artifact import Artifact
from theory.core.chunk import FixedChunk, chunk_path
from theory.core.cid import Cid
from theory.core.errors import Corrupt, Invalid, TheoryError, shown
from theory.core.ids import ExecutionId
from theory.core.selector import Selector
from theory.core.stream import (
    ANY_LIMITS,
    MAX_BATCH_CHUNKS,
    MAX_WAIT_S,
    AppendedChunks,
    AskedLimits,
    Chunk,
    ChunkPage,
    Stream,
    StreamLimits,
    series_of,
)
from theory.core.world_path import WorldName, WorldPath
from theory.sdk import sendable
from theory.sdk.artifacts import artifact_from_proto
from theory.sdk.places import PlaceCoalescer
from theory.sdk.rpc import answers, fitting, unwrapped
from theory.wire.channel import call

MAX_ITEMS = 1_000
PAGE_ITEMS = 1_000
FIX_TIMEOUT_S = 120.0
"""How long fixing may take: up to 256 MiB become blobs."""

Statuses: TypeAlias = list[Stream | TheoryError]
"""One answer per series, in order. A name of its own, because `list` is a method here."""
FixedChunks: TypeAlias = list[FixedChunk]
PromotedChunks: TypeAlias = list[Artifact | TheoryError]


@dataclass(frozen=True, slots=True)
class StreamsCapabilities:
    """What the store is, and the limits it keeps."""

    adapter: str
    durable: bool
    max_chunk_bytes: int
    max_batch_chunks: int
    max_batch_bytes: int
    max_stream_chunks: int
    max_stream_bytes: int
    max_wait_s: int
    max_fixed_chunks: int
    max_fixed_bytes: int


class StreamsClient:
    """`theory.core.stream.StreamAdapter` over the wire. Raises only `TheoryError`, or `TimeoutError`.

    Appends are sent one by one, in the order of the calls: what travels together is what was given together. Status
    calls of one turn of the event loop, for one world, make one RPC.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = StreamsServiceStub(channel)
        self._status = PlaceCoalescer(self.status_many, max_items=MAX_ITEMS)

    async def capabilities(self) -> StreamsCapabilities:
        """What the store is, and the limits it keeps."""
        found = await call(self._stub.GetCapabilities, pb.StreamsServiceGetCapabilitiesRequest())
        return StreamsCapabilities(
            found.adapter,
            found.durable,
            found.max_chunk_bytes,
            found.max_batch_chunks,
            found.max_batch_bytes,
            found.max_stream_chunks,
            found.max_stream_bytes,
            found.max_wait_s,
            found.max_fixed_chunks,
            found.max_fixed_bytes,
        )

    async def append(
        self,
        world: str,
        series: str,
        data: bytes,
        *,
        expected_idx: int | None = None,
        limits: AskedLimits = ANY_LIMITS,
        plan_id: str | None = None,
    ) -> int:
        """Append one chunk and return its index. As `append_many`."""
        appended = await self.append_many(
            world, series, [data], expected_idx=expected_idx, limits=limits, plan_id=plan_id
        )
        return appended.first_idx

    async def append_many(
        self,
        world: str,
        series: str,
        chunks: Sequence[bytes],
        *,
        expected_idx: int | None = None,
        limits: AskedLimits = ANY_LIMITS,
        plan_id: str | None = None,
    ) -> AppendedChunks:
        """Append 1 to 100 chunks, at most 1 MiB each and 6 MiB together: all or none, in their order.

        The first append makes the stream and fixes its limits: later `AlreadyExists` (`STREAM_TAKEN`) for another
        figure, `AlreadyExists` (`PATH_SHADOWED`) below or above another stream. After a lost answer the chunks may be
        there twice, unless `expected_idx` says which index the first of them must get: then a repeat succeeds and adds
        nothing; `Conflict` (`STREAM_IDX_CONFLICT`) where other chunks stand there, or none do. `Invalid` (`BATCH_SIZE`,
        `CHUNK_TOO_LARGE`, `STREAM_LIMIT_INVALID`).
        """
        _require_place(world, series)
        _require_plan_id(plan_id)
        StreamLimits(**limits.given())
        _require_idx(expected_idx or 0, "expected_idx")
        request = pb.AppendChunksRequest(
            world=world,
            series=series,
            plan_id=plan_id or "",
            chunks=chunks,
            expected_idx=expected_idx,
            max_chunks=limits.max_chunks,
            max_bytes=limits.max_bytes,
            sample_every_n=limits.sample_every_n,
        )
        response = await call(self._stub.AppendChunks, request)
        return AppendedChunks(response.first_idx, response.watermark_idx)

    async def read(
        self, world: str, series: str, *, from_idx: int = 0, max_chunks: int = MAX_BATCH_CHUNKS, wait_s: int = 0
    ) -> ChunkPage:
        """At most `max_chunks` chunks (1 to 100) from an index on, verified; fewer where they weigh over 6 MiB.

        Where that index was dropped it goes on with the oldest one that is kept. Where there is none it waits up to
        `wait_s` seconds (0 to 20). `NotFound` (`STREAM_UNKNOWN`); `Corrupt` (`CHUNK_CORRUPT`).
        """
        _require_place(world, series)
        _require_idx(from_idx, "from_idx")
        if max_chunks < 1 or max_chunks not in sendable.INT32:
            raise Invalid("MAX_CHUNKS_INVALID", "max_chunks is out of range", min="1", max=str(MAX_BATCH_CHUNKS))
        if wait_s not in sendable.INT32:
            raise Invalid("WAIT_INVALID", "a wait is out of range", min="0", max=str(MAX_WAIT_S))
        request = pb.ReadChunksRequest(
            world=world, series=series, from_idx=from_idx, max_chunks=max_chunks, wait_s=wait_s
        )
        response = await call(self._stub.ReadChunks, request)
        chunks = tuple(_chunk_from_proto(each) for each in response.chunks)
        return ChunkPage(chunks, response.next_idx, response.watermark_idx, response.skipped_chunks)

    async def follow(self, world: str, series: str, *, from_idx: int = 0) -> AsyncIterator[ChunkPage]:
        """Pages from an index on, those to come included, until the caller ends it. Each has a chunk.

        A page says how many chunks were dropped before it came. `NotFound` (`STREAM_UNKNOWN`) where nothing is appended
        for 20 seconds from the start on. After `Unavailable` follow again from the last page's `next_idx`.
        """
        while True:
            page = await self.read(world, series, from_idx=from_idx, wait_s=MAX_WAIT_S)
            from_idx = page.next_idx
            if page.chunks:
                yield page

    async def promote(
        self,
        world: str,
        series: str,
        idx: int,
        world_path: WorldPath,
        *,
        content_type: str = "",
        plan_id: str | None = None,
    ) -> Artifact:
        """Bind one chunk that is kept to a path of its world. As `promote_many`."""
        promoted = await self.promote_many(
            world, series, [(idx, world_path)], content_type=content_type, plan_id=plan_id
        )
        return unwrapped(promoted)[0]

    async def promote_many(
        self,
        world: str,
        series: str,
        chunks: Sequence[tuple[int, WorldPath]],
        *,
        content_type: str = "",
        plan_id: str | None = None,
    ) -> PromotedChunks:
        """Bind up to 100 chunks to paths of their world, each on its own, recorded in the plan's chain; in order.

        `NotFound` (`STREAM_UNKNOWN`) as a whole; per item `NotFound` (`CHUNK_UNKNOWN`) where the stream has not come so
        far, or has dropped the chunk, `Corrupt` (`CHUNK_CORRUPT`), and what `ArtifactsClient.put` is refused with.
        """
        _require_place(world, series)
        _require_plan_id(plan_id)
        if not sendable.is_text(content_type):
            raise Invalid("FIELD_INVALID", "a content type is no Unicode text", field="content_type")
        for idx, _ in chunks:
            _require_idx(idx, "idx")
        items = [pb.PromoteChunksRequest.Item(idx=idx, world_path=path.text) for idx, path in chunks]
        request = pb.PromoteChunksRequest(
            world=world, series=series, plan_id=plan_id or "", content_type=content_type, items=items
        )
        response = await call(self._stub.PromoteChunks, request)
        return answers(response.results, lambda result: artifact_from_proto(result.artifact))

    async def fix(self, world: WorldName, execution_id: ExecutionId, selectors: Sequence[Selector]) -> FixedChunks:
        """Store the chunks that the selectors name as blobs, for one execution, and list them by path.

        For the executor alone. Each call looks anew. `Invalid` (`CHUNKS_TOO_MANY`, `SELECTOR_INVALID`); `Corrupt`
        (`CHUNK_CORRUPT`); `Exhausted` (`DISK_FULL`).
        """
        request = pb.FixChunksRequest(
            world=world.text, execution_id=execution_id.text, selectors=[each.text for each in selectors]
        )
        response = await call(self._stub.FixChunks, request, timeout_s=FIX_TIMEOUT_S)
        return [
            FixedChunk(chunk_path(series, each.idx), Cid.parse(each.cid), each.size_bytes)
            for stream in response.streams
            for series in [series_of(stream.series)]
            for each in stream.chunks
        ]

    async def status(self, world: str, series: str) -> Stream:
        """The counters; `NotFound` (`STREAM_UNKNOWN`)."""
        return await self._status(world, series)

    async def status_many(self, world: str, series: Sequence[str]) -> Statuses:
        """`status` of each series, in order."""
        _require_place(world, "")

        async def ask(sound: Sequence[str]) -> Statuses:
            found: Statuses = []
            for batch in fitting(sound, max_items=MAX_ITEMS):
                response = await call(self._stub.GetStreamStatus, pb.GetStreamStatusRequest(world=world, series=batch))
                found += answers(response.results, lambda each: _stream_from_proto(each.stream))
            return found

        return await sendable.ask(series, _series_fault, ask)

    async def list(self, world: str, prefix: str = "") -> AsyncIterator[Stream]:
        """The streams below a prefix (the whole world where it is empty), by the bytes of their series."""
        _require_place(world, prefix)
        token = ""
        while True:
            request = pb.ListStreamsRequest(world=world, prefix=prefix, page_size=PAGE_ITEMS, page_token=token)
            response = await call(self._stub.ListStreams, request)
            for each in response.streams:
                yield _stream_from_proto(each)
            token = response.next_page_token
            if not token:
                return


def _stream_from_proto(stream: pb.Stream) -> Stream:
    return Stream(
        WorldName.parse(stream.world),
        WorldPath.parse(stream.series),
        StreamLimits(stream.max_chunks, stream.max_bytes, stream.sample_every_n),
        stream.chunk_count,
        stream.dropped_chunks,
        stream.kept_bytes,
        stream.create_time.ToDatetime(UTC),
        stream.update_time.ToDatetime(UTC),
    )


def _chunk_from_proto(chunk: pb.Chunk) -> Chunk:
    cid = Cid.parse(chunk.cid)
    if Cid.of(chunk.data) != cid:
        raise Corrupt("CHUNK_CORRUPT", "a chunk does not have its CID", idx=str(chunk.idx), cid=cid.text)
    return Chunk(chunk.idx, cid, chunk.data, chunk.append_time.ToDatetime(UTC))


def _require_place(world: str, path: str) -> None:
    if not sendable.is_text(world):
        raise Invalid("WORLD_INVALID", "a world's name is no Unicode text", value=shown(world))
    if fault := _series_fault(path):
        raise fault


def _require_plan_id(plan_id: str | None) -> None:
    if plan_id is not None and not sendable.is_text(plan_id):
        raise Invalid("ID_INVALID", "a plan_id is no Unicode text", field="plan_id")


def _series_fault(path: str) -> Invalid | None:
    if sendable.is_text(path):
        return None
    return Invalid("PATH_INVALID", "a world path is Unicode text", rule="character", value=shown(path))


def _require_idx(idx: int, field: str) -> None:
    if idx < 0 or idx not in sendable.INT64:
        raise Invalid("RANGE_INVALID", "an index is 0 to 2^63-1", field=field)
