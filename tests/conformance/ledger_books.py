"""A small ledger in a file, for those who damage it; and the audit of it without a server in between."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from services.ledger.assembly import assemble
from services.ledger.codec import event_to_proto, receipt_to_proto
from services.ledger.config import LedgerConfig
from services.ledger.ports import EventFilter, StoredEvent, StoredReceipt
from theory.core import merkle, tiles
from theory.core.audit import Audit, Fault
from theory.core.errors import Corrupt
from theory.core.ids import PlanId
from theory.core.ledger import Budget, ChainHead
from theory.core.merkle import HASH_BYTES
from theory.core.tiles import TileKey
from theory.sdk.ledger_messages import event_from_proto, kept_from_proto
from theory.testing.case import Target
from theory.testing.cases.ledger_plan import LedgerPlan, output
from theory.wire.server import running

_EVERYTHING = 1_000_000


class Readable(Protocol):
    """What an audit reads of a ledger's store."""

    async def list_events(
        self, plan_id: str, *, after_seq: int, chosen: EventFilter, limit: int, max_bytes: int
    ) -> tuple[Sequence[StoredEvent], ChainHead, bool]:
        """A chain."""
        ...

    async def list_receipts(
        self, plan_id: str, *, after_position: int, limit: int, max_bytes: int
    ) -> tuple[Sequence[StoredReceipt], bool]:
        """The receipts of a plan."""
        ...

    async def budget(self, plan_id: str) -> Budget | None:
        """Its account."""
        ...

    async def log_size(self) -> int:
        """How many leaves the tree has."""
        ...

    async def tiles(self, keys: Collection[TileKey]) -> Mapping[TileKey, bytes]:
        """The tree."""
        ...


async def small_ledger(home: Path) -> tuple[Path, PlanId]:
    """A file with one small plan in it: reservations, a loss, a failure, a success."""
    path = home / "ledger.db"
    unit = await assemble(LedgerConfig.load({"home": home, "database_url": f"sqlite:///{path}"}))
    async with running([unit]) as server:
        plan = LedgerPlan(Target(server.channel))
        await plan.ledger.open_budget(plan.plan_id, 100)
        await plan.claim(reserve=40)
        await plan.claim(reserve=30, idx=1, lost_cost=10)
        await plan.ledger.settle(plan.end(2, idx=1, cost=20, outputs=[output("a")], facts={"seed": "7"}))
        await plan.check()
    return path, plan.plan_id


async def state_of(store: Readable) -> tuple[int, bytes]:
    """What a checkpoint would say."""
    size = await store.log_size()
    return size, merkle.root(size, tiles.reading(await store.tiles(tiles.edge(size))))


async def audited(store: Readable, plan_id: PlanId, known: tuple[int, bytes]) -> list[Fault]:
    """What `verify_plan` does, without a server in between, by someone who saw a checkpoint before."""
    audit = Audit(plan_id.text)
    events, head, _ = await store.list_events(
        plan_id.text, after_seq=0, chosen=EventFilter(), limit=_EVERYTHING, max_bytes=_EVERYTHING
    )
    audit.read_events([event_from_proto(event_to_proto(each)) for each in events])
    receipts, _ = await store.list_receipts(plan_id.text, after_position=0, limit=_EVERYTHING, max_bytes=_EVERYTHING)
    audit.read_receipts(kept_from_proto(receipt_to_proto(each)) for each in receipts)
    found = [] if await store.log_size() == known[0] else [Fault(plan_id.text, "LOG")]
    [key] = tiles.with_proof(known[0], ())
    try:
        leaves = tiles.verified(*known, await store.tiles([key]))[key]
        audit.compare_leaves(
            {at // HASH_BYTES: leaves[at : at + HASH_BYTES] for at in range(0, len(leaves), HASH_BYTES)}
        )
    except Corrupt as error:
        found.append(Fault(plan_id.text, error.reason))
    return found + audit.faults(head, await store.budget(plan_id.text))
