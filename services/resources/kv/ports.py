"""What the rules of keys need from a store, and the figures that both keep to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from theory.core.adapters import KVIncr, KVPut, KVValue
from theory.core.errors import TheoryError

MAX_KEY_BYTES = 512
MAX_VALUE_BYTES = 1 << 20
MAX_TTL_S = 31_536_000
MAX_ITEMS = 1_000

REPLY_BYTES = 6 << 20
"""The most that the values of one `get_many` may weigh together; any one of them fits."""

SWEEP = 16
"""How many expired keys a write removes on its way; as many as it has items where those are more."""

REQUEST_KEPT = timedelta(hours=24)
"""How long a request id is known at least, also where its plan ends before."""


class KVFeature(StrEnum):
    """What a store may offer beyond the common promises; `kv.proto` says what each one means."""

    REQUEST_IDS = "REQUEST_IDS"
    QUOTAS = "QUOTAS"
    EVENTS_KEPT = "EVENTS_KEPT"
    STABLE = "STABLE"


@dataclass(frozen=True, slots=True)
class KVQuotas:
    """How much one plan may keep."""

    keys: int = 100_000
    size_bytes: int = 256 << 20
    """Keys and values together."""


class KVStore(Protocol):
    """The batch half of `theory.core.adapters.KVAdapter`: what keys mean is written there.

    The caller has checked ids, keys, values, times to live and the size of the batch; duplicates are allowed. Items of
    one key apply in their order; once a batch is answered everybody sees all of it. A store with transactions makes a
    batch one step. An expired key is absent for every operation, whatever the store still holds; its own clock decides.

    Keys, values and events are the store's: each change of a plan that was begun with `event_every` becomes a
    `theory.core.scratch.kv_changed` (a delete of nothing is no change), kept in the same step where the feature
    `EVENTS_KEPT` is claimed, else given to `Opening.emit` after it.
    """

    kind: str
    """What capabilities call it: `memory`, `sql`."""

    durable: bool
    """Whether an answered write survives a crash of the service."""

    features: frozenset[KVFeature]
    """What it offers beyond the common promises."""

    async def get_many(self, plan_id: str, keys: Sequence[str]) -> list[KVValue | TheoryError | None]:
        """One answer per key, in order. What exceeds `REPLY_BYTES` is not even loaded: `Exhausted` (`REPLY_FULL`)."""
        ...

    async def put_many(self, plan_id: str, items: Sequence[KVPut]) -> list[TheoryError | None]:
        """Write all; of one key the last wins.

        `NotReady` (`PLAN_ENDED`) for the call; `Exhausted` (`QUOTA_EXCEEDED`) for an item for which there is no room
        (feature `QUOTAS`); smaller ones behind it may still fit.
        """
        ...

    async def delete_many(self, plan_id: str, keys: Sequence[str]) -> list[TheoryError | None]:
        """Remove all that are there."""
        ...

    async def incr_many(
        self, plan_id: str, items: Sequence[KVIncr], request_id: str | None = None
    ) -> list[int | TheoryError]:
        """Add in order; an addition that is refused changes nothing and does not stop the next.

        With a `request_id` the answers are remembered in the same step: for the life of the plan, and at least for
        `REQUEST_KEPT`; a repeat is answered from there also after the plan has ended. Errors as `put_many`.
        """
        ...

    async def begin_plan(self, plan_id: str, event_every: int) -> None:
        """Remember, with the plan, how many changes make an event. `NotReady` (`PLAN_ENDED`)."""
        ...

    async def end_plan(self, plan_id: str) -> None:
        """Remove every key of the plan and remember for `theory.core.scratch.ENDED_KEPT` that it has ended.

        Its request ids stay for what is left of `REQUEST_KEPT`, its events until the ledger has them.
        """
        ...
