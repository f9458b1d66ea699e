"""The port to the places where attempts run: a directory per attempt, its read-only world, its writable output."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from theory.core.cid import Cid
from theory.core.secret import Secret
from theory.core.world_path import WorldPath


@dataclass(frozen=True, slots=True)
class PlaceRequest:
    """What an attempt's place must hold."""

    name: str
    """Unique per attempt: `<execution_id>-a<attempt_idx>`; names the directory, the container and the mounts."""

    inputs: Sequence[tuple[WorldPath, Cid]]
    secrets: Mapping[str, Secret]
    max_output_bytes: int
    max_output_files: int
    volumes: Mapping[str, str] = field(default_factory=dict)
    """Directories of this machine to share, by the names that they have below `volumes/`."""
    in_memory: bool = False
    """Whether nothing will run in the place: then it needs no directory, no world and no secrets."""
    verify: bool = False
    """Whether to read inputs that are on this machine already: an earlier attempt had them in its hands."""


@dataclass(frozen=True, slots=True)
class AttemptPlace:
    """A prepared place. It stays until `Places.remove`, whatever becomes of the executor."""

    name: str
    directory: Path
    """Mounted as `/work`: `context.json`, `world/`, `out/`, `run/`, and `volumes/` where there are any."""

    @property
    def world(self) -> Path:
        """The read-only world: exactly the inputs."""
        return self.directory / "world"

    @property
    def out(self) -> Path:
        """Where the processor writes; mirrors the World, beside `result.json`."""
        return self.directory / "out"


@dataclass(frozen=True, slots=True)
class CollectedFile:
    """One regular file of an output tree, opened without following any link and not changed while it was read."""

    relative: str
    """Its name below `out/`, with `/`, exactly as the processor wrote it; not yet a World path."""

    file: BinaryIO
    size_bytes: int


class WrittenTree(Protocol):
    """What a processor left in `out/`, seen by someone who does not trust it."""

    def files(self) -> AsyncIterator[CollectedFile]:
        """Every regular file, in order of name; each is closed when the next is asked for.

        `Invalid` (`OUTPUT_REFUSED`) with `path` and `rule` for a symbolic link, a hard link, a FIFO, a socket, a
        device, a name that is no UTF-8, too many entries, too deep a tree, too many bytes (apparent size), or a file
        that changed while it was read.
        """
        ...


class Places(Protocol):
    """Prepares and removes places. Everything is named after the attempt and safe to call again."""

    async def prepare(self, request: PlaceRequest, context_document: bytes) -> AttemptPlace:
        """The place, made or found.

        `world/` holds exactly the inputs, verified and read-only, and nothing of an earlier attempt's; `out/` is empty
        when made, as it was left when found; secrets lie in memory-backed files that only the processor can read;
        `volumes/` holds a link to each volume.

        `NotFound` (`BLOB_UNKNOWN`), `Corrupt` (`BLOB_CORRUPT`), `Exhausted` (`DISK_FULL`).
        """
        ...

    def written(self, place: AttemptPlace) -> AbstractAsyncContextManager[WrittenTree]:
        """Open the output tree for collection; nothing may still run in the place."""
        ...

    async def remove(self, name: str) -> None:
        """Unmount and delete the place; one that is not there is fine."""
        ...

    async def sweep(self, keep: frozenset[str]) -> tuple[str, ...]:
        """Remove every place but those named; returns what was removed."""
        ...
