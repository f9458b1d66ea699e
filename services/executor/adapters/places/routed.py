"""One set of places for all runtimes: directories for those that run something, memory for those that do not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.executor.adapters.places.directories import DirectoryPlaces
from services.executor.adapters.places.memory import MemoryPlaces
from services.executor.ports.place import AttemptPlace, PlaceRequest, WrittenTree


class RoutedPlaces:
    """Makes each place where its request says; whoever names one later need not know where it is."""

    def __init__(self, directories: DirectoryPlaces, memory: MemoryPlaces) -> None:
        self.directories = directories
        self.memory = memory

    async def prepare(self, request: PlaceRequest, context_document: bytes) -> AttemptPlace:
        places = self.memory if request.in_memory else self.directories
        return await places.prepare(request, context_document)

    @asynccontextmanager
    async def written(self, place: AttemptPlace) -> AsyncIterator[WrittenTree]:
        places = self.memory if self.memory.holds(place.name) else self.directories
        async with places.written(place) as tree:
            yield tree

    async def remove(self, name: str) -> None:
        places = self.memory if self.memory.holds(name) else self.directories
        await places.remove(name)

    async def sweep(self, keep: frozenset[str]) -> tuple[str, ...]:
        return (*await self.memory.sweep(keep), *await self.directories.sweep(keep))

    async def close(self) -> None:
        """End downloads and threads. Places on the disk stay."""
        await self.directories.close()
