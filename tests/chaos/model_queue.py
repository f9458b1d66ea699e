"""A queue of a few lines that keeps every promise, made to be broken: each rule is a method that a fault replaces."""

from collections.abc import Sequence
from dataclasses import dataclass

from theory.core.adapters import Message, Published, QueueExtend, QueueNack, QueuePublish
from theory.core.clock import Clock
from theory.core.errors import NotFound, NotReady, TheoryError


@dataclass(slots=True)
class Entry:
    """One message as it is stored."""

    message_id: str
    body: bytes
    visible: float
    deliveries: int = 0
    forgiven: int = 0
    dead: bool = False


class ModelQueue:
    """One topic. What it answered it has; `crash` is what a kill leaves of it: all."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.entries: dict[str, Entry] = {}
        self.keys: dict[str, str] = {}
        self.most = 0
        self.numbers = 0

    def crash(self) -> None:
        """Be killed, and come back."""

    async def publish_many(
        self, plan_id: str, topic: str, items: Sequence[QueuePublish], *, max_receives: int | None = None
    ) -> list[Published | TheoryError]:
        self.most = max_receives or 0
        return [self.publish(each) for each in items]

    async def consume(
        self,
        *,
        plan_id: str,
        topic: str,
        max_messages: int = 1,
        visibility_timeout_s: int = 30,
        wait_s: int = 0,
        dead_letters: bool = False,
    ) -> list[Message]:
        found: list[Message] = []
        for entry in self.due(dead=dead_letters):
            if len(found) == max_messages:
                break
            if not entry.dead and 0 < self.most <= entry.deliveries - entry.forgiven:
                self.bury(entry)
            else:
                found.append(self.hand_out(entry, visibility_timeout_s))
        return found

    async def ack_many(self, plan_id: str, topic: str, receipt_handles: Sequence[str]) -> list[TheoryError | None]:
        return [self.settle(each, "ack") for each in receipt_handles]

    async def nack_many(self, plan_id: str, topic: str, items: Sequence[QueueNack]) -> list[TheoryError | None]:
        return [self.settle(each.receipt_handle, "show", each.delay_s) for each in items]

    async def extend_many(self, plan_id: str, topic: str, items: Sequence[QueueExtend]) -> list[TheoryError | None]:
        return [self.settle(each.receipt_handle, "hide", each.visibility_timeout_s) for each in items]

    async def redrive_many(self, plan_id: str, topic: str, receipt_handles: Sequence[str]) -> list[TheoryError | None]:
        return [self.settle(each, "redrive") for each in receipt_handles]

    def publish(self, item: QueuePublish) -> Published:
        """Add one, unless its key is known."""
        if item.idempotency_key in self.keys:
            return Published(self.keys[item.idempotency_key], duplicate=True)
        message_id = self.fresh_id()
        if item.idempotency_key is not None:
            self.keys[item.idempotency_key] = message_id
        self.keep(Entry(message_id, item.body, self.clock.monotonic() + item.delay_s))
        return Published(message_id)

    def fresh_id(self) -> str:
        self.numbers += 1
        return f"m{self.numbers}"

    def keep(self, entry: Entry) -> None:
        """Store a new message."""
        self.entries[entry.message_id] = entry

    def due(self, *, dead: bool) -> list[Entry]:
        """What may be handed out now."""
        now = self.clock.monotonic()
        return [each for each in self.entries.values() if each.dead is dead and each.visible <= now]

    def hand_out(self, entry: Entry, visibility_s: int) -> Message:
        """Give one to a consumer."""
        entry.deliveries += 1
        entry.visible = self.clock.monotonic() + visibility_s
        count = entry.deliveries - entry.forgiven
        handle = f"{entry.message_id}:{entry.deliveries}:{entry.dead}"
        return Message(entry.message_id, entry.body, handle, count, self.clock.now())

    def bury(self, entry: Entry) -> None:
        """Make it a dead letter."""
        entry.dead, entry.visible = True, self.clock.monotonic()

    def settle(self, handle: str, how: str, after_s: int = 0) -> TheoryError | None:
        """Do to the message of a delivery what its consumer says."""
        entry = self.newest(handle)
        if isinstance(entry, TheoryError):
            return entry
        if how == "ack":
            self.remove(entry)
        elif how == "redrive":
            entry.dead, entry.forgiven, entry.visible = False, entry.deliveries, self.clock.monotonic()
        else:
            self.show(entry, after_s, how)
        return None

    def newest(self, handle: str) -> Entry | TheoryError:
        """The message that the handle has a right to."""
        message_id, deliveries, dead = handle.split(":")
        entry = self.entries.get(message_id)
        if entry is None or str(entry.dead) != dead:
            return NotFound("MESSAGE_UNKNOWN", "it is gone")
        if entry.deliveries != int(deliveries):
            return NotReady("RECEIPT_SUPERSEDED", "there is a newer delivery")
        return entry

    def remove(self, entry: Entry) -> None:
        """Forget it."""
        del self.entries[entry.message_id]

    def show(self, entry: Entry, after_s: int, how: str) -> None:
        """Make it visible after so long."""
        entry.visible = self.clock.monotonic() + after_s
