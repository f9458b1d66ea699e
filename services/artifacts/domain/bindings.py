"""The rules by which paths are bound: once, to one content, never a file and a folder at once, prepared before settled.

Every rule is a function of one transaction and does no I/O of its own, so that a model test can drive all of their
interleavings. A batch is decided item by item, in order; an item that is refused changes nothing.

What is remembered of an execution (`Fence`) is never forgotten: a prepare that arrives after its epoch was aborted,
committed or overtaken is refused, however late. What a fence cannot know is an epoch that the *ledger* closed without
telling this service, because an executor died in between: such a reservation stays until the sweep asks the ledger.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from blake3 import blake3

from services.artifacts.domain.holdings import Holdings, folders_of
from services.artifacts.domain.leases import available
from services.artifacts.ports import BindingTransaction, BlobIndex, Fence, Hold, PathKey, PinKind
from theory.core.artifact import Artifact, Output
from theory.core.binding import Abortion, Commitment, Preparation
from theory.core.chain import NewEvent, system_chain
from theory.core.cid import Cid
from theory.core.clock import rfc3339
from theory.core.errors import AlreadyExists, Conflict, Invalid, NotFound, NotReady, TheoryError
from theory.core.ids import ExecutionId, PlanId
from theory.core.jcs import JSON
from theory.core.ledger import PlanEvent
from theory.core.world_path import WorldName, WorldPath

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

SYSTEM_CHAIN = system_chain("artifacts")
"""Where writes outside of plans are recorded."""


@dataclass(frozen=True, slots=True)
class Write:
    """A direct write: bind `path` to a blob that is stored."""

    world: WorldName
    path: WorldPath
    cid: Cid
    content_type: str
    plan_id: PlanId | None
    """Whose chain records it."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a direct write came to."""

    artifact: Artifact
    created: bool
    """False where the path was bound to these bytes before."""


def bind(
    transaction: BindingTransaction, blobs: BlobIndex, writes: Sequence[Write], *, now: datetime
) -> list[Written | TheoryError]:
    """Bind each path on its own, and record `artifact.written` for each new binding in the same transaction.

    `NotFound` (`BLOB_UNKNOWN`, `WORLD_DROPPED`); `AlreadyExists` (`PATH_BOUND`, `PATH_SHADOWED`); `Conflict`
    (`PATH_RESERVED`).
    """
    holdings = Holdings.of_claims(transaction, (("", _key(each.world, each.path)) for each in writes))
    sizes = available(transaction, blobs, {each.cid for each in writes})
    gone = transaction.dropped({each.world.text for each in writes})
    results = _each(writes, lambda write: _bind(_known(holdings, gone, write.world), sizes, write, now))
    holdings.write(transaction)
    pairs = zip(writes, results, strict=True)
    transaction.record(
        _event_of(write, result.artifact, now)
        for write, result in pairs
        if isinstance(result, Written) and result.created
    )
    return results


def prepare(
    transaction: BindingTransaction, blobs: BlobIndex, items: Sequence[Preparation], *, now: datetime
) -> list[TheoryError | None]:
    """Reserve all outputs of an item, or none: exclusively, until they are committed or aborted; no clock ends it.

    Blobs are looked for and pinned in this one transaction. An item replaces the execution's reservations of lower
    epochs. A path that is bound to the same bytes already needs no reservation. A repeat changes nothing; the same
    epoch with *other* outputs is refused, because the ledger may have settled the first ones.

    `NotFound` (`BLOB_UNKNOWN`, `WORLD_DROPPED`); `Invalid` (`SIZE_MISMATCH`, `FIELD_INVALID`); `AlreadyExists`
    (`PATH_BOUND`, `PATH_SHADOWED`); `Conflict` (`PATH_RESERVED`, `EPOCH_FENCED`).
    """
    holdings = Holdings.of_claims(
        transaction,
        ((item.execution_id.text, _key(item.world, output.path)) for item in items for output in item.outputs),
        [item.execution_id for item in items],
    )
    sizes = available(transaction, blobs, {output.cid for item in items for output in item.outputs})
    gone = transaction.dropped({item.world.text for item in items})
    results = _each(items, lambda item: _prepare(_known(holdings, gone, item.world), sizes, item, now))
    holdings.write(transaction)
    return results


def commit(transaction: BindingTransaction, items: Sequence[Commitment], *, now: datetime) -> list[TheoryError | None]:
    """Bind exactly the outputs of each item, drop every other reservation of its execution. A repeat changes nothing.

    What the execution's attempts uploaded is kept no longer for its own sake. In a world that was dropped nothing is
    left to bind, and that is a success: whoever settled need not care.

    `NotReady` (`BINDING_UNPREPARED`): neither prepared at this epoch nor bound; `AlreadyExists` (`PATH_BOUND`).
    """
    holdings = Holdings.of_paths(
        transaction,
        [_key(item.world, output.path) for item in items for output in item.outputs],
        [item.execution_id for item in items],
    )
    gone = transaction.dropped({item.world.text for item in items})
    results = _each(items, lambda item: _commit(holdings, item, now, gone=item.world.text in gone))
    holdings.write(transaction)
    _end_attempts(transaction, [item.execution_id for item, result in zip(items, results, strict=True) if not result])
    return results


def abort(transaction: BindingTransaction, items: Sequence[Abortion], *, now: datetime) -> None:
    """Drop the reservations up to and including an epoch, which can prepare nothing from now on. Idempotent.

    What the execution's attempts uploaded is kept no longer for its own sake.
    """
    holdings = Holdings.of_paths(transaction, (), [item.execution_id for item in items])
    closed: list[ExecutionId] = []
    for item in items:
        fence = holdings.fence_of(item.execution_id)
        if fence is not None and fence.epoch > item.epoch:
            continue
        _close(holdings, item.execution_id, item.epoch, now)
        closed.append(item.execution_id)
    holdings.write(transaction)
    _end_attempts(transaction, closed)


def _bind(holdings: Holdings, sizes: Mapping[Cid, int], write: Write, now: datetime) -> Written:
    key = _key(write.world, write.path)
    held = holdings.at(key)
    if held is not None and _is_bound_to(held, write.cid):
        return Written(artifact_of(held), created=False)
    _refuse_taken(holdings, key, "")
    hold = Hold(key, write.cid, _size(sizes, write.cid), write.content_type, now, owner=None)
    holdings.bind(hold)
    return Written(artifact_of(hold), created=True)


def _prepare(holdings: Holdings, sizes: Mapping[Cid, int], item: Preparation, now: datetime) -> None:
    owner = item.execution_id.text
    fence = holdings.fence_of(item.execution_id)
    if fence is not None and fence.epoch >= item.epoch:
        _refuse_unless_repeat(holdings, item, fence)
        return
    _refuse_contradiction(item)
    fresh: list[Hold] = []
    for output in item.outputs:
        key = _key(item.world, output.path)
        held = holdings.at(key)
        if held is not None and _is_bound_to(held, output.cid):
            continue
        _refuse_taken(holdings, key, owner)
        _refuse_other_size(sizes, output)
        fresh.append(Hold(key, output.cid, output.size_bytes, output.content_type, now, owner))
    if fence is not None and fence.open:
        holdings.release(item.execution_id)
    for hold in fresh:
        holdings.reserve(hold)
    holdings.remember(Fence(item.execution_id, item.plan_id, item.world, item.epoch, open=bool(fresh), time=now))


def _commit(holdings: Holdings, item: Commitment, now: datetime, *, gone: bool) -> None:
    fence = holdings.fence_of(item.execution_id)
    ours: list[Hold] = []
    for output in () if gone else item.outputs:
        key = _key(item.world, output.path)
        held = holdings.at(key)
        if held is not None and held.owner is None:
            if held.cid != output.cid:
                raise _bound(held)
        elif fence is not None and fence.epoch == item.epoch and held is not None and _is_held(held, item, output):
            ours.append(Hold(key, output.cid, output.size_bytes, output.content_type, now, owner=None))
        else:
            raise NotReady(
                "BINDING_UNPREPARED",
                "the output was not prepared at this epoch and is not bound",
                path=key.path,
                execution_id=item.execution_id.text,
            )
    for hold in ours:
        holdings.bind(hold)
    if fence is None or fence.open or fence.epoch < item.epoch:
        _close(holdings, item.execution_id, max(item.epoch, fence.epoch if fence else 0), now)


def _close(holdings: Holdings, execution_id: ExecutionId, epoch: int, now: datetime) -> None:
    fence = holdings.fence_of(execution_id)
    if fence is not None and fence.open:
        holdings.release(execution_id)
    elif fence is not None and fence.epoch == epoch:
        return
    plan_id, world = (fence.plan_id, fence.world) if fence else (None, None)
    holdings.remember(Fence(execution_id, plan_id, world, epoch, open=False, time=now))


def _end_attempts(transaction: BindingTransaction, executions: Sequence[ExecutionId]) -> None:
    if executions:
        transaction.unpin([each.text for each in executions], PinKind.UPLOAD)
        transaction.forget_inputs(executions)


def _known(holdings: Holdings, gone: Collection[str], world: WorldName) -> Holdings:
    """The same, where the world was not dropped."""
    if world.text in gone:
        raise world_dropped(world)
    return holdings


def _refuse_unless_repeat(holdings: Holdings, item: Preparation, fence: Fence) -> None:
    """Nothing is to be done only if all of it was done before at this epoch, or is bound by now."""
    if fence.epoch == item.epoch and all(
        (held := holdings.at(_key(item.world, output.path))) is not None
        and (_is_held(held, item, output) or _is_bound_to(held, output.cid))
        for output in item.outputs
    ):
        return
    raise Conflict(
        "EPOCH_FENCED",
        "a higher epoch of the execution was seen, or this one is closed or has prepared other outputs",
        epoch=str(item.epoch),
        current_epoch=str(fence.epoch),
    )


def _refuse_contradiction(item: Preparation) -> None:
    """Outputs of one item may not be in each other's way."""
    paths = {output.path.text for output in item.outputs}
    if len(paths) < len(item.outputs):
        raise Invalid("FIELD_INVALID", "the outputs name a path twice", field="outputs")
    for output in item.outputs:
        for folder in folders_of(_key(item.world, output.path)):
            if folder.path in paths:
                raise _shadowed(output.path.text, folder.path)


def _refuse_taken(holdings: Holdings, key: PathKey, owner: str) -> None:
    """Refuse a path that anyone else holds, or that is above or below such a path."""
    held = holdings.at(key)
    if held is not None and held.owner != owner:
        raise _bound(held) if held.owner is None else _reserved(key, held)
    shadow = holdings.shadow(key, owner)
    if shadow is not None:
        # A reservation may still be dropped: only what is bound is in the way for ever.
        raise _shadowed(key.path, shadow.key.path) if shadow.owner is None else _reserved(key, shadow)


def _refuse_other_size(sizes: Mapping[Cid, int], output: Output) -> None:
    size = _size(sizes, output.cid)
    if size != output.size_bytes:
        raise Invalid(
            "SIZE_MISMATCH",
            "an output is not as long as its blob",
            expected=str(output.size_bytes),
            actual=str(size),
            path=output.path.text,
        )


def _size(sizes: Mapping[Cid, int], cid: Cid) -> int:
    size = sizes.get(cid)
    if size is None:
        raise NotFound("BLOB_UNKNOWN", "the store holds no blob with this CID", cid=cid.text)
    return size


def _is_bound_to(held: Hold, cid: Cid) -> bool:
    return held.owner is None and held.cid == cid


def _is_held(held: Hold, item: Preparation | Commitment, output: Output) -> bool:
    return held.owner == item.execution_id.text and held.cid == output.cid


def _bound(held: Hold) -> AlreadyExists:
    return AlreadyExists("PATH_BOUND", "the path is bound to other bytes", path=held.key.path, cid=held.cid.text)


def _shadowed(path: str, other: str) -> AlreadyExists:
    return AlreadyExists("PATH_SHADOWED", "a path is never both a file and a folder", path=path, other=other)


def _reserved(key: PathKey, held: Hold) -> Conflict:
    message = "an execution that is still live has reserved the path, or one above or below it"
    return Conflict("PATH_RESERVED", message, path=key.path, execution_id=held.owner or "", other=held.key.path)


def _key(world: WorldName, path: WorldPath) -> PathKey:
    return PathKey(world.text, path.text)


def world_dropped(world: WorldName) -> NotFound:
    """What whoever reads or writes a world is told that is gone."""
    return NotFound("WORLD_DROPPED", "the world was dropped: nothing of it is there, nor will be", world=world.text)


def artifact_of(hold: Hold) -> Artifact:
    """A bound path as everyone sees it."""
    world, path = WorldName(hold.key.world), WorldPath(hold.key.path)
    return Artifact(world, path, hold.cid, hold.size_bytes, hold.content_type, hold.time)


def _event_of(write: Write, artifact: Artifact, now: datetime) -> PlanEvent:
    # A path is bound once, so world and path name the event: sent twice, it is recorded once.
    name = blake3(f"{artifact.world}\0{artifact.path}".encode()).hexdigest()
    body: dict[str, JSON] = {
        "world": artifact.world.text,
        "path": artifact.path.text,
        "cid": artifact.cid.text,
        "size": artifact.size_bytes,
    }
    event = NewEvent(f"artifact.written:{name}", "artifact.written", rfc3339(now), body)
    return PlanEvent(SYSTEM_CHAIN if write.plan_id is None else write.plan_id.text, event)


def _each(items: Iterable[_Item], step: Callable[[_Item], _Result]) -> list[_Result | TheoryError]:
    results: list[_Result | TheoryError] = []
    for item in items:
        try:
            results.append(step(item))
        except TheoryError as error:
            results.append(error)
    return results
