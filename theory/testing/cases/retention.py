"""What every artifact store promises about what leaves it, over the wire."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta

from theory.api.artifacts.v1 import artifacts_pb2 as pb
from theory.api.artifacts.v1 import retention_pb2
from theory.api.artifacts.v1.artifacts_pb2_grpc import ArtifactsServiceStub
from theory.api.artifacts.v1.retention_pb2_grpc import RetentionServiceStub
from theory.core.artifact import Output
from theory.core.binding import Abortion, Commitment, Preparation
from theory.core.cid import Cid
from theory.core.errors import Invalid, NotFound, NotReady
from theory.core.ids import ExecutionId, PlanId
from theory.core.world_path import WorldName, WorldPath
from theory.sdk.artifacts import ArtifactPut, ArtifactsClient
from theory.sdk.ledger import LedgerClient
from theory.sdk.retention import RetentionClient
from theory.sdk.streams import StreamsClient
from theory.testing.case import Target, case
from theory.testing.refusals import refusal, refused
from theory.wire.channel import call, send
from theory.wire.identity import Role

_MINUTE = timedelta(minutes=1)
_OLD_S = 50 * 365 * 24 * 3600.0
"""The clock of a store may be the real one, whatever the service's own says: so much later, every blob is old."""


@case()
async def an_answer_says_how_long_blobs_may_be_relied_on(target: Target) -> None:
    """Whoever stores a blob, or is told that it is there, learns until when it stays: a lease from now on (I-129)."""
    client, stub = ArtifactsClient(target.channel()), ArtifactsServiceStub(target.channel())
    lease = (await RetentionClient(target.channel()).capabilities()).lease
    assert lease >= _MINUTE
    data = target.fresh("blob").encode()
    bound = await client.put_bytes(_world(target), WorldPath("/artifacts/a"), data)
    put = await call(stub.PutBlobs, pb.PutBlobsRequest(items=[pb.PutBlobsRequest.Item(data=data)]))
    found = await call(stub.FindMissingBlobs, pb.FindMissingBlobsRequest(cids=[Cid.of(data).text]))
    sent = await send(stub.UploadBlob, _upload(data))
    for answer in (put, found, sent):
        until: datetime = answer.expire_time.ToDatetime(UTC)
        assert abs(until - bound.create_time - lease) < _MINUTE


@case("CLOCK")
async def only_what_nothing_refers_to_is_collected(target: Target) -> None:
    """What is bound stays, what was asked for stays for its lease, and the rest goes (I-19, I-128, I-129, I-130)."""
    client, retention = ArtifactsClient(target.channel()), RetentionClient(target.channel())
    lease_s = (await retention.capabilities()).lease.total_seconds()
    bound, settled, asked, free = (target.fresh(name).encode() for name in ("bound", "settled", "asked", "free"))
    await client.put_blobs_many([bound, settled, asked, free])
    world = _world(target)
    await client.put(world, ArtifactPut(WorldPath("/artifacts/bound"), Cid.of(bound)))
    await _settle(target, world, settled)
    await target.advance(_OLD_S)
    await retention.collect(dry_run=True)
    await retention.collect()
    await target.advance(lease_s / 2)
    assert await client.find_missing([Cid.of(asked)]) == []
    async with asyncio.timeout(20):
        await target.advance(lease_s / 2 + 10 * _MINUTE.total_seconds())
        await retention.collect()
    assert await client.find_missing([Cid.of(each) for each in (bound, settled, asked, free)]) == [Cid.of(free)]
    await refusal(client.get_blob(Cid.of(free)), NotFound, "BLOB_UNKNOWN")
    assert await client.get_bytes(world, WorldPath("/artifacts/bound")) == bound
    assert await client.get_bytes(world, WorldPath("/artifacts/settled")) == settled
    assert await client.put_blob(free) == Cid.of(free)
    assert await client.get_blob(Cid.of(free)) == free


@case("CLOCK")
async def counting_changes_nothing(target: Target) -> None:
    """A dry run marks nothing and deletes nothing, however often it is asked for (I-130)."""
    client, retention = ArtifactsClient(target.channel()), RetentionClient(target.channel())
    data = target.fresh("blob").encode()
    await client.put_blob(data)
    await retention.collect(dry_run=True)
    counted = await retention.collect(dry_run=True)
    assert counted.seen_count >= 1
    assert counted.seen_bytes >= len(data)
    assert await client.get_blob(Cid.of(data)) == data


@case()
async def a_world_that_is_dropped_is_gone_for_ever(target: Target) -> None:
    """All its paths and streams go at once, nothing is ever made in it again, and everyone is told why (I-131)."""
    client, streams = ArtifactsClient(target.channel()), StreamsClient(target.channel())
    world, other, data = _world(target), _world(target), target.fresh("blob").encode()
    paths = [WorldPath(f"/artifacts/{name}") for name in ("a", "b/c", "b/d")]
    for each in (world, other):
        await client.put_many(each, [ArtifactPut(path, data) for path in paths])
    await streams.append(world.text, "/streams/s", b"chunk")
    dropped = await RetentionClient(target.channel()).drop_world(world)
    assert (dropped.world, dropped.path_count) == (world, len(paths))
    assert await RetentionClient(target.channel()).drop_world(world) == dropped

    (put,) = await client.put_many(world, [ArtifactPut(WorldPath("/artifacts/new"), data)])
    for answer in (put, *await client.stat_many(world, paths), *await client.read_many(world, paths)):
        assert refused(answer, NotFound, "WORLD_DROPPED").metadata == {"world": world.text}
    for asked in (
        _listed(client, world),
        streams.append(world.text, "/streams/s", b"chunk"),
        streams.append(world.text, "/streams/other", b"chunk"),
        streams.status(world.text, "/streams/s"),
        streams.read(world.text, "/streams/s"),
        _streams_of(streams, world),
    ):
        await refusal(asked, NotFound, "WORLD_DROPPED")
    assert [each.path async for each in client.list(other)] == paths
    assert await client.get_bytes(other, paths[0]) == data


@case()
async def a_world_that_nobody_wrote_to_can_be_dropped(target: Target) -> None:
    """Then it is never written to; a name that is no world is `Invalid WORLD_INVALID` (I-131)."""
    world = _world(target)
    assert (await RetentionClient(target.channel()).drop_world(world)).path_count == 0
    put = ArtifactsClient(target.channel()).put_bytes(world, WorldPath("/artifacts/a"), b"late")
    await refusal(put, NotFound, "WORLD_DROPPED")
    stub = RetentionServiceStub(target.channel())
    for name in ("", "A", "a/b"):
        request = retention_pb2.DropWorldRequest(world=name)
        await refusal(call(stub.DropWorld, request), Invalid, "WORLD_INVALID")


@case()
async def a_world_is_not_dropped_under_an_execution(target: Target) -> None:
    """While paths are reserved it is `NotReady WORLD_BUSY`, and nothing is dropped; then it can be (I-132)."""
    executor, retention = ArtifactsClient(target.channel(Role.EXECUTOR)), RetentionClient(target.channel())
    world, plan_id, execution_id, output = await _prepared(target)
    busy = await refusal(retention.drop_world(world), NotReady, "WORLD_BUSY")
    assert busy.metadata == {"world": world.text, "execution_id": execution_id.text}
    await executor.commit(Commitment(world, plan_id, execution_id, 1, "b3:receipt", (output,)))
    assert (await retention.drop_world(world)).path_count == 1
    late = Preparation(world, plan_id, execution_id, 2, (output,))
    await refusal(executor.prepare(late), NotFound, "WORLD_DROPPED")
    # Whoever has settled need not know that the world is gone.
    await executor.commit(Commitment(world, plan_id, execution_id, 1, "b3:receipt", (output,)))
    await executor.abort(Abortion(execution_id, 2))


@case("LEDGER")
async def a_drop_is_recorded_once(target: Target) -> None:
    """`world.dropped` names the world and how many paths went with it (I-131)."""
    client, ledger, world = ArtifactsClient(target.channel()), LedgerClient(target.channel()), _world(target)
    await client.put_many(world, [ArtifactPut(WorldPath(f"/artifacts/{n}"), b"same") for n in range(2)])
    for _ in range(2):
        await RetentionClient(target.channel()).drop_world(world)
    async with asyncio.timeout(20):
        while not (found := await _drops(ledger, world)):  # noqa: ASYNC110 - no event of ours tells
            await asyncio.sleep(0.02)
    assert found == [{"world": world.text, "paths": 2}]


@case()
async def a_look_for_damage_leaves_what_is_sound(target: Target) -> None:
    """Blobs are read and hashed, none of them is taken for damaged, and tokens fit their own work only (I-133)."""
    client, stub = ArtifactsClient(target.channel()), RetentionServiceStub(target.channel())
    data = target.fresh("blob").encode()
    await client.put_blobs_many([data, b""])
    part = await call(stub.ScrubBlobs, retention_pb2.ScrubBlobsRequest())
    assert part.scrubbed_count >= 1
    assert list(part.damaged_blobs) == []
    assert await client.get_blobs_many([Cid.of(data), Cid.of(b"")]) == [data, b""]
    for token in ("x", part.next_page_token or "AAAA"):
        strange = retention_pb2.CollectGarbageRequest(page_token=token, dry_run=True)
        await refusal(call(stub.CollectGarbage, strange), Invalid, "PAGE_TOKEN_INVALID")


def _world(target: Target) -> WorldName:
    return WorldName.parse(target.fresh("world"))


async def _upload(data: bytes) -> AsyncGenerator[pb.UploadBlobRequest, None]:
    yield pb.UploadBlobRequest(header=pb.UploadBlobRequest.Header())
    yield pb.UploadBlobRequest(chunk=data)


async def _prepared(target: Target) -> tuple[WorldName, PlanId, ExecutionId, Output]:
    executor = ArtifactsClient(target.channel(Role.EXECUTOR))
    plan_id, world = PlanId.parse(target.fresh("plan")), _world(target)
    execution_id, data = ExecutionId.parse(f"{plan_id}.x"), target.fresh("output").encode()
    output = Output(WorldPath("/artifacts/a"), await executor.put_blob(data), len(data))
    await executor.prepare(Preparation(world, plan_id, execution_id, 1, (output,)))
    return world, plan_id, execution_id, output


async def _settle(target: Target, world: WorldName, data: bytes) -> None:
    executor, plan_id = ArtifactsClient(target.channel(Role.EXECUTOR)), PlanId.parse(target.fresh("plan"))
    execution_id = ExecutionId.parse(f"{plan_id}.x")
    outputs = (Output(WorldPath("/artifacts/settled"), Cid.of(data), len(data)),)
    await executor.prepare(Preparation(world, plan_id, execution_id, 1, outputs))
    await executor.commit(Commitment(world, plan_id, execution_id, 1, "b3:receipt", outputs))


async def _listed(client: ArtifactsClient, world: WorldName) -> list[object]:
    return [each async for each in client.list(world)]


async def _streams_of(streams: StreamsClient, world: WorldName) -> list[object]:
    return [each async for each in streams.list(world.text)]


async def _drops(ledger: LedgerClient, world: WorldName) -> list[object]:
    pages = [page async for page in ledger.events("system.artifacts", kinds=["world.dropped"])]
    bodies = [dict(event.body) for page in pages for event in page.events]
    return [body for body in bodies if body["world"] == world.text]
