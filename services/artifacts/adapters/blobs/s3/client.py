"""One bucket over HTTP: its objects by key, asked for on threads, again where asking again can help."""

import asyncio
import base64
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

import boto3.session
from botocore.config import Config
from botocore.exceptions import ClientError

from services.artifacts.adapters.blobs.s3.address import Address
from services.artifacts.adapters.blobs.s3.faults import missing, refused, translated, unfit
from services.artifacts.ports import Unread
from services.drivers.background import Pauses
from theory.core.clock import Clock
from theory.core.errors import Unavailable

if TYPE_CHECKING:  # types of boto3 are a package of development
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

_THREADS = 16
"""Of each kind; reads have their own, so that no large upload holds them up."""
_TRIES = 4
_LONGEST_PAUSE_S = 1.0
_CONNECT_S = 5
_READ_S = 15
"""Some servers hold a contended name for seconds before they answer."""
_BINARY = "application/octet-stream"


class Bucket:
    """Objects below one prefix. A name appears at once with all of its bytes.

    Errors: `Unavailable` (`STORE_UNREACHABLE`): whether it was done is unknown; `Exhausted` (`DISK_FULL`), `NotReady`
    (`STORE_DENIED`, `STORE_MISSING`), `Unsupported` (`STORE_UNFIT`). Everything here may be asked again, and is.
    """

    def __init__(self, raw: "S3Client", address: Address, clock: Clock) -> None:
        self.raw = raw
        self.address = address
        self.name = address.bucket
        self.prefix = address.prefix
        self._clock = clock
        self._reads = _Lane("blob-reads")
        self._writes = _Lane("blob-writes")

    def full(self, key: str) -> str:
        """A key as the store knows it."""
        return self.prefix + key

    async def ready(self) -> None:
        """Return where the bucket is there and lets us in."""
        await self.read(self._look)

    async def answers(self) -> None:
        """As `ready`, asked once: for those who ask again by themselves."""
        await self._reads.once(self._look)

    def _look(self) -> None:
        try:
            self.raw.head_bucket(Bucket=self.name)
        except ClientError as error:
            if refused(error, HTTPStatus.NOT_FOUND):
                raise missing() from error
            if refused(error, HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.BAD_REQUEST):
                raise unfit("it does not answer for this bucket; its region may be another") from error
            raise

    async def size_of(self, key: str) -> int | None:
        """The length of an object; None where there is none."""

        def look() -> int | None:
            try:
                return self.raw.head_object(Bucket=self.name, Key=self.full(key))["ContentLength"]
            except ClientError as error:
                if not refused(error, HTTPStatus.NOT_FOUND):
                    raise
                return None

        return await self.read(look)

    async def get(self, key: str, *, max_bytes: int) -> bytes | Unread | None:
        """An object's bytes, or only its length where it is longer; None where there is none."""

        def get() -> bytes | Unread | None:
            try:
                answer = self.raw.get_object(Bucket=self.name, Key=self.full(key))
            except ClientError as error:
                if not refused(error, HTTPStatus.NOT_FOUND):
                    raise
                return None
            with answer["Body"] as body:
                size = answer["ContentLength"]
                return body.read() if size <= max_bytes else Unread(size)

        return await self.read(get)

    async def get_range(self, key: str, offset: int, length: int) -> bytes:
        """Those bytes of an object; none where there is no such object, or it ends before them."""

        def get() -> bytes:
            try:
                answer = self.raw.get_object(
                    Bucket=self.name, Key=self.full(key), Range=f"bytes={offset}-{offset + length - 1}"
                )
            except ClientError as error:
                if refused(error, HTTPStatus.NOT_FOUND, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE):
                    return b""
                raise
            with answer["Body"] as body:
                return body.read()

        return await self.read(get)

    async def put_new(self, key: str, data: bytes) -> bool:
        """Make an object; False where the name is taken, perhaps by an earlier try whose answer was lost."""

        def put() -> bool:
            try:
                self.raw.put_object(
                    Bucket=self.name,
                    Key=self.full(key),
                    Body=data,
                    IfNoneMatch="*",
                    ChecksumSHA256=sha256_of(data),
                    ContentType=_BINARY,
                )
            except ClientError as error:
                if refused(error, HTTPStatus.PRECONDITION_FAILED):
                    return False
                raise
            return True

        return await self.write(put)

    async def empty(self, key: str) -> None:
        """Put an object without bytes under a name, whatever is there."""
        await self.write(
            lambda: self.raw.put_object(Bucket=self.name, Key=self.full(key), Body=b"", ContentType=_BINARY)
        )

    async def delete(self, key: str) -> None:
        """Remove an object. Harmless where there is none."""
        await self.write(lambda: self.raw.delete_object(Bucket=self.name, Key=self.full(key)))

    async def listed(self, below: str, after: str, limit: int) -> list[tuple[str, int, datetime]]:
        """Key, length and time of the first `limit` objects below a folder behind a key, in order."""

        def look() -> list[tuple[str, int, datetime]]:
            answer = self.raw.list_objects_v2(
                Bucket=self.name, Prefix=self.prefix + below, StartAfter=self.full(after), MaxKeys=min(limit, 1_000)
            )
            found = answer.get("Contents", [])
            return [(each["Key"].removeprefix(self.prefix), each["Size"], each["LastModified"]) for each in found]

        return await self.read(look)

    async def older(self, below: str, than: datetime) -> list[str]:
        """The keys below a folder whose objects were made before that time."""

        def look() -> list[str]:
            pages = self.raw.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=self.prefix + below)
            found = (each for page in pages for each in page.get("Contents", []))
            return [each["Key"].removeprefix(self.prefix) for each in found if each["LastModified"] < than]

        return await self.read(look)

    async def read(self, work: Callable[[], T]) -> T:
        """What `work` returned, on a thread; run again where the store did not answer."""
        return await self._run(self._reads, work)

    async def write(self, work: Callable[[], T]) -> T:
        """As `read`, on the threads of those that send."""
        return await self._run(self._writes, work)

    async def close(self) -> None:
        """Finish what runs and let go."""
        for lane in (self._reads, self._writes):
            await asyncio.to_thread(lane.threads.shutdown)
        self.raw.close()

    async def _run(self, lane: "_Lane", work: Callable[[], T]) -> T:
        pauses = Pauses(self._clock, longest_s=_LONGEST_PAUSE_S)
        async with lane.slots:
            for _ in range(_TRIES - 1):
                try:
                    return await lane.once(work)
                except Unavailable:
                    await pauses.make()
            return await lane.once(work)


class _Lane:
    """Threads, and two requests with all their tries for each: a store that is away is not asked by all at once.

    The second one waits beside its thread, which would otherwise wait for the event loop to find it work.
    """

    def __init__(self, name: str) -> None:
        self.threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=name)
        self.slots = asyncio.Semaphore(2 * _THREADS)

    async def once(self, work: Callable[[], T]) -> T:
        with translated():
            return await asyncio.get_running_loop().run_in_executor(self.threads, work)


def session_of(address: Address) -> boto3.session.Session:
    """What finds credentials where AWS's own tools do, and renews them."""
    return boto3.session.Session(region_name=address.region)


def client_of(address: Address, session: boto3.session.Session | None = None) -> "S3Client":
    """A client that asks once: after a lost answer, its own second try would find our first one in its way."""
    config = Config(
        signature_version="s3v4",  # with the older one conditions are not a part of what is signed
        s3={"addressing_style": "path"},
        retries={"mode": "standard", "total_max_attempts": 1},
        connect_timeout=_CONNECT_S,
        read_timeout=_READ_S,
        max_pool_connections=2 * _THREADS,
        request_checksum_calculation="when_required",  # ours are given with each request
        response_checksum_validation="when_required",  # what is read is verified against its CID
        user_agent_extra="theory",
    )
    return (session or session_of(address)).client("s3", endpoint_url=address.endpoint, config=config)


def sha256_of(data: bytes) -> str:
    """The checksum that the store compares with what arrives."""
    return base64.b64encode(hashlib.sha256(data).digest()).decode("ascii")
