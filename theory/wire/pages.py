"""Pages of listings: how large one is, and opaque tokens that fit only the listing they were made for."""

import base64
import binascii
import hmac
from dataclasses import dataclass
from typing import Protocol, Self, cast

from blake3 import blake3
from google.protobuf.message import Message

from theory.core import jcs
from theory.core.errors import Invalid, TheoryError
from theory.core.jcs import JSON

DEFAULT_SIZE = 100
MAX_SIZE = 1000

_TOKEN_CONTEXT = "theory/v1/page-token"  # noqa: S105 - a domain separator
_CHECK_BYTES = 12
_MAX_TOKEN_CHARACTERS = 8192


class _PagedRequest(Protocol):
    page_size: int
    page_token: str


def page_size(asked: int) -> int:
    """The size of a page: 0 is 100, above 1,000 is 1,000, a negative number is `Invalid` (`PAGE_SIZE_INVALID`)."""
    if asked < 0:
        raise Invalid("PAGE_SIZE_INVALID", "a page size is not negative", value=str(asked))
    return min(asked or DEFAULT_SIZE, MAX_SIZE)


@dataclass(frozen=True, slots=True)
class Page:
    """What a list request asks for: at most `size` items behind the position `after`."""

    size: int
    after: JSON
    """Where the page before ended, as the listing itself wrote it; None on the first page."""
    _query: bytes

    @classmethod
    def of(cls, request: Message) -> Self:
        """The page that `request` asks for, by its `page_size` and `page_token`.

        `Invalid` for a negative size, and for a token of another listing, of other fields, or of no listing at all.
        """
        paged = cast("_PagedRequest", request)
        query = _query_of(request)
        return cls(page_size(paged.page_size), decode_token(paged.page_token, query), query)

    def token_after(self, position: JSON) -> str:
        """The `next_page_token` of a page that ended at `position`; its value comes back as `after`."""
        return encode_token(position, self._query)


@dataclass(frozen=True, slots=True)
class Position:
    """Where work goes on that takes several calls: a `Page` without a size."""

    after: JSON
    """What the call before wrote; None in the first."""
    _query: bytes

    @classmethod
    def of(cls, request: Message) -> Self:
        """By the `page_token` of `request`; `Invalid` (`PAGE_TOKEN_INVALID`) for one of other work."""
        query = _query_of(request)
        return cls(decode_token(cast("_PagedRequest", request).page_token, query), query)

    def token(self, position: JSON) -> str:
        """The `next_page_token` for it."""
        return encode_token(position, self._query)


def encode_token(position: JSON, query: bytes) -> str:
    """`position` as text, bound to `query`. It is opaque, not secret: it gives no right."""
    text = jcs.canonical(position)
    return base64.urlsafe_b64encode(_check(text, query) + text).rstrip(b"=").decode()


def decode_token(token: str, query: bytes) -> JSON:
    """The position inside `token`, None for an empty one; `Invalid` (`PAGE_TOKEN_INVALID`) unless `query` made it."""
    if not token:
        return None
    try:
        if len(token) > _MAX_TOKEN_CHARACTERS:
            raise _invalid()
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        check, text = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
        if not hmac.compare_digest(check, _check(text, query)):
            raise _invalid()
        return jcs.parse(text)
    except (binascii.Error, ValueError, TheoryError):
        raise _invalid() from None


def _query_of(request: Message) -> bytes:
    """Every field of `request` that decides what is listed, and which listing it is."""
    rest = type(request)()
    rest.CopyFrom(request)
    for field in ("page_size", "page_token"):
        if field in request.DESCRIPTOR.fields_by_name:
            rest.ClearField(field)
    return request.DESCRIPTOR.full_name.encode() + b"\0" + rest.SerializeToString(deterministic=True)


def _check(text: bytes, query: bytes) -> bytes:
    hasher = blake3(derive_key_context=_TOKEN_CONTEXT)
    hasher.update(len(query).to_bytes(8, "big"))
    hasher.update(query)
    hasher.update(text)
    return hasher.digest(_CHECK_BYTES)


def _invalid() -> Invalid:
    return Invalid("PAGE_TOKEN_INVALID", "the page token does not belong to this listing: start at the first page")
