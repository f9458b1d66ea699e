"""Bytes by content: where they are kept, and the requests that reach them past gRPC."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from theory.core.cid import Cid
from theory.core.errors import TheoryError
from theory.core.presign import BlobPut, PresignedRequest


class BlobIndex(Protocol):
    """Tells what is stored, without waiting for anything: the rules ask inside the transaction that relies on it."""

    def sizes(self, cids: Collection[Cid]) -> Mapping[Cid, int]:
        """The lengths of those blobs that are stored and durable. Safe on any thread, a few microseconds per blob.

        Where the store is not on this machine, of those that were recalled a while ago.
        """
        ...


class StagedBlob(Protocol):
    """Bytes on their way in. Nobody sees them before `commit`; a crash leaves nothing that is ever read."""

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes. `Exhausted` (`DISK_FULL`), `Unavailable` (`STORE_UNREACHABLE`): then only `discard`."""
        ...

    async def commit(self, cid: Cid) -> None:
        """Give the bytes their name; durable on return where the adapter is.

        The caller guarantees that they hash to `cid`. A blob that is there already is as good. Errors as in `write`.
        """
        ...

    async def discard(self) -> None:
        """Forget the bytes. Harmless after `commit`, and a second time."""
        ...


class BlobReader(Protocol):
    """One stored blob, open. It stays readable until closed."""

    @property
    def size_bytes(self) -> int:
        """Its length."""
        ...

    @property
    def descriptor(self) -> int | None:
        """An open file that holds exactly the blob, for as long as this is open: the kernel can send it by itself.

        None where there is none.
        """
        ...

    async def read(self, offset: int, length: int) -> bytes:
        """Exactly those bytes, which the caller knows to exist; fewer only where the blob was damaged."""
        ...

    async def close(self) -> None:
        """Let it go. Harmless a second time."""
        ...


class StoredBlob(NamedTuple):
    """A blob as the store lists it."""

    cid: Cid
    size_bytes: int
    time: datetime
    """When it came there, by the clock of the store."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A blob that is there and was left out, because it did not fit."""

    size_bytes: int


class BlobAdapter(BlobIndex, Protocol):
    """Bytes by CID. An adapter keeps what it is given; that a name and its bytes agree is the business of the rules.

    A name appears at once with all of its bytes, or not at all. Methods may be called concurrently, also with the same
    CID. Errors: `Exhausted` (`DISK_FULL`), `Unavailable` (`STORE_UNREACHABLE`).
    """

    @property
    def kind(self) -> str:
        """One word for the capabilities, such as `filesystem`."""
        ...

    @property
    def durable(self) -> bool:
        """Whether what was acknowledged survives a crash of the machine."""
        ...

    async def ready(self) -> None:
        """Return where blobs can be stored and read just now, as far as one look tells; asked every few seconds.

        `NotReady` (`STORE_MISSING`, `STORE_DENIED`), and the errors above.
        """
        ...

    async def presigner(self, public_url: str | None) -> "Presigner | None":
        """What makes requests that lead straight to where the bytes are kept; None where nothing there signs.

        Clients reach that place at `public_url`, or as this service does. It was seen to refuse what is not as signed:
        `Unsupported` (`STORE_UNFIT`) where it does not. Other errors as in `ready`.
        """
        ...

    async def recall(self, cids: Collection[Cid]) -> None:
        """Make `sizes` answer for those of them that are stored, for a while: long enough for a transaction to ask.

        Needed where looking takes waiting; elsewhere `sizes` always answers. Errors as above.
        """
        ...

    async def missing(self, cids: Sequence[Cid]) -> set[Cid]:
        """Those of `cids` that are not stored, or not yet durable: whoever relies on one has to put it."""
        ...

    async def put_many(self, blobs: Sequence[tuple[Cid, bytes]]) -> list[TheoryError | None]:
        """Store blobs; one outcome each, in order. One that is there already is a success."""
        ...

    async def read_many(
        self, cids: Sequence[Cid], *, max_each: int, max_total: int
    ) -> list[bytes | Unread | TheoryError | None]:
        """Each blob's bytes, in order; None where there is none, the error of a blob that cannot be read.

        `Unread` for a blob over `max_each`, and for one that would take the whole answer beyond `max_total`.
        """
        ...

    async def stage(self) -> StagedBlob:
        """Begin a blob of unknown length."""
        ...

    async def open(self, cid: Cid) -> BlobReader | None:
        """A blob to read in pieces; None where there is none."""
        ...

    @property
    def exclusive(self) -> bool:
        """Whether no other process can have the store open."""
        ...

    async def scan(self, after: Cid | None, limit: int) -> list[StoredBlob]:
        """Up to `limit` blobs behind `after`, by CID; none only where none follow.

        Those that come or go meanwhile may or may not be told.
        """
        ...

    async def delete(self, cids: Collection[Cid]) -> None:
        """Remove blobs, and forget what is remembered of them. One that is not there is fine; a repeat too.

        The caller sees to it that nobody puts them meanwhile. Whether it returns or raises, nothing of it goes on
        behind the caller's back, unless the caller itself was cancelled. What is open stays readable, or ends in an
        error.
        """
        ...

    async def quarantine(self, cid: Cid) -> None:
        """Move a damaged blob to where nothing is served from, for a person to look at. Not there: nothing happens."""
        ...

    async def close(self) -> None:
        """Finish what runs and let everything go."""
        ...


class Presigner(Protocol):
    """Makes HTTP requests that reach the bytes past gRPC: this service's own data plane, or a store that signs."""

    @property
    def sha256_required(self) -> bool:
        """Whether an upload needs the SHA-256 of its bytes."""
        ...

    @property
    def resumable(self) -> bool:
        """Whether a broken upload can go on where it stands."""
        ...

    @property
    def max_upload_bytes(self) -> int | None:
        """The largest upload; None where it is as large as a blob may be."""
        ...

    async def get(self, blob: BlobPut, expire_time: datetime) -> PresignedRequest:
        """A request that reads a blob, and has it downloaded under its content type.

        It ends at `expire_time`, or earlier, with the credential that signs it; `put` alike.
        """
        ...

    async def put(self, upload_id: str, put: BlobPut, expire_time: datetime) -> PresignedRequest:
        """A request that stores exactly what was announced, and nothing in its place."""
        ...

    async def collect(self, upload_id: str, put: BlobPut) -> None:
        """Bring what has arrived elsewhere into the blobs, verified and durable; nothing to do where it is there.

        Whatever kills it on its way, a blob is there whole or not at all, and asking again ends it. `Invalid`
        (`CID_MISMATCH`, `SIZE_MISMATCH`): then nothing of it is kept. Other errors are those of the blobs.
        """
        ...
