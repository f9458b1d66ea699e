"""What a store must be seen to do before requests to it are handed out: some sign, and look at nothing."""

import hashlib
import logging
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus

from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

from services.artifacts.adapters.blobs.s3.client import Bucket
from services.artifacts.adapters.blobs.s3.faults import unfit
from services.artifacts.adapters.blobs.s3.signing import Signing
from services.artifacts.adapters.blobs.s3.staging import STAGING
from theory.core.cid import Cid
from theory.core.clock import Clock
from theory.core.errors import TheoryError
from theory.core.ids import IdSource
from theory.core.presign import BlobPut, PresignedRequest

_log = logging.getLogger(__name__)

_TTL = timedelta(minutes=1)
_TIMEOUT_S = 15
_TYPE = "text/x-theory-probe"
_BYTES = b"these bytes and no others"
_NOT_SIGNED = {"If-None-Match": "", "Content-Type": "text/html", "x-amz-checksum-sha256": ""}
"""Headers and what they are bent to; empty is left out."""


async def probe_signed(bucket: Bucket, signing: Signing, clock: Clock, ids: IdSource) -> None:
    """Return where a signed request is good for what it says alone; `Unsupported` (`STORE_UNFIT`) where it is for more.

    `signing` leads to where this service itself reaches the store. Leaves nothing behind; what a crash leaves, the
    sweep finds.
    """
    key = f"{STAGING}probe-{ids.token_hex(16)}-signed"
    until = clock.now() + _TTL
    blob = BlobPut(Cid.of(_BYTES), len(_BYTES), _TYPE, hashlib.sha256(_BYTES).hexdigest())
    http = _Http(bucket)
    try:
        put = await signing.put(key, blob, until)
        for said, asked, body in _bent(put):
            if await http.status(asked, body) < HTTPStatus.BAD_REQUEST or await bucket.size_of(key) is not None:
                raise unfit(f"it takes a signed upload {said}")
        statuses = [await http.status(put, _BYTES) for _ in range(2)]
        if statuses != [HTTPStatus.OK, HTTPStatus.PRECONDITION_FAILED]:
            raise unfit("a signed upload is not taken, or is taken twice")
        await _read(http, await signing.get(key, blob, until))
    finally:
        http.close()
        await _removed(bucket, key)


def _bent(put: PresignedRequest) -> list[tuple[str, PresignedRequest, bytes]]:
    """What is said of it, the request, its body."""
    bent = [("without a signature", _at(put, put.url.partition("?")[0]), _BYTES)]
    bent += [("of a signature that is another's", _at(put, _turned(put.url)), _BYTES)]
    for name, value in _NOT_SIGNED.items():
        headers = {**put.headers, name: value} if value else {k: v for k, v in put.headers.items() if k != name}
        bent.append((f"with another {name} than was signed", _at(put, put.url, headers), _BYTES))
    longer = {**put.headers, "Content-Length": str(len(_BYTES) + 1)}
    bent.append(("that is longer than was signed", _at(put, put.url, longer), _BYTES + b"!"))
    bent.append(("of other bytes than were signed", put, _BYTES[::-1]))
    return bent


async def _read(http: "_Http", get: PresignedRequest) -> None:
    status, headers, body = await http.ask(get, b"")
    named = headers.get("content-disposition", ""), headers.get("content-type", "")
    if (status, body, named) != (HTTPStatus.OK, _BYTES, ("attachment", _TYPE)):
        raise unfit("what a signed request reads is not what was signed")
    for url in (get.url.partition("?")[0], _turned(get.url), get.url.replace("attachment", "inline")):
        if await http.status(_at(get, url), b"") < HTTPStatus.BAD_REQUEST:
            raise unfit("it is read by whoever has not signed")


class _Http:
    """Requests as a client makes them, with the settings of the environment for proxies and certificates."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._session = URLLib3Session(timeout=_TIMEOUT_S)

    async def status(self, request: PresignedRequest, body: bytes) -> int:
        return (await self.ask(request, body))[0]

    async def ask(self, request: PresignedRequest, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        made = AWSRequest(request.method, request.url, dict(request.headers), body).prepare()

        def ask() -> tuple[int, Mapping[str, str], bytes]:
            answer = self._session.send(made)
            return answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, answer.content

        return await self._bucket.write(ask)

    def close(self) -> None:
        self._session.close()


def _at(request: PresignedRequest, url: str, headers: Mapping[str, str] | None = None) -> PresignedRequest:
    kept = request.headers if headers is None else headers
    return PresignedRequest(url, request.method, kept, request.expire_time, request.size_bytes)


def _turned(url: str) -> str:
    """With another last digit of its signature, which is the last of its query."""
    return url[:-1] + ("1" if url[-1] != "1" else "2")


async def _removed(bucket: Bucket, key: str) -> None:
    try:
        await bucket.delete(key)
    except TheoryError as error:
        _log.warning("probe.left", extra={"theory_fields": {"reason": error.reason}})
