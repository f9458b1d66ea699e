"""What the keys and the queues of a plan have in common: how names begin, and how scripts do."""

from pathlib import Path

from services.drivers.redis.script import Script

_HERE = Path(__file__).parent
_PRELUDE = _HERE / "scratch.lua"


def place_of(plan_id: str, place: str) -> str:
    """What all names of a plan begin with, at one place: `kv`, `queue`.

    One slot of a cluster holds everything of a plan, so that one script may use it. No plan id has braces.
    """
    return f"theory:{{{plan_id}}}:{place}"


def events_of(plan_id: str, place: str) -> str:
    """The list of the plan's events that the ledger does not have yet."""
    return f"{place_of(plan_id, place)}:events"


def script(*parts: Path) -> Script:
    """A script whose first two keys are the plan's hash, which is named as its place, and its events."""
    return Script.of(_PRELUDE, *parts)


BEGIN = script(_HERE / "begin.lua")
"""Remembers how many changes make an event: 1, or 0 where the plan has ended."""
