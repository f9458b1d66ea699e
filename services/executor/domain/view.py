"""The World as one attempt sees it: what is bound, the chunks that it reads, and over it what it is about to bind."""

from collections.abc import Iterable

from services.executor.ports import World
from theory.core.artifact import Artifact, Output
from theory.core.cid import Cid
from theory.core.errors import Invalid, NotFound
from theory.core.stream import FACET
from theory.core.world_path import WorldName, WorldPath


class AttemptView:
    """Answers the predicates of one attempt. Of streams it knows what is fixed for it: a ring goes on meanwhile."""

    def __init__(
        self,
        world: World,
        name: WorldName,
        outputs: Iterable[Output],
        chunks: Iterable[tuple[WorldPath, Cid]],
    ) -> None:
        self._world = world
        self._name = name
        self._cid_by_chunk = dict(chunks)
        self._output_by_path = {each.path: each for each in outputs}

    async def exists(self, path: WorldPath) -> bool:
        """Whether there is an artifact at `path`, or a chunk that the attempt reads."""
        return path in self._cid_by_chunk or await self._at(path) is not None

    async def read(self, path: WorldPath, max_bytes: int) -> bytes:
        """Its bytes, verified; `NotFound` (`ARTIFACT_UNKNOWN`), `Invalid` (`BLOB_TOO_LARGE`)."""
        if cid := self._cid_by_chunk.get(path):
            data = await self._world.blob(cid)
            if len(data) > max_bytes:
                raise _too_large(path, max_bytes)
            return data
        found = await self._at(path)
        if found is None:
            raise NotFound("ARTIFACT_UNKNOWN", f"nothing is at {path}", path=path.text)
        if found.size_bytes > max_bytes:
            raise _too_large(path, max_bytes)
        return await self._world.blob(found.cid)

    async def _at(self, path: WorldPath) -> Output | Artifact | None:
        if path.facet == FACET:
            return None
        return self._output_by_path.get(path) or await self._world.stat(self._name, path)


def _too_large(path: WorldPath, max_bytes: int) -> Invalid:
    message = f"{path} has more than {max_bytes} bytes"
    return Invalid("BLOB_TOO_LARGE", message, path=path.text, max_bytes=str(max_bytes))
