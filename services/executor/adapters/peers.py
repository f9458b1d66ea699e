"""The other four services, over the wire: each class implements one port with a client of the SDK."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import BinaryIO

import grpc

from theory.core.adapters import TopicStats
from theory.core.artifact import Artifact, Output
from theory.core.binding import Abortion, AttemptInputs, Commitment, Preparation
from theory.core.chain import NewEvent
from theory.core.chunk import FixedChunk
from theory.core.cid import Cid
from theory.core.errors import AlreadyExists, NotFound, TheoryError
from theory.core.ids import ExecutionId, PlanId
from theory.core.ledger import PlanEvent
from theory.core.receipt import Receipt
from theory.core.refs import Ref, SpecKind
from theory.core.secret import Secret
from theory.core.selector import Selector
from theory.core.settle import Claimed, ClaimRequest, Settled, SettleRequest
from theory.core.spec import RegistrySnapshot
from theory.core.world_path import PathPrefix, WorldName, WorldPath
from theory.sdk.answering import answering
from theory.sdk.artifacts import ArtifactsClient
from theory.sdk.kv import KVClient
from theory.sdk.ledger import LedgerClient
from theory.sdk.queue import QueueClient
from theory.sdk.registry import RegistryClient
from theory.sdk.secrets import SecretsClient
from theory.sdk.streams import StreamsClient
from theory.sdk.volumes import VolumesClient


class LedgerPeer:
    """`Ledger` over the wire; calls of one loop tick share an RPC."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._client = LedgerClient(channel)

    async def open_budget(self, plan_id: PlanId, cap_usd_micro: int) -> None:
        """As the port says."""
        with answering("ledger"):
            await self._client.open_budget(plan_id, cap_usd_micro)

    async def append(self, plan_id: str, events: Sequence[NewEvent]) -> None:
        """As the port says; an id that is taken is the same event, recorded before a crash."""
        with answering("ledger"):
            answers = await self._client.append_many([PlanEvent(plan_id, event) for event in events])
        for answer in answers:
            if isinstance(answer, TheoryError) and not isinstance(answer, AlreadyExists):
                raise answer

    async def claim(self, request: ClaimRequest) -> Claimed:
        """As the port says."""
        with answering("ledger"):
            return await self._client.claim(request)

    async def settle(self, request: SettleRequest) -> Settled:
        """As the port says."""
        with answering("ledger"):
            return await self._client.settle(request)

    async def receipts(self, receipt_ids: Sequence[str]) -> Sequence[Receipt | TheoryError]:
        """As the port says."""
        with answering("ledger"):
            return await self._client.get_receipts(receipt_ids)


class RegistryPeer:
    """`Registry` over the wire."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._client = RegistryClient(channel)

    async def create_snapshot(self, roots: Sequence[tuple[SpecKind, Ref]]) -> RegistrySnapshot:
        """As the port says."""
        with answering("registry"):
            return await self._client.create_snapshot(roots)

    async def snapshot(self, snapshot_id: str) -> RegistrySnapshot:
        """As the port says."""
        with answering("registry"):
            return await self._client.snapshot(snapshot_id)


class SecretsPeer:
    """`Secrets` over the wire."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._client = SecretsClient(channel)

    async def tags(self, names: Sequence[str]) -> Mapping[str, str | TheoryError]:
        """As the port says."""
        with answering("resources"):
            return dict(zip(names, await self._client.check(names), strict=True))

    async def resolve(self, names: Sequence[str]) -> Mapping[str, Secret]:
        """As the port says."""
        with answering("resources"):
            return await self._client.resolve(names)


class ScratchPeer:
    """`Scratch` over the wire: keys, topics and volumes."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._kv = KVClient(channel)
        self._queue = QueueClient(channel)
        self._volumes = VolumesClient(channel)

    async def begin_plan(self, plan_id: PlanId, event_every: int) -> None:
        """As the port says."""
        with answering("resources"):
            await asyncio.gather(
                self._kv.begin_plan(plan_id.text, event_every=event_every),
                self._queue.begin_plan(plan_id.text, event_every=event_every),
            )

    async def end_plan(self, plan_id: PlanId) -> None:
        """As the port says."""
        with answering("resources"):
            await asyncio.gather(*(each.end_plan(plan_id.text) for each in (self._kv, self._queue, self._volumes)))

    async def queue_stats(self, plan_id: PlanId) -> Sequence[TopicStats]:
        """As the port says."""
        with answering("resources"):
            return await self._queue.stats(plan_id.text)

    async def volume_kind(self) -> str:
        """As the port says."""
        with answering("resources"):
            return await self._volumes.adapter()

    async def volume(self, plan_id: PlanId, name: str) -> str:
        """As the port says."""
        with answering("resources"):
            await self._volumes.create(plan_id=plan_id.text, name=name)
            return await self._volumes.locate(plan_id=plan_id.text, name=name)


class WorldPeer:
    """`World` over the wire; calls of one loop tick share an RPC."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._client = ArtifactsClient(channel)
        self._streams = StreamsClient(channel)

    async def stat(self, world: WorldName, path: WorldPath) -> Artifact | None:
        """As the port says."""
        with answering("artifacts"):
            try:
                return await self._client.stat(world, path)
            except NotFound:
                return None

    async def listing(self, world: WorldName, prefix: PathPrefix) -> AsyncIterator[Artifact]:
        """As the port says."""
        with answering("artifacts"):
            async for artifact in self._client.list(world, prefix):
                yield artifact

    async def fix_chunks(
        self, world: WorldName, execution_id: ExecutionId, selectors: Sequence[Selector]
    ) -> Sequence[FixedChunk]:
        """As the port says."""
        with answering("artifacts"):
            return await self._streams.fix(world, execution_id, selectors)

    async def bind_files(self, world: WorldName, plan_id: PlanId, files: Sequence[Output]) -> None:
        """As the port says."""
        with answering("artifacts"):
            answers = await self._client.bind_many(world, files, plan_id=plan_id)
        for answer in answers:
            if isinstance(answer, TheoryError):
                raise answer

    async def missing(self, cids: Sequence[Cid]) -> list[Cid]:
        """As the port says."""
        with answering("artifacts"):
            return await self._client.find_missing(cids)

    async def put(self, data: bytes) -> Cid:
        """As the port says."""
        with answering("artifacts"):
            return await self._client.put_blob(data)

    async def upload(self, file: BinaryIO, size_bytes: int) -> Cid:
        """As the port says."""
        with answering("artifacts"):
            return await self._client.upload(file, size_bytes=size_bytes)

    async def blob(self, cid: Cid) -> bytes:
        """As the port says."""
        with answering("artifacts"):
            return await self._client.get_blob(cid)

    async def download(self, cid: Cid, into: BinaryIO) -> None:
        """As the port says."""
        with answering("artifacts"):
            await self._client.download(cid, into)

    async def pin_inputs(
        self,
        world: WorldName,
        plan_id: PlanId,
        execution_id: ExecutionId,
        epoch: int,
        inputs: Sequence[tuple[WorldPath, Cid]],
    ) -> None:
        """As the port says."""
        with answering("artifacts"):
            await self._client.pin_inputs(AttemptInputs(world, plan_id, execution_id, epoch, tuple(inputs)))

    async def prepare(
        self, world: WorldName, plan_id: PlanId, execution_id: ExecutionId, epoch: int, outputs: Sequence[Output]
    ) -> None:
        """As the port says."""
        with answering("artifacts"):
            await self._client.prepare(Preparation(world, plan_id, execution_id, epoch, tuple(outputs)))

    async def commit(
        self,
        world: WorldName,
        plan_id: PlanId,
        execution_id: ExecutionId,
        epoch: int,
        receipt_id: str,
        outputs: Sequence[Output],
    ) -> None:
        """As the port says."""
        commitment = Commitment(world, plan_id, execution_id, epoch, receipt_id, tuple(outputs))
        with answering("artifacts"):
            await self._client.commit(commitment)

    async def abort(self, execution_id: ExecutionId, epoch: int) -> None:
        """As the port says."""
        with answering("artifacts"):
            await self._client.abort(Abortion(execution_id, epoch))
