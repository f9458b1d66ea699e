"""The rule by which blobs are pinned: only what is stored, seen in the transaction that keeps it."""

from collections.abc import Collection, Sequence

from services.artifacts.domain.bindings import world_dropped
from services.artifacts.domain.leases import available
from services.artifacts.ports import BindingTransaction, BlobIndex, Pin
from theory.core.cid import Cid
from theory.core.errors import NotFound, TheoryError
from theory.core.world_path import WorldName


def pin(transaction: BindingTransaction, blobs: BlobIndex, pins: Sequence[Pin]) -> list[TheoryError | None]:
    """Keep each blob for its holder; one outcome each, in order. A repeat changes nothing.

    What is to be pinned was recalled before (`Leases.recall`). `NotFound` (`BLOB_UNKNOWN`, `WORLD_DROPPED`).
    """
    sizes = available(transaction, blobs, {each.cid for each in pins})
    gone = transaction.dropped({each.world for each in pins})
    errors: list[TheoryError | None] = [_refusal(each, sizes, gone) for each in pins]
    if kept := [each for each, error in zip(pins, errors, strict=True) if error is None]:
        transaction.pin(kept)
    return errors


def _refusal(pin: Pin, sizes: Collection[Cid], gone: Collection[str]) -> NotFound | None:
    if pin.world in gone:
        return world_dropped(WorldName(pin.world))
    if pin.cid not in sizes:
        return NotFound("BLOB_UNKNOWN", "the store holds no blob with this CID", cid=pin.cid.text)
    return None
