"""Requests that reach one bucket past this service: signed with SigV4, for exactly what they say."""

import base64
import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from botocore.credentials import RefreshableCredentials

from services.artifacts.adapters.blobs.s3.address import Address
from services.artifacts.adapters.blobs.s3.client import Bucket, client_of, session_of
from theory.core.clock import Clock
from theory.core.errors import Invalid
from theory.core.presign import MAX_TTL_S, BlobPut, PresignedRequest

if TYPE_CHECKING:  # types of boto3 are a package of development
    from botocore.credentials import Credentials
    from mypy_boto3_s3 import S3Client

_SECOND = timedelta(seconds=1)


class Signing:
    """Signs for a bucket as others reach it: the host is a part of what is signed. Errors are those of `Bucket`."""

    def __init__(
        self, bucket: Bucket, client: "S3Client", credentials: Callable[[], "Credentials | None"], clock: Clock
    ) -> None:
        self._bucket = bucket
        self._client = client
        self._credentials = credentials
        self._clock = clock

    async def get(self, key: str, blob: BlobPut, expire_time: datetime) -> PresignedRequest:
        """Reads an object: always a file under its content type, never a page."""

        def sign() -> tuple[str, datetime]:
            ends, ttl_s = self._until(expire_time)
            named = {
                "Bucket": self._bucket.name,
                "Key": self._bucket.full(key),
                "ResponseContentType": blob.content_type,
                "ResponseContentDisposition": "attachment",
            }
            return self._client.generate_presigned_url("get_object", Params=named, ExpiresIn=ttl_s), ends

        url, ends = await self._bucket.read(sign)
        return PresignedRequest(url, "GET", {}, ends, blob.size_bytes)

    async def put(self, key: str, put: BlobPut, expire_time: datetime, upload_id: str = "") -> PresignedRequest:
        """Makes an object where there is none, of that length, type and SHA-256.

        `Invalid` (`FIELD_INVALID`) for a content type that cannot be signed.
        """
        checksum = base64.b64encode(bytes.fromhex(put.sha256)).decode("ascii")

        def sign() -> tuple[str, datetime]:
            ends, ttl_s = self._until(expire_time)
            named = {
                "Bucket": self._bucket.name,
                "Key": self._bucket.full(key),
                "ContentLength": put.size_bytes,
                "ContentType": put.content_type,
                "IfNoneMatch": "*",
                "ChecksumSHA256": checksum,
            }
            return self._client.generate_presigned_url("put_object", Params=named, ExpiresIn=ttl_s), ends

        headers = {
            "Content-Length": str(put.size_bytes),
            "Content-Type": put.content_type,
            "If-None-Match": "*",
            "x-amz-checksum-sha256": checksum,
        }
        url, ends = await self._bucket.read(sign)
        if not {name.lower() for name in headers} <= _signed(url):
            # botocore takes one content type for its own default, and leaves it out.
            raise Invalid("FIELD_INVALID", "an upload cannot be bound to this content type", field="content_type")
        return PresignedRequest(url, "PUT", headers, ends, put.size_bytes, upload_id)

    def close(self) -> None:
        """Let go."""
        self._client.close()

    def _until(self, expire_time: datetime) -> tuple[datetime, int]:
        """When a request that is signed now ends, and in how many seconds that is."""
        ends = min(expire_time, self._credential_ends() or expire_time)
        ttl_s = math.ceil((ends - self._clock.now()) / _SECOND)
        return ends, max(1, min(ttl_s, MAX_TTL_S))

    def _credential_ends(self) -> datetime | None:
        """When what signs is void, after it was renewed where that was due; None where nobody knows."""
        credentials = self._credentials()
        if not isinstance(credentials, RefreshableCredentials):
            return None
        credentials.get_frozen_credentials()
        ends: datetime = vars(credentials)["_expiry_time"]  # botocore has no public word for it
        return ends


def _signed(url: str) -> set[str]:
    return set(parse_qs(urlsplit(url).query)["X-Amz-SignedHeaders"][0].split(";"))


def open_signing(bucket: Bucket, address: Address, clock: Clock) -> Signing:
    """Signs for `bucket` at the endpoint of `address`. Blocks while it looks for credentials."""
    session = session_of(address)
    return Signing(bucket, client_of(address, session), session.get_credentials, clock)
