"""What the rules of queues need from a store, and the figures that both keep to."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from theory.core.adapters import Message, Published, QueueExtend, QueueNack, QueuePublish
from theory.core.errors import TheoryError

MAX_TOPIC_CHARACTERS = 128
MAX_BODY_BYTES = 256 << 10
MAX_KEY_CHARACTERS = 128
MAX_HIDDEN_S = 43_200
"""The longest visibility timeout, and the longest delay."""
MAX_ITEMS = 100
MAX_MESSAGES = 30

REPLY_BYTES = 6 << 20
"""The most that the bodies of one `consume` may weigh together; any one of them fits."""

KEY_KEPT = timedelta(minutes=10)
"""How long an idempotency key is known, from its first publish on."""

SWEEP = 16
"""How many forgotten idempotency keys a publish removes on its way; as many as it has items where those are more."""


class QueueStore(Protocol):
    """The batch half of `theory.core.adapters.QueueAdapter`: what queues mean is written there.

    The caller has checked ids, topics, bodies, delays, timeouts and the size of the batch, and that each handle is one
    which this store gave for this plan and topic. Each batch is one step, its items in order: the second `ack` of one
    handle in a batch finds the message gone. Its own clock decides what is visible.
    """

    kind: str
    """What capabilities call it: `memory`, `sql`."""

    durable: bool
    """Whether an answered publish survives a crash of the service."""

    async def publish_many(
        self, plan_id: str, topic: str, items: Sequence[QueuePublish]
    ) -> list[Published | TheoryError]:
        """Add messages; one whose idempotency key is known adds nothing, also within the batch."""
        ...

    async def consume(self, *, plan_id: str, topic: str, max_messages: int, visibility_timeout_s: int) -> list[Message]:
        """Hand out visible messages, about the oldest first: at most so many, and at most `REPLY_BYTES` of bodies."""
        ...

    async def ack_many(self, plan_id: str, topic: str, receipt_handles: Sequence[str]) -> list[TheoryError | None]:
        """Remove. A delivery whose time ran out is still the newest one until the message is handed out again."""
        ...

    async def nack_many(self, plan_id: str, topic: str, items: Sequence[QueueNack]) -> list[TheoryError | None]:
        """Make visible after the delay. The handle stays good until the message is handed out again."""
        ...

    async def extend_many(self, plan_id: str, topic: str, items: Sequence[QueueExtend]) -> list[TheoryError | None]:
        """Hide from now on for the timeout."""
        ...

    async def end_plan(self, plan_id: str) -> None:
        """Remove every message and idempotency key of the plan."""
        ...
