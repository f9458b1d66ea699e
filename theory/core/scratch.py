"""The events of scratch: which changes of keys and queues a chain tells of, and what it says of them. Never a value."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import NamedTuple

from theory.core.chain import NewEvent
from theory.core.errors import Invalid
from theory.core.jcs import JSON
from theory.core.ledger import PlanEvent

MAX_EVENT_EVERY = 1_000_000

ENDED_KEPT = timedelta(days=7)
"""How long a store of scratch knows that a plan has ended. No process of a plan lives so long."""


def check_event_every(event_every: int) -> None:
    """Refuse a sampling out of range: `Invalid` (`EVENT_SAMPLING_INVALID`)."""
    if not 0 <= event_every <= MAX_EVENT_EVERY:
        bounds = {"min": "0", "max": str(MAX_EVENT_EVERY)}
        raise Invalid("EVENT_SAMPLING_INVALID", f"event_every is 0 to {MAX_EVENT_EVERY}", **bounds)


class Change(NamedTuple):
    """One change of a plan's scratch, before it is decided whether it becomes an event."""

    kind: str
    body: dict[str, JSON]


def kv_changed(key: str, op: str) -> Change:
    """A key was written: `op` is `put`, `delete` or `incr`."""
    return Change("scratch.kv.changed", {"key": key, "op": op})


def queue_published(topic: str, size_bytes: int, depth: int) -> Change:
    """A message was added; `depth` messages are in the topic now."""
    return Change("scratch.queue.published", {"topic": topic, "bytes": size_bytes, "approx_size": depth})


def queue_retry(topic: str, delay_s: int, receive_count: int) -> Change:
    """A delivery was given back."""
    return Change("scratch.queue.retry", {"topic": topic, "delay_s": delay_s, "receive_count": receive_count})


def queue_deadletter(topic: str, receive_count: int) -> Change:
    """A message went to the dead letters after so many deliveries."""
    return Change("scratch.queue.deadletter", {"topic": topic, "receive_count": receive_count})


def sampled(
    plan_id: str, area: str, changes: Iterable[Change], *, counted: int, every: int, ts: str
) -> Iterator[PlanEvent]:
    """Those changes that become events: of the changes of a plan each `every`-th, none where it is 0.

    `counted` changes of this `area` (`kv`, `queue`) came before. An event's id is its area and its count, so a repeat
    is known, and a reader who knows `every` sees whether one is missing.
    """
    if every <= 0:
        return
    for number, change in enumerate(changes, counted + 1):
        if number % every == 0:
            yield PlanEvent(plan_id, NewEvent(f"{area}/{number}", change.kind, ts, change.body))
