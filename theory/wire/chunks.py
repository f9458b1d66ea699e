"""Bytes in pieces: how large a chunk is, and streams that begin with a header and go on with chunks."""

from collections.abc import AsyncIterable, AsyncIterator, Iterator
from typing import IO, Any, Generic, TypeVar

from theory.core.errors import Invalid

CHUNK_BYTES = 512 * 1024
"""The most bytes of one chunk, and what a sender should send: measured, larger ones are slower."""

_VARINT_BITS = 7
_VARINT_MORE = 0x80
_LENGTH_DELIMITED = 2
_Message = TypeVar("_Message")


def split(data: bytes | bytearray | memoryview) -> Iterator[bytes]:
    """`data` in chunks; no chunk at all for no bytes."""
    view = memoryview(data)
    return (bytes(view[at : at + CHUNK_BYTES]) for at in range(0, len(view), CHUNK_BYTES))


def split_file(file: IO[bytes], *, limit: int | None = None) -> Iterator[bytes]:
    """What `file` holds from where it stands, at most `limit` bytes of it, in chunks."""
    left = limit
    while left is None or left > 0:
        chunk = file.read(CHUNK_BYTES if left is None else min(left, CHUNK_BYTES))
        if not chunk:
            return
        if left is not None:
            left -= len(chunk)
        yield chunk


def frame(field: int, data: bytes) -> bytes:
    """The bytes of a message whose bytes field number `field`, a member of a oneof, holds `data`.

    Equal to what protobuf writes for a fraction of the cost, which counts where half megabytes pass. A handler may
    yield such bytes in place of the message.
    """
    return b"".join((_varint(field << 3 | _LENGTH_DELIMITED), _varint(len(data)), data))


class Parts(Generic[_Message]):
    """A stream of messages with `oneof part { Header header; bytes chunk; }`: first the header, then its chunks.

    `Invalid`: `CHUNK_ORDER` for anything but one header, first; `CHUNK_SIZE` for a chunk that is empty or too large.
    """

    def __init__(self, messages: AsyncIterable[_Message]) -> None:
        self._messages = aiter(messages)

    async def header(self) -> Any:
        """The header; to be called first, once."""
        message: Any = await anext(self._messages, None)
        if message is None or message.WhichOneof("part") != "header":
            raise Invalid("CHUNK_ORDER", "the first message carries the header")
        return message.header

    async def chunks(self) -> AsyncIterator[bytes]:
        """The chunks, in order."""
        message: Any
        async for message in self._messages:
            if message.WhichOneof("part") != "chunk":
                raise Invalid("CHUNK_ORDER", "every message but the first carries a chunk")
            chunk: bytes = message.chunk
            if not 0 < len(chunk) <= CHUNK_BYTES:
                raise Invalid("CHUNK_SIZE", f"a chunk has 1 to {CHUNK_BYTES} bytes")
            yield chunk


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= _VARINT_MORE:
        out.append(value & (_VARINT_MORE - 1) | _VARINT_MORE)
        value >>= _VARINT_BITS
    out.append(value)
    return bytes(out)
