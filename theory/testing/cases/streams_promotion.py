"""What every store of streams promises about chunks that become artifacts, over the wire."""

from theory.api.artifacts.v1 import streams_pb2 as pb
from theory.core.artifact import Artifact
from theory.core.cid import Cid
from theory.core.errors import AlreadyExists, Invalid, NotFound
from theory.core.stream import MAX_BATCH_CHUNKS, AskedLimits
from theory.core.world_path import WorldName, WorldPath
from theory.sdk.artifacts import ArtifactsClient
from theory.testing.case import Target, case
from theory.testing.cases.scratch_chain import require_silence, told
from theory.testing.cases.streams_series import MIB, Series, numbered
from theory.testing.refusals import refusal, refused
from theory.wire.channel import call
from theory.wire.status import item_error

_A, _B = WorldPath("/artifacts/stills/a"), WorldPath("/artifacts/stills/b")
_QUIET = AskedLimits(max_chunks=3, sample_every_n=0)


@case()
async def a_promoted_chunk_is_an_artifact(target: Target) -> None:
    """The path keeps the chunk's bytes when the ring has dropped them; a repeat succeeds (I-7, I-137)."""
    series, chunks = Series(target), numbered(3)
    artifacts, world = ArtifactsClient(target.channel()), WorldName(series.world)
    await series.append(*chunks, limits=_QUIET)
    first = await series.streams.promote(series.world, series.series, 1, _A, content_type="image/png")
    assert (first.world, first.path, first.cid, first.content_type) == (world, _A, Cid.of(chunks[1]), "image/png")
    assert await series.streams.promote(series.world, series.series, 1, _A) == first
    await series.append(*numbered(3, start=3))
    await refusal(series.streams.promote(series.world, series.series, 1, _B), NotFound, "CHUNK_UNKNOWN")
    assert await artifacts.get_bytes(world, _A) == chunks[1]
    assert await artifacts.stat(world, _A) == first


@case()
async def each_chunk_is_promoted_on_its_own(target: Target) -> None:
    """A path that is bound to other bytes, or is a folder, refuses its item and no other (I-7, I-86, I-137)."""
    series, chunks = Series(target), numbered(3)
    await series.append(*chunks, limits=_QUIET)
    below = WorldPath(f"{_A}/below")
    answers = await series.streams.promote_many(
        series.world, series.series, [(0, _A), (1, _A), (2, below), (2, _B), (0, _A)]
    )
    assert isinstance(answers[0], Artifact)
    assert answers[4] == answers[0]
    bound = refused(answers[1], AlreadyExists, "PATH_BOUND")
    assert bound.metadata["cid"] == Cid.of(chunks[0]).text
    refused(answers[2], AlreadyExists, "PATH_SHADOWED")
    assert isinstance(answers[3], Artifact)
    assert answers[3].cid == Cid.of(chunks[2])


@case()
async def what_the_ring_does_not_keep_is_not_promoted(target: Target) -> None:
    """A dropped chunk and one to come are `NotFound` and say what is kept; so is an unknown stream (I-137)."""
    series = Series(target)
    await series.append(*numbered(5), limits=_QUIET)
    answers = await series.streams.promote_many(series.world, series.series, [(1, _A), (5, _A), (1 << 62, _A), (2, _A)])
    for idx, answer in zip((1, 5, 1 << 62), answers, strict=False):
        places = {"series": series.series, "idx": str(idx), "next_idx": "5", "oldest_idx": "2"}
        assert refused(answer, NotFound, "CHUNK_UNKNOWN").metadata == places
    assert isinstance(answers[3], Artifact)
    await refusal(series.streams.promote(series.world, "/streams/none", 0, _B), NotFound, "STREAM_UNKNOWN")
    await refusal(series.streams.promote(series.elsewhere().world, series.series, 0, _B), NotFound, "STREAM_UNKNOWN")


@case()
async def a_promotion_has_limits(target: Target) -> None:
    """1 to 100 chunks, of any size, to paths below /artifacts/; what is malformed is `Invalid` (I-86, I-89)."""
    series = Series(target)
    for _ in range(2):
        await series.append(*[b"x" * MIB] * 6)
    place, item = series.place, pb.PromoteChunksRequest.Item
    bad = [item(idx=-1, world_path=_A.text), *(item(idx=0, world_path=each) for each in ("/streams/a", "/artifacts/A"))]
    request = pb.PromoteChunksRequest(**place, items=[*bad, item(idx=0, world_path=_A.text)])
    results = (await call(series.stub.PromoteChunks, request)).results
    for result, reason in zip(results, ("RANGE_INVALID", "PATH_INVALID", "PATH_INVALID"), strict=False):
        refused(item_error(result.status), Invalid, reason)
    assert (item_error(results[3].status), results[3].created) == (None, True)
    for count in (0, MAX_BATCH_CHUNKS + 1):
        many = pb.PromoteChunksRequest(**place, items=[item(idx=0, world_path=_A.text)] * count)
        await refusal(call(series.stub.PromoteChunks, many), Invalid, "BATCH_SIZE")
    odd = pb.PromoteChunksRequest(**place, items=[item(idx=0, world_path=_A.text)], content_type="a\nb")
    await refusal(call(series.stub.PromoteChunks, odd), Invalid, "FIELD_INVALID")
    every = [(idx, WorldPath(f"/artifacts/every/{idx}")) for idx in range(12)]
    answers = await series.streams.promote_many(series.world, series.series, every)
    assert all(isinstance(each, Artifact) and each.size_bytes == MIB for each in answers)


@case("LEDGER")
async def a_promotion_is_a_direct_write(target: Target) -> None:
    """Each new binding is one `artifact.written` of the chain that was named; a repeat is none (I-55, I-137)."""
    series, plan_id, chunks = Series(target), target.fresh("plan"), numbered(2)
    await series.append(*chunks, limits=_QUIET, plan_id=plan_id)
    for _ in range(2):
        await series.streams.promote_many(series.world, series.series, [(0, _A), (1, _B)], plan_id=plan_id)
    events = await told(target, plan_id, 2)
    assert sorted((each.kind, each.body["path"], each.body["cid"]) for each in events) == [
        ("artifact.written", path.text, Cid.of(data).text) for path, data in zip((_A, _B), chunks, strict=True)
    ]
    assert {each.body["world"] for each in events} == {series.world}
    require_silence(events, *chunks)
