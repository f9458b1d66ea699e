"""What stands in a message of SQS, which takes text alone, and never an empty one."""

import re
from base64 import b64decode, b64encode
from collections import OrderedDict
from datetime import datetime
from typing import NamedTuple, Self

from services.drivers.moments import from_us, to_us

MAX_DELAY_S = 900
"""The longest delay that SQS knows."""

_OVERHEAD_BYTES = 1_000
_FORM = "theory/1"
_parse = re.compile(rf"{_FORM} ([0-9a-f]{{32}}) ([0-9]{{1,16}}) ([0-9]{{1,16}}) ([A-Za-z0-9+/]*={{0,2}})").fullmatch


class Letter(NamedTuple):
    """A message as it was published: a copy that is sent again is the same message."""

    message_id: str
    publish_us: int
    not_before_us: int
    """When it may be handed out first, where its delay is longer than SQS can keep; else 0."""
    body: bytes

    @classmethod
    def of(cls, message_id: str, now: datetime, delay_s: int, body: bytes) -> Self:
        """A new one."""
        now_us = to_us(now)
        return cls(message_id, now_us, now_us + delay_s * 1_000_000 if delay_s > MAX_DELAY_S else 0, body)

    @classmethod
    def read(cls, text: str) -> Self | None:
        """The letter that `text` holds; None where no service of ours wrote it."""
        match = _parse(text)
        if match is None:
            return None
        return cls(match[1], int(match[2]), int(match[3]), b64decode(match[4]))

    def again(self) -> Self:
        """The same, to be handed out at once."""
        return self._replace(not_before_us=0)

    @property
    def text(self) -> str:
        """What SQS keeps."""
        return f"{_FORM} {self.message_id} {self.publish_us} {self.not_before_us} {b64encode(self.body).decode()}"

    @property
    def publish_time(self) -> datetime:
        """When it was published first."""
        return from_us(self.publish_us)

    def early_s(self, now: datetime) -> int:
        """How many seconds it is too early to hand it out."""
        return max(0, -((to_us(now) - self.not_before_us) // 1_000_000))


class Delivery(NamedTuple):
    """What the handle of a delivery holds. SQS's own handle is the fence; the rest is ours to remember."""

    message_id: str
    receive_count: int
    receive_s: int
    """When it was handed out, in seconds since 1970: SQS hides a message for 12 hours from then at most."""
    receipt: str

    @classmethod
    def read(cls, handle: str) -> Self:
        """The delivery of a handle that this adapter gave."""
        message_id, receive_count, receive_s, receipt = handle.split(":", 3)
        return cls(message_id, int(receive_count), int(receive_s), receipt)

    @property
    def handle(self) -> str:
        """The handle, as this adapter gives it."""
        return f"{self.message_id}:{self.receive_count}:{self.receive_s}:{self.receipt}"


class HandedOut:
    """The dead letters that one process handed out, by handle: at most so many bytes, the oldest go first."""

    def __init__(self, *, most_bytes: int = 64 << 20) -> None:
        self._most_bytes = most_bytes
        self._size_bytes = 0
        self._letters: OrderedDict[str, Letter] = OrderedDict()

    def get(self, handle: str) -> Letter | None:
        """What was handed out with it, if that is still known."""
        return self._letters.get(handle)

    def put(self, handle: str, letter: Letter) -> None:
        """Know it."""
        self._letters[handle] = letter
        self._size_bytes += _weight(letter)
        while self._size_bytes > self._most_bytes and len(self._letters) > 1:
            self._size_bytes -= _weight(self._letters.popitem(last=False)[1])

    def pop(self, handle: str) -> None:
        """Know it no longer."""
        if letter := self._letters.pop(handle, None):
            self._size_bytes -= _weight(letter)


def _weight(letter: Letter) -> int:
    return len(letter.body) + _OVERHEAD_BYTES
