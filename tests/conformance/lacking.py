"""Why an adapter lacks what others offer: one sentence for each gap of the page."""

from collections.abc import Mapping

_FORGETS = "nothing outlives the process"
_SYNCED = "its log reaches the disk every second: a power cut, or a failover, may lose the last writes"

WHY: Mapping[str, Mapping[str, str]] = {
    "memory": {"EVENTS_KEPT": _FORGETS, "STABLE": _FORGETS},
    "sqlite": {"STABLE": "scratch is written without waiting for the disk: a crash loses nothing, a power cut may"},
    "redis": {"STABLE": _SYNCED},
    "redis-streams": {"STABLE": _SYNCED},
    "sqs": {
        "IDEMPOTENCY_KEYS": "standard queues know none; each process of the service remembers its own",
        "FENCED_HANDLES": "SQS may answer OK to a handle that no longer counts, and does nothing",
        "DEAD_LETTERS": "SQS moves them by itself and tells nobody; the way back is a send, then a delete",
        "QUOTAS": "nothing counts a plan's messages exactly; AWS has limits of its own",
        "EVENTS_KEPT": "no transaction holds a message and its event",
        "STATS": "SQS counts about right",
    },
    "modal": {
        "QUOTAS": "its dictionaries change one entry at a time, and nothing counts a plan",
        "EVENTS_KEPT": "its dictionaries change one entry at a time: no step holds a change and its event",
        "STATS": "counting walks through entries that change meanwhile",
        "STABLE": "what a power cut there would take is not known until it is probed live",
        "VALUES": "Modal gives the values of secrets to its containers and to nobody else",
        "TAGS": "what nobody can read cannot be tagged",
    },
    "env": {"REFERENCES": "variables belong to no provider"},
    "dotenv": {"REFERENCES": "a file belongs to no provider"},
    "aws-secrets": {"REFERENCES": "no runtime of AWS is served"},
}
"""Adapter to capability to reason; the same in each primitive."""
