"""Between a caller and a service: a socket that passes everything on and keeps a copy of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import unquote

from tests.integration.sweeping import Piece


class Wires:
    """One wire per caller and service. They outlive both: a caller that comes back finds its wire again."""

    def __init__(self, folder: Path, url_by_service: dict[str, str]) -> None:
        self._folder = folder
        self._target_by_service = {name: unquote(url.removeprefix("unix://")) for name, url in url_by_service.items()}
        self._heard: dict[str, bytearray] = {}
        self._passing: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def laid(cls, folder: Path, callers: list[str], url_by_service: dict[str, str]) -> AsyncIterator["Wires"]:
        """Wires from each caller to each service, their sockets in `folder`."""
        wires = cls(folder, url_by_service)
        async with AsyncExitStack() as stack:
            for caller in callers:
                for service in url_by_service:
                    path = wires._path(caller, service)
                    server = await asyncio.start_unix_server(wires._listener(caller, service), path)
                    stack.push_async_callback(server.wait_closed)
                    stack.callback(server.close)
            yield wires
            while wires._passing:
                await asyncio.wait(wires._passing)

    def urls(self, caller: str) -> dict[str, str]:
        """Where a caller finds each service."""
        return {service: f"unix://{self._path(caller, service)}" for service in self._target_by_service}

    def pieces(self) -> Iterator[Piece]:
        """What went over each, in both directions."""
        return (Piece(name, bytes(heard)) for name, heard in self._heard.items())

    def _path(self, caller: str, service: str) -> Path:
        return self._folder / f"{caller}-{service}.sock"

    def _listener(
        self, caller: str, service: str
    ) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        heard = self._heard.setdefault(f"{caller} > {service}", bytearray())

        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)
            try:
                onward = await asyncio.open_unix_connection(self._target_by_service[service])
            except OSError:  # the service is down: then so is its wire
                writer.close()
                return
            await asyncio.gather(_pass(reader, onward[1], heard), _pass(onward[0], writer, heard))

        return accepted


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: bytearray) -> None:
    try:
        while data := await reader.read(1 << 16):
            heard += data
            writer.write(data)
            await writer.drain()
    except ConnectionError:  # one of the two was killed
        pass
    finally:
        writer.close()
