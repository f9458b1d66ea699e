"""Idempotency keys on Modal: of all who publish with a key within ten minutes of the first, one publishes.

Time is cut into slots as long as a key is known, so a key has one message in a slot at most; and whoever begins in a
slot first closes the one before it, where a first publish may just be under way.
"""

from services.drivers.modal import foreign, hash_of
from services.drivers.modal_objects import Dictionary
from services.drivers.moments import to_us
from services.resources.queue.adapters.modal.messages import ID_CHARACTERS, Facts
from services.resources.queue.ports import KEY_KEPT

_KEPT_US = KEY_KEPT.total_seconds() * 1_000_000
_CLOSED = b"closed"


async def holder_of(states: Dictionary, topic: str, key: str, message_id: str) -> str:
    """The id of the message that has the key now: `message_id` where it is the first."""
    now_us = to_us(Facts.of(message_id).publish_time)
    where, slot = f"k:{hash_of(topic, key)}", int(now_us // _KEPT_US)
    before = await states.claim(f"{where}:{slot - 1}", _CLOSED)
    if before != _CLOSED and _publish_us(before) + _KEPT_US > now_us:
        return _text(before)
    while (held := await states.claim(f"{where}:{slot}", message_id.encode())) == _CLOSED:
        slot += 1  # by a replica whose clock is ahead
    return _text(held)


def _publish_us(held: bytes) -> int:
    return to_us(Facts.of(_text(held)).publish_time)


def _text(held: bytes) -> str:
    if len(held) != ID_CHARACTERS or not held.isascii():
        raise foreign()
    return held.decode("ascii")
