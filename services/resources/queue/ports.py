"""What the rules of queues need from a store, and the figures that both keep to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol

from theory.core.adapters import Message, Published, QueueExtend, QueueNack, QueuePublish, TopicStats
from theory.core.errors import TheoryError

MAX_TOPIC_CHARACTERS = 128
MAX_BODY_BYTES = 256 << 10
MAX_KEY_CHARACTERS = 128
MAX_HIDDEN_S = 43_200
"""The longest visibility timeout, and the longest delay."""
MAX_ITEMS = 100
MAX_MESSAGES = 30
MAX_WAIT_S = 20
MAX_RECEIVES = 1_000

REPLY_BYTES = 6 << 20
"""The most that the bodies of one `consume` may weigh together; any one of them fits."""

KEY_KEPT = timedelta(minutes=10)
"""How long an idempotency key is known, from its first publish on."""

SWEEP = 16
"""How many forgotten idempotency keys a publish removes on its way; as many as it has items where those are more."""


class QueueFeature(StrEnum):
    """What a store may offer beyond the common promises; `queue.proto` says what each one means."""

    IDEMPOTENCY_KEYS = "IDEMPOTENCY_KEYS"
    FENCED_HANDLES = "FENCED_HANDLES"
    DEAD_LETTERS = "DEAD_LETTERS"
    QUOTAS = "QUOTAS"
    EVENTS_KEPT = "EVENTS_KEPT"
    STATS = "STATS"
    STABLE = "STABLE"


@dataclass(frozen=True, slots=True)
class QueueQuotas:
    """How much one plan may keep. Dead letters count as messages; they are no topics."""

    topics: int = 1_000
    messages: int = 1_000_000
    size_bytes: int = 1 << 30
    """Bodies."""


class Consumed(NamedTuple):
    """What a store handed out."""

    messages: list[Message]
    next_visible_s: float | None = None
    """Where nothing was handed out: in how many seconds of the store's clock something may be; None if unknown."""


Wake = Callable[[str, str], None]
"""Says that something may be visible in a plan's topic."""


class QueueStore(Protocol):
    """The batch half of `theory.core.adapters.QueueAdapter`: what queues mean is written there.

    The caller has checked ids, topics, bodies, delays, timeouts and the size of the batch, and that each handle is one
    which this store gave for this plan, this topic and this side of it. Items apply in their order: the second `ack` of
    one handle in a batch finds the message gone. A store with transactions makes each batch one step. Its own clock
    decides what is visible.

    `dead_letters` says which side of a topic is meant: the topic itself, or its dead letters, which have no
    `max_receives`, no delays and no idempotency keys.

    A handle names a delivery for ever: also after a redrive, which counts deliveries from 1 again, no old handle fits a
    new delivery. A store without the feature `FENCED_HANDLES` may answer None for a handle that no longer counts, and
    then does nothing.

    Events are the store's: each publish, nack and move to the dead letters of a plan that was begun with `event_every`
    becomes a change of `theory.core.scratch`, kept in the same step where the feature `EVENTS_KEPT` is claimed, else
    given to `Opening.emit` after it.
    """

    kind: str
    """What capabilities call it: `memory`, `sql`."""

    durable: bool
    """Whether an answered publish survives a crash of the service."""

    features: frozenset[QueueFeature]
    """What it offers beyond the common promises."""

    redelivery_slack_s: int
    """How much later than promised a message may become visible."""

    def subscribe(self, wake: Wake) -> None:
        """Call `wake`, on this event loop, where another replica makes something visible. Called once, before all else.

        A store that cannot tell does nothing; the rules look again every second anyway.
        """
        ...

    async def publish_many(
        self, plan_id: str, topic: str, items: Sequence[QueuePublish], max_receives: int | None
    ) -> list[Published | TheoryError]:
        """Add messages; one whose idempotency key is known adds nothing, also within the batch.

        The first publish to a topic fixes its `max_receives` for the life of the plan, None as 0. For the call as a
        whole: `AlreadyExists` (`TOPIC_TAKEN`) where another figure is given later, `NotReady` (`PLAN_ENDED`). Per item:
        `Exhausted` (`QUOTA_EXCEEDED`) where the plan has no room (feature `QUOTAS`).
        """
        ...

    async def consume(
        self, *, plan_id: str, topic: str, dead_letters: bool, max_messages: int, visibility_timeout_s: int
    ) -> Consumed:
        """Hand out visible messages, about the oldest first: at most so many, and at most `REPLY_BYTES` of bodies.

        A message that was handed out `max_receives` times moves to the dead letters instead, visible there at once.
        """
        ...

    async def ack_many(
        self, plan_id: str, topic: str, receipt_handles: Sequence[str], *, dead_letters: bool
    ) -> list[TheoryError | None]:
        """Remove. A delivery whose time ran out is still the newest one until the message is handed out again."""
        ...

    async def nack_many(
        self, plan_id: str, topic: str, items: Sequence[QueueNack], *, dead_letters: bool
    ) -> list[TheoryError | None]:
        """Make visible after the delay. The handle stays good until the message is handed out again."""
        ...

    async def extend_many(
        self, plan_id: str, topic: str, items: Sequence[QueueExtend], *, dead_letters: bool
    ) -> list[TheoryError | None]:
        """Hide from now on for the timeout."""
        ...

    async def redrive_many(self, plan_id: str, topic: str, receipt_handles: Sequence[str]) -> list[TheoryError | None]:
        """Move dead letters, by the handles of their deliveries, back to the topic: visible at once, counted anew."""
        ...

    async def stats(self, plan_id: str) -> list[TopicStats]:
        """Of each topic that was published to, by name."""
        ...

    async def begin_plan(self, plan_id: str, event_every: int) -> None:
        """Remember, with the plan, how many changes make an event. `NotReady` (`PLAN_ENDED`)."""
        ...

    async def end_plan(self, plan_id: str) -> None:
        """Remove every message and idempotency key of the plan.

        That it has ended is remembered for `theory.core.scratch.ENDED_KEPT`. Its events stay until the ledger has them.
        """
        ...
