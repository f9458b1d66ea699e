"""The whole ledger against itself: chains, receipts and accounts, and the one tree that all events stand in."""

from dataclasses import dataclass

from theory.core.audit import Fault
from theory.core.checkpoint import Checkpoint
from theory.core.errors import Corrupt
from theory.sdk.ledger import LedgerClient
from theory.sdk.log import LogClient

_LEDGER = "ledger"
"""What a fault of no chain is said to be of."""


@dataclass(frozen=True, slots=True)
class LedgerCheck:
    """What was looked at, and everything that is wrong with it."""

    checkpoint: Checkpoint
    """The signed state that everything was compared with."""
    chains: int
    events: int
    faults: tuple[Fault, ...]
    pruned: int = 0
    """How many of the events have lost what they said."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


async def check_ledger(ledger: LedgerClient, log: LogClient) -> LedgerCheck:
    """Read every chain and compare all of them with a tree that the ledger signed: see `Audit` for what can be wrong.

    Besides: `UNSEEN`, for a leaf (its place stands for `seq`) that is no event of any chain, so one was taken away.
    Events that were appended after the beginning are read and not compared. Damage is a fault; `Corrupt` where the log
    itself cannot be believed, see `LogClient.checkpoint`.
    """
    checkpoint, _ = await log.checkpoint()
    seen = bytearray(checkpoint.size)
    faults: list[Fault] = []
    chains = events = pruned = 0
    async for head in ledger.chains():
        chains += 1
        try:
            read = await ledger.audited(head.plan_id, log, checkpoint)
        except Corrupt as error:
            faults.append(Fault(head.plan_id, error.reason))
            continue
        faults += read.faults
        events += read.events
        pruned += read.pruned
        for index in read.log_indexes:
            if 0 <= index < checkpoint.size:
                seen[index] = 1
    at = seen.find(0)
    while at >= 0:
        faults.append(Fault(_LEDGER, "UNSEEN", at))
        at = seen.find(0, at + 1)
    return LedgerCheck(checkpoint, chains, events, tuple(faults), pruned)
