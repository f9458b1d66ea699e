"""The statements of the ledger: how they are kept, and how they are read again."""

from collections.abc import Sequence

from services.ledger.domain.books import Books
from services.ledger.domain.chain import MAX_PAGE_BYTES
from services.ledger.ports import LedgerStore, StoredReceipt
from theory.core.errors import Invalid, NotFound, TheoryError, shown
from theory.core.ids import PlanId
from theory.core.receipt import Receipt

MAX_RECEIPT_BYTES = 4 * 1024 * 1024
"""How long a statement may be: with room to spare in the largest message."""


class Receipts:
    """The receipts as the wire sees them: exactly as stored, damage included, for the reader to verify."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    async def get(self, receipt_ids: Sequence[str]) -> list[StoredReceipt | TheoryError]:
        """Each receipt, or `NotFound` (`RECEIPT_UNKNOWN`), in order."""
        found = await self._store.receipts(receipt_ids)
        return [found.get(each) or _unknown(each) for each in receipt_ids]

    async def list_of_plan(
        self, plan_id: PlanId, *, after_position: int, limit: int
    ) -> tuple[Sequence[StoredReceipt], bool]:
        """A page of a plan's receipts behind a position, and whether more follow."""
        return await self._store.list_receipts(
            plan_id.text, after_position=after_position, limit=limit, max_bytes=MAX_PAGE_BYTES
        )


def keep(books: Books, receipt: Receipt, position: int) -> StoredReceipt:
    """Add a receipt that the event at `position` carries.

    `Invalid` (`SETTLEMENT_INVALID`) for one that no message could hold.
    """
    if len(receipt.preimage) > MAX_RECEIPT_BYTES:
        sentence = f"outputs and facts make a receipt of more than {MAX_RECEIPT_BYTES} bytes"
        raise Invalid("SETTLEMENT_INVALID", sentence, field="facts")
    stored = StoredReceipt(
        receipt.receipt_id,
        receipt.plan_id,
        position,
        receipt.kind,
        receipt.execution_id,
        receipt.epoch,
        receipt.preimage,
    )
    books.put_receipt(stored)
    return stored


def _unknown(receipt_id: str) -> NotFound:
    return NotFound("RECEIPT_UNKNOWN", "the ledger has no such receipt", receipt_id=shown(receipt_id))
