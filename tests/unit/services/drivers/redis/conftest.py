"""A real server for the module's tests, and one that does as it is told."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.drivers.redis import Redis
from tests.servers import redis_server
from theory.core.clock import SystemClock

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Scripted = Callable[[Serve], Awaitable[str]]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture
async def redis(url: str) -> AsyncIterator[Redis]:
    async with opened(url) as redis:
        await redis.call("FLUSHALL")
        yield redis


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Redis]:
    redis = await Redis.open(url, None, SystemClock())
    try:
        yield redis
    finally:
        await redis.close()


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    """Starts a server that treats each connection as the test says."""
    folder = Path(tempfile.mkdtemp(prefix="theory-"))
    servers: list[asyncio.Server] = []

    async def start(serve: Serve) -> str:
        async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await serve(reader, writer)
            finally:
                writer.close()

        servers.append(await asyncio.start_unix_server(served, folder / "scripted.sock"))
        return f"redis+unix://{folder}/scripted.sock"

    yield start
    for server in servers:
        server.close()
    shutil.rmtree(folder)
