"""What a server says when it refuses, in our words."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    ConnectionError,  # noqa: A004 - the library's: no error of the operating system
    InvalidResponse,
    NoPermissionError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
    TimeoutError,  # noqa: A004 - as above
)

from theory.core.errors import Corrupt, Exhausted, Invalid, NotReady, TheoryError, Unavailable

_PATIENCE = frozenset(
    {"BUSY", "CLUSTERDOWN", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "READONLY", "TRYAGAIN", "UNBLOCKED"}
)
_ELSEWHERE = frozenset({"ASK", "CROSSSLOT", "MOVED"})
_OUT_OF_MEMORY = "OOM "
_WRONG_TYPE = "WRONGTYPE "


@contextmanager
def translated() -> Iterator[None]:
    """Raise our errors where the server does not answer, does not let us in, or has no room."""
    try:
        yield
    except (RedisError, OSError) as error:
        found = fault(error)
        if found is None:
            raise
        raise found from error


def fault(error: Exception) -> TheoryError | None:
    """Our error; None for one that says that a command of ours is wrong: a bug."""
    if isinstance(error, ConnectionError) and isinstance(error.__cause__, RedisError):
        return fault(error.__cause__)  # what the server said while the connection was made
    text = str(error)
    word = getattr(error, "status_code", None) or text.partition(" ")[0]
    if isinstance(error, OutOfMemoryError) or _OUT_OF_MEMORY in text:
        return Exhausted("STORE_FULL", "the store has no room left")
    if isinstance(error, AuthenticationError | AuthorizationError | NoPermissionError):
        return NotReady("STORE_DENIED", "the store refuses the credentials of this service, or what it wants to do")
    if isinstance(error, InvalidResponse) or _WRONG_TYPE in text:
        return Corrupt("STORE_CORRUPT", "the store holds, or answers, what this service never put there")
    if word in _ELSEWHERE:
        return Invalid("CONFIG_INVALID", "the store is one part of a cluster, and this key is in another")
    if isinstance(error, ConnectionError | TimeoutError | OSError) or word in _PATIENCE:
        return unreachable()
    return None


def unreachable() -> Unavailable:
    """Nothing answers, or nothing did in time."""
    return Unavailable("STORE_UNREACHABLE", "the store does not answer, or asks for patience")


def speaks(error: RedisError) -> bool:
    """Whether the server said this, in its place among the replies; otherwise the connection is what failed."""
    return isinstance(error, ResponseError) or error.status_code is not None


def read_only(error: RedisError) -> bool:
    """Whether this server became a replica: another one takes the writes now."""
    return error.status_code == "READONLY"
