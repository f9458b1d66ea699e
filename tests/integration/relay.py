"""A network that breaks: a relay that cuts each connection after so many bytes."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

_PIECE_BYTES = 64 * 1024


@dataclass
class Relay:
    """Where it listens, where it leads to, and what it does to connections."""

    port: int
    target: int
    most_bytes: int
    """What goes through one connection before it is cut, both ways together."""
    connections: int = field(default=0)


@contextlib.asynccontextmanager
async def relayed(target: int, most_bytes: int) -> AsyncIterator[Relay]:
    relay = Relay(0, target, most_bytes)
    server = await asyncio.start_server(lambda reader, writer: _serve(relay, reader, writer), "127.0.0.1", 0)
    relay.port = server.sockets[0].getsockname()[1]
    async with server:
        yield relay


async def _serve(relay: Relay, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    relay.connections += 1
    left = relay.most_bytes
    onward_reader, onward = await asyncio.open_connection("127.0.0.1", relay.target)

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        nonlocal left
        while left > 0 and (piece := await source.read(min(_PIECE_BYTES, left))):
            left -= len(piece)
            sink.write(piece)
            await sink.drain()

    tasks = [asyncio.create_task(pump(reader, onward)), asyncio.create_task(pump(onward_reader, writer))]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for each in (writer, onward):
        each.transport.abort()


def free_port() -> int:
    """A port of loopback that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
