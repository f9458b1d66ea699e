"""One connection, many callers."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from services.drivers.redis.address import Address
from services.drivers.redis.line import Asked, Line, packed
from tests.unit.services.drivers.redis.conftest import Scripted


def test_a_command_travels_as_lengths_and_bytes() -> None:
    assert packed(["SET", "\u00e9", b"\x00\r\n", -7]) == (
        b"*4\r\n$3\r\nSET\r\n$2\r\n\xc3\xa9\r\n$3\r\n\x00\r\n\r\n$2\r\n-7\r\n"
    )


async def test_what_is_sent_in_one_turn_is_one_write(scripted: Scripted) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.put_nowait(await reader.read(1 << 16))
        writer.write(b"+PONG\r\n" * 100)
        await reader.read()

    async with _line(await scripted(serve)) as (line, _):
        asked = [_ask() for _ in range(100)]
        line.send(asked)
        assert await asyncio.gather(*(each.answer for each in asked)) == [b"PONG"] * 100
        assert heard.get_nowait() == asked[0].command * 100


async def test_what_has_no_reply_when_it_breaks_is_handed_back_once(scripted: Scripted) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)
        writer.write(b"+PONG\r\n")
        await writer.drain()

    async with _line(await scripted(serve)) as (line, lost):
        asked = [_ask() for _ in range(3)]
        line.send(asked)
        assert await lost.get() == asked[1:]
        assert asked[0].answer.result() == b"PONG"
        await line.close()
        assert lost.empty()


async def test_a_reply_that_nobody_asked_for_breaks_it(scripted: Scripted) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1 << 16)
        writer.write(b"+PONG\r\n+PONG\r\n")
        await reader.read()

    async with _line(await scripted(serve)) as (line, lost):
        asked = _ask()
        line.send([asked])
        assert await lost.get() == []
        assert asked.answer.result() == b"PONG"


def _ask() -> Asked:
    return Asked(packed(["PING"]), asyncio.get_running_loop().create_future())


@asynccontextmanager
async def _line(url: str) -> AsyncIterator[tuple[Line, asyncio.Queue[list[Asked]]]]:
    lost: asyncio.Queue[list[Asked]] = asyncio.Queue()

    def note(_: Exception, unanswered: Iterable[Asked]) -> None:
        lost.put_nowait(list(unanswered))

    line = Line(await Address.parse(url).connect(None), 5.0, note)
    try:
        yield line, lost
    finally:
        await line.close()
