"""What a bucket answers instead of doing what it was asked, in our words."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from botocore.exceptions import ClientError

from services.drivers import aws
from theory.core.errors import Exhausted, NotReady, TheoryError, Unavailable, Unsupported

_FULL = frozenset({"InsufficientCapacity", "QuotaExceeded", "StorageFull", "XMinioStorageFull"})
_AGAIN = frozenset(
    {
        "BadDigest",  # bytes that did not arrive as they were sent
        "ConditionalRequestConflict",
        "OperationAborted",
        "XAmzContentChecksumMismatch",
        "XAmzContentSHA256Mismatch",
    }
)
_NO_BUCKET = "NoSuchBucket"
_NOT_LET_IN = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


@contextmanager
def translated() -> Iterator[None]:
    """Raise our errors where the store does not answer, does not let us in, has no room, or lacks what we need.

    A refusal that says something about one name is left as it is: see `refused`.
    """
    with aws.translated():
        try:
            yield
        except ClientError as error:
            found = fault(aws.code_of(error), status_of(error))
            if found is None:
                raise
            raise found from error


def fault(code: str, status: int) -> TheoryError | None:
    """Our error for an answer about the store; None for any other."""
    if code in _FULL or status == HTTPStatus.INSUFFICIENT_STORAGE:
        return Exhausted("DISK_FULL", "the store of the blobs has no room left")
    if code == _NO_BUCKET:
        return missing()
    if status == HTTPStatus.NOT_IMPLEMENTED:
        return unfit("it does not know a request that this service needs")
    if code in _AGAIN or status == HTTPStatus.TOO_MANY_REQUESTS:
        return Unavailable("STORE_UNREACHABLE", "the store of the blobs asks for patience")
    if status in _NOT_LET_IN and aws.fault(code) is None:  # the answer to HEAD has no code
        return aws.fault("AccessDenied")
    return None


def missing() -> NotReady:
    """There is no such bucket."""
    return NotReady("STORE_MISSING", "the place that the address of the blobs names does not exist")


def unfit(what: str) -> Unsupported:
    """This store cannot keep our promises."""
    return Unsupported("STORE_UNFIT", f"this store cannot keep blobs: {what}")


def status_of(error: ClientError) -> int:
    """The HTTP status of a refusal."""
    return int(error.response["ResponseMetadata"].get("HTTPStatusCode", 0))


def refused(error: ClientError, *statuses: int) -> bool:
    """Whether it is one of these; what a missing name, a condition or an upload that is gone is told by."""
    return status_of(error) in statuses and aws.code_of(error) != _NO_BUCKET
