"""A service that is killed while bytes arrive over HTTP shows nothing of them, and takes them once it is back."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.drills.installation import Installation
from theory.core.cid import Cid
from theory.core.presign import BlobPut, PresignedRequest
from theory.sdk.client import Theory

pytestmark = [pytest.mark.drill, pytest.mark.slow]

DATA = os.urandom(1 << 20) * 24
PUT = BlobPut(Cid.of(DATA), len(DATA))


@contextlib.asynccontextmanager
async def _sending(put: PresignedRequest, part: bytes) -> AsyncIterator[asyncio.Task[None]]:
    """The head of a PUT and a part of its body, on their way over a connection that stays as long as the block."""
    parts = urlsplit(put.url)
    _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    headers = "".join(f"{name}: {value}\r\n" for name, value in put.headers.items())
    writer.write(f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: h\r\n{headers}\r\n".encode() + part)
    draining = asyncio.create_task(writer.drain())
    try:
        yield draining
    finally:
        draining.cancel()
        await asyncio.gather(draining, return_exceptions=True)
        writer.transport.abort()


def _files(home: Path) -> list[Path]:
    return [each for each in (home / "artifacts" / "blobs").rglob("*") if each.is_file()]


async def test_a_kill_in_the_middle_of_a_put_leaves_nothing(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    async with installation.server() as server, Theory.connect(installation.url) as theory:
        before = _files(tmp_path)
        put = await theory.artifacts.presign(PUT)
        async with _sending(put, DATA[: len(DATA) // 2]) as draining:
            await draining
            server.kill()
            await server.wait()
    async with installation.server(), Theory.connect(installation.url) as theory:
        assert await theory.artifacts.find_missing([PUT.cid]) == [PUT.cid]
        assert _files(tmp_path) == before
        (unknown,) = await theory.artifacts.commit_uploads([put.upload_id])
        assert getattr(unknown, "reason", "") == "UPLOAD_UNKNOWN"
        assert await theory.artifacts.put_blob(DATA) == PUT.cid
        # The id of before the kill is as good as ever: what it names is stored.
        assert await theory.artifacts.commit_uploads([put.upload_id]) == [(PUT.cid, PUT.size_bytes)]


async def test_what_a_put_was_answered_for_survives_a_kill(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    async with installation.server() as server, Theory.connect(installation.url) as theory:
        put = await theory.artifacts.presign(PUT)
        assert await theory.artifacts.put_blob(DATA) == PUT.cid
        server.kill()
        await server.wait()
    async with installation.server(), Theory.connect(installation.url) as theory:
        assert await theory.artifacts.commit_uploads([put.upload_id]) == [(PUT.cid, PUT.size_bytes)]
        assert await theory.artifacts.get_blob(PUT.cid) == DATA


async def test_a_kill_at_any_moment_leaves_all_or_nothing(tmp_path: Path) -> None:
    installation, last = Installation(tmp_path), b""
    for after_s in (0.01, 0.1, 0.2):
        async with installation.server() as server, Theory.connect(installation.url) as theory:
            if last:
                await _check_all_or_nothing(theory, last)
            last = str(after_s).encode() + DATA
            put = await theory.artifacts.presign(BlobPut(Cid.of(last), len(last)))
            async with _sending(put, last):
                await asyncio.sleep(after_s)
                server.kill()
                await server.wait()
    async with installation.server(), Theory.connect(installation.url) as theory:
        await _check_all_or_nothing(theory, last)


async def _check_all_or_nothing(theory: Theory, data: bytes) -> None:
    cid = Cid.of(data)
    if not await theory.artifacts.find_missing([cid]):
        assert await theory.artifacts.get_blob(cid) == data
    assert await theory.artifacts.put_blob(data) == cid
    assert await theory.artifacts.get_blob(cid) == data
