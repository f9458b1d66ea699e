"""Signed URLs: what a signature covers, and the ids of uploads, which say themselves what was announced.

Nothing of either is stored: a service that starts again, or a replica with the same key, knows what it handed out.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime

from theory.core.artifact import content_type_of
from theory.core.cid import Cid
from theory.core.errors import Denied, Invalid, TheoryError
from theory.core.presign import BlobPut, sha256_of

_URL = b"theory/v1/url\n"
_UPLOAD = b"theory/v1/upload\n"
_MAC_BYTES = 32
_MAX_ID_CHARACTERS = 2_048


@dataclass(frozen=True, slots=True)
class Grant:
    """Everything that a signature covers. The host is not among it: proxies give one service several names."""

    method: str
    path: str
    expires: int
    """Seconds since 1970; the last one in which it holds."""
    blob: BlobPut
    """What is read or stored. Length and checksum of what is read are not told by its URL, and stay at 0 and empty."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """One upload that was handed out."""

    nonce: str
    """Nobody else's: two uploads of the same bytes do not meet before their end."""
    expires: int
    put: BlobPut


class GrantKey:
    """The secret of one installation, with which it knows its own URLs and uploads again."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, grant: Grant) -> str:
        """The signature of a grant, fit for a query."""
        covered = (grant.method, grant.path, str(grant.expires), *_facts(grant.blob))
        return _text(self._mac(_URL + "\n".join(covered).encode()))

    def check(self, grant: Grant, signature: str, now: datetime) -> None:
        """Return where `signature` is the grant's, and it holds.

        `Denied`: `URL_SIGNATURE` where it is another's, and only then `URL_EXPIRED`.
        """
        if not hmac.compare_digest(self.sign(grant).encode(), signature.encode("utf-8", "replace")):
            raise Denied("URL_SIGNATURE", "the signature does not belong to this request")
        if now.timestamp() > grant.expires:
            raise Denied("URL_EXPIRED", "the URL has expired: ask for a new one")

    def seal(self, ticket: Ticket) -> str:
        """The id of an upload: what was announced, readable, and a proof that it was handed out here."""
        said = "\n".join((ticket.nonce, str(ticket.expires), *_facts(ticket.put))).encode()
        return _text(self._mac(_UPLOAD + said) + said)

    def open(self, upload_id: str) -> Ticket:
        """The upload of an id; `Invalid` (`ID_INVALID`) for any other text."""
        try:
            if len(upload_id) > _MAX_ID_CHARACTERS:
                raise ValueError
            sealed = base64.b64decode(upload_id + "=" * (-len(upload_id) % 4), altchars=b"-_", validate=True)
            mac, said = sealed[:_MAC_BYTES], sealed[_MAC_BYTES:]
            if not hmac.compare_digest(self._mac(_UPLOAD + said), mac) or _text(sealed) != upload_id:
                raise ValueError
            nonce, expires, cid, size, content_type, sha256 = said.decode().split("\n")
            put = BlobPut(Cid.parse(cid), int(size), content_type_of(content_type), sha256_of(sha256))
            return Ticket(nonce, int(expires), put)
        except (ValueError, binascii.Error, TheoryError):
            message = "this service handed out no upload of this id"
            raise Invalid("ID_INVALID", message, field="upload_id") from None

    def _mac(self, said: bytes) -> bytes:
        return hmac.digest(self._key, said, hashlib.sha256)

    def __repr__(self) -> str:
        return "GrantKey(...)"


def _facts(put: BlobPut) -> tuple[str, str, str, str]:
    # No field holds a line break: CID and checksum are hex, and a content type is visible ASCII.
    return put.cid.text, str(put.size_bytes), put.content_type, put.sha256


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
