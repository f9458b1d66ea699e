"""The Merkle tree over all events as the wire sees it: its signed states, its tiles, and what they prove."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

from services.ledger.ports import LedgerStore, Signer, StoredReceipt
from theory.core import merkle, tiles
from theory.core.checkpoint import Checkpoint, note_of
from theory.core.errors import Corrupt, Invalid, NotFound, OutOfRange, TheoryError, shown
from theory.core.merkle import Node
from theory.core.provenance import signed_bytes, statement_of
from theory.core.receipt import Receipt
from theory.core.tiles import TileKey

_T = TypeVar("_T")


class Log:
    """Everyone may ask it everything: what it says can be checked against a checkpoint, and that by its signature."""

    def __init__(self, store: LedgerStore, signer: Signer) -> None:
        self._store = store
        self._signer = signer
        self._newest: tuple[int, bytes] = (-1, b"")

    @property
    def key(self) -> str:
        """The public key of the log, on one line."""
        return self._signer.key.text

    async def checkpoint(self) -> bytes:
        """A signed note about every event that was answered before this call."""
        size = await self._store.log_size()
        if size != self._newest[0]:
            root = await self._made(lambda node: merkle.root(size, node))
            text = Checkpoint(self._signer.key.name, size, root).text
            self._newest = size, note_of(text, self._signer.key, self._signer.sign(text.encode()))
        return self._newest[1]

    async def tiles(self, keys: Sequence[TileKey]) -> list[bytes | TheoryError]:
        """Tiles as long as they are now, in order; `OutOfRange` (`LOG_INDEX_UNKNOWN`) for one without hashes."""
        found = await self._store.tiles(keys)
        return [found.get(key) or _unknown("the tree has no such tile yet") for key in keys]

    async def prove_inclusion(self, indexes: Sequence[int], size: int) -> list[list[bytes] | TheoryError]:
        """The proofs that these leaves belong to the tree of `size` leaves, in order.

        `OutOfRange` (`LOG_INDEX_UNKNOWN`) for a size that the tree never had; for a leaf that it has not, in its place.
        """
        await self._refuse_size(size)
        held = [each for each in indexes if 0 <= each < size]
        proofs = await self._made(lambda node: {each: merkle.inclusion_proof(each, size, node) for each in held})
        none = _unknown("a tree of that size has no such leaf")
        return [proofs.get(each, none) for each in indexes]

    async def prove_consistency(self, old: int, new: int) -> list[bytes]:
        """The proof that the tree of `new` leaves begins with that of `old`.

        `Invalid` (`FIELD_INVALID`) where it cannot; `OutOfRange` (`LOG_INDEX_UNKNOWN`) for a size that it never had.
        """
        if not 0 <= old <= new:
            raise Invalid("FIELD_INVALID", "the older tree is the smaller one", field="old_size")
        await self._refuse_size(new)
        return await self._made(lambda node: merkle.consistency_proof(old, new, node))

    async def sign_receipts(self, receipt_ids: Sequence[str]) -> list[bytes | TheoryError]:
        """The log's signatures of the statements that these settle receipts make, in order.

        `NotFound` (`RECEIPT_UNKNOWN`); `Corrupt` (`RECEIPT_CORRUPT`); `Invalid` (`FIELD_INVALID`) for a reservation,
        and for one whose statement would nest too deep.
        """
        found = await self._store.receipts(receipt_ids)
        return [self._signed(each, found.get(each)) for each in receipt_ids]

    def _signed(self, receipt_id: str, stored: StoredReceipt | None) -> bytes | TheoryError:
        if stored is None:
            return NotFound("RECEIPT_UNKNOWN", "the ledger has no such receipt", receipt_id=shown(receipt_id))
        try:
            receipt = Receipt.parse(stored.preimage, receipt_id=receipt_id)
        except Corrupt as error:
            return error
        if receipt.kind != "settle":
            return Invalid("FIELD_INVALID", "only receipts of settlements are signed", field="receipt_ids")
        try:
            statement = statement_of(receipt, self._signer.key.name)
        except Invalid as error:  # facts that nest as deep as a receipt may, and have no room in anything else
            return Invalid("FIELD_INVALID", f"it makes no statement: {error.message}", field="receipt_ids")
        return self._signer.sign(signed_bytes(statement))

    async def _refuse_size(self, size: int) -> None:
        stands = await self._store.log_size()
        if not 0 <= size <= stands:
            raise OutOfRange("LOG_INDEX_UNKNOWN", "the tree never had that size", size=str(stands))

    async def _made(self, make: Callable[[Node], _T]) -> _T:
        """What `make` builds of the hashes of the tree, which are read first."""
        found = await self._read(tiles.asked_of(make))
        try:
            return make(tiles.reading(found))
        except LookupError as error:
            raise Corrupt("STORE_CORRUPT", "hashes of the tree are missing: verify the ledger") from error

    async def _read(self, keys: Collection[TileKey]) -> Mapping[TileKey, bytes]:
        return await self._store.tiles(keys) if keys else {}


def _unknown(message: str) -> OutOfRange:
    return OutOfRange("LOG_INDEX_UNKNOWN", message)
