"""What every artifact store promises of what an attempt sees of it, over the wire."""

import asyncio

from theory.api.artifacts.v1 import artifacts_pb2 as pb
from theory.api.artifacts.v1.artifacts_pb2_grpc import ArtifactsServiceStub
from theory.core.binding import AttemptInputs
from theory.core.cid import Cid
from theory.core.errors import Denied, NotFound, TheoryError, Unauthenticated
from theory.core.presign import BlobGet
from theory.core.world_path import PathPrefix, WorldName, WorldPath
from theory.sdk.artifacts import ArtifactPut, ArtifactsClient
from theory.testing.case import Target, case
from theory.testing.cases.attempt_grants import OUT, Speaker, denied
from theory.testing.refusals import refusal, refused
from theory.wire.channel import call, stream
from theory.wire.identity import Role

READ, OTHER, FREE = (WorldPath(f"/artifacts/in/{name}") for name in ("read", "other", "free"))


class Seen:
    """An attempt that reads one path of its world, in which another path is bound, too."""

    def __init__(self, target: Target, attempt: Speaker) -> None:
        self.grant = attempt.grant
        self.world = attempt.grant.world
        self.ours = ArtifactsClient(attempt.channel)
        self.stub = ArtifactsServiceStub(attempt.channel)
        self.theirs = ArtifactsClient(target.channel())
        self.executor = ArtifactsClient(target.channel(Role.EXECUTOR))
        # Nobody else has these bytes: whether a blob is there is what the cases are about.
        self.input, self.secret, self.nowhere = (target.fresh(name).encode() for name in ("input", "secret", "nowhere"))

    @classmethod
    async def of(cls, target: Target) -> "Seen":
        """One that nobody used before; its input was told to the store."""
        seen = cls(target, await Speaker.of(target))
        for path, data in ((READ, seen.input), (OTHER, seen.secret)):
            await seen.theirs.put(seen.world, ArtifactPut(path, data))
        await seen.tell(READ)
        return seen

    async def tell(self, *paths: WorldPath, epoch: int = 1) -> None:
        """Open paths that hold the input, as the executor does at a dispatch."""
        inputs = tuple((path, Cid.of(self.input)) for path in paths)
        grant = self.grant
        await self.executor.pin_inputs(AttemptInputs(self.world, grant.plan_id, grant.execution_id, epoch, inputs))


def same(one: object, other: object) -> None:
    """Two refusals must not differ in anything but the name that was asked for."""
    assert isinstance(one, TheoryError)
    assert isinstance(other, TheoryError)
    assert (type(one), one.reason, one.message, sorted(one.metadata)) == (
        type(other),
        other.reason,
        other.message,
        sorted(other.metadata),
    )


@case("ATTEMPTS")
async def an_attempt_reads_its_inputs(target: Target) -> None:
    """By their paths and by their CIDs; and its listing has them and nothing else (I-141)."""
    seen = await Seen.of(target)
    found = await seen.ours.stat(seen.world, READ)
    assert found == await seen.theirs.stat(seen.world, READ)
    assert await seen.ours.get_bytes(seen.world, READ) == seen.input
    assert await seen.ours.get_blob(found.cid) == seen.input
    assert [each async for each in seen.ours.list(seen.world)] == [found]
    assert [each async for each in seen.ours.list(seen.world, PathPrefix("/artifacts/out/"))] == []
    assert await seen.ours.find_missing([found.cid]) == []


@case("ATTEMPTS")
async def what_is_not_an_attempts_own_does_not_exist_for_it(target: Target) -> None:
    """A blob, or a path, of somebody else and one that was never there give the same answer, to the letter (I-141)."""
    seen = await Seen.of(target)
    there, absent = Cid.of(seen.secret), Cid.of(seen.nowhere)
    blob, no_blob = await seen.ours.get_blobs_many([there, absent])
    refused(blob, NotFound, "BLOB_UNKNOWN")
    same(blob, no_blob)
    for ask in (seen.ours.stat_many, seen.ours.read_many):
        bound, free = await ask(seen.world, [OTHER, FREE])
        refused(bound, NotFound, "ARTIFACT_UNKNOWN")
        same(bound, free)
    same(*await asyncio.gather(seen.ours.get_blob(there), seen.ours.get_blob(absent), return_exceptions=True))
    assert await seen.ours.find_missing([there, absent]) == [there, absent]
    assert await seen.theirs.find_missing([there, absent]) == [absent]


@case("ATTEMPTS")
async def a_large_blob_of_somebody_else_does_not_exist_either(target: Target) -> None:
    """Its length is not told by another error, and no chunk of it is sent (I-141)."""
    seen = await Seen.of(target)
    large = await seen.theirs.put_blob(seen.secret + bytes(2 << 20))
    [answer] = await seen.ours.get_blobs_many([large])
    refused(answer, NotFound, "BLOB_UNKNOWN")
    for offset in (0, 1 << 40):
        async with stream(seen.stub.DownloadBlob, pb.DownloadBlobRequest(cid=large.text, offset=offset)) as messages:
            await refusal(anext(messages), NotFound, "BLOB_UNKNOWN")


@case("ATTEMPTS")
async def bytes_alone_make_a_blob_an_attempts_own(target: Target) -> None:
    """One that the store holds has to be uploaded like any other, then it may be read; by others it may not (I-142)."""
    seen = await Seen.of(target)
    cid = Cid.of(seen.secret)
    assert await seen.ours.find_missing([cid]) == [cid]
    assert await seen.ours.put_blobs_many([seen.secret]) == [cid]
    assert await seen.ours.find_missing([cid]) == []
    assert await seen.ours.get_blob(cid) == seen.secret
    beside = await Speaker.beside(seen.grant, target, "b")
    await refusal(ArtifactsClient(beside.channel).get_blob(cid), NotFound, "BLOB_UNKNOWN")


@case("ATTEMPTS")
async def an_attempt_uploads_blobs_of_any_size_over_grpc(target: Target) -> None:
    """They are its own once they are whole; it is told of no data plane (I-142)."""
    seen = await Seen.of(target)
    data = seen.nowhere + bytes(3 << 20)
    assert (await seen.ours.capabilities()).data_plane is None
    cid = await seen.ours.put_blob(data)
    assert await seen.ours.get_blob(cid) == data
    assert await seen.theirs.find_missing([cid]) == []


@case("ATTEMPTS")
async def an_upload_with_another_cid_gives_an_attempt_nothing(target: Target) -> None:
    """Bytes that do not hash to the CID show that nobody has it (I-142)."""
    seen = await Seen.of(target)
    secret = Cid.of(seen.secret)
    item = pb.PutBlobsRequest.Item(data=seen.nowhere, expected_cid=secret.text)
    answer = await call(seen.stub.PutBlobs, pb.PutBlobsRequest(items=[item]))
    assert answer.results[0].status.reason == "CID_MISMATCH"
    assert await seen.ours.find_missing([secret]) == [secret]


@case("ATTEMPTS")
async def another_world_is_closed_to_an_attempt(target: Target) -> None:
    """Whatever it asks of it is `Denied ATTEMPT_DENIED` (I-140)."""
    seen, world = await Seen.of(target), WorldName.parse(target.fresh("world"))
    await seen.theirs.put(world, ArtifactPut(READ, seen.input))
    asked = (
        seen.ours.stat_many(world, [READ]),
        seen.ours.read_many(world, [READ]),
        anext(aiter(seen.ours.list(world))),
    )
    for answer in await asyncio.gather(*asked, return_exceptions=True):
        denied(answer, "world")


@case("ATTEMPTS")
async def an_attempt_binds_nothing_and_hands_out_nothing(target: Target) -> None:
    """To put, commit, abort, presign or open inputs is `Denied ROLE_DENIED`, and nothing is done (I-139)."""
    seen = await Seen.of(target)
    stub = seen.stub
    await refusal(seen.ours.put(seen.world, ArtifactPut(WorldPath(f"{OUT}/a"), b"x")), Denied, "ROLE_DENIED")
    await refusal(seen.ours.presign(BlobGet(Cid.of(seen.input))), Denied, "ROLE_DENIED")
    for asked in (
        call(stub.CommitUploads, pb.CommitUploadsRequest(upload_ids=["x"])),
        call(stub.CommitBindings, pb.CommitBindingsRequest()),
        call(stub.AbortBindings, pb.AbortBindingsRequest()),
        call(stub.PinInputs, pb.PinInputsRequest()),
    ):
        await refusal(asked, Denied, "ROLE_DENIED")
    await refusal(seen.theirs.stat(seen.world, WorldPath(f"{OUT}/a")), NotFound, "ARTIFACT_UNKNOWN")


@case("ATTEMPTS", "CLOCK")
async def a_token_holds_for_a_minute(target: Target) -> None:
    """After that every call with it is `Unauthenticated TOKEN_EXPIRED`, though it was good before (I-138)."""
    seen = await Seen.of(target)
    assert await seen.ours.get_blob(Cid.of(seen.input)) == seen.input
    await target.advance(70)
    await refusal(seen.ours.stat_many(seen.world, [READ]), Unauthenticated, "TOKEN_EXPIRED")
