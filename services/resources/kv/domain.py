"""What keys promise, whichever store holds them: which keys, values and times to live there are."""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from services.resources.kv.ports import MAX_ITEMS, MAX_KEY_BYTES, MAX_TTL_S, MAX_VALUE_BYTES, KVStore
from theory.core.adapters import KVIncr, KVPut, KVValue
from theory.core.errors import Invalid, TheoryError
from theory.core.grant import AttemptGrant
from theory.core.scratch import check_event_every

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")

_is_plain_key = re.compile(rf"[ -~]{{1,{MAX_KEY_BYTES}}}").fullmatch  # most keys: one look
_control_in = re.compile(r"[\x00-\x1f\x7f-\x9f]").search


class KV:
    """The batch half of `theory.core.adapters.KVAdapter`, for anyone: a bad item gets its error and stops no other.

    `Invalid` (`BATCH_SIZE`) for a batch that is empty or over the limit. Where an `attempt` calls, the plan is its own:
    `Denied` (`ATTEMPT_DENIED`).
    """

    def __init__(self, store: KVStore) -> None:
        self._store = store

    async def get_many(
        self, plan_id: str, keys: Sequence[str], *, attempt: AttemptGrant | None = None
    ) -> list[KVValue | TheoryError | None]:
        """Values, in order."""
        _require_own(attempt, plan_id)
        return await _each(keys, _key_fault, lambda sound: self._store.get_many(plan_id, sound))

    async def put_many(
        self, plan_id: str, items: Sequence[KVPut], *, attempt: AttemptGrant | None = None
    ) -> list[TheoryError | None]:
        """Write."""
        _require_own(attempt, plan_id)
        return await _each(items, _put_fault, lambda sound: self._store.put_many(plan_id, sound))

    async def delete_many(
        self, plan_id: str, keys: Sequence[str], *, attempt: AttemptGrant | None = None
    ) -> list[TheoryError | None]:
        """Remove."""
        _require_own(attempt, plan_id)
        return await _each(keys, _key_fault, lambda sound: self._store.delete_many(plan_id, sound))

    async def incr_many(
        self,
        plan_id: str,
        items: Sequence[KVIncr],
        request_id: str | None = None,
        *,
        attempt: AttemptGrant | None = None,
    ) -> list[int | TheoryError]:
        """Add, once per request id."""
        _require_own(attempt, plan_id)
        return await _each(items, _incr_fault, lambda sound: self._store.incr_many(plan_id, sound, request_id))

    async def begin_plan(self, plan_id: str, *, event_every: int = 0) -> None:
        """Remember. `Invalid` (`EVENT_SAMPLING_INVALID`) for a figure out of range."""
        check_event_every(event_every)
        await self._store.begin_plan(plan_id, event_every)

    async def end_plan(self, plan_id: str) -> None:
        """Remove all."""
        await self._store.end_plan(plan_id)


def _require_own(attempt: AttemptGrant | None, plan_id: str) -> None:
    if attempt is not None:
        attempt.require_plan(plan_id)


async def _each(
    items: Sequence[_Item],
    fault_of: Callable[[_Item], Invalid | None],
    ask: Callable[[Sequence[_Item]], Awaitable[list[_Answer]]],
) -> list[_Answer | Invalid]:
    """Ask for the sound items together; the others are answered by their faults, each in its place."""
    if not 0 < len(items) <= MAX_ITEMS:
        raise Invalid("BATCH_SIZE", f"a batch has 1 to {MAX_ITEMS} items", max=str(MAX_ITEMS))
    faults = {idx: fault for idx, item in enumerate(items) if (fault := fault_of(item))}
    if not faults:
        return [*await ask(items)]
    sound = [item for idx, item in enumerate(items) if idx not in faults]
    answers = iter(await ask(sound) if sound else ())
    return [faults[idx] if idx in faults else next(answers) for idx in range(len(items))]


def _key_fault(key: str) -> Invalid | None:
    if _is_plain_key(key):
        return None
    if not key:
        return Invalid("KEY_INVALID", "a key has at least one character", rule="empty")
    if len(key.encode()) > MAX_KEY_BYTES:
        return Invalid("KEY_INVALID", f"a key has at most {MAX_KEY_BYTES} bytes of UTF-8", rule="length")
    if _control_in(key):
        return Invalid("KEY_INVALID", "a key holds no control characters", rule="control")
    return None


def _put_fault(item: KVPut) -> Invalid | None:
    if len(item.value) > MAX_VALUE_BYTES:
        return Invalid("VALUE_TOO_LARGE", "a value has at most 1 MiB", max_bytes=str(MAX_VALUE_BYTES))
    return _key_fault(item.key) or _ttl_fault(item.ttl_s)


def _incr_fault(item: KVIncr) -> Invalid | None:
    return _key_fault(item.key) or _ttl_fault(item.ttl_s)


def _ttl_fault(ttl_s: int | None) -> Invalid | None:
    if ttl_s is None or 1 <= ttl_s <= MAX_TTL_S:
        return None
    return Invalid("TTL_INVALID", f"a time to live is 1 to {MAX_TTL_S} seconds", min="1", max=str(MAX_TTL_S))
