"""The client of artifacts: the paths of worlds, the bytes behind them, and the reservations of attempts."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import TypeAlias, TypeVar

import grpc

from theory.api.artifacts.v1 import artifacts_pb2 as pb
from theory.core.artifact import DEFAULT_CONTENT_TYPE, Artifact, Output, content_type_of
from theory.core.binding import Abortion, AttemptInputs, Commitment, Preparation
from theory.core.cid import Cid
from theory.core.errors import Invalid, TheoryError
from theory.core.ids import PlanId
from theory.core.presign import ArtifactGet
from theory.core.world_path import PathPrefix, WorldName, WorldPath
from theory.sdk import sendable
from theory.sdk.batch import Coalescer
from theory.sdk.blobs import MAX_BATCH_BYTES, MAX_INLINE_BYTES, MAX_ITEMS, BlobsClient, until_answered, verified
from theory.sdk.places import PlaceCoalescer
from theory.sdk.rpc import answers, fitting, outcomes
from theory.wire.channel import call

MAX_ATTEMPTS = 100
PAGE_ITEMS = 1_000

_OUTPUT_BYTES = 160
"""What an output takes in a message beside its path and its content type, generously."""

_Place = tuple[WorldName, PlanId | None]
_V = TypeVar("_V")

Answers: TypeAlias = list[_V | TheoryError]
"""One answer per item of a batch, in order. A name of its own, because `list` is a method here."""


@dataclass(frozen=True, slots=True)
class ArtifactPut:
    """One path to bind, to bytes of at most 1 MiB or to a blob that the store holds."""

    path: WorldPath
    source: bytes | Cid
    content_type: str = DEFAULT_CONTENT_TYPE


class ArtifactsClient(BlobsClient):
    """Artifacts over the wire. Raises only `TheoryError`, or `TimeoutError`.

    Single calls of one turn of the event loop, for one world, make one RPC. The batch forms take any number of items
    and send as many RPCs as they need, one after the other. `pin_inputs`, `commit` and `abort` are the
    executor's; `prepare` is an attempt's, too.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        super().__init__(channel)
        self._put = PlaceCoalescer(self._put_at, max_items=MAX_ITEMS, max_bytes=MAX_BATCH_BYTES, size_of=_size_of_put)
        self._stat = PlaceCoalescer(self.stat_many, max_items=MAX_ITEMS)
        self._read = PlaceCoalescer(self.read_many, max_items=MAX_ITEMS)
        self._prepare = Coalescer(
            self.prepare_many, max_items=MAX_ATTEMPTS, max_bytes=MAX_BATCH_BYTES, size_of=_size_of_item
        )
        self._pin_inputs = Coalescer(
            self.pin_inputs_many, max_items=MAX_ATTEMPTS, max_bytes=MAX_BATCH_BYTES, size_of=_size_of_inputs
        )
        self._commit = Coalescer(
            self.commit_many, max_items=MAX_ATTEMPTS, max_bytes=MAX_BATCH_BYTES, size_of=_size_of_item
        )
        self._abort = Coalescer(self.abort_many, max_items=MAX_ATTEMPTS)

    def world(self, world: WorldName, *, plan_id: PlanId | None = None) -> "WorldClient":
        """One world alone; writes are recorded in the chain of `plan_id`, if one is given."""
        return WorldClient(self, world, plan_id)

    async def put(self, world: WorldName, item: ArtifactPut, *, plan_id: PlanId | None = None) -> Artifact:
        """Bind a path; the artifact as bound. The same content again is fine.

        `AlreadyExists` (`PATH_BOUND` with the bound `cid`, `PATH_SHADOWED`); `Conflict` (`PATH_RESERVED`); `NotFound`
        (`BLOB_UNKNOWN`); `Invalid` (`BLOB_TOO_LARGE`); `Exhausted` (`DISK_FULL`).
        """
        return await self._put((world, plan_id), item)

    async def put_bytes(
        self,
        world: WorldName,
        world_path: WorldPath,
        data: bytes,
        content_type: str = DEFAULT_CONTENT_TYPE,
        *,
        plan_id: PlanId | None = None,
    ) -> Artifact:
        """Store bytes of any size and bind a path to them. Errors as in `put`."""
        source = data if len(data) <= MAX_INLINE_BYTES else await self.put_blob(data)
        return await self.put(world, ArtifactPut(world_path, source, content_type), plan_id=plan_id)

    async def put_many(
        self, world: WorldName, items: Sequence[ArtifactPut], *, plan_id: PlanId | None = None
    ) -> Answers[Artifact]:
        """`put` of each item; each is on its own, in order."""

        async def ask(sound: Sequence[ArtifactPut]) -> Answers[Artifact]:
            put: Answers[Artifact] = []
            for batch in fitting(sound, max_items=MAX_ITEMS, max_bytes=MAX_BATCH_BYTES, size_of=_size_of_put):
                request = pb.PutArtifactsRequest(
                    world=world.text, plan_id=plan_id.text if plan_id else "", items=map(_put_to_proto, batch)
                )
                response = await call(self._stub.PutArtifacts, request)
                put += answers(response.results, lambda result: artifact_from_proto(result.artifact))
            return put

        return await sendable.ask(items, _put_fault, ask)

    async def bind_many(
        self, world: WorldName, files: Sequence[Output], *, plan_id: PlanId | None = None
    ) -> Answers[Artifact]:
        """Bind each path to a blob that the store holds; errors per item as in `put`."""
        items = [ArtifactPut(file.path, file.cid, file.content_type) for file in files]
        return await self.put_many(world, items, plan_id=plan_id)

    async def get_bytes(self, world: WorldName, world_path: WorldPath) -> bytes:
        """The bytes at a path, whatever their size: they are all held in memory.

        `NotFound` (`ARTIFACT_UNKNOWN`); `Corrupt` (`BLOB_CORRUPT`).
        """
        try:
            _, data = await self._read(world, world_path)
        except Invalid as error:
            if error.reason != "BLOB_TOO_LARGE":
                raise
        else:
            return data
        artifact = await self.stat(world, world_path)
        return await self.get_blob(artifact.cid)

    async def stat(self, world: WorldName, path: WorldPath) -> Artifact:
        """What is bound at a path; `NotFound` (`ARTIFACT_UNKNOWN`)."""
        return await self._stat(world, path)

    async def stat_many(self, world: WorldName, paths: Sequence[WorldPath]) -> Answers[Artifact]:
        """`stat` of each path, in order."""
        found: list[Artifact | TheoryError] = []
        for batch in fitting(paths, max_items=MAX_ITEMS):
            request = pb.StatArtifactsRequest(world=world.text, world_paths=[path.text for path in batch])
            response = await call(self._stub.StatArtifacts, request)
            found += answers(response.results, lambda result: artifact_from_proto(result.artifact))
        return found

    async def read_many(self, world: WorldName, paths: Sequence[WorldPath]) -> Answers[tuple[Artifact, bytes]]:
        """Artifacts of at most 1 MiB each with their bytes, in order; per item the errors of `get_bytes`.

        `Invalid` (`BLOB_TOO_LARGE`) where it has to be downloaded.
        """

        async def ask(batch: Sequence[WorldPath]) -> Answers[tuple[Artifact, bytes]]:
            request = pb.ReadArtifactsRequest(world=world.text, world_paths=[path.text for path in batch])
            response = await call(self._stub.ReadArtifacts, request)
            return answers(response.results, _read_from_proto)

        return [_verified(each) for each in await until_answered(paths, ask)]

    async def prepare(self, item: Preparation) -> None:
        """Reserve the outputs of an attempt: all or none. Idempotent.

        `Conflict` (`PATH_RESERVED`: retry later; `EPOCH_FENCED`); `AlreadyExists` (`PATH_BOUND`, `PATH_SHADOWED`);
        `NotFound` (`BLOB_UNKNOWN`); `Invalid` (`SIZE_MISMATCH`).
        """
        await self._prepare(item)

    async def prepare_many(self, items: Sequence[Preparation]) -> Answers[None]:
        """`prepare` of each item; one outcome each, in order."""
        ended: list[TheoryError | None] = []
        for batch in fitting(items, max_items=MAX_ATTEMPTS, max_bytes=MAX_BATCH_BYTES, size_of=_size_of_item):
            request = pb.PrepareBindingsRequest()
            for item in batch:
                request.items.add(
                    world=item.world.text,
                    plan_id=item.plan_id.text,
                    execution_id=item.execution_id.text,
                    epoch=item.epoch,
                    outputs=map(_output_to_proto, item.outputs),
                )
            ended += outcomes((await call(self._stub.PrepareBindings, request)).statuses)
        return ended

    async def pin_inputs(self, item: AttemptInputs) -> None:
        """Open to an attempt what it reads, before anybody has its token. Idempotent.

        `Conflict` (`EPOCH_FENCED`); `NotFound` (`BLOB_UNKNOWN`).
        """
        await self._pin_inputs(item)

    async def pin_inputs_many(self, items: Sequence[AttemptInputs]) -> Answers[None]:
        """`pin_inputs` of each item; one outcome each, in order."""
        ended: list[TheoryError | None] = []
        for batch in fitting(items, max_items=MAX_ATTEMPTS, max_bytes=MAX_BATCH_BYTES, size_of=_size_of_inputs):
            request = pb.PinInputsRequest()
            for item in batch:
                inputs = [pb.PinInputsRequest.Input(world_path=path.text, cid=cid.text) for path, cid in item.inputs]
                request.items.add(
                    world=item.world.text,
                    plan_id=item.plan_id.text,
                    execution_id=item.execution_id.text,
                    epoch=item.epoch,
                    inputs=inputs,
                )
            ended += outcomes((await call(self._stub.PinInputs, request)).statuses)
        return ended

    async def commit(self, item: Commitment) -> None:
        """Bind exactly the outputs of a settled execution, and drop its other reservations. Idempotent.

        `NotReady` (`BINDING_UNPREPARED`); `AlreadyExists` (`PATH_BOUND`).
        """
        await self._commit(item)

    async def commit_many(self, items: Sequence[Commitment]) -> Answers[None]:
        """`commit` of each item; one outcome each, in order."""
        ended: list[TheoryError | None] = []
        for batch in fitting(items, max_items=MAX_ATTEMPTS, max_bytes=MAX_BATCH_BYTES, size_of=_size_of_item):
            request = pb.CommitBindingsRequest()
            for item in batch:
                request.items.add(
                    world=item.world.text,
                    plan_id=item.plan_id.text,
                    execution_id=item.execution_id.text,
                    epoch=item.epoch,
                    receipt_id=item.receipt_id,
                    outputs=map(_output_to_proto, item.outputs),
                )
            ended += outcomes((await call(self._stub.CommitBindings, request)).statuses)
        return ended

    async def abort(self, item: Abortion) -> None:
        """Drop the reservations of an execution up to and including an epoch. Idempotent."""
        await self._abort(item)

    async def abort_many(self, items: Sequence[Abortion]) -> Answers[None]:
        """`abort` of each item; one outcome each, in order."""
        ended: list[TheoryError | None] = []
        for batch in fitting(items, max_items=MAX_ATTEMPTS):
            request = pb.AbortBindingsRequest()
            for item in batch:
                request.items.add(execution_id=item.execution_id.text, epoch=item.epoch)
            ended += outcomes((await call(self._stub.AbortBindings, request)).statuses)
        return ended

    async def list(self, world: WorldName, prefix: PathPrefix | None = None) -> AsyncIterator[Artifact]:
        """What is bound below `prefix`, or in the whole world, by the bytes of the path.

        Not one state of the world: what is bound while it is listed may or may not be seen.
        """
        request = pb.ListArtifactsRequest(world=world.text, prefix=prefix.text if prefix else "", page_size=PAGE_ITEMS)
        while True:
            page = await call(self._stub.ListArtifacts, request)
            for artifact in page.artifacts:
                yield artifact_from_proto(artifact)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def _put_at(self, place: _Place, items: Sequence[ArtifactPut]) -> Answers[Artifact]:
        world, plan_id = place
        return await self.put_many(world, items, plan_id=plan_id)


class WorldClient:
    """One world: `theory.core.adapters.ArtifactStore` over the wire. Paths are texts, and are checked here."""

    def __init__(self, artifacts: ArtifactsClient, world: WorldName, plan_id: PlanId | None) -> None:
        self._artifacts = artifacts
        self._world = world
        self._plan_id = plan_id

    async def put_bytes(self, *, world_path: str, data: bytes, content_type: str = DEFAULT_CONTENT_TYPE) -> str:
        """Bind bytes of any size to a path; their CID. Errors as in `ArtifactsClient.put`, and `PATH_INVALID`."""
        path = WorldPath.parse(world_path)
        artifact = await self._artifacts.put_bytes(self._world, path, data, content_type, plan_id=self._plan_id)
        return artifact.cid.text

    async def get_bytes(self, *, world_path: str) -> bytes:
        """The bytes at a path; errors as in `ArtifactsClient.get_bytes`, and `PATH_INVALID`."""
        return await self._artifacts.get_bytes(self._world, WorldPath.parse(world_path))

    async def presign(self, *, world_path: str, ttl_s: int = 3600) -> str:
        """A URL from which whoever holds it reads the bytes for `ttl_s` seconds, at most 3,600. It is a secret.

        `NotFound` (`ARTIFACT_UNKNOWN`); `Invalid` (`PATH_INVALID`, `TTL_INVALID`); `Unsupported`
        (`CAPABILITY_MISSING`) where the service has no data plane.
        """
        item = ArtifactGet(self._world, WorldPath.parse(world_path))
        return (await self._artifacts.presign(item, ttl_s=ttl_s)).url

    async def compute_cid(self, *, data: bytes) -> str:
        """The CID of bytes, computed here."""
        return (await asyncio.to_thread(Cid.of, data)).text


def _put_fault(item: ArtifactPut) -> Invalid | None:
    try:
        content_type_of(item.content_type)
    except Invalid as fault:
        return fault
    return None


def _put_to_proto(item: ArtifactPut) -> pb.PutArtifactsRequest.Item:
    path, content_type = item.path.text, item.content_type
    if isinstance(item.source, Cid):
        return pb.PutArtifactsRequest.Item(world_path=path, cid=item.source.text, content_type=content_type)
    expected = Cid.of(item.source).text
    return pb.PutArtifactsRequest.Item(
        world_path=path, data=item.source, content_type=content_type, expected_cid=expected
    )


def _output_to_proto(output: Output) -> pb.Output:
    return pb.Output(
        world_path=output.path.text,
        cid=output.cid.text,
        size_bytes=output.size_bytes,
        content_type=output.content_type,
    )


def artifact_from_proto(artifact: pb.Artifact) -> Artifact:
    """A bound path as the service describes it."""
    return Artifact(
        WorldName.parse(artifact.world),
        WorldPath.parse(artifact.world_path),
        Cid.parse(artifact.cid),
        artifact.size_bytes,
        artifact.content_type,
        artifact.create_time.ToDatetime(UTC),
    )


def _read_from_proto(result: pb.ReadArtifactsResponse.Result) -> tuple[Artifact, bytes]:
    return artifact_from_proto(result.artifact), result.data


def _verified(answer: tuple[Artifact, bytes] | TheoryError) -> tuple[Artifact, bytes] | TheoryError:
    if isinstance(answer, TheoryError):
        return answer
    artifact, data = answer
    sound = verified(artifact.cid, data)
    return sound if isinstance(sound, TheoryError) else answer


def _size_of_put(item: ArtifactPut) -> int:
    # What counts against the limit is the data; paths have room beside it.
    return 0 if isinstance(item.source, Cid) else len(item.source)


def _size_of_inputs(item: AttemptInputs) -> int:
    return sum(_OUTPUT_BYTES + len(path.text.encode()) for path, _ in item.inputs)


def _size_of_item(item: Preparation | Commitment) -> int:
    return sum(_OUTPUT_BYTES + len(output.path.text.encode()) + len(output.content_type) for output in item.outputs)
