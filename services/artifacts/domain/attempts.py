"""The store as an attempt sees it: its inputs and what it brought itself, and nothing else exists.

Knowing a CID gives no right. What is not the attempt's is answered exactly as what is not stored, so that no answer
tells one from the other; only bytes themselves show that somebody has them.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

from services.artifacts.domain import bindings, inputs
from services.artifacts.domain.artifacts import Artifacts
from services.artifacts.domain.batch import for_sound
from services.artifacts.domain.inputs import blob_unknown
from services.artifacts.domain.store import BlobStore, Download, NewBlob, Upload
from services.artifacts.ports import BindingAdapter, BindingReader, BindingTransaction, BlobAdapter, PathKey
from theory.core.artifact import Artifact
from theory.core.binding import AttemptInputs, Preparation
from theory.core.cid import Cid
from theory.core.clock import Clock
from theory.core.errors import NotFound, TheoryError
from theory.core.grant import AttemptGrant
from theory.core.world_path import PathPrefix, WorldName, WorldPath

_ARTIFACTS = "/artifacts/"


class Attempts:
    """Gives every attempt its own view of the store, and tells the store what an attempt may read."""

    def __init__(
        self, blobs: BlobStore, artifacts: Artifacts, index: BlobAdapter, table: BindingAdapter, clock: Clock
    ) -> None:
        self._blobs = blobs
        self._artifacts = artifacts
        self._index = index
        self._table = table
        self._clock = clock

    def view(self, grant: AttemptGrant) -> "AttemptView":
        """What this attempt sees."""
        return AttemptView(self._blobs, self._artifacts, self._index, self._table, self._clock, grant)

    async def tell_many(self, items: Sequence[AttemptInputs]) -> list[TheoryError | None]:
        """Open its inputs to each attempt; one outcome each, in order. As `inputs.tell`."""
        await self._blobs.recall({cid for item in items for _, cid in item.inputs})
        return await self._table.write(lambda table: inputs.tell(table, self._index, items))


class AttemptView:
    """`BlobStore` and `Artifacts` for one attempt: the same methods and errors, over what is its own.

    `Denied` (`ATTEMPT_DENIED`) where a request names what is another's; `Conflict` (`EPOCH_FENCED`) where it brings
    something although its epoch is over.
    """

    def __init__(
        self,
        blobs: BlobStore,
        artifacts: Artifacts,
        index: BlobAdapter,
        table: BindingAdapter,
        clock: Clock,
        grant: AttemptGrant,
    ) -> None:
        self._blobs = blobs
        self._artifacts = artifacts
        self._index = index
        self._table = table
        self._clock = clock
        self._grant = grant

    async def find_missing(self, cids: Sequence[Cid]) -> list[Cid]:
        """Those that it has to upload: all but its own, so that nobody gets at bytes by asking for their name."""
        own = await self._own(cids)
        gone = set(await self._blobs.find_missing([cid for cid in cids if cid in own]))
        return [cid for cid in dict.fromkeys(cids) if cid not in own or cid in gone]

    async def put_many(self, blobs: Sequence[NewBlob]) -> list[Cid | TheoryError]:
        """Store small blobs and keep them for the attempt; one CID or error each. As `BlobStore.put_many`."""
        await self._require_open()
        return await for_sound(await self._blobs.put_many(blobs), self._keep)

    async def get_many(self, cids: Sequence[Cid]) -> list[bytes | TheoryError]:
        """Small blobs of its own, verified. As `BlobStore.get_many`."""
        own = await self._own(cids)
        return await for_sound([cid if cid in own else blob_unknown(cid) for cid in cids], self._blobs.get_many)

    @asynccontextmanager
    async def upload(self, *, expected: Cid | None, size_bytes: int | None) -> AsyncIterator["AttemptUpload"]:
        """Take in one blob inside a block, and keep it for the attempt once it is whole. As `BlobStore.upload`."""
        await self._require_open()
        async with self._blobs.upload(expected=expected, size_bytes=size_bytes) as upload:
            yield AttemptUpload(upload, self)

    @asynccontextmanager
    async def download(self, cid: Cid, *, offset: int, limit: int) -> AsyncIterator[Download]:
        """A blob of its own, or a range of it. As `BlobStore.download`."""
        if cid not in await self._own([cid]):
            raise blob_unknown(cid)
        async with self._blobs.download(cid, offset=offset, limit=limit) as download:
            yield download

    async def stat_many(self, world: WorldName, paths: Sequence[WorldPath]) -> list[Artifact | TheoryError]:
        """What its inputs hold; any other path is unknown, bound or not. As `Artifacts.stat_many`."""
        own = await self._inputs(world, {path.text for path in paths})
        known = [path if path.text in own else _unknown(world, path) for path in paths]
        return await for_sound(known, lambda sound: self._artifacts.stat_many(world, sound))

    async def read_many(
        self, world: WorldName, paths: Sequence[WorldPath]
    ) -> list[tuple[Artifact, bytes] | TheoryError]:
        """Its small inputs with their verified bytes. As `Artifacts.read_many`."""
        own = await self._inputs(world, {path.text for path in paths})
        known = [path if path.text in own else _unknown(world, path) for path in paths]
        return await for_sound(known, lambda sound: self._artifacts.read_many(world, sound))

    async def page(self, world: WorldName, prefix: PathPrefix | None, *, after: str, limit: int) -> list[Artifact]:
        """The first `limit` of its inputs below `prefix` whose path lies behind `after`."""
        self._grant.require_world(world)
        below = _ARTIFACTS if prefix is None else prefix.text

        def look(table: BindingReader) -> list[Artifact]:
            paths = table.input_page(self._grant.execution_id, self._grant.epoch, below, after, limit)
            keys = [PathKey(world.text, path) for path in paths]
            holds = table.holds(keys)
            return [bindings.artifact_of(holds[key]) for key in keys if key in holds and holds[key].owner is None]

        return await self._table.read(look)

    async def prepare_many(self, items: Sequence[Preparation]) -> list[TheoryError | None]:
        """Reserve its outputs, inside its write set, of blobs that are its own. As `bindings.prepare`."""
        for item in items:
            self._grant.require_plan(item.plan_id.text)
            self._grant.require_world(item.world)
            self._grant.require_execution(item.execution_id, item.epoch)
            self._grant.require_writable([output.path for output in item.outputs])
        cids = {output.cid for item in items for output in item.outputs}
        await self._blobs.recall(cids)
        now = self._clock.now()

        def step(table: BindingTransaction) -> list[TheoryError | None]:
            own = _OwnBlobs(self._index, table.readable(self._grant.execution_id, self._grant.epoch, cids))
            sizes = own.sizes(cids)
            faults = [_fault(item, sizes) for item in items]
            sound = [item for item, fault in zip(items, faults, strict=True) if fault is None]
            answers = iter(bindings.prepare(table, own, sound, now=now) if sound else ())
            return [next(answers) if fault is None else fault for fault in faults]

        return await self._table.write(step)

    async def keep(self, cid: Cid) -> None:
        """Make a blob that it has just brought its own."""
        (outcome,) = await self._keep([cid])
        if isinstance(outcome, TheoryError):
            raise outcome

    async def _keep(self, cids: Sequence[Cid]) -> list[Cid | TheoryError]:
        await self._blobs.recall(set(cids))
        outcomes = await self._table.write(lambda table: inputs.keep(table, self._index, self._grant, cids))
        return [outcome or cid for cid, outcome in zip(cids, outcomes, strict=True)]

    async def _require_open(self) -> None:
        await self._table.read(lambda table: inputs.require_open(table, self._grant))

    async def _own(self, cids: Sequence[Cid]) -> set[Cid]:
        grant, asked = self._grant, set(cids)
        return await self._table.read(lambda table: table.readable(grant.execution_id, grant.epoch, asked))

    async def _inputs(self, world: WorldName, paths: Collection[str]) -> set[str]:
        self._grant.require_world(world)
        grant = self._grant
        return await self._table.read(lambda table: table.input_paths(grant.execution_id, grant.epoch, paths))


class AttemptUpload:
    """One blob of an attempt on its way in."""

    def __init__(self, upload: Upload, view: AttemptView) -> None:
        self._upload = upload
        self._view = view

    async def write(self, chunk: bytes) -> None:
        """As `Upload.write`."""
        await self._upload.write(chunk)

    async def commit(self) -> tuple[Cid, int]:
        """As `Upload.commit`; the blob is the attempt's when it returns."""
        cid, size = await self._upload.commit()
        await self._view.keep(cid)
        return cid, size


class _OwnBlobs:
    """The index, of an attempt's own blobs alone: rules that ask it cannot tell others from what is not stored."""

    def __init__(self, index: BlobAdapter, own: set[Cid]) -> None:
        self._index = index
        self._own = own

    def sizes(self, cids: Collection[Cid]) -> Mapping[Cid, int]:
        return self._index.sizes(self._own.intersection(cids))


def _fault(item: Preparation, sizes: Mapping[Cid, int]) -> TheoryError | None:
    # Before anything is said of paths: a path that is bound to these very bytes would tell that they exist.
    return next((blob_unknown(output.cid) for output in item.outputs if output.cid not in sizes), None)


def _unknown(world: WorldName, path: WorldPath) -> NotFound:
    return NotFound("ARTIFACT_UNKNOWN", "nothing is bound at this path", path=path.text, world=world.text)
