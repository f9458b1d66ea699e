"""The audit of a plan: its chain, its receipts and its account against each other, by anyone who can read them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from theory.core.chain import FIRST_SEQ, GENESIS, Event, verify_chain
from theory.core.errors import TheoryError
from theory.core.ledger import Budget, ChainHead
from theory.core.postings import Postings, balances, moved
from theory.core.pruning import Pruned
from theory.core.receipt import Receipt, receipt_id_of
from theory.core.tiles import leaf_of


class KeptReceipt(NamedTuple):
    """A receipt as a ledger keeps it: the columns beside the bytes included, damage too."""

    receipt_id: str
    kind: str
    plan_id: str
    execution_id: str
    epoch: int
    preimage: bytes
    position: int
    """`seq` of the first event that carries `receipt_id`."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, and where: in an event (`seq`), in a receipt (`receipt_id`), or between the two."""

    plan_id: str
    what: str
    """A word of `Audit`'s documentation."""
    seq: int = 0
    receipt_id: str = ""

    def __str__(self) -> str:
        where = f" event {self.seq}" if self.seq else ""
        return f"{self.plan_id}{where}{' ' if self.receipt_id else ''}{self.receipt_id}: {self.what}"


class Audit:
    """Reads what a ledger gave out of one chain, in any number of pieces, and says what is wrong with it.

    Faults of events are those of `verify_chain`: `HASH`, `TEXT`, `FIELDS`, `CHAIN`, `SEQ`, `LINK`, `HEAD`. Those of
    receipts: `RECEIPT_HASH` (the bytes have another name), `RECEIPT_TEXT` (they are no receipt), `RECEIPT_FIELDS` (what
    stands beside them says something else), `RECEIPT_POSITION` (the event there is not the first that carries it),
    `RECEIPT_MISSING` (an event carries the name of one that is not there), `RECEIPT_UNRECORDED` (no event carries its
    name). `POSTINGS`: what an event posts to the accounts is not what it says, or leads below zero (what is available
    too, so a plan that was overdrawn at any time is named where it was), or moves money before there is an account, or
    opens a second one. `BUDGET`: the account is not what the events add up to. `PRUNED`: an event has lost what it
    said, and no record of a pruning stands for it, or a record stands for others. `LOG`: the event is not the leaf of
    the log's tree that it is said to be.

    By itself it finds no consistent rewrite of everything from some event on, by someone who could rewrite everything;
    for that the leaves of a tree are needed whose root was signed: see `compare_leaves`.
    """

    def __init__(self, plan_id: str) -> None:
        self._plan_id = plan_id
        self._end = (FIRST_SEQ - 1, GENESIS)
        self._chain_faults: list[Fault] = []
        self._seq_by_receipt: dict[str, int] = {}
        self._account: Budget | None = None
        self._receipt_faults: list[Fault] = []
        self._receipts: set[str] = set()
        self._leaf_faults: list[Fault] = []
        self._leaves: list[tuple[int, int, bytes]] = []
        self._pruned = Pruned()

    @property
    def seq(self) -> int:
        """Up to where the chain was read."""
        return self._end[0]

    @property
    def pruned(self) -> int:
        """How many of the events that were read have lost what they said."""
        return self._pruned.count

    def read_events(self, events: Sequence[Event]) -> None:
        """The next events of the chain, in order."""
        if not events:
            return
        found = verify_chain(events, plan_id=self._plan_id, head=None, start=self._end)
        self._chain_faults += (Fault(each.plan_id, each.what, each.seq) for each in found)
        self._end = (events[-1].seq, events[-1].this_hash)
        for event in events:
            self._pruned.read(event)
            if event.log_index is not None:
                self._leaves.append((event.log_index, event.seq, _leaf_of(event)))
            receipt_id = event.body.get("receipt_id")
            if event.kind in _CARRIERS and isinstance(receipt_id, str):
                self._seq_by_receipt.setdefault(receipt_id, event.seq)
            if event.kind.startswith("budget."):
                self._move(event)

    def _move(self, event: Event) -> None:
        """Follow the account; a body that says nothing of use is a fault of its chain, not of this sum."""
        postings = Postings.of_event(event.kind, event.body)
        stated = event.body.get("postings")
        # Chains from before there were any state none: they follow from the rest.
        if stated is not None and (postings is None or stated != postings.to_document()):
            self._chain_faults.append(Fault(self._plan_id, "POSTINGS", event.seq))
        if postings is None:
            return
        # Opened once, and before all else: nothing moves where there is no account, and none begins again.
        if (event.kind == "budget.opened") is (self._account is not None):
            self._chain_faults.append(Fault(self._plan_id, "POSTINGS", event.seq))
            return
        try:
            after = moved(self._account or Budget(self._plan_id, 0), postings)
        except TheoryError:
            self._chain_faults.append(Fault(self._plan_id, "POSTINGS", event.seq))
            return
        if balances(after).available < 0:
            self._chain_faults.append(Fault(self._plan_id, "POSTINGS", event.seq))
        self._account = after

    def read_receipts(self, receipts: Iterable[KeptReceipt]) -> None:
        """Receipts of the plan, in any order, each once. All events must have been read."""
        for kept in receipts:
            self._receipts.add(kept.receipt_id)
            found = _faults_within(kept)
            seq = self._seq_by_receipt.get(kept.receipt_id)
            if seq is None:
                found.append("RECEIPT_UNRECORDED")
            elif seq != kept.position:
                found.append("RECEIPT_POSITION")
            self._receipt_faults += (Fault(self._plan_id, each, seq or 0, kept.receipt_id) for each in found)

    @property
    def log_indexes(self) -> Collection[int]:
        """Which leaves the events that were read are said to be."""
        return {index for index, _, _ in self._leaves}

    def compare_leaves(self, leaf_by_index: Mapping[int, bytes], *, end: int | None = None) -> None:
        """Compare the events that were read with the leaves of a tree that is right; one that is missing is wrong.

        Events at `end` and behind may have come after that tree: they are passed over.
        """
        self._leaf_faults = [
            Fault(self._plan_id, "LOG", seq)
            for index, seq, leaf in self._leaves
            if leaf_by_index.get(index) != leaf and (end is None or index < end)
        ]

    def forget_receipts(self) -> None:
        """Begin with the receipts again: the chain went on while they were read."""
        self._receipts.clear()
        self._receipt_faults.clear()

    def faults(self, head: ChainHead, budget: Budget | None) -> list[Fault]:
        """Everything that is wrong, where the ledger says that chain and account stand like this."""
        found = self.faults_of_chain(head) + self._receipt_faults
        found += (
            Fault(self._plan_id, "RECEIPT_MISSING", seq, receipt_id)
            for receipt_id, seq in self._seq_by_receipt.items()
            if receipt_id not in self._receipts
        )
        if budget != self._account:
            found.append(Fault(self._plan_id, "BUDGET"))
        return found

    def faults_of_chain(self, head: ChainHead) -> list[Fault]:
        """What is wrong with the events alone."""
        off = (head.seq, head.this_hash) != self._end
        pruned = [Fault(self._plan_id, "PRUNED", seq) for seq in self._pruned.faults()]
        return [
            *self._chain_faults,
            *pruned,
            *self._leaf_faults,
            *([Fault(self._plan_id, "HEAD", head.seq)] if off else []),
        ]


_CARRIERS = frozenset({"budget.reserved", "budget.settled", "execution.settled", "execution.lost"})


def _leaf_of(event: Event) -> bytes:
    try:
        return leaf_of(event.this_hash)
    except ValueError:  # no hexadecimal number: the leaf of nothing
        return b""


def _faults_within(kept: KeptReceipt) -> list[str]:
    found = [] if receipt_id_of(kept.preimage) == kept.receipt_id else ["RECEIPT_HASH"]
    try:
        stated = Receipt.parse(kept.preimage)
    except TheoryError:
        return [*found, "RECEIPT_TEXT"]
    if (stated.kind, stated.plan_id, stated.execution_id, stated.epoch) != kept[1:5]:
        found.append("RECEIPT_FIELDS")
    return found
