"""Volumes as Volumes of Modal, for its containers: each has a name of which every replica knows whose it is.

What Modal lists is what there is; a plan's end is marked beside, so that no late call brings one back. To list looks at
every Volume of the environment.
"""

import asyncio
from base64 import b32encode
from collections.abc import Sequence
from datetime import UTC
from hashlib import blake2s
from typing import TYPE_CHECKING, cast
from weakref import WeakValueDictionary

from services.drivers import modal as driver
from services.drivers.modal import Absent, Connection
from services.drivers.modal_objects import together
from services.drivers.modal_plans import Plans
from services.drivers.opening import Opening
from services.resources.volumes.ports import MAX_PLAN_VOLUMES, VolumeStore
from theory.core.adapters import Volume
from theory.core.errors import Exhausted, NotFound, NotReady

if TYPE_CHECKING:
    import modal

_HASH_BYTES = 10
"""16 characters of base 32: with the longest name of a volume, what a name of Modal has room for."""
_LIST_S = 60.0


async def open(url: str, opening: Opening) -> VolumeStore:
    """`modal:` for the workspace's own environment, or `modal://environment`."""
    address = driver.Address.parse(url)
    connection = await opening.share(f"modal {url}", lambda: driver.connect(address, opening.secret))
    return ModalVolumes(connection, Plans(connection, "volume", opening.clock))


class ModalVolumes:
    """Create times are Modal's."""

    kind = "modal"

    def __init__(self, connection: Connection, plans: Plans) -> None:
        self._connection = connection
        self._plans = plans
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def create(self, *, plan_id: str, name: str) -> Volume:
        await self._require_open(plan_id, fresh=False)
        lock = self._locks.setdefault(plan_id, asyncio.Lock())
        async with lock:  # of the creates of one replica none exceeds the number
            held = {each.name: each for each in await self.list(plan_id=plan_id)}
            if name in held:
                return held[name]
            if len(held) >= MAX_PLAN_VOLUMES:
                message = f"a plan has at most {MAX_PLAN_VOLUMES} volumes"
                raise Exhausted("QUOTA_EXCEEDED", message, quota="volumes", limit=str(MAX_PLAN_VOLUMES))
            made = await self._found(name_of(plan_id, name), create=True)
        try:
            # After it was made: an end that came before is seen, and one that comes later deletes it.
            await self._require_open(plan_id, fresh=True)
        except NotReady:
            await self.delete(plan_id=plan_id, name=name)
            raise
        return await self._described(name, made)

    async def delete(self, *, plan_id: str, name: str) -> None:
        await self._delete(name_of(plan_id, name))

    async def list(self, *, plan_id: str) -> Sequence[Volume]:
        if self._plans.over(plan_id):
            return []
        return sorted(await self._listed(plan_id), key=lambda each: each.name)

    async def locate(self, *, plan_id: str, name: str) -> str:
        location = name_of(plan_id, name)
        try:
            await self._found(location, create=False)
        except Absent:
            raise NotFound("VOLUME_UNKNOWN", "the plan has no volume of this name", name=name) from None
        return location

    async def end_plan(self, plan_id: str) -> None:
        await self._plans.end(plan_id)
        await together(self._delete(name_of(plan_id, each.name)) for each in await self._listed(plan_id))

    async def _require_open(self, plan_id: str, *, fresh: bool) -> None:
        if (await self._plans.mark(plan_id, fresh=fresh)).ended:
            raise NotReady("PLAN_ENDED", "the plan has ended; it gets no volume any more", plan_id=plan_id)

    async def _listed(self, plan_id: str) -> Sequence[Volume]:
        there = await self._connection.within(
            _LIST_S,
            self._connection.sdk.Volume.objects.list.aio,
            environment_name=self._connection.environment,
            client=self._connection.client,
        )
        prefix = name_of(plan_id, "")
        ours = [each for each in there if (each.name or "").startswith(prefix)]
        return await together(self._described(each.name.removeprefix(prefix), each) for each in ours)

    async def _described(self, name: str, volume: "modal.Volume") -> Volume:
        info = await self._connection.call(volume.info.aio)
        return Volume(name, info.created_at.astimezone(UTC))

    async def _found(self, location: str, *, create: bool) -> "modal.Volume":
        volume = self._connection.sdk.Volume.from_name(
            location,
            environment_name=self._connection.environment,
            create_if_missing=create,
            client=self._connection.client,
        )
        return cast("modal.Volume", await self._connection.call(volume.hydrate.aio))

    async def _delete(self, location: str) -> None:
        try:
            await self._connection.call(
                self._connection.sdk.Volume.objects.delete.aio,
                location,
                allow_missing=True,
                environment_name=self._connection.environment,
                client=self._connection.client,
            )
        except Absent:
            return  # somebody else did it


def name_of(plan_id: str, name: str) -> str:
    """The name of a volume at Modal; that of the empty name is what all of the plan begin with."""
    digest = blake2s(plan_id.encode(), digest_size=_HASH_BYTES).digest()
    return f"theory-{b32encode(digest).decode('ascii').lower()}-{name}"
