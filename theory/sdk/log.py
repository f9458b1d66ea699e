"""A ledger's Merkle tree over the wire, believed only as far as signatures and hashes reach.

Whoever holds the key of a log needs to trust no server: a checkpoint is signed, everything else follows from its root.
What a log once signed it cannot take back: a `CheckpointMemory` keeps the newest checkpoint, and a later one has to
contain it.
"""

import os
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import grpc
from blake3 import blake3

from theory.api.ledger.v1 import log_pb2 as pb
from theory.api.ledger.v1.ledger_pb2_grpc import LedgerServiceStub
from theory.core import merkle, tiles
from theory.core.checkpoint import Checkpoint, LogKey
from theory.core.errors import Corrupt, OutOfRange, TheoryError
from theory.core.merkle import HASH_BYTES
from theory.core.tiles import WIDTH, TileKey
from theory.sdk import sendable
from theory.sdk.log_key import opened
from theory.sdk.rpc import answers, fitting, unwrapped
from theory.wire.channel import call

MAX_TILES = 256
MAX_PROOFS = 1_000
_FILE_CHARACTERS = 32


class CheckpointMemory(Protocol):
    """Where the newest checkpoint of each log is kept between calls, and between programs."""

    def load(self, key: LogKey) -> bytes | None:
        """The note that was kept last for this log; None where there is none."""
        ...

    def save(self, key: LogKey, note: bytes) -> None:
        """Keep a note instead of the one before."""
        ...


class InMemory:
    """Remembers for as long as it lives."""

    def __init__(self) -> None:
        self._notes: dict[str, bytes] = {}

    def load(self, key: LogKey) -> bytes | None:
        """The note that was kept last."""
        return self._notes.get(key.text)

    def save(self, key: LogKey, note: bytes) -> None:
        """Keep it instead."""
        self._notes[key.text] = note


class InFiles:
    """A directory with a file for each log. A program that is killed leaves the note before, or the new one."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def load(self, key: LogKey) -> bytes | None:
        """The note that was kept last."""
        try:
            return self._file(key).read_bytes()
        except FileNotFoundError:
            return None

    def save(self, key: LogKey, note: bytes) -> None:
        """Keep it instead."""
        self._directory.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=self._directory, prefix=".note-")
        with os.fdopen(handle, "wb") as file:
            file.write(note)
        Path(draft).replace(self._file(key))

    def _file(self, key: LogKey) -> Path:
        return self._directory / f"{blake3(key.text.encode()).hexdigest()[:_FILE_CHARACTERS]}.note"


class LogClient:
    """One log. Raises what the wire raises, and `Corrupt` for whatever the log cannot prove."""

    def __init__(self, channel: grpc.aio.Channel, key: LogKey, memory: CheckpointMemory | None = None) -> None:
        self._stub = LedgerServiceStub(channel)
        self.key = key
        """Whose signatures are believed."""
        self._memory = memory or InMemory()
        self._tree: tuple[int, bytes] | None = None
        self._verified: dict[TileKey, bytes] = {}
        """Tiles of that tree, the newest that was asked about."""

    async def checkpoint(self) -> tuple[Checkpoint, bytes]:
        """The newest signed state of the log, and the note that says so; it contains every one that was seen before.

        `Corrupt`: `CHECKPOINT_INVALID`, `SIGNATURE_INVALID`; `LOG_FORKED` where it does not contain what was signed
        before, or is older: then the log has changed its history, and both notes together prove it.
        """
        note = (await call(self._stub.GetCheckpoint, pb.GetCheckpointRequest())).note
        found = opened(note, self.key)
        before = self._memory.load(self.key)
        if note != before:
            if before is not None:
                await self._refuse_fork(opened(before, self.key), found)
            self._memory.save(self.key, note)
        return found, note

    async def leaves(self, checkpoint: Checkpoint, indexes: Collection[int]) -> Mapping[int, bytes]:
        """The leaves at these places, each as the hash that leads to the root; none where the tree has no such place.

        `Corrupt` (`PROOF_INVALID`) where the log cannot show them.
        """
        inside = [each for each in indexes if 0 <= each < checkpoint.size]
        found = await self._tiles(checkpoint, [TileKey(0, at) for at in {each // WIDTH for each in inside}])
        tile_by_at = {key.at: tile for key, tile in found.items() if key.level == 0}
        return {each: _hash_in(tile_by_at[each // WIDTH], each % WIDTH) for each in inside}

    async def prove(self, checkpoint: Checkpoint, leaf_by_index: Mapping[int, bytes]) -> dict[int, list[bytes]]:
        """The proofs that these leaves stand at these places, to give away with the checkpoint's note.

        `Corrupt` (`PROOF_INVALID`) where one does not.
        """
        found: dict[int, list[bytes]] = {}
        for batch in fitting(leaf_by_index, max_items=MAX_PROOFS):
            request = pb.ProveInclusionRequest(log_indexes=batch, size=checkpoint.size)
            with _proving():
                response = await call(self._stub.ProveInclusion, request)
                said: list[list[bytes] | TheoryError] = answers(response.results, lambda result: list(result.proof))
                found |= zip(batch, unwrapped(said), strict=True)
        for index, proof in found.items():
            merkle.verify_inclusion(leaf_by_index[index], index, checkpoint.size, checkpoint.root, proof)
        return found

    async def sign(self, receipt_ids: Sequence[str]) -> list[bytes]:
        """The log's signatures of the statements that settle receipts make, in order, not verified.

        `NotFound` (`RECEIPT_UNKNOWN`), `Invalid` (`FIELD_INVALID`) for a reservation, and for what is no text.
        """
        found: list[bytes] = []
        for batch in fitting(receipt_ids, max_items=MAX_PROOFS):
            request = sendable.message(pb.SignReceiptsRequest, receipt_ids=batch)
            response = await call(self._stub.SignReceipts, request)
            said: list[bytes | TheoryError] = answers(response.results, lambda result: result.signature)
            found += unwrapped(said)
        return found

    async def _refuse_fork(self, old: Checkpoint, new: Checkpoint) -> None:
        try:
            if new.size < old.size:
                raise _forked(old, new)
            request = pb.ProveConsistencyRequest(old_size=old.size, new_size=new.size)
            with _proving():
                proof = list((await call(self._stub.ProveConsistency, request)).proof)
            merkle.verify_consistency(old.size, old.root, new.size, new.root, proof)
        except Corrupt as error:
            raise _forked(old, new) from error

    async def _tiles(self, checkpoint: Checkpoint, keys: Collection[TileKey]) -> Mapping[TileKey, bytes]:
        """These tiles of the tree, and others, verified; what was verified before is neither read nor judged again."""
        tree = checkpoint.size, checkpoint.root
        if tree != self._tree:
            self._tree, self._verified = tree, {}
        known = self._verified  # of this tree, also where another call turns to another one meanwhile
        missing = [key for key in keys if key not in known]
        if missing or not known:
            read = await self._read([key for key in tiles.with_proof(checkpoint.size, missing) if key not in known])
            known |= tiles.verified(*tree, read, known)
        return known

    async def _read(self, keys: Iterable[TileKey]) -> dict[TileKey, bytes]:
        found: dict[TileKey, bytes] = {}
        for batch in fitting(keys, max_items=MAX_TILES):
            request = pb.ReadTilesRequest(tiles=[pb.Tile(level=each.level, at=each.at) for each in batch])
            with _proving():
                response = await call(self._stub.ReadTiles, request)
                said: list[bytes | TheoryError] = answers(response.results, lambda result: result.hashes)
                found |= zip(batch, unwrapped(said), strict=True)
        return found


@contextmanager
def _proving() -> Iterator[None]:
    """What a log does not have, although it signed it, it cannot prove; nor can one answer fewer than it was asked."""
    try:
        yield
    except (OutOfRange, ValueError) as error:
        raise Corrupt("PROOF_INVALID", "the log lacks a part of the tree that it signed") from error


def _hash_in(tile: bytes, at: int) -> bytes:
    return tile[at * HASH_BYTES : (at + 1) * HASH_BYTES]


def _forked(old: Checkpoint, new: Checkpoint) -> Corrupt:
    return Corrupt(
        "LOG_FORKED",
        f"the ledger signed {old.size} events before, and {new.size} now, and the one do not begin the other",
        log=new.origin,
        old_size=str(old.size),
        new_size=str(new.size),
    )
