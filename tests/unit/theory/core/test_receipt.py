"""Receipts: named by their content, checked on every way in."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from blake3 import blake3

from tests.unit.theory.core.refusal import refused
from tests.vectors import make_hashes
from theory.core import jcs
from theory.core.artifact import Output
from theory.core.cid import Cid
from theory.core.errors import Corrupt, Invalid
from theory.core.ids import ExecutionId, PlanId
from theory.core.jcs import JSON
from theory.core.receipt import AttemptOutcome, Receipt, receipt_id_of, reserve_receipt, settle_receipt
from theory.core.world_path import WorldPath

NOW = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
OUTPUTS = [Output(WorldPath.parse(f"/artifacts/{name}"), Cid.of(name.encode()), 1, "text/plain") for name in "ab"]


def _reserve(usd_micro: int = 1000) -> Receipt:
    return reserve_receipt(
        plan_id=PlanId("p-1"),
        execution_id=ExecutionId("p-1.thumb.0"),
        attempt_idx=2,
        epoch=7,
        reserved_usd_micro=usd_micro,
        reserved_at=NOW,
    )


def _settle(
    outcome: AttemptOutcome = AttemptOutcome.SUCCEEDED,
    outputs: list[Output] | None = None,
    facts: Mapping[str, JSON] | None = None,
    *,
    spent: int = 900,
) -> Receipt:
    return settle_receipt(
        plan_id=PlanId("p-1"),
        execution_id=ExecutionId("p-1.thumb.0"),
        attempt_idx=0,
        epoch=7,
        outcome=outcome,
        final=True,
        settled_at=NOW,
        reserved_usd_micro=1000,
        spent_usd_micro=spent,
        debt_usd_micro=5,
        outputs=[] if outputs is None else outputs,
        facts=facts,
    )


def test_a_reserve_receipt_states_the_reservation() -> None:
    receipt = _reserve()
    assert receipt.kind == "reserve"
    assert receipt.document == {
        "kind": "reserve",
        "version": 1,
        "plan_id": "p-1",
        "execution_id": "p-1.thumb.0",
        "attempt_idx": 2,
        "epoch": 7,
        "usd_micro": 1000,
        "reserved_at": "2026-01-02T03:04:05.000006Z",
    }
    assert (receipt.plan_id, receipt.execution_id, receipt.attempt_idx, receipt.epoch) == ("p-1", "p-1.thumb.0", 2, 7)


def test_a_settle_receipt_states_how_the_attempt_ended() -> None:
    receipt = _settle(outputs=OUTPUTS[::-1], facts={"seed": 3, "input_cids": []})
    assert receipt.kind == "settle"
    assert receipt.document == {
        "kind": "settle",
        "version": 1,
        "plan_id": "p-1",
        "execution_id": "p-1.thumb.0",
        "attempt_idx": 0,
        "epoch": 7,
        "outcome": "succeeded",
        "final": True,
        "settled_at": "2026-01-02T03:04:05.000006Z",
        "budget": {"reserved_usd_micro": 1000, "spent_usd_micro": 900, "debt_usd_micro": 5},
        "output_cids": [each.to_document() for each in OUTPUTS],
        "seed": 3,
        "input_cids": [],
    }
    assert (receipt.outcome, receipt.final, receipt.outputs) == (AttemptOutcome.SUCCEEDED, True, tuple(OUTPUTS))


def test_a_receipt_is_named_by_its_bytes_in_a_context_of_its_own() -> None:
    receipt = _reserve()
    assert receipt.preimage == jcs.canonical(dict(receipt.document))
    assert receipt.receipt_id == "b3:" + blake3(receipt.preimage, derive_key_context="theory/v1/receipt").hexdigest()
    assert receipt.receipt_id != Cid.of(receipt.preimage).text
    assert _reserve(1001).receipt_id != receipt.receipt_id


@pytest.mark.parametrize("receipt", [_reserve(), _settle(outputs=OUTPUTS)], ids=["reserve", "settle"])
def test_stored_bytes_give_the_receipt_back(receipt: Receipt) -> None:
    assert Receipt.parse(receipt.preimage) == receipt
    assert Receipt.parse(receipt.preimage, receipt_id=receipt.receipt_id) == receipt


@pytest.mark.parametrize("outcome", [each for each in AttemptOutcome if each is not AttemptOutcome.SUCCEEDED])
def test_every_failure_settles_without_outputs_only(outcome: AttemptOutcome) -> None:
    assert _settle(outcome).outcome is outcome
    with refused(Invalid, "SETTLEMENT_INVALID", field="output_cids"):
        _settle(outcome, OUTPUTS)


@pytest.mark.parametrize("field", ["kind", "epoch", "budget", "outcome", "output_cids", "settled_at"])
def test_a_fact_cannot_pose_as_a_field_of_the_ledger(field: str) -> None:
    with refused(Invalid, "SETTLEMENT_INVALID", field=field):
        _settle(facts={field: "x"})


def test_two_outputs_of_one_path_are_refused() -> None:
    with refused(Invalid, "SETTLEMENT_INVALID", field="output_cids"):
        _settle(outputs=[OUTPUTS[0], OUTPUTS[0]])


def test_facts_are_exact() -> None:
    with refused(Invalid, "SETTLEMENT_INVALID", field="facts", at="$.cpu", rule="float"):
        _settle(facts={"cpu": 0.5})


def test_amounts_that_json_cannot_carry_are_refused() -> None:
    assert _reserve(2**53 - 1).document["usd_micro"] == 2**53 - 1
    for amount in (2**53, -1):
        with refused(Invalid, "MONEY_INVALID"):
            _reserve(amount)
        with refused(Invalid, "MONEY_INVALID"):
            _settle(spent=amount)


SETTLED = dict(_settle(outputs=OUTPUTS).document)
RESERVED = dict(_reserve().document)
BUDGET = {"reserved_usd_micro": 1, "spent_usd_micro": 1, "debt_usd_micro": 0}


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "version"),
        ({**RESERVED, "version": 2}, "version"),
        ({**RESERVED, "version": True}, "version"),
        ({**RESERVED, "kind": "gift"}, "kind"),
        ({**RESERVED, "kind": ["reserve"]}, "kind"),
        ({**RESERVED, "usd_micro": "1"}, "usd_micro"),
        ({**RESERVED, "epoch": None}, "epoch"),
        ({**SETTLED, "final": 1}, "final"),
        ({**SETTLED, "outcome": "won"}, "outcome"),
        ({**SETTLED, "budget": {}}, "budget"),
        ({**SETTLED, "budget": {**BUDGET, "gift": 1}}, "budget"),
        ({**SETTLED, "output_cids": SETTLED["output_cids"][::-1]}, "output_cids"),  # type: ignore[index]
        ({**SETTLED, "output_cids": [{}]}, "output_cids"),
        ({**SETTLED, "outcome": "failed"}, "output_cids"),
    ],
)
def test_a_document_that_no_receipt_can_have_is_refused(document: Mapping[str, JSON], field: str) -> None:
    with refused(Invalid, "SETTLEMENT_INVALID", field=field):
        Receipt.of(document)
    with refused(Corrupt, "RECEIPT_CORRUPT"):
        Receipt.parse(jcs.canonical(dict(document)))


@pytest.mark.parametrize(
    "document",
    [
        {**RESERVED, "plan_id": "P"},
        {**RESERVED, "execution_id": ".."},
        {**SETTLED, "budget": {**BUDGET, "spent_usd_micro": -1}},
        {**SETTLED, "budget": {**BUDGET, "spent_usd_micro": True}},
    ],
)
def test_parts_of_a_receipt_keep_their_own_errors(document: Mapping[str, JSON]) -> None:
    with pytest.raises(Invalid):
        Receipt.of(document)
    with refused(Corrupt, "RECEIPT_CORRUPT"):
        Receipt.parse(jcs.canonical(dict(document)))


@pytest.mark.parametrize("preimage", [b"", b"[]", b"{", b'{"a":1,"a":1}', b'{"a":0.5}', b"\xff"])
def test_bytes_that_are_no_receipt_are_corrupt(preimage: bytes) -> None:
    with refused(Corrupt, "RECEIPT_CORRUPT", receipt_id=receipt_id_of(preimage)):
        Receipt.parse(preimage)


def test_bytes_that_are_not_canonical_are_corrupt() -> None:
    spaced = _reserve().preimage.replace(b",", b", ")
    with refused(Corrupt, "RECEIPT_CORRUPT"):
        Receipt.parse(spaced)


def test_bytes_of_another_name_are_corrupt() -> None:
    with refused(Corrupt, "RECEIPT_CORRUPT", receipt_id=_reserve(1).receipt_id):
        Receipt.parse(_reserve(2).preimage, receipt_id=_reserve(1).receipt_id)


def test_every_flipped_bit_of_a_receipt_is_found() -> None:
    receipt = _settle(outputs=OUTPUTS)
    for at in range(len(receipt.preimage)):
        flipped = bytearray(receipt.preimage)
        flipped[at] ^= 1 << (at % 8)
        with refused(Corrupt, "RECEIPT_CORRUPT"):
            Receipt.parse(bytes(flipped), receipt_id=receipt.receipt_id)


def test_the_published_vectors_hold() -> None:
    vectors = json.loads(make_hashes.FILE.read_text("ascii"))["receipts"]["vectors"]
    assert len(vectors) == 2
    for vector in vectors:
        receipt = Receipt.of(vector["document"])
        assert (receipt.preimage.decode(), receipt.receipt_id) == (vector["preimage"], vector["receipt_id"])
