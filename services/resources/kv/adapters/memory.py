"""Keys in the memory of the process: gone with it, and otherwise the promises of every other store."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush

from services.drivers.opening import Opening
from services.drivers.teller import Teller
from services.resources.kv.adapters import counter, refusals
from services.resources.kv.ports import REPLY_BYTES, REQUEST_KEPT, SWEEP, KVFeature, KVQuotas, KVStore
from theory.core.adapters import KVIncr, KVPut, KVValue
from theory.core.errors import TheoryError
from theory.core.scratch import ENDED_KEPT, Change, kv_changed

_STALE_DEADLINES = 64


async def open(url: str, opening: Opening, quotas: KVQuotas) -> KVStore:
    """`memory:`, empty."""
    return MemoryKV(opening, quotas)


@dataclass(slots=True)
class _Plan:
    values: dict[str, KVValue] = field(default_factory=dict)
    size_bytes: int = 0
    event_every: int = 0
    ended: bool = False


@dataclass(slots=True)
class _Remembered:
    """What a request id was answered with."""

    digest: bytes
    answers: list[int | TheoryError]
    create_time: datetime
    ended: bool = False


class MemoryKV:
    """Every method runs to its end without awaiting: that makes each batch one step."""

    kind = "memory"
    durable = False
    features = frozenset({KVFeature.REQUEST_IDS, KVFeature.QUOTAS})

    def __init__(self, opening: Opening, quotas: KVQuotas) -> None:
        self._clock = opening.clock
        self._teller = Teller("kv", opening)
        self._quotas = quotas
        self._plans: dict[str, _Plan] = {}
        self._deadlines: list[tuple[datetime, str, str]] = []
        self._compact_at = _STALE_DEADLINES
        self._requests: dict[tuple[str, str], _Remembered] = {}
        self._ended: list[tuple[datetime, str, str]] = []
        """When a request id of an ended plan is forgotten; the plan itself where the id is empty."""

    async def get_many(self, plan_id: str, keys: Sequence[str]) -> list[KVValue | TheoryError | None]:
        plan = self._plans.get(plan_id)
        if plan is None:
            return [None] * len(keys)
        find = plan.values.get
        now = self._clock.now()
        room = REPLY_BYTES
        answers: list[KVValue | TheoryError | None] = []
        for key in keys:
            found = find(key)
            if found is None or _expired(found, now):
                answers.append(None)
            elif len(found.value) > room:
                answers.append(refusals.reply_full())
            else:
                room -= len(found.value)
                answers.append(found)
        return answers

    async def put_many(self, plan_id: str, items: Sequence[KVPut]) -> list[TheoryError | None]:
        now = self._begin_write(len(items))
        plan = self._open_plan(plan_id)
        answers: list[TheoryError | None] = []
        changes: list[Change] = []
        for item in items:
            ends = self._deadline(now, item.ttl_s, plan_id, item.key)
            refused = self._keep(plan, item.key, KVValue(item.value, ends))
            answers.append(refused)
            if plan.event_every and refused is None:
                changes.append(kv_changed(item.key, "put"))
        self._teller.tell(plan_id, changes, every=plan.event_every)
        return answers

    async def delete_many(self, plan_id: str, keys: Sequence[str]) -> list[TheoryError | None]:
        now = self._begin_write(len(keys))
        if plan := self._plans.get(plan_id):
            changes = [kv_changed(key, "delete") for key in keys if self._drop(plan, key, now)]
            self._teller.tell(plan_id, changes, every=plan.event_every)
        return [None] * len(keys)

    async def incr_many(
        self, plan_id: str, items: Sequence[KVIncr], request_id: str | None = None
    ) -> list[int | TheoryError]:
        now = self._begin_write(len(items))
        if request_id is None:
            return self._add(plan_id, items, now)
        digest = counter.digest(items)
        remembered = self._requests.get((plan_id, request_id))
        if remembered is None:
            remembered = _Remembered(digest, self._add(plan_id, items, now), now)
            self._requests[plan_id, request_id] = remembered
        elif remembered.digest != digest:
            raise counter.taken(request_id)
        return remembered.answers

    async def begin_plan(self, plan_id: str, event_every: int) -> None:
        self._begin_write(0)
        self._open_plan(plan_id).event_every = event_every

    async def end_plan(self, plan_id: str) -> None:
        now = self._begin_write(0)
        if not self._plans.get(plan_id, _Plan()).ended:
            heappush(self._ended, (now + ENDED_KEPT, plan_id, ""))
        self._plans[plan_id] = _Plan(ended=True)
        self._teller.forget(plan_id)
        for (of_plan, request_id), remembered in self._requests.items():
            if of_plan == plan_id and not remembered.ended:
                remembered.ended = True
                heappush(self._ended, (remembered.create_time + REQUEST_KEPT, plan_id, request_id))

    def _open_plan(self, plan_id: str) -> _Plan:
        plan = self._plans.get(plan_id)
        if plan is None:
            plan = self._plans[plan_id] = _Plan()
        elif plan.ended:
            raise refusals.plan_ended(plan_id)
        return plan

    def _keep(self, plan: _Plan, key: str, value: KVValue) -> TheoryError | None:
        """Put the value if the plan has room."""
        before = plan.values.get(key)
        grown = plan.size_bytes + len(value.value)
        if before is not None:
            grown -= len(before.value)
        else:
            grown += len(key.encode())
            if len(plan.values) >= self._quotas.keys:
                return refusals.too_many_keys(self._quotas)
        if grown > self._quotas.size_bytes:
            return refusals.too_many_bytes(self._quotas)
        plan.size_bytes = grown
        plan.values[key] = value
        return None

    def _add(self, plan_id: str, items: Iterable[KVIncr], now: datetime) -> list[int | TheoryError]:
        plan = self._open_plan(plan_id)
        answers: list[int | TheoryError] = []
        changes: list[Change] = []
        for item in items:
            found = plan.values.get(item.key)
            if found is not None and _expired(found, now):
                found = None
            total = counter.add(None if found is None else found.value, item.by)
            if isinstance(total, int):
                ends = self._deadline(now, item.ttl_s, plan_id, item.key) if found is None else found.expire_time
                total = self._keep(plan, item.key, KVValue(b"%d" % total, ends)) or total
            if plan.event_every and isinstance(total, int):
                changes.append(kv_changed(item.key, "incr"))
            answers.append(total)
        self._teller.tell(plan_id, changes, every=plan.event_every)
        return answers

    def _drop(self, plan: _Plan, key: str, now: datetime) -> bool:
        """Whether there was a value to remove."""
        found = plan.values.pop(key, None)
        if found is None:
            return False
        plan.size_bytes -= len(key.encode()) + len(found.value)
        return not _expired(found, now)

    def _deadline(self, now: datetime, ttl_s: int | None, plan_id: str, key: str) -> datetime | None:
        if ttl_s is None:
            return None
        expire_time = now + timedelta(seconds=ttl_s)
        heappush(self._deadlines, (expire_time, plan_id, key))
        return expire_time

    def _begin_write(self, items: int) -> datetime:
        """The time of this write. Removes a few expired keys first, so that what nobody asks for goes, too."""
        now = self._clock.now()
        for _ in range(max(SWEEP, items)):
            if not self._deadlines or self._deadlines[0][0] > now:
                break
            due = heappop(self._deadlines)
            if self._stands(*due):
                self._drop(self._plans[due[1]], due[2], now)
        if len(self._deadlines) > self._compact_at:
            self._deadlines = list({each for each in self._deadlines if self._stands(*each)})
            heapify(self._deadlines)
            self._compact_at = _STALE_DEADLINES + 2 * len(self._deadlines)
        while self._ended and self._ended[0][0] <= now:
            _, plan_id, request_id = heappop(self._ended)
            if request_id:
                self._requests.pop((plan_id, request_id), None)
            else:
                self._plans.pop(plan_id, None)
        return now

    def _stands(self, expire_time: datetime, plan_id: str, key: str) -> bool:
        """Whether this is still the key's end: it may have been written again since."""
        plan = self._plans.get(plan_id)
        found = plan.values.get(key) if plan else None
        return found is not None and found.expire_time == expire_time


def _expired(value: KVValue, now: datetime) -> bool:
    return value.expire_time is not None and value.expire_time <= now
