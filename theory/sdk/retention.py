"""The client of retention: garbage collection, worlds that are dropped, and a look for damage."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import grpc

from theory.api.artifacts.v1 import retention_pb2 as pb
from theory.api.artifacts.v1.retention_pb2_grpc import RetentionServiceStub
from theory.core.cid import Cid
from theory.core.world_path import WorldName
from theory.wire.channel import call


@dataclass(frozen=True, slots=True)
class RetentionCapabilities:
    """The ages and periods that the store keeps."""

    collection_age: timedelta
    """How old a blob is, to which nothing refers, before it is marked."""
    lease: timedelta
    """How long a blob may be relied on by whoever put it; a marked one stays for as long."""
    collection_period: timedelta
    """How often the service collects by itself; zero where it does not."""
    scrub_period: timedelta
    scrub_bytes_per_s: int
    """What the service reads by itself to look for damage; 0 where it does not."""


@dataclass(frozen=True, slots=True)
class Collection:
    """What a collection came to. Where it was only counted: what it would have."""

    seen_count: int = 0
    seen_bytes: int = 0
    marked_count: int = 0
    marked_bytes: int = 0
    """These go after the lease, unless somebody wants them."""
    deleted_count: int = 0
    deleted_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Drop:
    """A world that is gone."""

    world: WorldName
    path_count: int
    """How many bound paths went with it."""
    drop_time: datetime


@dataclass(frozen=True, slots=True)
class DamagedBlob:
    """A blob that is in quarantine now."""

    cid: Cid
    size_bytes: int
    """As it was found."""


@dataclass(frozen=True, slots=True)
class Scrub:
    """What a look at every blob came to."""

    count: int
    size_bytes: int
    damaged: tuple[DamagedBlob, ...]


class RetentionClient:
    """What leaves the artifact store, over the wire. Raises only `TheoryError`, or `TimeoutError`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = RetentionServiceStub(channel)

    async def capabilities(self) -> RetentionCapabilities:
        """The ages and periods that the store keeps."""
        found = await call(self._stub.GetCapabilities, pb.RetentionServiceGetCapabilitiesRequest())
        return RetentionCapabilities(
            found.collection_age.ToTimedelta(),
            found.lease.ToTimedelta(),
            found.collection_period.ToTimedelta(),
            found.scrub_period.ToTimedelta(),
            found.scrub_bytes_per_s,
        )

    async def collect(self, *, dry_run: bool = False) -> Collection:
        """Collect now: delete what was marked a lease ago, mark what is old and nothing refers to. May be repeated.

        `dry_run` only counts. `Conflict` (`COLLECTION_RUNNING`) where another replica is at it.
        """
        request = pb.CollectGarbageRequest(dry_run=dry_run)
        sums = [0] * 6
        while True:
            part = await call(self._stub.CollectGarbage, request)
            found = (
                *(part.seen_count, part.seen_bytes, part.marked_count, part.marked_bytes),
                *(part.deleted_count, part.deleted_bytes),
            )
            sums = [one + other for one, other in zip(sums, found, strict=True)]
            if not part.next_page_token:
                return Collection(*sums)
            request.page_token = part.next_page_token

    async def drop_world(self, world: WorldName) -> Drop:
        """Drop a world with its paths, pins and streams, for ever. A repeat changes nothing.

        `NotReady` (`WORLD_BUSY`) while an execution has reserved paths in it.
        """
        found = await call(self._stub.DropWorld, pb.DropWorldRequest(world=world.text))
        return Drop(WorldName.parse(found.world), found.path_count, found.drop_time.ToDatetime(UTC))

    async def scrub(self) -> Scrub:
        """Read and hash every stored blob; those that are damaged are in quarantine afterwards. May be repeated."""
        request, count, size_bytes = pb.ScrubBlobsRequest(), 0, 0
        damaged: list[DamagedBlob] = []
        while True:
            part = await call(self._stub.ScrubBlobs, request)
            count, size_bytes = count + part.scrubbed_count, size_bytes + part.scrubbed_bytes
            damaged += (DamagedBlob(Cid.parse(each.cid), each.size_bytes) for each in part.damaged_blobs)
            if not part.next_page_token:
                return Scrub(count, size_bytes, tuple(damaged))
            request.page_token = part.next_page_token
