"""What volumes promise, wherever they lie: which names there are."""

import re
from collections.abc import Sequence

from services.resources.volumes.ports import MAX_NAME_CHARACTERS, VolumeStore
from theory.core.adapters import Volume
from theory.core.errors import Invalid, shown

_is_name = re.compile(rf"[a-z][a-z0-9-]{{0,{MAX_NAME_CHARACTERS - 1}}}").fullmatch


class Volumes:
    """`theory.core.adapters.VolumeAdapter`, for anyone: `Invalid` (`VOLUME_NAME_INVALID`) before the store is asked."""

    def __init__(self, store: VolumeStore) -> None:
        self._store = store

    async def create(self, *, plan_id: str, name: str) -> Volume:
        """Make, or find."""
        return await self._store.create(plan_id=plan_id, name=_named(name))

    async def delete(self, *, plan_id: str, name: str) -> None:
        """Remove."""
        await self._store.delete(plan_id=plan_id, name=_named(name))

    async def list(self, *, plan_id: str) -> Sequence[Volume]:
        """By name."""
        return await self._store.list(plan_id=plan_id)

    async def locate(self, *, plan_id: str, name: str) -> str:
        """For a runtime."""
        return await self._store.locate(plan_id=plan_id, name=_named(name))

    async def end_plan(self, plan_id: str) -> None:
        """Remove all."""
        await self._store.end_plan(plan_id)


def _named(name: str) -> str:
    if _is_name(name):
        return name
    rule = f"the name of a volume has 1 to {MAX_NAME_CHARACTERS} characters of a-z, 0-9 and '-', the first a letter"
    raise Invalid("VOLUME_NAME_INVALID", rule, value=shown(name))
