"""Queues with one fault each, of the kind that stores have had. The judge must find every one of them."""

from dataclasses import replace
from typing import ClassVar

from tests.chaos.model_queue import Entry, ModelQueue
from tests.chaos.queue_history import Promises
from theory.core.adapters import Message, Published, QueuePublish
from theory.core.clock import Clock
from theory.core.errors import TheoryError


class Faulty(ModelQueue):
    """A queue with a fault."""

    found: ClassVar[frozenset[str]]
    """As what the fault may be found."""
    promises: ClassVar[Promises] = Promises()


class ForgetsPublished(Faulty):
    """Answers before it stores, and does not always get to it."""

    found = frozenset({"lost"})

    def keep(self, entry: Entry) -> None:
        if self.numbers % 50:
            super().keep(entry)


class WritesLater(Faulty):
    """Answers from memory; what was not written when it was killed is gone."""

    found = frozenset({"lost"})

    def crash(self) -> None:
        for message_id in list(self.entries)[-5:]:
            if not self.entries[message_id].deliveries:
                del self.entries[message_id]


class ForgetsHidden(Faulty):
    """Keeps what is handed out in memory only: after a kill nobody gets it again."""

    found = frozenset({"lost"})

    def crash(self) -> None:
        now = self.clock.monotonic()
        self.entries = {name: each for name, each in self.entries.items() if each.visible <= now}


class TakesOut(Faulty):
    """Removes at the hand-out: at most once."""

    found = frozenset({"lost"})

    def hand_out(self, entry: Entry, visibility_s: int) -> Message:
        message = super().hand_out(entry, visibility_s)
        if entry.deliveries == 2:
            self.remove(entry)
        return message


class Trims(Faulty):
    """Holds so many messages and silently drops the oldest."""

    found = frozenset({"lost"})

    def keep(self, entry: Entry) -> None:
        super().keep(entry)
        if len(self.entries) > 25:
            del self.entries[next(iter(self.entries))]


class LosesAtTheLimit(Faulty):
    """Drops a message that was handed out too often instead of keeping it as a dead letter."""

    found = frozenset({"lost"})
    promises = Promises(max_receives=2)

    def bury(self, entry: Entry) -> None:
        self.remove(entry)


class AcceptsStaleAck(Faulty):
    """Removes a message on the word of a consumer whose time was over, while another works on it."""

    found = frozenset({"fence"})

    def newest(self, handle: str) -> Entry | TheoryError:
        message_id, _, dead = handle.split(":")
        entry = self.entries.get(message_id)
        return super().newest(handle) if entry is None else super().newest(f"{message_id}:{entry.deliveries}:{dead}")


class AnswersStaleAck(Faulty):
    """Leaves the newer delivery alone, but says OK."""

    found = frozenset({"fence"})

    def settle(self, handle: str, how: str, after_s: int = 0) -> TheoryError | None:
        refused = super().settle(handle, how, after_s)
        return None if refused is not None and refused.reason == "RECEIPT_SUPERSEDED" else refused


class StaleHandleShows(Faulty):
    """Refuses a stale handle, having made the message visible first."""

    found = frozenset({"overlap"})

    def settle(self, handle: str, how: str, after_s: int = 0) -> TheoryError | None:
        entry = self.entries.get(handle.split(":", maxsplit=1)[0])
        refused = super().settle(handle, how, after_s)
        if refused is not None and entry is not None:
            entry.visible = self.clock.monotonic()
        return refused


class HandsOutEarly(Faulty):
    """Counts one second too few."""

    found = frozenset({"overlap"})

    def hand_out(self, entry: Entry, visibility_s: int) -> Message:
        return super().hand_out(entry, visibility_s - 1 if visibility_s > 1 else visibility_s)


class HandsOutTwice(Faulty):
    """Two consumers that ask at the same time get the same delivery."""

    found = frozenset({"count", "overlap"})

    def hand_out(self, entry: Entry, visibility_s: int) -> Message:
        message = super().hand_out(entry, visibility_s)
        if message.message_id.endswith("7") and message.message_id not in self.twice:
            self.twice.add(message.message_id)
            entry.deliveries, entry.visible = 0, self.clock.monotonic()
        return message

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.twice: set[str] = set()


class IgnoresExtend(Faulty):
    """Says OK to more time and gives none."""

    found = frozenset({"overlap"})

    def show(self, entry: Entry, after_s: int, how: str) -> None:
        if how == "show":
            super().show(entry, after_s, how)


class ShowsAllAgain(Faulty):
    """Forgets its windows when it is killed: what consumers work on is handed out again."""

    found = frozenset({"overlap"})

    def crash(self) -> None:
        for each in self.entries.values():
            each.visible = min(each.visible, self.clock.monotonic())


class Resurrects(Faulty):
    """Restores an older state after a kill, with messages that were acknowledged since."""

    found = frozenset({"resurrected"})

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.removed: list[Entry] = []

    def remove(self, entry: Entry) -> None:
        super().remove(entry)
        self.removed.append(entry)

    def crash(self) -> None:
        self.entries |= {each.message_id: each for each in self.removed[-3:]}


class CountsAnew(Faulty):
    """Keeps the number of deliveries in memory: after a kill an old handle fits a new delivery."""

    found = frozenset({"count"})

    def crash(self) -> None:
        for each in self.entries.values():
            each.deliveries = 0


class SkipsCounts(Faulty):
    """Counts a delivery when it looks at a message, too."""

    found = frozenset({"count"})

    def due(self, *, dead: bool) -> list[Entry]:
        found = super().due(dead=dead)
        for each in found:
            each.deliveries += 1 if each.deliveries else 0
        return found


class IgnoresKeys(Faulty):
    """Publishes again what is sent again."""

    found = frozenset({"key"})

    def publish(self, item: QueuePublish) -> Published:
        return super().publish(replace(item, idempotency_key=None))


class ForgetsKeys(Faulty):
    """Keeps idempotency keys in memory."""

    found = frozenset({"key"})

    def crash(self) -> None:
        self.keys.clear()


class ForgetsKeysWithTheirMessages(Faulty):
    """Forgets a key at the acknowledgement."""

    found = frozenset({"key"})

    def remove(self, entry: Entry) -> None:
        super().remove(entry)
        self.keys = {key: message_id for key, message_id in self.keys.items() if message_id != entry.message_id}


class IgnoresDelay(Faulty):
    """Hands out at once what is to come later."""

    found = frozenset({"early"})

    def publish(self, item: QueuePublish) -> Published:
        return super().publish(replace(item, delay_s=0))


class MixesBodies(Faulty):
    """Hands out one message with the body of another."""

    found = frozenset({"unexpected"})

    def hand_out(self, entry: Entry, visibility_s: int) -> Message:
        message = super().hand_out(entry, visibility_s)
        other = next(reversed(self.entries.values()))
        return replace(message, body=other.body) if entry.deliveries == 2 else message


class CutsBodies(Faulty):
    """Hands out what a torn write left of a body."""

    found = frozenset({"unexpected"})

    def hand_out(self, entry: Entry, visibility_s: int) -> Message:
        message = super().hand_out(entry, visibility_s)
        return replace(message, body=message.body[:-1]) if entry.deliveries == 2 else message


class DeliversTooOften(Faulty):
    """Buries one delivery too late."""

    found = frozenset({"max_receives"})
    promises = Promises(max_receives=2)

    def due(self, *, dead: bool) -> list[Entry]:
        self.most = 3
        return super().due(dead=dead)


class BuriesEarly(Faulty):
    """Buries one delivery too early."""

    found = frozenset({"dead_early"})
    promises = Promises(max_receives=3)

    def due(self, *, dead: bool) -> list[Entry]:
        found = super().due(dead=dead)
        early = [each for each in found if not dead and each.deliveries - each.forgiven == 2]
        for each in early:
            self.bury(each)
        return [each for each in found if each not in early]


class CopiesTheDead(Faulty):
    """Writes the dead letter and does not remove the message."""

    found = frozenset({"dead_alive", "count", "max_receives"})
    promises = Promises(max_receives=2)

    def bury(self, entry: Entry) -> None:
        copy = replace(entry)
        super().bury(entry)
        self.entries[f"{entry.message_id}'"] = replace(copy, forgiven=copy.deliveries)


class CountsExtensions(Faulty):
    """Takes an extension for a delivery: whoever asks for more time loses the message."""

    found = frozenset({"refused"})

    def show(self, entry: Entry, after_s: int, how: str) -> None:
        super().show(entry, after_s, how)
        entry.deliveries += how == "hide"


FAULTS = tuple(Faulty.__subclasses__())
