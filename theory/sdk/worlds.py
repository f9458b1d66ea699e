"""Worlds as a whole: as they are, as the ledger says that they were, and laid out as directories of this machine."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from theory.core.chain import FIRST_SEQ, GENESIS, Event, verify_chain
from theory.core.cid import Cid
from theory.core.errors import Corrupt, NotFound, TheoryError
from theory.core.ledger import Position
from theory.core.world_path import PathPrefix, WorldName, WorldPath
from theory.sdk.artifacts import ArtifactsClient
from theory.sdk.ledger import LedgerClient
from theory.sdk.mounting import Mounted, Mounting
from theory.sdk.transfer import Progress
from theory.world.cache import DEFAULT_CACHE_BYTES
from theory.world.file import WorldFile


class WorldsClient:
    """Worlds over the wire. Raises only `TheoryError`, or `TimeoutError`; where it mounts, `OSError` too."""

    def __init__(self, artifacts: ArtifactsClient, ledger: LedgerClient) -> None:
        self._artifacts = artifacts
        self._ledger = ledger

    async def at(
        self, world: WorldName, positions: Sequence[Position] = (), prefix: PathPrefix | None = None
    ) -> list[WorldFile]:
        """The files of a world, or below a folder of it, in order of path.

        With `positions`, those that the events of these chains say were written by then. A world is written by the
        chains of all plans that name it, and by `system.artifacts`: whoever wants all of it names all of them. The
        hashes of each chain are computed here, from its first event on. Without, what is bound now, and `verify_plan`
        asks whether the ledger says the same.

        `NotFound` (`POSITION_UNKNOWN`) where a chain ends before; `Corrupt` (`VERIFICATION_FAILED`) where its hashes
        are wrong, or a path has two contents.
        """
        if not positions:
            listed = self._artifacts.list(world, prefix)
            return sorted([WorldFile(each.path, each.cid, each.size_bytes) async for each in listed])
        found: dict[WorldPath, WorldFile] = {}
        for position in positions:
            async for event in self._events(position):
                said = written(event)
                if said is None or said[0] != world or not (prefix is None or prefix.contains(said[1].path)):
                    continue
                file = said[1]
                if found.setdefault(file.path, file) != file:
                    message = f"the ledger gives {file.path} of world {world} two contents"
                    raise Corrupt("VERIFICATION_FAILED", message, what="PATH", path=file.path.text)
        return sorted(found.values())

    async def mount(
        self,
        world: WorldName,
        directory: Path,
        *,
        cache: Path,
        positions: Sequence[Position] = (),
        prefix: PathPrefix | None = None,
        verify: bool = False,
        max_cache_bytes: int = DEFAULT_CACHE_BYTES,
        progress: Progress | None = None,
    ) -> Mounted:
        """Lay out what `at` says below `directory`, by its whole paths, and read-only.

        A directory that is a mount already becomes this one: files that are there and were not touched stay, and
        whatever else is below it goes. `verify` reads all of them. Files are hard links to blobs in the directory
        `cache`, which grows to about `max_cache_bytes` beyond what mounts hold; on another file system, copies.

        `NotReady` (`MOUNT_FOREIGN`) where the directory holds something else, in which nothing is touched; `Conflict`
        (`MOUNT_BUSY`); `NotFound` (`BLOB_UNKNOWN`), `Corrupt` (`BLOB_CORRUPT`), `Exhausted` (`DISK_FULL`); errors as
        in `at`. A mount that breaks off holds a part of the files, and is brought to its end by the next.
        """
        mounting = await Mounting.open(self._artifacts, directory, cache=cache, max_cache_bytes=max_cache_bytes)
        try:
            files = await self.at(world, positions, prefix)
            return await mounting.bring_to(
                files,
                origin={
                    "world": world.text,
                    "prefix": prefix.text if prefix else None,
                    "positions": [str(each) for each in positions],
                },
                verify=verify,
                progress=progress,
            )
        finally:
            mounting.close()

    async def _events(self, position: Position) -> AsyncIterator[Event]:
        """The events of a chain up to a position, each verified with all before it."""
        end, link = FIRST_SEQ - 1, GENESIS
        if position.seq == end:
            return
        async for page in self._ledger.events(position.chain):
            events = page.events[: position.seq - end]
            if faults := verify_chain(events, plan_id=position.chain, head=None, start=(end, link)):
                message = f"event {faults[0].seq} of the chain {position.chain} is not what its hash says"
                raise Corrupt(
                    "VERIFICATION_FAILED", message, what=faults[0].what, chain=position.chain, seq=str(faults[0].seq)
                )
            for event in events:
                yield event
            if events:
                end, link = events[-1].seq, events[-1].this_hash
            if end == position.seq:
                return
        message = f"the chain {position.chain} ends at {end}"
        raise NotFound("POSITION_UNKNOWN", message, chain=position.chain, seq=str(position.seq), head_seq=str(end))


def written(event: Event) -> tuple[WorldName, WorldFile] | None:
    """The world and the file that an `artifact.written` tells of; None for what tells of none."""
    if event.kind != "artifact.written":
        return None
    match event.body:
        case {"world": str(world), "path": str(path), "cid": str(cid), "size": int(size)}:
            try:
                return WorldName.parse(world), WorldFile(WorldPath.parse(path), Cid.parse(cid), size)
            except TheoryError:
                return None
    return None
