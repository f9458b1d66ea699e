"""Artifacts: paths of worlds and the bytes behind them, as one thing."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.artifacts.domain import bindings, pinning
from services.artifacts.domain.batch import for_sound
from services.artifacts.domain.bindings import Write, Written, artifact_of, world_dropped
from services.artifacts.domain.leases import Leases
from services.artifacts.domain.store import BlobStore, NewBlob
from services.artifacts.ports import BindingAdapter, BindingReader, BlobIndex, Hold, PathKey, Pin
from theory.core.artifact import Artifact
from theory.core.binding import Abortion, Commitment, Preparation
from theory.core.cid import Cid
from theory.core.clock import Clock
from theory.core.errors import NotFound, TheoryError
from theory.core.ids import PlanId
from theory.core.world_path import PathPrefix, WorldName, WorldPath


@dataclass(frozen=True, slots=True)
class NewArtifact:
    """A path to bind, to bytes at hand or to a blob that is stored."""

    path: WorldPath
    source: NewBlob | Cid
    content_type: str


class Artifacts:
    """What everyone may rely on about paths. The rules themselves are in `bindings`; this brings them their facts."""

    def __init__(self, blobs: BlobStore, index: BlobIndex, leases: Leases, table: BindingAdapter, clock: Clock) -> None:
        self._blobs = blobs
        self._index = index
        self._leases = leases
        self._table = table
        self._clock = clock

    async def put_many(
        self, world: WorldName, plan_id: PlanId | None, items: Sequence[NewArtifact]
    ) -> list[Written | TheoryError]:
        """Bind each path on its own, and record that in the plan's chain; one outcome each, in order.

        Bytes are stored before any path is bound: a failure in between leaves blobs that nobody names, never a path
        without bytes. Errors per item are those of `BlobStore.put_many` and of `bindings.bind`.
        """
        stored = iter(await self._blobs.put_many([item.source for item in items if isinstance(item.source, NewBlob)]))
        writes: list[Write | TheoryError] = []
        for item in items:
            cid = item.source if isinstance(item.source, Cid) else next(stored)
            write = cid if isinstance(cid, TheoryError) else Write(world, item.path, cid, item.content_type, plan_id)
            writes.append(write)
        return await for_sound(writes, self._bind)

    async def stat_many(self, world: WorldName, paths: Sequence[WorldPath]) -> list[Artifact | TheoryError]:
        """What is bound at each path; `NotFound` (`ARTIFACT_UNKNOWN`), also where a path is only reserved.

        `NotFound` (`WORLD_DROPPED`) for each path of a world that is gone.
        """
        keys = [PathKey(world.text, path.text) for path in paths]
        holds = await self._table.read(lambda table: None if _gone(table, world) else table.holds(set(keys)))
        if holds is None:
            return [world_dropped(world) for _ in keys]
        return [_bound_at(key, holds.get(key)) for key in keys]

    async def read_many(
        self, world: WorldName, paths: Sequence[WorldPath]
    ) -> list[tuple[Artifact, bytes] | TheoryError]:
        """Small artifacts with their verified bytes; errors per item as `stat_many` and `BlobStore.get_many`."""
        return await for_sound(await self.stat_many(world, paths), self._read)

    async def page(self, world: WorldName, prefix: PathPrefix | None, *, after: str, limit: int) -> list[Artifact]:
        """The first `limit` artifacts below `prefix` whose path lies behind `after`, by the bytes of the path.

        `NotFound` (`WORLD_DROPPED`).
        """
        below = "" if prefix is None else prefix.text

        def look(table: BindingReader) -> list[Hold] | None:
            return None if _gone(table, world) else table.bound_page(world, below, after, limit)

        holds = await self._table.read(look)
        if holds is None:
            raise world_dropped(world)
        return [artifact_of(hold) for hold in holds]

    async def pin_many(self, pins: Sequence[Pin]) -> list[TheoryError | None]:
        """Keep each blob for its holder; one outcome each, in order. As `pinning.pin`."""
        await self._leases.recall({each.cid for each in pins})
        return await self._table.write(lambda table: pinning.pin(table, self._index, pins))

    async def prepare_many(self, items: Sequence[Preparation]) -> list[TheoryError | None]:
        """Reserve the outputs of each attempt, all or none; one outcome each, in order. As `bindings.prepare`."""
        await self._leases.recall({output.cid for item in items for output in item.outputs})
        now = self._clock.now()
        return await self._table.write(lambda table: bindings.prepare(table, self._index, items, now=now))

    async def commit_many(self, items: Sequence[Commitment]) -> list[TheoryError | None]:
        """Bind the outputs of each settled execution; one outcome each, in order. As `bindings.commit`."""
        now = self._clock.now()
        return await self._table.write(lambda table: bindings.commit(table, items, now=now))

    async def abort_many(self, items: Sequence[Abortion]) -> list[None]:
        """Drop the reservations of each execution. As `bindings.abort`, which refuses nothing."""
        now = self._clock.now()
        await self._table.write(lambda table: bindings.abort(table, items, now=now))
        return [None] * len(items)

    async def _bind(self, writes: Sequence[Write]) -> list[Written | TheoryError]:
        await self._leases.recall({each.cid for each in writes})
        now = self._clock.now()
        return await self._table.write(lambda table: bindings.bind(table, self._index, writes, now=now))

    async def _read(self, artifacts: Sequence[Artifact]) -> list[tuple[Artifact, bytes] | TheoryError]:
        read = await self._blobs.get_many([artifact.cid for artifact in artifacts])
        return [
            data if isinstance(data, TheoryError) else (artifact, data)
            for artifact, data in zip(artifacts, read, strict=True)
        ]


def _gone(table: BindingReader, world: WorldName) -> bool:
    return bool(table.dropped([world.text]))


def _bound_at(key: PathKey, hold: Hold | None) -> Artifact | TheoryError:
    if hold is not None and hold.owner is None:
        return artifact_of(hold)
    return NotFound("ARTIFACT_UNKNOWN", "nothing is bound at this path", path=key.path, world=key.world)
