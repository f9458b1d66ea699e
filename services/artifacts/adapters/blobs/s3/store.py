"""Bytes in a bucket: durable once acknowledged, shared by all services that name it."""

import asyncio
import re
from collections.abc import Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from services.artifacts.adapters.blobs.s3.address import Address
from services.artifacts.adapters.blobs.s3.client import Bucket
from services.artifacts.adapters.blobs.s3.flights import Flights, Outcome
from services.artifacts.adapters.blobs.s3.known import LASTING_S, KnownSizes
from services.artifacts.adapters.blobs.s3.listing import listed
from services.artifacts.adapters.blobs.s3.multipart import Multipart
from services.artifacts.adapters.blobs.s3.presigner import S3Presigner
from services.artifacts.adapters.blobs.s3.promotion import promote
from services.artifacts.adapters.blobs.s3.reader import Reader
from services.artifacts.adapters.blobs.s3.signed_probe import probe_signed
from services.artifacts.adapters.blobs.s3.signing import Signing, open_signing
from services.artifacts.adapters.blobs.s3.staging import STAGING, Staged
from services.artifacts.adapters.blobs.s3.sweep import Sweep
from services.artifacts.ports import BlobReader, Presigner, StagedBlob, StoredBlob, Unread
from services.drivers.background import Background
from theory.core.cid import Cid
from theory.core.clock import Clock
from theory.core.errors import Corrupt, TheoryError, Unavailable
from theory.core.ids import IdSource

T = TypeVar("T")

BLOBS = "cas/b3/"
"""The folder of what has a CID."""
QUARANTINE = "quarantine/"
"""The folder of damaged blobs, called by their digits."""
_DIGITS = re.compile(r"([0-9a-f]{2})/([0-9a-f]{62})").fullmatch
_WINDOW = 16
"""How many blobs of one answer are read at a time."""
_ASK_FIRST_BYTES = 64 * 1024
"""From here on it costs less to ask whether a blob is there than to send it for nothing."""
_TRIES = 4


class S3Blobs:
    """Objects named by their CIDs. No object is ever written again; `delete` and `quarantine` alone take a name away.

    Other replicas may believe in a blob for `TRUST_S` after it went. Nobody relies on that: the rules ask the table of
    marks before they ask the store, and a blob has been marked for longer than that before it goes.
    """

    kind = "s3"
    durable = True
    exclusive = False

    def __init__(self, bucket: Bucket, *, clock: Clock, ids: IdSource) -> None:
        self._bucket = bucket
        self._multipart = Multipart(bucket)
        self._clock = clock
        self._ids = ids
        self._signings: list[Signing] = []
        self._known = KnownSizes(clock)
        self._flights = Flights()
        self._sweep = Background("blob-sweep", Sweep(bucket, self._multipart, clock).run)

    async def ready(self) -> None:
        await self._bucket.answers()

    async def presigner(self, public_url: str | None) -> Presigner | None:
        address = self._bucket.address
        here = await self._signing(address)
        await probe_signed(self._bucket, here, self._clock, self._ids)
        there = here if public_url is None else await self._signing(replace(address, endpoint=public_url))
        return S3Presigner(self._bucket, there, self._flights, key_of=_key_of, put=self._put, promote=self._promote)

    async def _signing(self, address: Address) -> Signing:
        signing = await asyncio.to_thread(open_signing, self._bucket, address, self._clock)
        self._signings.append(signing)
        return signing

    def start(self) -> None:
        """Begin to remove what uploads left that never ended."""
        self._sweep.start()

    def sizes(self, cids: Collection[Cid]) -> Mapping[Cid, int]:
        return self._known.sizes(cids)

    async def recall(self, cids: Collection[Cid]) -> None:
        lasting = self._known.sizes(cids, for_s=LASTING_S)
        asked = {_key_of(cid): cid for cid in cids if cid not in lasting}
        # Whoever relies on blobs has mostly stored them: many of them are found faster than asked for.
        found = {asked[key]: size for key, size in (await listed(self._bucket, BLOBS, asked)).items()}
        # Noted together at the end: what was asked first shall not be forgotten before what was asked last.
        self._known.note({**found, **await self._asked(cid for cid in asked.values() if cid not in found)})

    async def missing(self, cids: Sequence[Cid]) -> set[Cid]:
        known = self._known.sizes(cids)
        asked = await self._asked({cid for cid in cids if cid not in known})
        self._known.note(asked)
        return {cid for cid in cids if cid not in known and cid not in asked}

    async def put_many(self, blobs: Sequence[tuple[Cid, bytes]]) -> list[TheoryError | None]:
        return await _all(self._put(cid, data) for cid, data in blobs)

    async def read_many(
        self, cids: Sequence[Cid], *, max_each: int, max_total: int
    ) -> list[bytes | Unread | TheoryError | None]:
        answers: list[bytes | Unread | TheoryError | None] = []
        room = max_total
        for start in range(0, len(cids), _WINDOW):
            for found in await _all(self._read(cid, min(max_each, room)) for cid in cids[start : start + _WINDOW]):
                if isinstance(found, bytes) and len(found) > room:  # those before it, read meanwhile, took it
                    answers.append(Unread(len(found)))
                    continue
                room -= len(found) if isinstance(found, bytes) else 0
                answers.append(found)
        return answers

    async def stage(self) -> StagedBlob:
        key = f"{STAGING}{self._ids.token_hex(16)}"
        return Staged(self._multipart, key, self._flights, put=self._put, promote=self._promote)

    async def open(self, cid: Cid) -> BlobReader | None:
        size = await self._bucket.size_of(_key_of(cid))
        return None if size is None else Reader(self._bucket, _key_of(cid), size)

    async def scan(self, after: Cid | None, limit: int) -> list[StoredBlob]:
        behind = _key_of(after) if after else BLOBS
        while listed := await self._bucket.listed(BLOBS, behind, limit):
            named = [(_cid_of(key), size, time) for key, size, time in listed]
            if found := [StoredBlob(cid, size, time) for cid, size, time in named if cid is not None]:
                return found
            behind = listed[-1][0]  # strangers lie there
        return []

    async def delete(self, cids: Collection[Cid]) -> None:
        self._known.forget(cids)
        # Each of them to its end, also where another one fails: the caller may let the names be put again then.
        ended = await asyncio.gather(
            *(self._bucket.delete(_key_of(cid)) for cid in cids),
            return_exceptions=True,
        )
        for error in ended:
            if error is not None:
                raise error

    async def quarantine(self, cid: Cid) -> None:
        key, aside = _key_of(cid), f"{QUARANTINE}{cid.hex}"
        size = await self._bucket.size_of(key)
        if size:
            await promote(self._bucket, self._multipart, key, size, aside)
        elif size == 0:
            await self._bucket.put_new(aside, b"")
        await self._bucket.delete(key)
        self._known.forget([cid])

    async def close(self) -> None:
        await self._sweep.close()
        await self._flights.close()
        for each in self._signings:
            each.close()
        await self._bucket.close()

    async def _put(self, cid: Cid, data: bytes) -> Outcome:
        return await self._flights.join(cid, lambda: self._stored(cid, data))

    async def _stored(self, cid: Cid, data: bytes) -> Outcome:
        """Make a blob, or see that it is there."""
        key = _key_of(cid)
        ask = len(data) >= _ASK_FIRST_BYTES or bool(self._known.sizes([cid]))
        try:
            for _ in range(_TRIES):
                there = await self._bucket.size_of(key) if ask else None
                if there is not None:
                    return self._confirmed(cid, len(data), there)
                if await self._bucket.put_new(key, data):
                    return self._confirmed(cid, len(data), len(data))
                ask = True
        except TheoryError as error:
            return error
        return Unavailable("STORE_UNREACHABLE", "the store refuses a name as taken, and does not find it")

    async def _promote(self, source: str, size_bytes: int, cid: Cid) -> Outcome:
        try:
            there = await promote(self._bucket, self._multipart, source, size_bytes, _key_of(cid))
        except TheoryError as error:
            return error
        return self._confirmed(cid, size_bytes, there)

    def _confirmed(self, cid: Cid, size_bytes: int, there: int) -> Outcome:
        if there != size_bytes:
            return Corrupt("BLOB_CORRUPT", "the stored bytes no longer hash to their CID", cid=cid.text)
        self._known.note({cid: there})
        return None

    async def _asked(self, cids: Iterable[Cid]) -> Mapping[Cid, int]:
        wanted = list(cids)
        found = await _all(self._bucket.size_of(_key_of(cid)) for cid in wanted)
        return {cid: size for cid, size in zip(wanted, found, strict=True) if size is not None}

    async def _read(self, cid: Cid, max_bytes: int) -> bytes | Unread | TheoryError | None:
        try:
            return await self._bucket.get(_key_of(cid), max_bytes=max_bytes)
        except TheoryError as error:
            return error


def _key_of(cid: Cid) -> str:
    digits = cid.hex
    return f"{BLOBS}{digits[:2]}/{digits[2:]}"


def _cid_of(key: str) -> Cid | None:
    found = _DIGITS(key.removeprefix(BLOBS))
    return None if found is None else Cid.parse(f"b3:{found[1]}{found[2]}")


async def _all(work: Iterable[Coroutine[object, object, T]]) -> list[T]:
    """What each came to, in order; the first that fails stops those that wait."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
