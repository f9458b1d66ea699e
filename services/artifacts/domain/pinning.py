"""The rule by which blobs are pinned: only what is stored, seen in the transaction that keeps it."""

from collections.abc import Sequence

from services.artifacts.ports import BindingTransaction, BlobIndex, Pin
from theory.core.errors import NotFound, TheoryError


def pin(transaction: BindingTransaction, blobs: BlobIndex, pins: Sequence[Pin]) -> list[TheoryError | None]:
    """Keep each blob for its holder; one outcome each, in order. A repeat changes nothing.

    What is to be pinned was recalled before (`BlobAdapter.recall`). `NotFound` (`BLOB_UNKNOWN`).
    """
    sizes = blobs.sizes({each.cid for each in pins})
    stored = [each for each in pins if each.cid in sizes]
    if stored:
        transaction.pin(stored)
    return [None if each.cid in sizes else _unknown(each) for each in pins]


def _unknown(pin: Pin) -> NotFound:
    return NotFound("BLOB_UNKNOWN", "the store holds no blob with this CID", cid=pin.cid.text)
