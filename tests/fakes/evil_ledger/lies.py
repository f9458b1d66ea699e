"""What happened to a plan, and what a ledger shows of it instead."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from services.ledger.adapters.memory import MemoryTransaction, Tables
from services.ledger.adapters.signer import FileSigner
from services.ledger.domain.books import Books
from theory.core.chain import NewEvent

PLAN = "p-1"
TS = "2026-01-02T03:04:05.000006Z"
SIGNER = FileSigner(bytes(range(32)), "log.example")


def history(*names: str) -> Tables:
    """A ledger in which these events happened to a plan, in this order."""
    tables = Tables()
    books = Books(MemoryTransaction(tables), datetime(2026, 1, 2, tzinfo=UTC))
    books.load_chains([PLAN], ())
    books.ready()
    for name in names:
        books.record(PLAN, NewEvent(name, "plan.noted", TS, {"name": name}))
    books.close()
    return tables


@dataclass
class Lies:
    """What a ledger shows; everything is as it happened until something is put in its place."""

    events: Tables
    """What listings show."""
    log: Tables
    """What checkpoints, tiles and proofs are made of."""
    signer: FileSigner = SIGNER
    note: bytes | None = None
    """A checkpoint that is shown whatever happened since."""
    spoilt: Callable[[bytes], bytes] = field(default=bytes)
    """What becomes of a hash before it is sent."""

    @classmethod
    def none(cls, tables: Tables) -> "Lies":
        """An honest ledger."""
        return cls(tables, tables)
