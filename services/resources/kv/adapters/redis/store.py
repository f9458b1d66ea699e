"""Keys of a plan in one hash, the ends of those that expire in one sorted set; each batch is one script."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import cast

from services.drivers.moments import from_us
from services.drivers.redis import Argument, Outbox, Redis, scratch
from services.resources.kv.adapters import counter, refusals
from services.resources.kv.ports import REPLY_BYTES, REQUEST_KEPT, SWEEP, KVFeature, KVQuotas
from theory.core.adapters import KVIncr, KVPut, KVValue
from theory.core.errors import Exhausted, TheoryError
from theory.core.scratch import ENDED_KEPT, Change, kv_changed

AREA = "kv"

_HERE = Path(__file__).parent
_GET = scratch.script(_HERE / "get.lua")
_PUT, _DELETE, _INCR = (scratch.script(_HERE / "keys.lua", _HERE / f"{name}.lua") for name in ("put", "delete", "incr"))
_END = scratch.script(_HERE / "end.lua")

_ENDED = -1
_TAKEN = -2
_MS = timedelta(milliseconds=1)


def read_change(text: str) -> Change:
    """What the scripts wrote of a change."""
    op, _, key = text.partition(" ")
    return kv_changed(key, op)


class RedisKV:
    """A script runs to its end before another begins: that makes each batch one step. The server's clock decides."""

    kind = "redis"
    durable = True
    features = frozenset({KVFeature.REQUEST_IDS, KVFeature.QUOTAS, KVFeature.EVENTS_KEPT})

    def __init__(self, redis: Redis, outbox: Outbox, quotas: KVQuotas) -> None:
        self._redis = redis
        self._outbox = outbox
        self._quotas = quotas

    async def get_many(self, plan_id: str, keys: Sequence[str]) -> list[KVValue | TheoryError | None]:
        distinct = int(len(set(keys)) == len(keys))
        reply = await self._redis.run(_GET, _keys(plan_id), (REPLY_BYTES, distinct, *keys), repeat=True)
        sizes, ends, values = cast("tuple[bytes, bytes, bytes]", reply)
        return list(_values(sizes.split(), ends.split(), values))

    async def put_many(self, plan_id: str, items: Sequence[KVPut]) -> list[TheoryError | None]:
        arguments: list[Argument] = [self._quotas.keys, self._quotas.size_bytes, max(SWEEP, len(items))]
        for item in items:
            arguments += (item.key, item.value, _ttl(item.ttl_s))
        kept, *answers = cast("tuple[int, bytes]", await self._redis.run(_PUT, _keys(plan_id), arguments))
        if kept == _ENDED:
            raise refusals.plan_ended(plan_id)
        self._tell(plan_id, kept)
        [letters] = answers
        if letters.count(b".") == len(items):
            return [None] * len(items)
        return [self._refusal(letter) for letter in letters.decode()]

    async def delete_many(self, plan_id: str, keys: Sequence[str]) -> list[TheoryError | None]:
        arguments: list[Argument] = [max(SWEEP, len(keys)), *keys]
        [kept] = cast("tuple[int]", await self._redis.run(_DELETE, _keys(plan_id), arguments))
        self._tell(plan_id, kept)
        return [None] * len(keys)

    async def incr_many(
        self, plan_id: str, items: Sequence[KVIncr], request_id: str | None = None
    ) -> list[int | TheoryError]:
        digest = "" if request_id is None else counter.digest(items).hex()
        arguments: list[Argument] = [self._quotas.keys, self._quotas.size_bytes, max(SWEEP, len(items))]
        arguments += (request_id or "", digest)
        for item in items:
            arguments += (item.key, item.by, _ttl(item.ttl_s))
        kept, *answers = cast("tuple[int, bytes]", await self._redis.run(_INCR, _keys(plan_id), arguments))
        if kept == _ENDED:
            raise refusals.plan_ended(plan_id)
        if kept == _TAKEN:
            raise counter.taken(request_id or "")
        self._tell(plan_id, kept)
        return [each for text in answers for each in counter.unpack(text.decode())]

    async def begin_plan(self, plan_id: str, event_every: int) -> None:
        if not await self._redis.run(scratch.BEGIN, _keys(plan_id), [event_every], repeat=True):
            raise refusals.plan_ended(plan_id)

    async def end_plan(self, plan_id: str) -> None:
        await self._redis.run(_END, _keys(plan_id), (ENDED_KEPT // _MS, REQUEST_KEPT // _MS), repeat=True)

    def _tell(self, plan_id: str, kept: int) -> None:
        if kept:
            self._outbox.poke(plan_id)

    def _refusal(self, letter: str) -> Exhausted | None:
        if letter == ".":
            return None
        return refusals.too_many_keys(self._quotas) if letter == "k" else refusals.too_many_bytes(self._quotas)


def _keys(plan_id: str) -> Iterable[str]:
    plan = scratch.place_of(plan_id, AREA)
    return (plan, scratch.events_of(plan_id, AREA), f"{plan}:values", f"{plan}:ends", f"{plan}:requests")


def _ttl(ttl_s: int | None) -> int | str:
    return "" if ttl_s is None else ttl_s


def _values(sizes: Sequence[bytes], ends: Sequence[bytes], values: bytes) -> Iterator[KVValue | TheoryError | None]:
    at = 0
    for idx, size in enumerate(sizes):
        if size == b"-":
            yield None
        elif size == b"+":
            yield refusals.reply_full()
        else:
            begin, at = at, at + int(size)
            never = not ends or ends[idx] == b"-"
            yield KVValue(values[begin:at], None if never else from_us(int(ends[idx])))
