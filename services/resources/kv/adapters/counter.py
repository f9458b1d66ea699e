"""Counters for stores that cannot add by themselves: decimal int64 text, checked by hand."""

import re
from collections.abc import Callable, Iterable, Mapping

from blake3 import blake3

from services.resources.kv.adapters import refusals
from services.resources.kv.ports import KVQuotas
from theory.core import jcs
from theory.core.adapters import KVIncr
from theory.core.errors import AlreadyExists, NotReady, OutOfRange, TheoryError

_INT64_MAX = (1 << 63) - 1
_INT64_MIN = -(1 << 63)

# What a store that counts natively accepts, too: no sign but a minus, no leading zero, no space.
_is_decimal = re.compile(rb"0|-?[1-9][0-9]{0,18}").fullmatch


def add(value: bytes | None, by: int) -> int | TheoryError:
    """What the counter comes to, from 0 where it is absent; the error where it must stay as it is."""
    current = 0
    if value is not None:
        if not _is_decimal(value):
            return _not_integer()
        current = int(value)
        if not _INT64_MIN <= current <= _INT64_MAX:
            return _not_integer()
    total = current + by
    return total if _INT64_MIN <= total <= _INT64_MAX else _overflow()


def digest(items: Iterable[KVIncr]) -> bytes:
    """Equal for equal additions only: what a repeated request id is compared by."""
    # `by` is text: JSON numbers do not reach to int64.
    return blake3(jcs.canonical([[item.key, str(item.by), item.ttl_s] for item in items])).digest()


def pack(answers: Iterable[int | TheoryError]) -> str:
    """The answers as text, to be remembered beside their effect."""
    return " ".join(_word(each) if isinstance(each, TheoryError) else str(each) for each in answers)


def unpack(text: str) -> list[int | TheoryError]:
    """What `pack` was given."""
    return [_error(each) if each[0].isalpha() else int(each) for each in text.split()]


def taken(request_id: str) -> AlreadyExists:
    """The error for a request id that came with other additions before."""
    return AlreadyExists("REQUEST_ID_TAKEN", "the request id was used with other items", request_id=request_id)


def _word(error: TheoryError) -> str:
    return ":".join((error.reason, *error.metadata.values()))


def _error(word: str) -> TheoryError:
    reason, *facts = word.split(":")
    if reason == "QUOTA_EXCEEDED":
        quota, limit = facts
        if quota == "keys":
            return refusals.too_many_keys(KVQuotas(keys=int(limit)))
        return refusals.too_many_bytes(KVQuotas(size_bytes=int(limit)))
    return _ERROR_BY_REASON[reason]()


def _not_integer() -> NotReady:
    return NotReady("VALUE_NOT_INTEGER", "the key holds no decimal int64")


def _overflow() -> OutOfRange:
    return OutOfRange("COUNTER_OVERFLOW", "the counter would leave int64")


_ERROR_BY_REASON: Mapping[str, Callable[[], TheoryError]] = {
    "VALUE_NOT_INTEGER": _not_integer,
    "COUNTER_OVERFLOW": _overflow,
}
