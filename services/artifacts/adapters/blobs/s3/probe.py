"""What a store must be seen to do before bytes are trusted to it: some accept conditions and checksums unread."""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
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
_ROUNDS = 3
_MADE = HTTPStatus.OK
_TAKEN = HTTPStatus.PRECONDITION_FAILED


async def probe(bucket: Bucket, ids: IdSource) -> None:
    """Return where a name is given once, and bytes are checked; `Unsupported` (`STORE_UNFIT`) where they are not.

    Leaves nothing behind; what a crash leaves, the sweep finds.
    """
    name = f"{STAGING}probe-{ids.token_hex(16)}"
    keys = [f"{name}-{number}" for number in range(_ROUNDS)]
    unchecked = f"{name}-sum"
    try:
        await _parts_lose(bucket, await _one_winner(bucket, keys))
        await _checked(bucket, unchecked)
    finally:
        for key in (*keys, unchecked):
            await _removed(bucket.delete(key))


async def _one_winner(bucket: Bucket, keys: Sequence[str]) -> str:
    """The key that was won."""
    bodies = [b"%d" % racer * 512 for racer in range(_RACERS)]
    for key in keys:
        statuses = await asyncio.gather(*(_put(bucket, key, body, sha256_of(body)) for body in bodies))
        if statuses.count(_TAKEN) == _RACERS:  # the answer to the winner was lost
            continue
        if statuses.count(_MADE) != 1 or statuses.count(_TAKEN) != _RACERS - 1:
            break
        if await bucket.get(key, max_bytes=len(bodies[0])) != bodies[statuses.index(_MADE)]:
            raise unfit("a name does not hold the bytes of the writer who was told that it was the first")
        return key
    raise unfit("of several writers of one name not exactly one is told that it was the first")


async def _parts_lose(bucket: Bucket, key: str) -> None:
    multipart = Multipart(bucket)
    before = await bucket.get(key, max_bytes=1024)
    upload = await multipart.begin(key, checked=True)
    try:
        await multipart.complete(upload, [await multipart.send(upload, 1, b"parts")])
    finally:
        await _removed(multipart.abort(upload))
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


async def _removed(removal: Coroutine[object, object, None]) -> None:
    try:
        await removal
    except TheoryError as error:
        _log.warning("probe.left", extra={"theory_fields": {"reason": error.reason}})
