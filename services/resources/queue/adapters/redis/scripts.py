"""The scripts of queues: the same for every way to keep bodies, each with the functions of that way."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from services.drivers.redis import Script, scratch

_HERE = Path(__file__).parent

PARTS = ("live", "dead", "bodies", "deliveries", "forgiven", "known", "forget", "delayed")
"""The keys of a topic."""


@dataclass(frozen=True)
class Storage:
    """A way to keep bodies, and the ids that come of it."""

    kind: str
    """What capabilities call it."""
    place: str
    """Where its keys are: no two ways share one."""
    bodies: Path
    """Lua: `keep_body`, `body_of`, `drop_body`."""
    publish_time: Callable[[str], datetime]
    """When the message of this id was published."""


class Scripts:
    """One per kind of change; whatever a batch holds, it is one run of one of them."""

    def __init__(self, storage: Storage) -> None:
        def script(name: str) -> Script:
            return scratch.script(_HERE / "topic.lua", storage.bodies, _HERE / f"{name}.lua")

        self.publish = script("publish")
        self.consume = script("consume")
        self.ack = script("ack")
        self.show = script("show")
        self.redrive = script("redrive")
        self.stats = scratch.script(_HERE / "stats.lua")
        self.end = scratch.script(_HERE / "end.lua")


def plan_keys(plan_id: str, place: str) -> tuple[str, ...]:
    """The keys that a plan has once."""
    plan = scratch.place_of(plan_id, place)
    return (plan, scratch.events_of(plan_id, place), f"{plan}:topics")


def topic_keys(plan_id: str, place: str, topic: str) -> tuple[str, ...]:
    """Those, and the keys of one topic."""
    plan, *rest = plan_keys(plan_id, place)
    # No topic holds a colon: none is taken for a part of another.
    return (plan, *rest, *(f"{plan}:t:{topic}:{part}" for part in PARTS))
