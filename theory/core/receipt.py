"""Receipts: what the ledger states about a reservation or about the end of an attempt, named by its own content."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, Self, TypeAlias, cast

from blake3 import blake3

from theory.core import jcs
from theory.core.artifact import Output
from theory.core.clock import rfc3339
from theory.core.errors import Corrupt, Invalid, TheoryError, shown
from theory.core.ids import ExecutionId, PlanId
from theory.core.jcs import JSON
from theory.core.money import UsdMicro, usd_micro

RECEIPT_CONTEXT = "theory/v1/receipt"
RECEIPT_VERSION = 1
ReceiptKind: TypeAlias = Literal["reserve", "settle"]


class AttemptOutcome(StrEnum):
    """How an attempt ended. Only `SUCCEEDED` has outputs."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """The processor said so: it exited with another code than 0, or wrote no valid result."""
    TIMED_OUT = "timed_out"
    OOM = "oom"
    CANCELLED = "cancelled"
    LOST = "lost"
    """Nobody saw its end; a later claim closed it."""
    INVALID_OUTPUT = "invalid_output"
    """It wrote outside its write set, or something that is no regular file, or too much."""
    PREDICATE_REFUSED = "predicate_refused"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A statement of the ledger. `preimage` holds the bytes that name it; they are kept, never remade.

    A settle receipt is a determinism receipt: its document holds input and output CIDs, the fingerprint of the
    environment and what it was made from, snapshot, image digest and seed.
    """

    receipt_id: str
    kind: ReceiptKind
    document: Mapping[str, JSON]
    preimage: bytes

    @classmethod
    def of(cls, document: Mapping[str, JSON]) -> Self:
        """The receipt that states `document`; `Invalid` (`SETTLEMENT_INVALID`) with `field` where none can say so.

        What is no exact JSON is found in the field `facts`, by `at` and `rule`: the other fields are the ledger's own.
        """
        try:
            preimage = jcs.canonical(dict(document), floats=False)
        except TheoryError as error:
            raise facts_refused(error) from error
        return cls._checked(document, preimage)

    @classmethod
    def parse(cls, preimage: bytes, *, receipt_id: str | None = None) -> Self:
        """The receipt of stored or received bytes, named `receipt_id` if that is known.

        `Corrupt` (`RECEIPT_CORRUPT`) where they are not canonical, are no receipt, or have another name.
        """
        name = receipt_id_of(preimage)
        if receipt_id is not None and receipt_id != name:
            message = f"the bytes of this receipt have another name: {name}"
            raise Corrupt("RECEIPT_CORRUPT", message, receipt_id=shown(receipt_id))
        try:
            document = jcs.parse_object(preimage)
            receipt = cls._checked(document, jcs.canonical(document, floats=False))
        except TheoryError as error:
            raise Corrupt("RECEIPT_CORRUPT", f"the bytes are no receipt: {error.message}", receipt_id=name) from error
        if receipt.preimage != preimage:
            raise Corrupt("RECEIPT_CORRUPT", "the text of a receipt is canonical JSON", receipt_id=name)
        return receipt

    @classmethod
    def _checked(cls, document: Mapping[str, JSON], preimage: bytes) -> Self:
        if document.get("version") != RECEIPT_VERSION:
            raise _invalid("version", f"this release reads receipts of version {RECEIPT_VERSION}")
        kind = document.get("kind")
        if not isinstance(kind, str) or kind not in _TYPES_BY_KIND:
            raise _invalid("kind", "a receipt is of kind reserve or settle")
        for field, expected in _TYPES_BY_KIND[kind].items():
            if type(document.get(field)) is not expected:
                raise _invalid(field, f"the field is missing or not of type {expected.__name__}")
        receipt = cls(receipt_id_of(preimage), cast("ReceiptKind", kind), document, preimage)
        PlanId.parse(receipt.plan_id)
        ExecutionId.parse(receipt.execution_id)
        if kind == "settle":
            _check_settlement(receipt)
        return receipt

    @property
    def plan_id(self) -> str:
        """The plan that it belongs to."""
        return cast("str", self.document["plan_id"])

    @property
    def execution_id(self) -> str:
        """The execution that it belongs to."""
        return cast("str", self.document["execution_id"])

    @property
    def attempt_idx(self) -> int:
        """Which try it was, from 0."""
        return cast("int", self.document["attempt_idx"])

    @property
    def epoch(self) -> int:
        """The fence under which the attempt was claimed."""
        return cast("int", self.document["epoch"])

    @property
    def outcome(self) -> AttemptOutcome:
        """How the attempt ended; of a settle receipt only."""
        return AttemptOutcome(cast("str", self.document["outcome"]))

    @property
    def final(self) -> bool:
        """Whether the execution ended with it; of a settle receipt only."""
        return cast("bool", self.document["final"])

    @property
    def outputs(self) -> tuple[Output, ...]:
        """What it binds, in order of path; of a settle receipt only."""
        return tuple(Output.from_document(entry) for entry in cast("list[JSON]", self.document["output_cids"]))


def receipt_id_of(preimage: bytes) -> str:
    """The name of the receipt that these bytes are: `b3:` and their BLAKE3 in the receipts' own context."""
    return "b3:" + blake3(preimage, derive_key_context=RECEIPT_CONTEXT).hexdigest()


def reserve_receipt(
    *,
    plan_id: PlanId,
    execution_id: ExecutionId,
    attempt_idx: int,
    epoch: int,
    reserved_usd_micro: UsdMicro,
    reserved_at: datetime,
) -> Receipt:
    """The ledger's statement that budget is set aside for one attempt: `budget_reserved` of its context."""
    return Receipt.of(
        {
            "kind": "reserve",
            "version": RECEIPT_VERSION,
            "plan_id": plan_id.text,
            "execution_id": execution_id.text,
            "attempt_idx": attempt_idx,
            "epoch": epoch,
            "usd_micro": _exact(usd_micro(reserved_usd_micro, "usd_micro")),
            "reserved_at": rfc3339(reserved_at),
        }
    )


def settle_receipt(  # noqa: PLR0913  # the fields of the document, by name
    *,
    plan_id: PlanId,
    execution_id: ExecutionId,
    attempt_idx: int,
    epoch: int,
    outcome: AttemptOutcome,
    final: bool,
    settled_at: datetime,
    reserved_usd_micro: UsdMicro,
    spent_usd_micro: UsdMicro,
    debt_usd_micro: UsdMicro = 0,
    outputs: Iterable[Output] = (),
    facts: Mapping[str, JSON] | None = None,
) -> Receipt:
    """The ledger's statement of how one attempt ended, with what it cost and what it binds.

    The cost is what was spent and the debt, which is what the plan's cap did not admit. `facts` are the emitter's
    fields beside the ledger's own; one with the name of one of those is `Invalid` (`SETTLEMENT_INVALID`).
    """
    document: dict[str, JSON] = {
        "kind": "settle",
        "version": RECEIPT_VERSION,
        "plan_id": plan_id.text,
        "execution_id": execution_id.text,
        "attempt_idx": attempt_idx,
        "epoch": epoch,
        "outcome": outcome.value,
        "final": final,
        "settled_at": rfc3339(settled_at),
        "budget": {
            "reserved_usd_micro": _exact(usd_micro(reserved_usd_micro, "reserved_usd_micro")),
            "spent_usd_micro": _exact(usd_micro(spent_usd_micro, "spent_usd_micro")),
            "debt_usd_micro": _exact(usd_micro(debt_usd_micro, "debt_usd_micro")),
        },
        "output_cids": [each.to_document() for each in sorted(outputs, key=lambda each: each.path)],
    }
    for field, value in (facts or {}).items():
        if field in document:
            raise _invalid(field, "a fact bears the name of one of the ledger's own fields")
        document[field] = value
    return Receipt.of(document)


_TYPES_BY_KIND: Mapping[str, Mapping[str, type]] = {
    "reserve": {
        "version": int,
        "plan_id": str,
        "execution_id": str,
        "attempt_idx": int,
        "epoch": int,
        "usd_micro": int,
        "reserved_at": str,
    },
    "settle": {
        "version": int,
        "plan_id": str,
        "execution_id": str,
        "attempt_idx": int,
        "epoch": int,
        "outcome": str,
        "final": bool,
        "settled_at": str,
        "budget": dict,
        "output_cids": list,
    },
}
_BUDGET_FIELDS = {"reserved_usd_micro", "spent_usd_micro", "debt_usd_micro"}


def _check_settlement(receipt: Receipt) -> None:
    if receipt.document["outcome"] not in set(AttemptOutcome):
        raise _invalid("outcome", "there is no such outcome")
    budget = cast("Mapping[str, JSON]", receipt.document["budget"])
    if set(budget) != _BUDGET_FIELDS:
        raise _invalid("budget", "a budget says what was reserved, what was spent, and the debt")
    for field, amount in budget.items():
        usd_micro(amount, f"budget.{field}")
    outputs = receipt.outputs
    paths = [each.path for each in outputs]
    if paths != sorted(set(paths)):
        raise _invalid("output_cids", "outputs are in order of path, each path once")
    if outputs and receipt.outcome is not AttemptOutcome.SUCCEEDED:
        raise _invalid("output_cids", "only an attempt that succeeded has outputs")


def _exact(amount: UsdMicro) -> int:
    # A receipt is read by every language; what JSON cannot carry exactly, it must not carry at all.
    if amount > jcs.MAX_SAFE_INTEGER:
        raise Invalid("MONEY_INVALID", "a receipt holds amounts up to 2^53-1", field="receipt", value=str(amount))
    return amount


def facts_refused(error: TheoryError) -> Invalid:
    """What `theory.core.jcs` says of facts, as the ledger says it."""
    at, rule = error.metadata["at"], error.metadata["rule"]
    return Invalid("SETTLEMENT_INVALID", error.message, field="facts", at=at, rule=rule)


def _invalid(field: str, sentence: str) -> Invalid:
    return Invalid("SETTLEMENT_INVALID", sentence, field=shown(field))
