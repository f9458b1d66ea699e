"""The sweep: finds by listing what nobody was told of, because a hint was lost or a consumer has died.

No replica leads and none is needed: whoever consumes looks, every few seconds. What it finds it knows, and its own
consumers take it when its turn comes; that several replicas find the same is settled where they take it.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from services.drivers.modal_objects import together
from services.drivers.moments import to_us
from services.resources.queue.adapters.modal.messages import Facts, Side, Turn, first_turn
from services.resources.queue.adapters.modal.place import PlanQueue, key_of, topic_hash
from theory.core.adapters import TopicStats
from theory.core.clock import Clock
from theory.core.errors import Corrupt

SWEEP_S = 5.0
SKEW_S = 1
"""What clocks of replicas may differ by: what another one hides is left alone for so much longer."""

_SKEW_US = SKEW_S * 1_000_000
_GRACE_US = 2_000_000
"""A hint may be on its way for so long."""
_MOST, _MOST_BUSY = 1_000, 64
"""How many messages a sweep looks at. While there are hints enough, few: those have consumers already."""
_MOST_KNOWN = 200_000


async def sweep_if_due(place: PlanQueue, clock: Clock) -> None:
    """Look, if nobody of this process did for a while."""
    if clock.monotonic() - place.swept < SWEEP_S or place.sweeping.locked():
        return
    async with place.sweeping:
        place.swept = clock.monotonic()
        await sweep(place, to_us(clock.now()), _MOST if place.short else _MOST_BUSY)


async def sweep_on(place: PlanQueue, clock: Clock) -> None:
    """Look at what the last sweep left: for a consumer that would go away with nothing."""
    async with place.sweeping:
        if place.left:
            await sweep(place, to_us(clock.now()), _MOST)


async def sweep(place: PlanQueue, now_us: int, most: int) -> None:
    """Know the turns of those that are due, the oldest first, and forget those that are gone."""
    known = set(place.turns.ids())
    listed = await listing(place)
    for message_id in known - listed.topic_by_id.keys():
        place.turns.drop(message_id)
    due = [each for each in listed.topic_by_id.keys() - known if Facts.of(each).visible_us + _GRACE_US <= now_us]
    room = max(0, min(most, _MOST_KNOWN - len(place.turns)))
    found = await newest_of(place, listed, sorted(due)[:room])
    for turn in found:
        learn(place, listed.topic_by_id[turn.message_id], turn)
    # Where it found nothing, what is in the way now will be in the way again.
    place.left = len(due) > room and bool(found)
    place.depth.clear()
    for message_id, topic in listed.topic_by_id.items():
        place.depth[topic] += newest_known(place, message_id).state.side is Side.LIVE


async def newest_of(place: PlanQueue, listed: "Listing", ids: Iterable[str]) -> list[Turn]:
    """The newest turns of messages that are there; what an acknowledgement left behind is removed."""

    async def look(message_id: str) -> Turn | None:
        try:
            turn = await place.newest(message_id)
        except Corrupt:
            return None
        if turn.state.side is Side.GONE:
            await place.messages.remove(key_of(listed.topic_by_id[message_id], message_id))
            return None
        return turn

    return [turn for turn in await together(map(look, ids)) if turn is not None]


def learn(place: PlanQueue, topic: str, turn: Turn) -> None:
    """Know what another replica did. Its clock hides the message."""
    place.turns.put(topic, turn, turn.state.visible_us + (_SKEW_US if turn.number else 0))


class Listing(NamedTuple):
    """What a plan holds."""

    topics: list[str]
    """By name."""
    topic_by_id: dict[str, str]
    """The messages, and the hash of the topic of each."""


async def listing(place: PlanQueue) -> Listing:
    """What is there now."""
    topics: list[str] = []
    topic_by_id: dict[str, str] = {}
    for key in await place.messages.keys():
        kind, _, rest = key.partition(":")
        if kind == "t":
            topics.append(rest)
        else:
            topic, _, message_id = rest.partition(":")
            if is_sound(message_id):
                topic_by_id[message_id] = topic
    return Listing(sorted(topics), topic_by_id)


def newest_known(place: PlanQueue, message_id: str) -> Turn:
    """The newest turn of a message, as far as this process knows."""
    return place.turns.get(message_id) or first_turn(message_id)


def is_sound(message_id: str) -> bool:
    """Whether it is an id of ours."""
    try:
        Facts.of(message_id)
    except Corrupt:
        return False
    return True


async def stats(place: PlanQueue, now_us: int, most: int) -> list[TopicStats]:
    """What each topic holds, by name. Of messages that this process does not know it asks about so many."""
    listed = await listing(place)
    unknown = sorted(message_id for message_id in listed.topic_by_id if message_id not in place.turns)
    for turn in await newest_of(place, listed, unknown[:most]):
        if turn.number:
            learn(place, listed.topic_by_id[turn.message_id], turn)
    ids_by_topic: dict[str, list[str]] = defaultdict(list)
    for message_id, topic in listed.topic_by_id.items():
        ids_by_topic[topic].append(message_id)
    return [_counted(place, topic, ids_by_topic[topic_hash(topic)], now_us) for topic in listed.topics]


def _counted(place: PlanQueue, topic: str, ids: Iterable[str], now_us: int) -> TopicStats:
    visible = hidden = delayed = dead = 0
    for message_id in ids:
        state = newest_known(place, message_id).state
        if state.side is Side.DEAD:
            dead += 1
        elif state.visible_us <= now_us:
            visible += 1
        elif state.deliveries:
            hidden += 1
        else:
            delayed += 1
    return TopicStats(topic, visible, hidden, delayed, dead)
