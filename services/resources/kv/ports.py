"""What the rules of keys need from a store, and the figures that both keep to."""

from collections.abc import Sequence
from datetime import timedelta
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


class KVStore(Protocol):
    """The batch half of `theory.core.adapters.KVAdapter`: what keys mean is written there.

    The caller has checked ids, keys, values, times to live and the size of the batch; duplicates are allowed. Each
    batch is one step: nobody sees a part of it, and once it is answered everybody sees all of it. An expired key is
    absent for every operation, whatever the store still holds; its own clock decides.
    """

    kind: str
    """What capabilities call it: `memory`, `sql`."""

    durable: bool
    """Whether an answered write survives a crash of the service."""

    async def get_many(self, plan_id: str, keys: Sequence[str]) -> list[KVValue | TheoryError | None]:
        """One answer per key, in order. What exceeds `REPLY_BYTES` is not even loaded: `Exhausted` (`REPLY_FULL`)."""
        ...

    async def put_many(self, plan_id: str, items: Sequence[KVPut]) -> list[TheoryError | None]:
        """Write all; of one key the last wins."""
        ...

    async def delete_many(self, plan_id: str, keys: Sequence[str]) -> list[TheoryError | None]:
        """Remove all that are there."""
        ...

    async def incr_many(
        self, plan_id: str, items: Sequence[KVIncr], request_id: str | None = None
    ) -> list[int | TheoryError]:
        """Add in order; an addition that is refused changes nothing and does not stop the next.

        With a `request_id` the answers are remembered in the same step: for the life of the plan, and at least for
        `REQUEST_KEPT`.
        """
        ...

    async def end_plan(self, plan_id: str) -> None:
        """Remove every key of the plan. Its request ids stay for what is left of `REQUEST_KEPT`."""
        ...
