"""The judge of events: whether the ledger was told of every change that a plan's clients know of, and of no more."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos import key_history as keys
from tests.chaos import queue_history as queues
from tests.chaos.history import Findings, Violation
from tests.chaos.key_history import KeyOperation
from tests.chaos.queue_history import QueueOperation
from theory.core.adapters import Published
from theory.core.chain import Event


@dataclass(frozen=True)
class EventsReport:
    """What the ledger was told."""

    events: int
    counts: Counter[str]
    violations: tuple[Violation, ...]

    @property
    def valid(self) -> bool:
        """Whether it is what happened."""
        return not self.counts


def check(events: Sequence[Event], queue: Sequence[QueueOperation], key: Sequence[KeyOperation]) -> EventsReport:
    """Judge the events of a plan of which every change was to become one, once all of them are there."""
    findings = Findings()
    numbers: dict[str, list[int]] = defaultdict(list)
    for each in events:
        area, *_, number = each.event_id.split("/")  # some stores put the time of the change between
        numbers[area].append(int(number))
    for area, found in numbers.items():
        if sorted(found) != list(range(1, len(found) + 1)):
            missing = sorted(set(range(1, max(found) + 1)) - set(found))
            findings.add(
                "event_gap", f"{area} has {len(found)} events up to {max(found)}; not among them: {missing[:9]}"
            )
    told = Counter(_kind(each) for each in events)
    bounds = _bounds(queue, key)
    for kind in sorted(told.keys() | bounds.keys()):
        least, most = bounds.get(kind, (0, 0))
        if not least <= told[kind] <= most:
            findings.add("event_count", f"{kind}: {told[kind]} events, where there were {least} to {most} changes")
    return EventsReport(len(events), findings.counts, tuple(findings.kept))


def _kind(event: Event) -> str:
    return f"{event.kind} {event.body['op']}" if "op" in event.body else event.kind


def _bounds(queue: Sequence[QueueOperation], key: Sequence[KeyOperation]) -> dict[str, tuple[int, float]]:
    """How many changes there were: so many that clients know of, and no more than may have been."""
    published, unsure, dead = set[str](), 0, set[str]()
    for each in queue:
        match each.action, each.answer:
            case queues.Publish(), Published(message_id=message_id):
                published.add(message_id)
            case queues.Publish(), _:
                unsure += each.possible
            case queues.Consume(dead=on_dead_side), tuple() as messages:
                published |= {message.message_id for message in messages}
                dead |= {message.message_id for message in messages if on_dead_side}
    least, most = Counter[str](), Counter[str]()
    done = [(each.action, each.ok, each.possible) for each in queue]
    for action, certain, possible in (*done, *((each.action, each.ok, each.possible) for each in key)):
        what = _CHANGE_BY_ACTION.get(type(action))
        if what is not None:
            least[what] += certain
            most[what] += possible
    return {
        "scratch.queue.published": (len(published), len(published) + unsure),
        "scratch.queue.deadletter": (len(dead), float("inf")),
        "scratch.kv.changed delete": (0, most.pop("scratch.kv.changed delete", 0)),  # of what was not there: none
        **{what: (least[what], most[what]) for what in most},
    }


_CHANGE_BY_ACTION: dict[type, str] = {
    queues.Nack: "scratch.queue.retry",
    keys.Put: "scratch.kv.changed put",
    keys.Incr: "scratch.kv.changed incr",
    keys.Delete: "scratch.kv.changed delete",
}
