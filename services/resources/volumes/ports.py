"""What the rules of volumes need from a store, and the figures that both keep to."""

from collections.abc import Sequence
from typing import Protocol

from theory.core import volume
from theory.core.adapters import Volume

MAX_PLAN_VOLUMES = volume.MAX_PLAN_VOLUMES


class VolumeStore(Protocol):
    """`theory.core.adapters.VolumeAdapter`: what volumes mean is written there. Ids and names are checked."""

    kind: str
    """What capabilities call it: `directory`."""

    async def create(self, *, plan_id: str, name: str) -> Volume:
        """An empty volume, or the one that has this name, as it is.

        `NotReady` (`PLAN_ENDED`); `Exhausted` (`QUOTA_EXCEEDED`) where the plan has `MAX_PLAN_VOLUMES`.
        """
        ...

    async def delete(self, *, plan_id: str, name: str) -> None:
        """Remove it with all that lies in it. A removal that a crash cut short is finished at the next start."""
        ...

    async def list(self, *, plan_id: str) -> Sequence[Volume]:
        """Sorted by name; at most `MAX_PLAN_VOLUMES`."""
        ...

    async def locate(self, *, plan_id: str, name: str) -> str:
        """What a runtime of the same provider mounts; `NotFound` (`VOLUME_UNKNOWN`)."""
        ...

    async def end_plan(self, plan_id: str) -> None:
        """Remove every volume of the plan and remember for `theory.core.scratch.ENDED_KEPT` that it has ended."""
        ...
