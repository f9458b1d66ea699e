"""The World as one attempt sees it: what is bound, and over it what the attempt is about to bind."""

from collections.abc import Sequence

from services.executor.ports import World
from theory.core.artifact import Artifact, Output
from theory.core.errors import Invalid, NotFound
from theory.core.world_path import WorldName, WorldPath


class AttemptView:
    """Answers the predicates of one attempt."""

    def __init__(self, world: World, name: WorldName, outputs: Sequence[Output]) -> None:
        self._world = world
        self._name = name
        self._output_by_path = {each.path: each for each in outputs}

    async def exists(self, path: WorldPath) -> bool:
        """Whether there is an artifact at `path`."""
        return await self._at(path) is not None

    async def read(self, path: WorldPath, max_bytes: int) -> bytes:
        """Its bytes, verified; `NotFound` (`ARTIFACT_UNKNOWN`), `Invalid` (`BLOB_TOO_LARGE`)."""
        found = await self._at(path)
        if found is None:
            raise NotFound("ARTIFACT_UNKNOWN", f"nothing is at {path}", path=path.text)
        if found.size_bytes > max_bytes:
            message = f"{path} has more than {max_bytes} bytes"
            raise Invalid("BLOB_TOO_LARGE", message, path=path.text, max_bytes=str(max_bytes))
        return await self._world.blob(found.cid)

    async def _at(self, path: WorldPath) -> Output | Artifact | None:
        return self._output_by_path.get(path) or await self._world.stat(self._name, path)
