"""The rules of what attempts may read, and of when they may still bring something: functions of one transaction."""

from collections.abc import Mapping, Sequence

from services.artifacts.domain import pinning
from services.artifacts.domain.bindings import world_dropped
from services.artifacts.domain.leases import available
from services.artifacts.ports import BindingReader, BindingTransaction, BlobIndex, Fence, Input, Pin, PinKind
from theory.core.binding import AttemptInputs
from theory.core.cid import Cid
from theory.core.errors import Conflict, NotFound, TheoryError
from theory.core.grant import AttemptGrant
from theory.core.ids import ExecutionId


def tell(transaction: BindingTransaction, blobs: BlobIndex, items: Sequence[AttemptInputs]) -> list[TheoryError | None]:
    """Open the inputs of each attempt to it and pin their blobs: all of an item, or nothing; one outcome each.

    They replace what attempts of lower epochs of the execution might read. A repeat changes nothing. What is to be
    pinned was recalled before. `NotFound` (`BLOB_UNKNOWN`, `WORLD_DROPPED`); `Conflict` (`EPOCH_FENCED`).
    """
    executions = [item.execution_id for item in items]
    told, fences = dict(transaction.told(executions)), transaction.fences(executions)
    sizes = available(transaction, blobs, {cid for item in items for _, cid in item.inputs})
    gone = transaction.dropped({item.world.text for item in items})
    outcomes: list[TheoryError | None] = []
    for item in items:
        fault = _fault(item, told.get(item.execution_id, 0), fences.get(item.execution_id), sizes)
        if fault is None and item.world.text in gone:
            fault = world_dropped(item.world)
        outcomes.append(fault)
        if fault is None and told.get(item.execution_id) != item.epoch:
            told[item.execution_id] = item.epoch
            _tell(transaction, blobs, item)
    return outcomes


def require_open(reader: BindingReader, grant: AttemptGrant) -> None:
    """`Conflict` (`EPOCH_FENCED`) where the attempt's epoch was committed, aborted or overtaken, as far as is known."""
    fence = reader.fences([grant.execution_id]).get(grant.execution_id)
    if _is_over(fence, grant.epoch):
        raise _fenced(grant.epoch, fence)


def keep(
    transaction: BindingTransaction, blobs: BlobIndex, grant: AttemptGrant, cids: Sequence[Cid]
) -> list[TheoryError | None]:
    """Pin what an attempt has uploaded, so that it may read and prepare it; one outcome each, in order.

    `Conflict` (`EPOCH_FENCED`) as `require_open`; `NotFound` (`BLOB_UNKNOWN`).
    """
    require_open(transaction, grant)
    holder, world = grant.execution_id.text, grant.world.text
    return pinning.pin(transaction, blobs, [Pin(holder, world, cid, PinKind.UPLOAD) for cid in cids])


def _fault(item: AttemptInputs, told: int, fence: Fence | None, sizes: Mapping[Cid, int]) -> TheoryError | None:
    if told == item.epoch:
        return None
    if told > item.epoch or _is_over(fence, item.epoch):
        return _fenced(item.epoch, fence, told)
    unknown = next((cid for _, cid in item.inputs if cid not in sizes), None)
    return None if unknown is None else blob_unknown(unknown)


def _tell(transaction: BindingTransaction, blobs: BlobIndex, item: AttemptInputs) -> None:
    execution_id: ExecutionId = item.execution_id
    world = item.world.text
    transaction.forget_inputs([execution_id])
    transaction.tell([Input(execution_id, item.epoch, world, path.text, cid) for path, cid in item.inputs])
    cids = dict.fromkeys(cid for _, cid in item.inputs)
    pinning.pin(transaction, blobs, [Pin(execution_id.text, world, cid, PinKind.INPUT) for cid in cids])


def _is_over(fence: Fence | None, epoch: int) -> bool:
    return fence is not None and (fence.epoch > epoch or (fence.epoch == epoch and not fence.open))


def _fenced(epoch: int, fence: Fence | None, told: int = 0) -> Conflict:
    current = max(told, fence.epoch if fence is not None else 0)
    message = "the attempt is over: its epoch was settled, given up or overtaken"
    return Conflict("EPOCH_FENCED", message, epoch=str(epoch), current_epoch=str(current))


def blob_unknown(cid: Cid) -> NotFound:
    """What is said of a blob that is not stored, and of one that the caller may not know of: the same."""
    return NotFound("BLOB_UNKNOWN", "the store holds no blob with this CID", cid=cid.text)
