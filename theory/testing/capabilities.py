"""What the cases may need of a target beyond the promises of everyone, in words: the reasons for what is skipped."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Capability(NamedTuple):
    """Something that a target has or lacks."""

    sentence: str
    """What a target with it can do."""
    source: str
    """Where it is learned from."""


_FEATURE = "features of GetCapabilities"

CAPABILITIES: Mapping[str, Capability] = {
    # Features that a server declares.
    "REQUEST_IDS": Capability("a request id is remembered in the same step as its effect", _FEATURE),
    "IDEMPOTENCY_KEYS": Capability(
        "an idempotency key holds for ten minutes, beyond an ack, whichever replica is asked", _FEATURE
    ),
    "FENCED_HANDLES": Capability("a handle that no longer counts is refused", _FEATURE),
    "DEAD_LETTERS": Capability("a message moves to the dead letters, and back, in one step", _FEATURE),
    "QUOTAS": Capability("the quotas of a plan are counted exactly, whichever replica is asked", _FEATURE),
    "EVENTS_KEPT": Capability("events are kept with their changes until the ledger has them", _FEATURE),
    "STATS": Capability("the counts of a plan's topics are exact", _FEATURE),
    "STABLE": Capability("what was answered survives a power cut", _FEATURE),
    "VALUES": Capability("the executor may read values", _FEATURE),
    "REFERENCES": Capability("a runtime of the same provider injects secrets by reference", _FEATURE),
    "TAGS": Capability("tags change with the values", _FEATURE),
    # What the kit finds out by asking.
    "LEDGER": Capability("a ledger answers at the same address", "asking there"),
    "PEERS": Capability("ledger and artifacts answer at the same address", "asking there"),
    "MOCK": Capability(
        "the runtime `mock` is served, and the registry answers at the same address",
        "GetCapabilities, and asking there",
    ),
    "SMALL_QUOTAS": Capability(
        "the quotas of a plan are so small that a case can reach them", "figures of GetCapabilities"
    ),
    "SEEDED_SECRETS": Capability("the secrets of the cases have values", "checking their names"),
    "DATA_PLANE": Capability(
        "large blobs go by HTTP, to an address that is reached from here", "GetCapabilities, and asking there"
    ),
    # What only the harness of a test has.
    "ATTEMPTS": Capability("cases get tokens of attempts", "the tests of this project"),
    "CLOCK": Capability("the server's clock is turned by hand", "the tests of this project"),
}


def lacking(names: Iterable[str]) -> str:
    """Why a case is skipped that needs these: `needs CLOCK: the server's clock is turned by hand`."""
    return "; ".join(
        f"needs {name}: {CAPABILITIES[name].sentence}" if name in CAPABILITIES else f"needs {name}"
        for name in sorted(names)
    )
