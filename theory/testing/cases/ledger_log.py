"""What every ledger promises of its one Merkle tree, over the wire."""

import asyncio
from itertools import pairwise

from theory.api.ledger.v1 import log_pb2 as pb
from theory.api.ledger.v1.ledger_pb2_grpc import LedgerServiceStub
from theory.core import merkle
from theory.core.chain import Event, NewEvent
from theory.core.checkpoint import Checkpoint, LogKey
from theory.core.errors import Invalid, NotFound, OutOfRange
from theory.core.ledger import PlanEvent
from theory.core.tiles import leaf_of
from theory.sdk.export import export
from theory.sdk.fsck import check_ledger
from theory.sdk.ledger import LedgerClient
from theory.sdk.log import LogClient
from theory.sdk.log_key import opened
from theory.sdk.receipt_file import verified
from theory.sdk.rpc import answers, unwrapped
from theory.testing.case import Target, case
from theory.testing.cases.ledger_plan import LedgerPlan, output
from theory.testing.refusals import refusal
from theory.wire.channel import call
from theory.wire.identity import Role

_TS = "2026-01-02T03:04:05.000006Z"


@case()
async def a_checkpoint_covers_every_answered_event(target: Target) -> None:
    """Each event that was answered is a leaf of the next checkpoint, at the place that it says (I-56)."""
    plan_id = target.fresh("plan")
    await asyncio.gather(*(_append(target, plan_id, f"{writer}/", 9) for writer in range(8)))
    checkpoint, log = await _checkpoint(target), await _log(target)
    events = await _events(target, plan_id)
    leaves = await log.leaves(checkpoint, [_place(event) for event in events])
    assert [leaves[_place(event)] for event in events] == [leaf_of(event.this_hash) for event in events]


@case()
async def every_leaf_can_be_proven(target: Target) -> None:
    """The proof of each event verifies against the root that was signed, and not in another place (I-56)."""
    plan_id = target.fresh("plan")
    await _append(target, plan_id, "e", 40)
    checkpoint = await _checkpoint(target)
    events = await _events(target, plan_id)
    places = [_place(event) for event in events]
    for event, proof in zip(events, await _proofs(target, places, checkpoint.size), strict=True):
        merkle.verify_inclusion(leaf_of(event.this_hash), _place(event), checkpoint.size, checkpoint.root, proof)


@case()
async def a_later_checkpoint_contains_an_earlier_one(target: Target) -> None:
    """Signed states are one behind the other, as the consistency proof between any two of them shows (I-56)."""
    plan_id, seen = target.fresh("plan"), []
    for count in (1, 2, 30, 300):
        await _append(target, plan_id, f"{count}/", count)
        seen.append(await _checkpoint(target))
    for old, new in pairwise(seen):
        request = pb.ProveConsistencyRequest(old_size=old.size, new_size=new.size)
        proof = list((await call(LedgerServiceStub(target.channel()).ProveConsistency, request)).proof)
        merkle.verify_consistency(old.size, old.root, new.size, new.root, proof)


@case()
async def events_of_one_chain_are_leaves_in_their_order(target: Target) -> None:
    """What comes later in a chain comes later in the tree (I-56)."""
    plan_id, other = target.fresh("plan"), target.fresh("plan")
    await asyncio.gather(_append(target, plan_id, "a", 20), _append(target, other, "b", 20))
    for chain in (plan_id, other):
        places = [_place(event) for event in await _events(target, chain)]
        assert places == sorted(set(places))


@case()
async def what_the_tree_does_not_hold_is_refused(target: Target) -> None:
    """Leaves, tiles and sizes that never were have no proof (I-56, I-89)."""
    await _append(target, target.fresh("plan"), "e", 3)
    size, stub = (await _checkpoint(target)).size, LedgerServiceStub(target.channel())
    beyond = size + 1_000_000
    await refusal(
        call(stub.ProveInclusion, pb.ProveInclusionRequest(log_indexes=[0], size=beyond)),
        OutOfRange,
        "LOG_INDEX_UNKNOWN",
    )
    await refusal(
        call(stub.ProveConsistency, pb.ProveConsistencyRequest(old_size=1, new_size=beyond)),
        OutOfRange,
        "LOG_INDEX_UNKNOWN",
    )
    await refusal(
        call(stub.ProveConsistency, pb.ProveConsistencyRequest(old_size=2, new_size=1)), Invalid, "FIELD_INVALID"
    )
    await refusal(call(stub.ReadTiles, pb.ReadTilesRequest()), Invalid, "BATCH_SIZE")
    found = await call(stub.ProveInclusion, pb.ProveInclusionRequest(log_indexes=[size, -1, 0], size=size))
    assert [each.status.reason for each in found.results] == ["LOG_INDEX_UNKNOWN", "LOG_INDEX_UNKNOWN", ""]
    tiles = [pb.Tile(level=0, at=beyond), pb.Tile(level=-1, at=0), pb.Tile(level=99, at=0), pb.Tile(level=0, at=0)]
    read = await call(stub.ReadTiles, pb.ReadTilesRequest(tiles=tiles))
    assert [each.status.reason for each in read.results] == ["LOG_INDEX_UNKNOWN"] * 3 + [""]


@case()
async def the_whole_ledger_is_one_tree(target: Target) -> None:
    """Every leaf is an event of a chain, and every event of a chain is the leaf that it says it is (I-53, I-56)."""
    await _append(target, target.fresh("plan"), "e", 5)
    found = await check_ledger(LedgerClient(target.channel()), await _log(target))
    assert found.ok, found.faults
    assert found.events >= found.checkpoint.size > 0


@case()
async def a_settle_receipt_is_proven_without_the_ledger(target: Target) -> None:
    """A file made of what the ledger signs proves a settlement to whoever has the log's key (I-79, I-127)."""
    plan = LedgerPlan(target)
    await plan.ledger.open_budget(plan.plan_id, 100)
    claimed = await plan.claim(reserve=40)
    settled = await plan.ledger.settle(plan.end(claimed.epoch, cost=20, outputs=[output("a")], facts={"seed": "7"}))
    log = await _log(target)
    [file] = await export(plan.ledger, log, [settled.receipt])
    found = verified(file, log.key)
    assert found.receipt == settled.receipt
    assert found.event.body["receipt_id"] == settled.receipt.receipt_id
    reserved = claimed.reserve_receipt
    assert reserved is not None
    await refusal(log.sign([reserved.receipt_id]), Invalid, "FIELD_INVALID")
    await refusal(log.sign(["b3:" + "0" * 64]), NotFound, "RECEIPT_UNKNOWN")


async def _key(target: Target) -> LogKey:
    # A client is given the key by someone whom it trusts; here it is a stranger to everyone.
    return LogKey.parse(
        (await call(LedgerServiceStub(target.channel()).GetCheckpoint, pb.GetCheckpointRequest())).log_key
    )


async def _log(target: Target) -> LogClient:
    return LogClient(target.channel(), await _key(target))


async def _checkpoint(target: Target) -> Checkpoint:
    found = await call(LedgerServiceStub(target.channel()).GetCheckpoint, pb.GetCheckpointRequest())
    return opened(found.note, LogKey.parse(found.log_key))


async def _append(target: Target, plan_id: str, prefix: str, count: int) -> None:
    items = [
        PlanEvent(plan_id, NewEvent(f"{prefix}{each}", "scratch.kv.changed", _TS, {"key": str(each)}))
        for each in range(count)
    ]
    unwrapped(await LedgerClient(target.channel(Role.RESOURCES)).append_many(items))


async def _events(target: Target, plan_id: str) -> list[Event]:
    return [event async for page in LedgerClient(target.channel()).events(plan_id) for event in page.events]


async def _proofs(target: Target, places: list[int], size: int) -> list[list[bytes]]:
    request = pb.ProveInclusionRequest(log_indexes=places, size=size)
    response = await call(LedgerServiceStub(target.channel()).ProveInclusion, request)
    return unwrapped(answers(response.results, lambda result: list(result.proof)))


def _place(event: Event) -> int:
    assert event.log_index is not None
    return event.log_index
