"""Receipts of a plan as files that leave the installation: gathered, proven, and verified before anybody gets one."""

from collections.abc import Sequence

from theory.core.chain import Event
from theory.core.errors import Corrupt
from theory.core.receipt import Receipt
from theory.core.tiles import leaf_of
from theory.sdk.ledger import LedgerClient
from theory.sdk.log import LogClient
from theory.sdk.receipt_file import CARRIERS, ReceiptParts, verified, written


async def export(ledger: LedgerClient, log: LogClient, receipts: Sequence[Receipt]) -> list[bytes]:
    """The file of each of these settle receipts of one plan, in order; whoever has the log's key can verify it.

    `Corrupt` where the ledger cannot prove one, or signed something else.
    """
    if not receipts:
        return []
    carriers = await _carriers(ledger, receipts)
    checkpoint, note = await log.checkpoint()
    leaves = {_place(each): leaf_of(each.this_hash) for each in carriers}
    proofs = await log.prove(checkpoint, leaves)
    signatures = await log.sign([each.receipt_id for each in receipts])
    files: list[bytes] = []
    for receipt, event, signature in zip(receipts, carriers, signatures, strict=True):
        place = _place(event)
        parts = ReceiptParts(receipt.preimage, event.preimage, place, tuple(proofs[place]), note, signature)
        files.append(written(parts, log.key))
        verified(files[-1], log.key)
    return files


async def _carriers(ledger: LedgerClient, receipts: Sequence[Receipt]) -> list[Event]:
    """The first event of the plan that carries each receipt."""
    found: dict[object, Event] = {}
    async for page in ledger.events(receipts[0].plan_id, kinds=sorted(CARRIERS)):
        for event in page.events:
            found.setdefault(event.body.get("receipt_id"), event)
    if missing := [each.receipt_id for each in receipts if each.receipt_id not in found]:
        raise Corrupt("RECEIPT_CORRUPT", "no event of the plan carries the receipt", receipt_id=missing[0])
    return [found[each.receipt_id] for each in receipts]


def _place(event: Event) -> int:
    if event.log_index is None:
        raise Corrupt("PROOF_INVALID", "the ledger does not say which leaf an event is")
    return event.log_index
