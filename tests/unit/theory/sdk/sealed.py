"""A receipt file that is sound, and what it is made of."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from services.ledger.adapters.signer import FileSigner
from theory.core import merkle, tiles
from theory.core.chain import GENESIS, Event, NewEvent, seal
from theory.core.checkpoint import Checkpoint, note_of
from theory.core.ids import ExecutionId, PlanId
from theory.core.merkle import leaf_hash
from theory.core.provenance import signed_bytes, statement_of
from theory.core.receipt import AttemptOutcome, Receipt, reserve_receipt, settle_receipt
from theory.core.tiles import leaf_of
from theory.sdk.receipt_file import ReceiptParts, written

SIGNER = FileSigner(bytes(range(32)), "log.example")
WHEN = datetime(2026, 1, 2, tzinfo=UTC)
PLAN, EXECUTION = PlanId("p-1"), ExecutionId("p-1.a")
SIZE, PLACE = 300, 41
RECEIPT = settle_receipt(
    plan_id=PLAN,
    execution_id=EXECUTION,
    attempt_idx=0,
    epoch=1,
    outcome=AttemptOutcome.FAILED,
    final=True,
    settled_at=WHEN,
    reserved_usd_micro=5,
    spent_usd_micro=4,
    facts={"exit_code": 1, "world": "w\u00f6rld \u2028 \U0001f600 \ufb33"},
)
RESERVATION = reserve_receipt(
    plan_id=PLAN, execution_id=EXECUTION, attempt_idx=0, epoch=1, reserved_usd_micro=5, reserved_at=WHEN
)


@dataclass(frozen=True)
class Sealed:
    """Everything that goes into a file; what is changed goes in changed, and the rest is made to fit."""

    receipt: Receipt = RECEIPT
    kind: str = "execution.settled"
    plan_id: str = PLAN.text
    carried: str = RECEIPT.receipt_id
    statement_signer: FileSigner = SIGNER
    log_signer: FileSigner = SIGNER
    size: int = SIZE

    @property
    def event(self) -> Event:
        new = NewEvent("ledger/x", self.kind, "2026-01-02T03:04:05.000006Z", {"receipt_id": self.carried})
        return seal(new, self.plan_id, 7, GENESIS)

    def parts(self, **changes: Any) -> ReceiptParts:
        leaves = [leaf_hash(b"%d" % at) for at in range(SIZE)]
        leaves[PLACE] = leaf_of(self.event.this_hash)
        node = tiles.reading(tiles.grown(0, {}, leaves))
        text = Checkpoint(self.log_signer.key.name, self.size, merkle.root(self.size, node)).text
        payload = statement_of(self.receipt, SIGNER.key.name) if self.receipt.kind == "settle" else b"{}"
        parts = ReceiptParts(
            receipt=self.receipt.preimage,
            event=self.event.preimage,
            log_index=PLACE,
            proof=tuple(merkle.inclusion_proof(PLACE, self.size, node)),
            checkpoint=note_of(text, self.log_signer.key, self.log_signer.sign(text.encode())),
            signature=self.statement_signer.sign(signed_bytes(payload)),
        )
        return replace(parts, **changes)

    def file(self, **changes: Any) -> bytes:
        return written(self.parts(**changes), SIGNER.key)
