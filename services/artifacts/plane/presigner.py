"""Requests to this service's own data plane: how they are written, and how they are known again."""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlencode

from services.artifacts.domain.grants import Grant, GrantKey, Ticket
from services.artifacts.plane import digest
from theory.core.cid import Cid
from theory.core.errors import Denied, Invalid
from theory.core.presign import BlobPut, PresignedRequest

BLOBS = "/v1/blobs/"
UPLOADS = "/v1/uploads/"

_MAX_DIGITS = 12


class LocalPresigner:
    """Signs for the data plane, and checks what comes back. Behind the port of `Presigner`."""

    sha256_required = False
    resumable = True
    max_upload_bytes = None

    def __init__(self, key: GrantKey, base_url: str) -> None:
        self._key = key
        self._base_url = base_url

    async def get(self, blob: BlobPut, expire_time: datetime) -> PresignedRequest:
        """A request for `GET`, and for `HEAD`, which tells less."""
        grant = _reading(blob.cid, blob.content_type, int(expire_time.timestamp()))
        query = {"expires": str(grant.expires), "type": blob.content_type, "signature": self._key.sign(grant)}
        return PresignedRequest(
            f"{self._base_url}{grant.path}?{urlencode(query)}", grant.method, {}, expire_time, blob.size_bytes
        )

    async def put(self, upload_id: str, put: BlobPut, expire_time: datetime) -> PresignedRequest:
        """A request for `PUT`, and for `HEAD` and `PATCH`, with which the same upload goes on."""
        grant = Grant("PUT", UPLOADS + upload_id, int(expire_time.timestamp()), put)
        query = {"expires": str(grant.expires), "signature": self._key.sign(grant)}
        url = f"{self._base_url}{grant.path}?{urlencode(query)}"
        return PresignedRequest(url, grant.method, headers_of(put), expire_time, put.size_bytes, upload_id)

    async def collect(self, upload_id: str, put: BlobPut) -> None:
        """Nothing to do: the PUT has verified and stored what came."""

    def check_get(self, cid: Cid, query: Mapping[str, str], now: datetime) -> str:
        """The content type under which a URL has the blob read; `Denied` (`URL_SIGNATURE`, `URL_EXPIRED`)."""
        content_type = query.get("type", "")
        self._key.check(_reading(cid, content_type, _expires(query)), query.get("signature", ""), now)
        return content_type

    def check_put(self, upload_id: str, query: Mapping[str, str], now: datetime) -> Ticket:
        """The upload of a URL; `Denied` (`URL_SIGNATURE`, `URL_EXPIRED`)."""
        try:
            ticket = self._key.open(upload_id)
        except Invalid:
            raise _refused() from None
        grant = Grant("PUT", UPLOADS + upload_id, _expires(query), ticket.put)
        self._key.check(grant, query.get("signature", ""), now)
        return ticket


def headers_of(put: BlobPut) -> dict[str, str]:
    """What a PUT has to say, exactly."""
    headers = {
        "Content-Length": str(put.size_bytes),
        "Content-Type": put.content_type,
        "If-None-Match": "*",
    }
    return headers | ({digest.HEADER: digest.of(put.sha256)} if put.sha256 else {})


def _reading(cid: Cid, content_type: str, expires: int) -> Grant:
    return Grant("GET", BLOBS + cid.text, expires, BlobPut(cid, 0, content_type))


def _expires(query: Mapping[str, str]) -> int:
    digits = query.get("expires", "")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS):
        raise _refused()
    return int(digits)


def _refused() -> Denied:
    return Denied("URL_SIGNATURE", "the signature does not belong to this request")
