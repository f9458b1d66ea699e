"""The World as one attempt sees it: what is bound, and over it what the attempt is about to bind."""

from collections.abc import Sequence

from services.executor.ports import World
from theory.core.artifact import Output
from theory.core.errors import NotFound
from theory.core.world_path import WorldName, WorldPath


class AttemptView:
    """Answers the predicates of one attempt."""

    def __init__(self, world: World, name: WorldName, outputs: Sequence[Output]) -> None:
        self._world = world
        self._name = name
        self._cid_by_path = {each.path: each.cid for each in outputs}

    async def exists(self, path: WorldPath) -> bool:
        """Whether there is an artifact at `path`."""
        return path in self._cid_by_path or await self._world.stat(self._name, path) is not None

    async def read(self, path: WorldPath, max_bytes: int) -> bytes:
        """Its bytes, verified; `NotFound` (`ARTIFACT_UNKNOWN`), `Invalid` (`BLOB_TOO_LARGE`)."""
        cid = self._cid_by_path.get(path)
        if cid is None:
            artifact = await self._world.stat(self._name, path)
            if artifact is None:
                raise NotFound("ARTIFACT_UNKNOWN", f"nothing is at {path}", path=path.text)
            cid = artifact.cid
        return await self._world.blob(cid, max_bytes)
