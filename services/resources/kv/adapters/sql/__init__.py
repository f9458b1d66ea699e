"""Keys in a SQL database: one row a key and one a plan, each batch one transaction."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import Connection

from services.drivers.opening import Opening
from services.drivers.sql.shared import SharedDatabase, share_database
from services.drivers.sql.words import now_us
from services.resources.kv.adapters.sql import entries, plans, requests
from services.resources.kv.adapters.sql.schema import METADATA
from services.resources.kv.ports import SWEEP, KVFeature, KVQuotas, KVStore
from theory.core.adapters import KVIncr, KVPut, KVValue
from theory.core.clock import Clock
from theory.core.errors import TheoryError

_T = TypeVar("_T")

_ENDED_SWEEP = 1_000
"""How many keys of an ended plan go at once; the others go with later writes."""
_LOOK_EVERY_US = 1_000_000


async def open(url: str, opening: Opening, quotas: KVQuotas) -> KVStore:
    """`sqlite:///path`, or `postgresql://...` as `services.drivers.sql` reads it; queues may lie beside the keys."""
    return SqlKV(await share_database(opening, url, METADATA), opening.clock, quotas)


class SqlKV:
    """A transaction that holds the lock of its plan is the step; the time is read inside of it, behind the lock."""

    kind = "sql"
    durable = True

    def __init__(self, shared: SharedDatabase, clock: Clock, quotas: KVQuotas) -> None:
        self.features = frozenset(KVFeature) - (set() if shared.database.stable else {KVFeature.STABLE})
        self._shared = shared
        self._clock = clock
        self._quotas = quotas
        self._left: str | None = None
        """A plan in which there is something to remove."""
        self._look_us = 0

    async def get_many(self, plan_id: str, keys: Sequence[str]) -> list[KVValue | TheoryError | None]:
        return await self._shared.database.read(
            lambda connection: entries.find(connection, plan_id, keys, now_us(connection, self._clock))
        )

    async def put_many(self, plan_id: str, items: Sequence[KVPut]) -> list[TheoryError | None]:
        return await self._write(plan_id, len(items), lambda step: entries.put(step, items, self._quotas))

    async def delete_many(self, plan_id: str, keys: Sequence[str]) -> list[TheoryError | None]:
        await self._write(plan_id, len(keys), lambda step: entries.delete_keys(step, keys))
        return [None] * len(keys)

    async def incr_many(
        self, plan_id: str, items: Sequence[KVIncr], request_id: str | None = None
    ) -> list[int | TheoryError]:
        def add(step: plans.Step) -> list[int | TheoryError]:
            return entries.add(step, items, self._quotas)

        def add_once(step: plans.Step) -> list[int | TheoryError]:
            return requests.once(step, request_id or "", items, add)

        return await self._write(plan_id, len(items), add if request_id is None else add_once)

    async def begin_plan(self, plan_id: str, event_every: int) -> None:
        def begin(step: plans.Step) -> None:
            step.open().event_every = event_every

        await self._write(plan_id, 0, begin)

    async def end_plan(self, plan_id: str) -> None:
        def end(step: plans.Step) -> None:
            step.end()
            requests.end(step)
            step.sweep(_ENDED_SWEEP)

        await self._write(plan_id, 0, end)

    async def _write(self, plan_id: str, items: int, change: Callable[[plans.Step], _T]) -> _T:
        """What `change` returned. Removes a few things on the way, so that what nobody asks for goes, too."""
        left = self._left if self._left != plan_id else None
        most = max(SWEEP, items)

        def write(connection: Connection) -> tuple[_T, bool]:
            now = now_us(connection, self._clock)
            if left is not None:
                other = plans.Step(connection, left, now)
                other.sweep(most)
                other.close()
            step = plans.Step(connection, plan_id, now)
            step.sweep(most)
            answer = change(step)
            told = step.close()
            if left is not None or now >= self._look_us:
                self._left = plans.left(connection, now)
                self._look_us = now + _LOOK_EVERY_US
            return answer, told

        locks = [f"kv {each}" for each in (plan_id, left) if each is not None]
        answer, told = await self._shared.database.write(write, locks=locks)
        if told:
            self._shared.told()
        return answer
