"""Messages as Modal holds them: ids that tell what need not be read, and the states that each one goes through."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from struct import Struct, error
from typing import NamedTuple, Self

from services.drivers.modal import foreign
from services.drivers.moments import from_us, to_us
from theory.core.adapters import QueuePublish
from theory.core.ids import IdSource

OP_BYTES = 16

_MOMENT, _IDX, _DELAY, _SIZE, _CHANCE = 14, 2, 4, 5, 16
"""How many hex digits of an id say what."""
ID_CHARACTERS = _MOMENT + _IDX + _DELAY + _SIZE + _CHANCE

_is_id = re.compile(
    f"([0-9a-f]{{{_MOMENT}}})[0-9a-f]{{{_IDX}}}([0-9a-f]{{{_DELAY}}})([0-9a-f]{{{_SIZE}}})[0-9a-f]{{{_CHANCE}}}"
).fullmatch

_FORM = 1
_STATE = Struct(">BBIIQ16s")
_HINT = Struct(f">{ID_CHARACTERS}sIII")
_BODY = bytes([_FORM])


class Side(IntEnum):
    """Where a message is."""

    LIVE = 0
    DEAD = 1
    GONE = 2


@dataclass(frozen=True, slots=True)
class State:
    """What became of a message. Each state is followed by one other at most."""

    side: Side
    visible_us: int
    deliveries: int = 0
    """The fence: it never goes back."""
    forgiven: int = 0
    """The deliveries that a redrive no longer counts."""
    op: bytes = bytes(OP_BYTES)
    """Who brought it about."""

    @property
    def receive_count(self) -> int:
        """How often the message was handed out, as its consumers count."""
        return self.deliveries - self.forgiven

    def pack(self) -> bytes:
        """As a Dict holds it."""
        return _STATE.pack(_FORM, self.side, self.deliveries, self.forgiven, self.visible_us, self.op)

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """What `pack` was given; `Corrupt` (`STORE_CORRUPT`)."""
        try:
            form, side, deliveries, forgiven, visible_us, op = _STATE.unpack(data)
            if form != _FORM:
                raise foreign()
            return cls(Side(side), visible_us, deliveries, forgiven, op)
        except (error, ValueError):
            raise foreign() from None


class Turn(NamedTuple):
    """A state of a message, and its number: whoever makes the next number decides what comes next."""

    message_id: str
    number: int
    state: State

    def handle(self) -> str:
        """The handle of this delivery."""
        return f"{self.message_id}:{self.number}:{self.state.deliveries}:{self.state.forgiven}"

    @classmethod
    def of_handle(cls, handle: str, side: Side) -> Self:
        """The delivery that has this handle."""
        message_id, number, deliveries, forgiven = handle.split(":")
        return cls(message_id, int(number), State(side, 0, int(deliveries), int(forgiven)))

    def hint(self) -> bytes:
        """What says to other replicas that this turn has come."""
        return _HINT.pack(self.message_id.encode(), self.number, self.state.deliveries, self.state.forgiven)

    @classmethod
    def of_hint(cls, data: bytes) -> Self:
        """What `hint` was made of; `Corrupt` (`STORE_CORRUPT`)."""
        try:
            message_id, number, deliveries, forgiven = _HINT.unpack(data)
            return cls(message_id.decode("ascii"), number, State(Side.LIVE, 0, deliveries, forgiven))
        except (error, UnicodeDecodeError):
            raise foreign() from None


@dataclass(frozen=True, slots=True)
class Facts:
    """What an id tells of its message."""

    publish_time: datetime
    delay_s: int
    size_bytes: int

    @classmethod
    def of(cls, message_id: str) -> Self:
        """Of an id that `new_ids` made; `Corrupt` (`STORE_CORRUPT`) for another."""
        digits = _is_id(message_id)
        if digits is None:
            raise foreign()
        moment, delay, size = (int(each, 16) for each in digits.groups())
        return cls(from_us(moment), delay, size)

    @property
    def visible_us(self) -> int:
        """When it may be handed out first."""
        return to_us(self.publish_time + timedelta(seconds=self.delay_s))


def new_ids(now: datetime, items: Sequence[QueuePublish], ids: IdSource) -> list[str]:
    """Fresh ids for a batch of up to 256 messages; they sort about as they were published."""
    moment, chance = f"{to_us(now):0{_MOMENT}x}", ids.token_hex(_CHANCE // 2)
    return [
        f"{moment}{idx:0{_IDX}x}{item.delay_s:0{_DELAY}x}{len(item.body):0{_SIZE}x}{chance}"
        for idx, item in enumerate(items)
    ]


def first_turn(message_id: str) -> Turn:
    """The turn of a message that was never handed out."""
    return Turn(message_id, 0, State(Side.LIVE, Facts.of(message_id).visible_us))


def pack_body(body: bytes) -> bytes:
    """As a Dict holds it."""
    return _BODY + body


def unpack_body(data: bytes) -> bytes:
    """What `pack_body` was given; `Corrupt` (`STORE_CORRUPT`)."""
    if data[:1] != _BODY:
        raise foreign()
    return data[1:]
