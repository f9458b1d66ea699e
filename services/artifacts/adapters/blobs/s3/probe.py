"""What a store must be seen to do before bytes are trusted to it: some accept conditions and checksums unread."""

import asyncio
import logging
from http import HTTPStatus

from botocore.exceptions import ClientError

from services.artifacts.adapters.blobs.s3.client import Bucket, sha256_of
from services.artifacts.adapters.blobs.s3.faults import refused, status_of, unfit
from services.artifacts.adapters.blobs.s3.multipart import Multipart
from services.artifacts.adapters.blobs.s3.staging import STAGING
from theory.core.errors import TheoryError
from theory.core.ids import IdSource

_log = logging.getLogger(__name__)

_RACERS = 8
_MADE = HTTPStatus.OK
_TAKEN = HTTPStatus.PRECONDITION_FAILED


async def probe(bucket: Bucket, ids: IdSource) -> None:
    """Return where a name is given once, and bytes are checked; `Unsupported` (`STORE_UNFIT`) where they are not.

    Leaves nothing behind; what a crash leaves, the sweep finds.
    """
    key = f"{STAGING}probe-{ids.token_hex(16)}"
    try:
        await _one_winner(bucket, key)
        await _parts_lose(bucket, key)
        await _checked(bucket, f"{key}-sum")
    finally:
        for each in (key, f"{key}-sum"):
            try:
                await bucket.delete(each)
            except TheoryError as error:
                _log.warning("probe.left", extra={"theory_fields": {"reason": error.reason}})


async def _one_winner(bucket: Bucket, key: str) -> None:
    bodies = [b"%d" % racer * 512 for racer in range(_RACERS)]
    statuses = await asyncio.gather(*(_put(bucket, key, body, sha256_of(body)) for body in bodies))
    if statuses.count(_MADE) != 1 or statuses.count(_TAKEN) != _RACERS - 1:
        raise unfit("of several writers of one name not exactly one is told that it was the first")
    if await bucket.get(key, max_bytes=len(bodies[0])) != bodies[statuses.index(_MADE)]:
        raise unfit("a name does not hold the bytes of the writer who was told that it was the first")


async def _parts_lose(bucket: Bucket, key: str) -> None:
    multipart = Multipart(bucket)
    before = await bucket.get(key, max_bytes=1024)
    upload = await multipart.begin(key, checked=True)
    try:
        await multipart.complete(upload, [await multipart.send(upload, 1, b"parts")])
    finally:
        await multipart.abort(upload)
    if await bucket.get(key, max_bytes=1024) != before:
        raise unfit("an upload in parts takes a name that is taken")


async def _checked(bucket: Bucket, key: str) -> None:
    status = await _put(bucket, key, b"these bytes", sha256_of(b"other bytes"))
    if status == _MADE or await bucket.size_of(key) is not None:
        raise unfit("it takes bytes that are not those of their checksum")


async def _put(bucket: Bucket, key: str, body: bytes, checksum: str) -> int:
    def put() -> int:
        try:
            bucket.raw.put_object(
                Bucket=bucket.name, Key=bucket.full(key), Body=body, IfNoneMatch="*", ChecksumSHA256=checksum
            )
        except ClientError as error:
            if refused(error, HTTPStatus.BAD_REQUEST, _TAKEN):
                return status_of(error)
            raise
        return _MADE

    return await bucket.write(put)
