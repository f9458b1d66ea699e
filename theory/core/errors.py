"""Every way a Theory call can fail: one class per reaction that a caller may have.

The class says what to do, `reason` says what happened, `message` is one sentence for people. The gRPC codes live in
`theory.wire.status` and nowhere else.
"""

from typing import ClassVar


class TheoryError(Exception):
    """The root. Raised itself only where a server broke (INTERNAL, UNKNOWN): a bug, never retried.

    `reason` is UPPER_SNAKE and listed in `error_reason.proto`; `metadata` holds facts for machines under keys that are
    listed there too. None of the three may carry a secret or the words of a provider.
    """

    retryable: ClassVar[bool] = False
    """Whether sending the same request again may help."""

    def __init__(self, reason: str, message: str, /, **metadata: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata: dict[str, str] = metadata

    def __repr__(self) -> str:
        facts = "".join(f", {key}={value!r}" for key, value in self.metadata.items())
        return f"{type(self).__name__}({self.reason!r}, {self.message!r}{facts})"

    def __reduce__(self) -> tuple[object, ...]:
        # Exception's own form would call the class with the message alone.
        return _rebuilt, (type(self), self.reason, self.message, self.metadata)


class Invalid(TheoryError):
    """The request is wrong whatever the state of the system: fix it, do not retry."""


class OutOfRange(TheoryError):
    """The request reads past the end of what exists: stop reading on."""


class NotFound(TheoryError):
    """What the request names does not exist: accept its absence."""


class AlreadyExists(TheoryError):
    """Something else holds the name and stays as it is: use that, or another name."""


class Conflict(TheoryError):
    """The state moved under the caller: read again and redo the whole step."""


class NotReady(TheoryError):
    """The state forbids it now: someone must change the state first."""


class Denied(TheoryError):
    """The caller is known and may not: get the right to."""


class Unauthenticated(TheoryError):
    """The caller is not known: bring credentials."""


class Exhausted(TheoryError):
    """A quota, a budget or a limit is spent: wait as long as `retry_after_s` says, or have the limit raised."""

    retryable = True

    retry_after_s: float | None
    """When another try makes sense, where that is known."""

    def __init__(self, reason: str, message: str, /, *, retry_after_s: float | None = None, **metadata: str) -> None:
        super().__init__(reason, message, **metadata)
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuilt, (type(self), self.reason, self.message, self.metadata), {"retry_after_s": self.retry_after_s}


class Unavailable(TheoryError):
    """A backend is away for now: back off and send the same again."""

    retryable = True


class Unsupported(TheoryError):
    """This deployment does not offer the capability: ask GetCapabilities first."""


class Corrupt(TheoryError):
    """Stored bytes do not match their digest, or a chain its hashes: stop and page someone."""


ALL: tuple[type[TheoryError], ...] = (
    Invalid,
    OutOfRange,
    NotFound,
    AlreadyExists,
    Conflict,
    NotReady,
    Denied,
    Unauthenticated,
    Exhausted,
    Unavailable,
    Unsupported,
    Corrupt,
)
"""The classes a service may answer with; each has one gRPC code of its own."""

_SHOWN_CHARACTERS = 200


def shown(text: str) -> str:
    """`text` as it may stand in an error's metadata: cut to a readable length, and always encodable as UTF-8."""
    if len(text) > _SHOWN_CHARACTERS:
        text = f"{text[:_SHOWN_CHARACTERS]}..."
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _rebuilt(kind: type[TheoryError], reason: str, message: str, metadata: dict[str, str]) -> TheoryError:
    return kind(reason, message, **metadata)
