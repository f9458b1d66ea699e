"""What volumes promise, wherever they lie: which names there are."""

from collections.abc import Sequence

from services.resources.volumes.ports import VolumeStore
from theory.core.adapters import Volume
from theory.core.volume import volume_name


class Volumes:
    """`theory.core.adapters.VolumeAdapter`, for anyone: `Invalid` (`VOLUME_NAME_INVALID`) before the store is asked."""

    def __init__(self, store: VolumeStore) -> None:
        self._store = store

    async def create(self, *, plan_id: str, name: str) -> Volume:
        """Make, or find."""
        return await self._store.create(plan_id=plan_id, name=volume_name(name))

    async def delete(self, *, plan_id: str, name: str) -> None:
        """Remove."""
        await self._store.delete(plan_id=plan_id, name=volume_name(name))

    async def list(self, *, plan_id: str) -> Sequence[Volume]:
        """By name."""
        return await self._store.list(plan_id=plan_id)

    async def locate(self, *, plan_id: str, name: str) -> str:
        """For a runtime."""
        return await self._store.locate(plan_id=plan_id, name=volume_name(name))

    async def end_plan(self, plan_id: str) -> None:
        """Remove all."""
        await self._store.end_plan(plan_id)
