"""Laying out the files of a world on this machine, and taking them away: what is there already is fetched by nobody."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, ParamSpec, Self, TypeVar

from theory.core.cid import Cid
from theory.core.errors import Exhausted
from theory.core.jcs import JSON
from theory.sdk.artifacts import ArtifactsClient
from theory.sdk.rpc import fitting
from theory.sdk.transfer import Progress
from theory.world.cache import BlobCache
from theory.world.farm import BlobGone
from theory.world.file import WorldFile
from theory.world.manifest import Entry
from theory.world.mount import MountedWorld

_P = ParamSpec("_P")
_T = TypeVar("_T")

_DOWNLOADS = 64
"""Small blobs that are asked for together share an RPC."""
_FETCHES = 3
_PORTION_FILES = 2_000
_PORTIONS = 16
"""A portion is at most this part of the cache, so that nothing of it is trimmed before it is linked."""


@dataclass(frozen=True, slots=True)
class Mounted:
    """What a mount holds, and how much of it was there before."""

    directory: Path
    files: int
    size_bytes: int
    reused: int
    """How many files stayed as they were."""


class Mounting:
    """A mount that is being brought from what it holds to what it is to hold. Raises as `WorldsClient.mount` does."""

    def __init__(
        self, artifacts: ArtifactsClient, directory: Path, mounted: MountedWorld, cache: Path, max_cache_bytes: int
    ) -> None:
        self._artifacts = artifacts
        self._directory = directory
        self._mounted = mounted
        self._cache = cache
        self._max_cache_bytes = max_cache_bytes
        self._threads = _Threads()

    @classmethod
    async def open(cls, artifacts: ArtifactsClient, directory: Path, *, cache: Path, max_cache_bytes: int) -> Self:
        """Hold the mount in `directory`, which may become one, until `close`."""
        mounted = await _Threads().run(MountedWorld.open, directory)
        return cls(artifacts, directory, mounted, cache, max_cache_bytes)

    async def bring_to(
        self,
        files: Sequence[WorldFile],
        *,
        origin: Mapping[str, JSON],
        verify: bool = False,
        progress: Progress | None = None,
    ) -> Mounted:
        """Have exactly these files there. Where they are, nothing is touched."""
        difference = await self._threads.run(self._mounted.compare, files, verify=verify)
        if not difference.none or not self._mounted.settled(origin):
            await self._threads.run(self._mounted.begin, difference, origin)
            entries = dict(difference.kept)
            if difference.missing:
                entries |= await self._added(difference.missing, _Gauge(difference.missing, progress), verify=verify)
            await self._threads.run(self._mounted.finish, entries, origin)
        size_bytes = sum(each.size_bytes for each in files)
        return Mounted(self._directory, len(files), size_bytes, len(difference.kept))

    def close(self) -> None:
        """Let others at the mount."""
        self._mounted.close()

    async def _added(self, missing: Sequence[WorldFile], gauge: "_Gauge", *, verify: bool) -> dict[str, Entry]:
        async def download(cid: Cid, into: BinaryIO) -> None:
            tell = partial(gauge.tell, cid)
            await self._artifacts.download(cid, into, size_bytes=gauge.size_by_cid[cid], progress=tell)

        opening = partial(BlobCache.open, max_bytes=self._max_cache_bytes, downloads=_DOWNLOADS)
        blobs = await self._threads.run(opening, self._cache, download, self._threads)
        found: dict[str, Entry] = {}
        try:
            for portion in fitting(
                missing,
                max_items=_PORTION_FILES,
                max_bytes=self._max_cache_bytes // _PORTIONS,
                size_of=lambda each: each.size_bytes,
            ):
                found |= await self._added_at_once(portion, blobs, verify=verify)
                gauge.add(portion)
            await self._threads.run(blobs.trim)
        finally:
            await blobs.close()
        return found

    async def _added_at_once(self, portion: Sequence[WorldFile], blobs: BlobCache, *, verify: bool) -> dict[str, Entry]:
        for _ in range(_FETCHES):
            await blobs.ensure({each.cid for each in portion}, verify=verify)
            # A blob may be trimmed away between the two steps.
            with suppress(BlobGone):
                return await self._threads.run(self._mounted.add, portion, blobs)
        raise Exhausted("DISK_FULL", "the cache is too small to hold the files of this world")


async def unmount(directory: Path) -> Mapping[str, JSON]:
    """Delete a mount with all that is below it, and say of what it was: `world`, `prefix` and `positions`.

    `NotReady` (`MOUNT_FOREIGN`) where the directory is none; `Conflict` (`MOUNT_BUSY`); `OSError`.
    """
    return await _Threads().run(_removed, directory)


class _Threads:
    """The threads of the event loop."""

    async def run(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """What `fn` returns or raises. A caller that is cancelled leaves once it has ended."""
        running = asyncio.get_running_loop().run_in_executor(None, partial(fn, *args, **kwargs))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait([running])
            if not running.cancelled():
                running.exception()  # taken note of: nobody else will ask
            raise


class _Gauge:
    """How many bytes of the missing files are laid out or on their way."""

    def __init__(self, missing: Sequence[WorldFile], progress: Progress | None) -> None:
        self.size_by_cid = {each.cid: each.size_bytes for each in missing}
        self._progress = progress
        self._total = sum(each.size_bytes for each in missing)
        self._laid = 0
        self._fetched: dict[Cid, int] = {}

    def tell(self, cid: Cid, done: int, _: int) -> None:
        """Take note of how far a download is."""
        self._fetched[cid] = done
        self._show()

    def add(self, portion: Sequence[WorldFile]) -> None:
        """Take note of files that are laid out."""
        self._laid += sum(each.size_bytes for each in portion)
        self._fetched.clear()
        self._show()

    def _show(self) -> None:
        if self._progress is not None:
            self._progress(min(self._laid + sum(self._fetched.values()), self._total), self._total)


def _removed(directory: Path) -> Mapping[str, JSON]:
    mounted = MountedWorld.open(directory, make=False)
    try:
        mounted.remove()
    finally:
        mounted.close()
    return mounted.origin
