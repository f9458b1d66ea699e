"""Deliveries in stores that count them: ids of messages, handles, and whether a handle is still the newest."""

from collections.abc import Callable
from datetime import datetime

from services.drivers.moments import to_us
from services.resources.queue.adapters import refusals
from theory.core.errors import Invalid, TheoryError
from theory.core.ids import IdSource


def new_message_ids(now: datetime, count: int, ids: IdSource) -> list[str]:
    """Fresh ids for a batch of up to 256 messages, 32 hex digits each; they sort about as they were published."""
    moment, batch = f"{to_us(now):014x}", ids.token_hex(8)
    return [f"{moment}{idx:02x}{batch}" for idx in range(count)]


def handle_of(message_id: str, receive_count: int) -> str:
    """The handle of one delivery. The count is the fence: a newer delivery has a higher one."""
    return f"{message_id}:{receive_count}"


def message_id_of(receipt_handle: str) -> str:
    """Whose delivery it is."""
    return receipt_handle.partition(":")[0]


def newest(receipt_handle: str, count_of: Callable[[str], int | None]) -> str | TheoryError:
    """The id of the message whose newest delivery this is, or why it may no longer be settled.

    `count_of` tells how often a message was handed out; None where it is gone.
    """
    message_id, _, text = receipt_handle.partition(":")
    if not (text.isascii() and text.isdecimal()):
        return Invalid("RECEIPT_INVALID", "not a handle of this topic")
    count = count_of(message_id)
    if count is None:
        return refusals.message_unknown()
    if count != int(text):
        return refusals.superseded()
    return message_id
