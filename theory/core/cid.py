"""Content identifiers: `b3:` and the plain BLAKE3 of the bytes in lowercase hex."""

import re
from dataclasses import dataclass
from typing import Self

from blake3 import blake3

from theory.core.errors import Invalid, shown

_PREFIX = "b3:"
_CID = re.compile(r"b3:[0-9a-f]{64}").fullmatch


@dataclass(frozen=True, slots=True, order=True)
class Cid:
    """The name of some bytes. Two equal CIDs name equal bytes."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The CID that `text` spells; `Invalid` (`CID_INVALID`) for any other spelling, upper case included."""
        if _CID(text) is None:
            raise Invalid("CID_INVALID", "a CID is 'b3:' and 64 lowercase hex digits", value=shown(text))
        return cls(text)

    @classmethod
    def of(cls, data: bytes | bytearray | memoryview) -> Self:
        """The CID of bytes that are at hand. Of a stream, use `CidHasher`."""
        return cls(_PREFIX + blake3(data).hexdigest())

    @property
    def hex(self) -> str:
        """The 64 digits alone: how a store may name its file or key."""
        return self.text[len(_PREFIX) :]

    def __str__(self) -> str:
        return self.text

    def __hash__(self) -> int:
        return hash(self.text)  # the one that is generated takes three times as long, and stores hash each CID often


class CidHasher:
    """Names bytes that arrive in pieces. Feed it pieces of 256 KiB: smaller ones are slower, larger ones no faster."""

    __slots__ = ("_hash", "size_bytes")

    def __init__(self) -> None:
        self._hash = blake3()
        self.size_bytes = 0
        """How many bytes were fed so far."""

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Take the next bytes. Other threads run meanwhile, so several blobs hash in parallel."""
        self._hash.update(data)
        self.size_bytes += len(data)

    def cid(self) -> Cid:
        """The CID of all that was fed so far; feeding may go on."""
        return Cid(_PREFIX + self._hash.hexdigest())
