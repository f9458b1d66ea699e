"""Why an image could not be pulled, in words of ours: an engine's differ with its version and name hosts and paths."""

from collections.abc import Sequence
from enum import StrEnum


class Cause(StrEnum):
    """What came in between."""

    UNKNOWN = "unknown"
    """The registry has no such image."""
    CREDENTIALS = "credentials"
    """The registry asks who is there."""
    DAMAGED = "damaged"
    """What the registry sent is not what the digest names."""
    AWAY = "away"
    """No registry answers."""
    OTHER = "other"

    @property
    def sentence(self) -> str:
        """For people."""
        return _SENTENCE_BY_CAUSE[self]


_SENTENCE_BY_CAUSE = {
    Cause.UNKNOWN: "the registry has no image of this digest",
    Cause.CREDENTIALS: "the registry asks for credentials, which the engine does not have",
    Cause.DAMAGED: "what the registry sent is not what the digest names",
    Cause.AWAY: "its registry does not answer",
    Cause.OTHER: "it cannot be pulled; the executor's log has the engine's words",
}

# In this order: what is damaged is also said to be unexpected, and what is away may also be unknown.
_SIGNS: Sequence[tuple[Cause, tuple[str, ...]]] = (
    (Cause.DAMAGED, ("verification failed", "does not match", "digest mismatch", "unexpected digest")),
    (Cause.CREDENTIALS, ("unauthorized", "authentication required", "no basic auth", "access denied", "401 ")),
    (Cause.UNKNOWN, ("manifest unknown", "not found", "name unknown", "does not exist")),
    (Cause.AWAY, ("connection refused", "no such host", "timeout", "deadline exceeded", "no route", "unreachable")),
)


def cause_of(words: str) -> Cause:
    """What an engine's words come to."""
    said = words.lower()
    return next((cause for cause, signs in _SIGNS if any(sign in said for sign in signs)), Cause.OTHER)
