"""Protobuf to the words of streams, and back."""

from services.artifacts.codec import artifact_to_proto, path_of
from services.artifacts.domain.bindings import Written
from services.artifacts.streams.domain.fixing import FixedStream
from services.artifacts.streams.domain.promotion import Promoted
from services.artifacts.streams.ports import StreamStore
from theory.api.artifacts.v1 import streams_pb2 as pb
from theory.core.chunk import MAX_FIXED_BYTES, MAX_FIXED_CHUNKS, MAX_SELECTORS, stream_selector
from theory.core.errors import Invalid, TheoryError
from theory.core.selector import Selector
from theory.core.stream import (
    MAX_BATCH_BYTES,
    MAX_BATCH_CHUNKS,
    MAX_CHUNK_BYTES,
    MAX_STREAM_BYTES,
    MAX_STREAM_CHUNKS,
    MAX_WAIT_S,
    AskedLimits,
    Chunk,
    ChunkPage,
    Stream,
)
from theory.wire.batches import batch
from theory.wire.moments import timestamp
from theory.wire.status import item_ok, item_status

MAX_ITEMS = 1_000
"""The most series of one question."""


def limits_from_proto(request: pb.AppendChunksRequest) -> AskedLimits:
    """The limits that an append names."""
    return AskedLimits(
        request.max_chunks if request.HasField("max_chunks") else None,
        request.max_bytes if request.HasField("max_bytes") else None,
        request.sample_every_n if request.HasField("sample_every_n") else None,
    )


def expected_idx_from_proto(request: pb.AppendChunksRequest) -> int | None:
    """The index that the first chunk must get; None where any will do."""
    return request.expected_idx if request.HasField("expected_idx") else None


def max_chunks_from_proto(request: pb.ReadChunksRequest) -> int:
    """How many; 0 stands for the most."""
    return request.max_chunks or MAX_BATCH_CHUNKS


def selectors_from_proto(request: pb.FixChunksRequest) -> list[Selector]:
    """What is read of streams; good as a whole, or not at all."""
    return [stream_selector(text) for text in batch(request.selectors, MAX_SELECTORS)]


def promoted_from_proto(item: pb.PromoteChunksRequest.Item) -> Promoted:
    """A chunk to bind."""
    if item.idx < 0:
        raise Invalid("RANGE_INVALID", "an index is not negative", field="idx")
    return Promoted(item.idx, path_of(item.world_path))


def stream_to_proto(stream: Stream) -> pb.Stream:
    """A stream as the wire has it."""
    return pb.Stream(
        world=stream.world.text,
        series=stream.series.text,
        watermark_idx=stream.watermark_idx,
        chunk_count=stream.chunk_count,
        dropped_chunks=stream.dropped_chunks,
        kept_bytes=stream.kept_bytes,
        max_chunks=stream.limits.max_chunks,
        max_bytes=stream.limits.max_bytes,
        sample_every_n=stream.limits.sample_every_n,
        create_time=timestamp(stream.create_time),
        update_time=timestamp(stream.update_time),
    )


def status_to_proto(answer: Stream | TheoryError) -> pb.GetStreamStatusResponse.Result:
    """What one stream is."""
    if isinstance(answer, TheoryError):
        return pb.GetStreamStatusResponse.Result(status=item_status(answer))
    return pb.GetStreamStatusResponse.Result(status=item_ok(), stream=stream_to_proto(answer))


def page_to_proto(page: ChunkPage) -> pb.ReadChunksResponse:
    """What was read."""
    return pb.ReadChunksResponse(
        chunks=map(_chunk_to_proto, page.chunks),
        next_idx=page.next_idx,
        watermark_idx=page.watermark_idx,
        skipped_chunks=page.skipped_chunks,
    )


def fixed_to_proto(stream: FixedStream) -> pb.FixChunksResponse.FixedStream:
    """What is fixed of a stream."""
    chunks = [
        pb.FixChunksResponse.FixedChunk(idx=idx, cid=each.cid.text, size_bytes=each.size_bytes)
        for idx, each in stream.chunks
    ]
    return pb.FixChunksResponse.FixedStream(series=stream.series.text, chunks=chunks)


def promoted_to_proto(answer: Written | TheoryError) -> pb.PromoteChunksResponse.Result:
    """What became of a chunk."""
    if isinstance(answer, TheoryError):
        return pb.PromoteChunksResponse.Result(status=item_status(answer))
    artifact = artifact_to_proto(answer.artifact)
    return pb.PromoteChunksResponse.Result(status=item_ok(), artifact=artifact, created=answer.created)


def capabilities_to_proto(store: StreamStore) -> pb.StreamsServiceGetCapabilitiesResponse:
    """What the store says of itself."""
    return pb.StreamsServiceGetCapabilitiesResponse(
        adapter=store.kind,
        durable=store.durable,
        max_chunk_bytes=MAX_CHUNK_BYTES,
        max_batch_chunks=MAX_BATCH_CHUNKS,
        max_batch_bytes=MAX_BATCH_BYTES,
        max_stream_chunks=MAX_STREAM_CHUNKS,
        max_stream_bytes=MAX_STREAM_BYTES,
        max_wait_s=MAX_WAIT_S,
        max_fixed_chunks=MAX_FIXED_CHUNKS,
        max_fixed_bytes=MAX_FIXED_BYTES,
    )


def _chunk_to_proto(chunk: Chunk) -> pb.Chunk:
    return pb.Chunk(idx=chunk.idx, cid=chunk.cid.text, data=chunk.data, append_time=timestamp(chunk.append_time))
