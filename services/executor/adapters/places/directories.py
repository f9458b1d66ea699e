"""Places as directories of the host: what containers and child processes are given."""

import os
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from services.executor.adapters.places import mount
from services.executor.adapters.places.beneath import OpenBeneath, best
from services.executor.adapters.places.faults import place_gone, translated
from services.executor.adapters.places.layout import (
    CONTEXT,
    ENTRYPOINT,
    ENTRYPOINT_SCRIPT,
    LOG,
    MARKER,
    PROCESSOR_UID,
    RUN,
    VOLUMES,
)
from services.executor.adapters.places.marker import Marker
from services.executor.adapters.places.secret_files import MountedSecrets, SharedMemorySecrets
from services.executor.adapters.places.tree import OutputTree, TreeLimits
from services.executor.adapters.threads import Threads
from services.executor.ports.place import AttemptPlace, PlaceRequest, WrittenTree
from theory.core.cid import Cid
from theory.core.errors import Exhausted, Invalid, shown
from theory.core.world_path import WorldPath
from theory.world.cache import DEFAULT_CACHE_BYTES, BlobCache, Download
from theory.world.farm import BlobGone, plant
from theory.world.removal import remove_tree

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,240}").fullmatch
_FETCHES = 3
_THREADS = 4
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PAGE = 4096
_RESULT_BYTES = 1024 * 1024


class DirectoryPlaces:
    """One directory per attempt below `home/attempts`, worlds made from the cache in `home/cache`.

    With the right to mount, `out/` is a file system in memory that holds no more than the attempt may leave, and
    `world/` is read-only even for root. Without it, `world/` is protected by its modes, and what `out/` may hold is
    judged when it is collected. Secrets live in memory either way, in the latter case below `/dev/shm`.
    """

    def __init__(
        self, attempts: Path, cache: BlobCache, threads: Threads, *, mounts: bool, open_beneath: OpenBeneath
    ) -> None:
        self._attempts = attempts
        self._cache = cache
        self._threads = threads
        self._may_mount = mounts
        self._open_beneath = open_beneath
        self._secrets = MountedSecrets() if mounts else SharedMemorySecrets(attempts)

    @classmethod
    async def open(
        cls,
        home: Path,
        download: Download,
        *,
        mounts: bool | None = None,
        cache_bytes: int = DEFAULT_CACHE_BYTES,
        open_beneath: OpenBeneath | None = None,
    ) -> "DirectoryPlaces":
        """The places below `home`, which is made where it is missing.

        `mounts` says whether to mount; None finds out whether this process may. An executor in a container must not,
        unless the engine sees its mounts.
        """
        threads = Threads("places", _THREADS)
        home = await threads.run(home.resolve)

        def opened() -> DirectoryPlaces:
            attempts = home / "attempts"
            with translated():
                attempts.mkdir(mode=0o700, parents=True, exist_ok=True)
                cache = BlobCache.open(home / "cache", download, threads, max_bytes=cache_bytes, faults=translated)
                may_mount = mount.permitted(attempts) if mounts is None else mounts
            return cls(attempts, cache, threads, mounts=may_mount, open_beneath=open_beneath or best())

        return await threads.run(opened)

    @property
    def attempts(self) -> Path:
        """Where the places are, by name."""
        return self._attempts

    @property
    def capabilities(self) -> frozenset[str]:
        """What is kept by the kernel and not by modes and later judgement alone."""
        return frozenset({"output_quota", "sealed_world"}) if self._may_mount else frozenset()

    async def prepare(self, request: PlaceRequest, context_document: bytes) -> AttemptPlace:
        place = self._place(request.name)
        if await self._threads.run(self._complete, place):
            return place
        cids = {cid for _, cid in request.inputs}
        for _ in range(_FETCHES):
            await self._cache.ensure(cids, verify=request.verify)
            # A blob may be trimmed away between the two steps.
            with suppress(BlobGone):
                await self._threads.run(self._make, place, request, context_document)
                return place
        raise Exhausted("DISK_FULL", "the cache is too small to hold the inputs of this attempt")

    @asynccontextmanager
    async def written(self, place: AttemptPlace) -> AsyncIterator[WrittenTree]:
        root, limits = await self._threads.run(self._opened_tree, place)
        try:
            yield OutputTree(root, limits, self._open_beneath, self._threads)
        finally:
            os.close(root)

    async def remove(self, name: str) -> None:
        await self._threads.run(self._remove, self._place(name))

    async def sweep(self, keep: frozenset[str]) -> tuple[str, ...]:
        return await self._threads.run(self._sweep, keep)

    async def close(self) -> None:
        """End downloads and threads. Places stay."""
        await self._cache.close()
        self._threads.close()

    def _place(self, name: str) -> AttemptPlace:
        if _NAME(name) is None:
            raise Invalid("ID_INVALID", "a place is named after its attempt", field="name", value=shown(name))
        return AttemptPlace(name, self._attempts / name)

    def _complete(self, place: AttemptPlace) -> bool:
        """Whether the place was made to its end and is so still: a reboot takes mounts and memory away."""
        with translated():
            marker = Marker.read(place.directory)
            return marker is not None and marker.mounts == _mounts(place) and (place.directory / RUN).is_dir()

    def _make(self, place: AttemptPlace, request: PlaceRequest, context_document: bytes) -> None:
        limits = TreeLimits(request.max_output_bytes, request.max_output_files)
        directory, run = place.directory, place.directory / RUN
        self._remove(place)
        with translated():
            for each in (directory, place.world, place.out, run):
                each.mkdir(mode=0o700)
            self._plant(place.world, request.inputs)
            _write(directory / CONTEXT, context_document, 0o444)
            _write(directory / ENTRYPOINT, ENTRYPOINT_SCRIPT, 0o555)
            self._link(directory / VOLUMES, request.volumes)
            if request.secrets:
                self._secrets.write(run, request.secrets)
                self._secrets.keep(directory / LOG)  # a processor may print what it was told
            else:
                run.chmod(0o755)  # what runs there is another user, or has a read-only view
            if self._may_mount:
                mount.bind_read_only(place.world)
                mount.memory(
                    place.out, size_bytes=_room(limits), inodes=limits.max_entries + 2, mode=0o700, owner=PROCESSOR_UID
                )
            Marker(limits, _mounts(place)).write(directory)

    @staticmethod
    def _link(folder: Path, volumes: Mapping[str, str]) -> None:
        # Links: what the place is removed with stops at them.
        if volumes:
            folder.mkdir(mode=0o700)
        for name, directory in volumes.items():
            (folder / name).symlink_to(directory)
        if volumes:
            folder.chmod(0o555)

    def _plant(self, world: Path, inputs: Iterable[tuple[WorldPath, Cid]]) -> None:
        descriptor = os.open(world, _FOLDER)
        try:
            plant(descriptor, inputs, self._cache)
        finally:
            os.close(descriptor)

    def _opened_tree(self, place: AttemptPlace) -> tuple[int, TreeLimits]:
        marker = Marker.read(place.directory)
        if marker is None:
            raise place_gone()
        try:
            return os.open(place.out, _FOLDER), marker.limits
        except OSError as error:
            message = "the processor removed its output folder"
            raise Invalid("OUTPUT_REFUSED", message, path=".", rule="not_a_folder") from error

    def _remove(self, place: AttemptPlace) -> None:
        with translated():
            # First of all: what is half removed must not pass for complete.
            with suppress(FileNotFoundError, NotADirectoryError):
                (place.directory / MARKER).unlink()
            mount.unmount_below(place.directory)
            remove_tree(place.directory)
            self._secrets.remove(place.name)

    def _sweep(self, keep: frozenset[str]) -> tuple[str, ...]:
        with translated():
            names = {*(each.name for each in self._attempts.iterdir()), *self._secrets.names()}
        stray = sorted(name for name in names - keep if _NAME(name))
        for name in stray:
            self._remove(self._place(name))
        with translated():
            self._cache.trim()
        return tuple(stray)


def _mounts(place: AttemptPlace) -> frozenset[str]:
    return frozenset(point.name for point in mount.mounted_below(place.directory))


def _room(limits: TreeLimits) -> int:
    # A file takes whole pages, and the draft of the result may lie beside everything else.
    return limits.max_bytes + _PAGE * limits.max_entries + _RESULT_BYTES


def _write(path: Path, data: bytes, mode: int) -> None:
    path.write_bytes(data)
    path.chmod(mode)
