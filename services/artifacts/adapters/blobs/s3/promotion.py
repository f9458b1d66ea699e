"""From a staged object to a blob: copied inside the store, named once all of it is there."""

from http import HTTPStatus
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from services.artifacts.adapters.blobs.s3.client import Bucket
from services.artifacts.adapters.blobs.s3.faults import refused
from services.artifacts.adapters.blobs.s3.multipart import Multipart
from theory.core.errors import Unavailable

if TYPE_CHECKING:  # types of boto3 are a package of development
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

_COPY_BYTES = 64 * 1024 * 1024
"""What the store copies for one request."""
_MOST_PARTS = 10_000
_TRIES = 4


async def promote(bucket: Bucket, multipart: Multipart, source: str, size_bytes: int, key: str) -> int:
    """Give the bytes of `source` the name `key`, unless it is taken; the length of what has that name then.

    A copy in one request would be shorter, but not every store looks at its condition. Errors are those of `Bucket`.
    """
    for _ in range(_TRIES):
        there = await bucket.size_of(key)
        if there is not None:
            return there
        await _copy(multipart, source, size_bytes, key)
    raise Unavailable("STORE_UNREACHABLE", "the upload did not arrive whole")


async def _copy(multipart: Multipart, source: str, size_bytes: int, key: str) -> None:
    upload = await multipart.begin(key, checked=False)
    try:
        step = max(_COPY_BYTES, -(-size_bytes // _MOST_PARTS))
        parts: list[CompletedPartTypeDef] = []
        for begin in range(0, size_bytes, step):
            end = min(begin + step, size_bytes)
            parts.append(await multipart.copy(upload, len(parts) + 1, source, begin, end))
        await multipart.complete(upload, parts)
    except ClientError as error:
        if not refused(error, HTTPStatus.NOT_FOUND, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE):
            raise
        raise Unavailable("STORE_UNREACHABLE", "the upload is gone, or not whole") from error
    finally:
        await multipart.abort(upload)
