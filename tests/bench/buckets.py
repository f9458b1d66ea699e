"""The adapter of buckets against boto3 alone, which does the same work on the same server: SeaweedFS.

Both make names under a condition, with a SHA-256 that the store compares, and hash with BLAKE3 what has a CID. boto3 is
used as one would: a pool of threads for small objects, its own transfers in parts for large ones. It makes an object
under its last name at once; ours lands in staging, is verified, and is copied inside the store, because nobody knows a
CID before the last byte.
"""

import asyncio
import base64
import hashlib
import io
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from datetime import timedelta
from itertools import count
from statistics import median
from typing import Any

from blake3 import blake3
from boto3.s3.transfer import TransferConfig

from services.artifacts.adapters.blobs import open_blobs
from services.artifacts.adapters.blobs.s3.address import Address
from services.artifacts.adapters.blobs.s3.client import client_of
from services.artifacts.ports import BlobAdapter, Presigner
from tests.bench.report import Figure
from tests.buckets import S3
from tests.servers import AWS_VARIABLES
from theory.core.cid import Cid, CidHasher
from theory.core.clock import SystemClock
from theory.core.presign import BlobPut
from theory.sdk.transfer import Transfer

_MIB = 1024 * 1024
_SMALL = 320
_AT_ONCE = 16
_LARGE = 64 * _MIB
_PART = 8 * _MIB
_ROUNDS = 3
_numbers = count()


async def measure() -> list[Figure]:
    """Each round both sides, so that both meet the same neighbours."""
    with ExitStack() as stack:
        server = stack.enter_context(S3())
        before = {name: os.environ.get(name) for name in AWS_VARIABLES}
        os.environ.update(AWS_VARIABLES)
        stack.callback(_restore, before)
        async with _Sides.opened(server) as sides:
            return await _figures(sides)


def _restore(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        os.environ.pop(name)
        if value is not None:
            os.environ[name] = value


async def _figures(sides: "_Sides") -> list[Figure]:
    pairs: dict[str, tuple[Callable[[], Awaitable[float]], Callable[[], Awaitable[float]]]] = {
        "small": (sides.small, sides.small_bare),
        "up": (sides.up, sides.up_bare),
        "past": (sides.up_past_the_service, sides.up_whole_bare),
        "down": (sides.down, sides.down_bare),
        "down past": (sides.down_past_the_service, sides.down_bare),
    }
    took: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in pairs}
    for number in range(_ROUNDS + 1):
        for name, (ours, bare) in pairs.items():
            seconds = await ours(), await bare()
            if number:  # the first one warms up
                for into, each in zip(took[name], seconds, strict=True):
                    into.append(each)
    mib = _LARGE // _MIB
    said = {
        "small": (f"put of {_SMALL} blobs of 1 KiB, {_AT_ONCE} at once", _SMALL, "blobs/s", "put_object, conditional"),
        "up": (f"upload of {mib} MiB through the adapter", mib, "MiB/s", "upload_fileobj, 8 MiB parts"),
        "past": (f"upload of {mib} MiB by the store's own URL, and its commit", mib, "MiB/s", "one put_object"),
        "down": (f"download of {mib} MiB through the adapter, verified", mib, "MiB/s", "get_object, hashed"),
        "down past": (f"download of {mib} MiB by the store's own URL, verified", mib, "MiB/s", "get_object, hashed"),
    }
    figures = []
    for name, (what, amount, unit, baseline) in said.items():
        ours_s, bare_s = (median(each) for each in took[name])
        measured, compared = f"{amount / ours_s:,.0f} {unit}", f"{amount / bare_s:,.0f} {unit}"
        figures.append(Figure(what, measured, f"boto3 alone, {baseline}: {compared}: {bare_s / ours_s:.2f}x"))
    return figures


class _Sides:
    def __init__(self, blobs: BlobAdapter, presigner: Presigner, raw: Any, bucket: str) -> None:
        self._blobs = blobs
        self._presigner = presigner
        self._raw = raw
        self._bucket = bucket
        self._threads = ThreadPoolExecutor(_AT_ONCE)
        self._stored = Cid.of(b"")

    @classmethod
    @asynccontextmanager
    async def opened(cls, server: S3) -> AsyncIterator["_Sides"]:
        blobs = await open_blobs(server.address("ours"))
        raw = client_of(Address.parse(server.address()))
        presigner = await blobs.presigner(None)
        assert presigner is not None
        made = cls(blobs, presigner, raw, server.bucket)
        try:
            yield made
        finally:
            made._threads.shutdown()
            raw.close()
            await blobs.close()

    async def small(self) -> float:
        blobs = [(Cid.of(data), data) for data in (_fresh(1024) for _ in range(_SMALL))]
        began = time.perf_counter()
        assert not any(await self._blobs.put_many(blobs))
        return time.perf_counter() - began

    async def small_bare(self) -> float:
        bodies = [_fresh(1024) for _ in range(_SMALL)]
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        await asyncio.gather(*(loop.run_in_executor(self._threads, self._put, each) for each in bodies))
        return time.perf_counter() - began

    async def up(self) -> float:
        data, hasher = _fresh(_LARGE), CidHasher()
        began = time.perf_counter()
        staged = await self._blobs.stage()
        for begin in range(0, _LARGE, _MIB):
            piece = data[begin : begin + _MIB]
            hasher.update(piece)
            await staged.write(piece)
        self._stored = hasher.cid()
        await staged.commit(self._stored)
        await staged.discard()
        return time.perf_counter() - began

    async def up_bare(self) -> float:
        data = _fresh(_LARGE)

        def work() -> None:
            key = f"bare/{blake3(data).hexdigest()}"
            parts = TransferConfig(multipart_threshold=_PART, multipart_chunksize=_PART)
            checked = {"ChecksumAlgorithm": "SHA256"}
            self._raw.upload_fileobj(io.BytesIO(data), self._bucket, key, ExtraArgs=checked, Config=parts)

        return await _timed(work)

    async def up_past_the_service(self) -> float:
        data = _fresh(_LARGE)
        began = time.perf_counter()
        put = BlobPut(Cid.of(data), _LARGE, sha256=hashlib.sha256(data).hexdigest())
        name = f"bench{next(_numbers)}"
        request = await self._presigner.put(name, put, SystemClock().now() + timedelta(minutes=5))
        await asyncio.to_thread(Transfer().put, request, io.BytesIO(data), resumable=False)
        await self._presigner.collect(name, put)
        return time.perf_counter() - began

    async def up_whole_bare(self) -> float:
        data = _fresh(_LARGE)
        return await _timed(lambda: self._put(data))

    async def down(self) -> float:
        began, hasher = time.perf_counter(), CidHasher()
        reader = await self._blobs.open(self._stored)
        assert reader is not None
        while hasher.size_bytes < _LARGE:
            hasher.update(await reader.read(hasher.size_bytes, _MIB // 2))
        assert hasher.cid() == self._stored
        await reader.close()
        return time.perf_counter() - began

    async def down_past_the_service(self) -> float:
        began = time.perf_counter()
        until = SystemClock().now() + timedelta(minutes=5)
        request = await self._presigner.get(BlobPut(self._stored, _LARGE), until)
        await asyncio.to_thread(Transfer().get, request, self._stored, _Nowhere())
        return time.perf_counter() - began

    async def down_bare(self) -> float:
        key = f"ours/cas/b3/{self._stored.hex[:2]}/{self._stored.hex[2:]}"

        def work() -> None:
            hashed = blake3()
            with self._raw.get_object(Bucket=self._bucket, Key=key)["Body"] as body:
                while piece := body.read(_MIB // 4):
                    hashed.update(piece)
            assert hashed.hexdigest() == self._stored.hex

        return await _timed(work)

    def _put(self, data: bytes) -> None:
        self._raw.put_object(
            Bucket=self._bucket,
            Key=f"bare/{blake3(data).hexdigest()}",
            Body=data,
            IfNoneMatch="*",
            ChecksumSHA256=base64.b64encode(hashlib.sha256(data).digest()).decode(),
        )


class _Nowhere(io.BytesIO):
    def write(self, data: Any, /) -> int:
        return len(data)


async def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    await asyncio.to_thread(work)
    return time.perf_counter() - began


def _fresh(size: int) -> bytes:
    """Bytes that nobody had before."""
    head = f"{next(_numbers)}-{os.getpid()}-{time.time_ns()}-".encode()
    return (head + bytes(range(256)) * (size // 256 + 1))[:size]
