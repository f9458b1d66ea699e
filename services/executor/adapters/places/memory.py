"""Places without a directory, for runtimes that run nothing: files stay in memory until they are collected."""

import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from services.executor.adapters.places.faults import place_gone
from services.executor.adapters.places.tree import Tally, TreeLimits
from services.executor.ports.place import AttemptPlace, CollectedFile, PlaceRequest, WrittenTree

_NOWHERE = Path("/nowhere")


@dataclass(slots=True)
class _Held:
    limits: TreeLimits
    files: Mapping[str, bytes]


class MemoryPlaces:
    """Keeps what is written to a place as long as the place is there, which is not beyond this process."""

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}

    def holds(self, name: str) -> bool:
        """Whether there is such a place here."""
        return name in self._held

    def fill(self, name: str, files: Mapping[str, bytes]) -> None:
        """Write the whole output of a place, by names relative to `out/`; what was there before is gone."""
        self._held[name].files = files

    async def prepare(self, request: PlaceRequest, context_document: bytes) -> AttemptPlace:
        if request.name not in self._held:
            limits = TreeLimits(request.max_output_bytes, request.max_output_files)
            self._held[request.name] = _Held(limits, {})
        return AttemptPlace(request.name, _NOWHERE / request.name)

    @asynccontextmanager
    async def written(self, place: AttemptPlace) -> AsyncIterator[WrittenTree]:
        held = self._held.get(place.name)
        if held is None:
            raise place_gone()
        yield _Tree(held)

    async def remove(self, name: str) -> None:
        self._held.pop(name, None)

    async def sweep(self, keep: frozenset[str]) -> tuple[str, ...]:
        stray = tuple(sorted(self._held.keys() - keep))
        for name in stray:
            del self._held[name]
        return stray


class _Tree:
    """The same judgement as of a tree on a disk, as far as it applies."""

    def __init__(self, held: _Held) -> None:
        self._held = held

    async def files(self) -> AsyncIterator[CollectedFile]:
        tally = Tally(self._held.limits)
        for relative, data in self._held.files.items():
            tally.add(relative, len(data))
        for relative in sorted(self._held.files):
            with io.BytesIO(self._held.files[relative]) as file:
                yield CollectedFile(relative, file, len(self._held.files[relative]))
