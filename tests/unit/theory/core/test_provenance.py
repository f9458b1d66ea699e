"""Receipts as statements: what others read of them follows from the receipt alone."""

from datetime import UTC, datetime
from typing import Any

from theory.core import jcs
from theory.core.artifact import Output
from theory.core.cid import Cid
from theory.core.ids import ExecutionId, PlanId
from theory.core.jcs import JSON
from theory.core.provenance import signed_bytes, statement_of
from theory.core.receipt import AttemptOutcome, Receipt, settle_receipt
from theory.core.world_path import WorldPath

CID = Cid.of(b"one")


def receipt(*outputs: Output, outcome: AttemptOutcome = AttemptOutcome.SUCCEEDED, **facts: JSON) -> Receipt:
    return settle_receipt(
        plan_id=PlanId("p-1"),
        execution_id=ExecutionId("p-1.a"),
        attempt_idx=0,
        epoch=3,
        outcome=outcome,
        final=True,
        settled_at=datetime(2026, 1, 2, tzinfo=UTC),
        reserved_usd_micro=5,
        spent_usd_micro=4,
        outputs=outputs,
        facts=facts,
    )


def statement(found: Receipt) -> dict[str, Any]:
    return jcs.parse_object(statement_of(found, "log.example"))


def test_the_subjects_are_the_outputs() -> None:
    found = statement(receipt(Output(WorldPath("/artifacts/b"), CID, 3), Output(WorldPath("/artifacts/a"), CID, 3)))
    assert found["_type"] == "https://in-toto.io/Statement/v1"
    assert found["predicateType"] == "https://slsa.dev/provenance/v1"
    assert found["subject"] == [
        {"name": name, "digest": {"blake3": CID.hex}} for name in ("/artifacts/a", "/artifacts/b")
    ]


def test_an_attempt_without_outputs_is_a_statement_about_its_receipt() -> None:
    failed = receipt(outcome=AttemptOutcome.FAILED)
    [subject] = statement(failed)["subject"]
    assert subject == {
        "name": failed.receipt_id,
        "digest": {"theory-receipt": failed.receipt_id.removeprefix("b3:")},
    }


def test_inputs_and_image_are_its_dependencies() -> None:
    inputs = [{"path": "/artifacts/in", "cid": CID.text}]
    found = statement(receipt(input_cids=inputs, image_digest="sha256:ab"))
    assert found["predicate"]["buildDefinition"]["resolvedDependencies"] == [
        {"name": "/artifacts/in", "digest": {"blake3": CID.hex}},
        {"name": "image", "digest": {"sha256": "ab"}},
    ]


def test_what_is_no_list_of_inputs_gives_no_dependencies() -> None:
    odds: list[JSON] = ["x", {"path": "/artifacts/in"}, [1, None, {"path": 1, "cid": "x"}, {"path": "/artifacts/in"}]]
    for odd in odds:
        found = statement(receipt(input_cids=odd, image_digest=7))
        assert found["predicate"]["buildDefinition"]["resolvedDependencies"] == []


def test_it_says_how_the_attempt_ended_and_by_which_log() -> None:
    found = statement(receipt(started_at="then", seed="7", runtime="mock"))["predicate"]
    assert found["buildDefinition"]["externalParameters"] == {"plan_id": "p-1", "seed": "7"}
    assert found["buildDefinition"]["internalParameters"] == {"runtime": "mock"}
    details = found["runDetails"]
    assert details["builder"] == {"id": "https://theory.dev/log/log.example"}
    assert details["metadata"] == {"invocationId": "p-1.a#3", "startedOn": "then"}
    [byproduct] = details["byproducts"]
    assert byproduct["annotations"]["outcome"] == "succeeded"


def test_a_signature_covers_type_and_payload() -> None:
    assert signed_bytes(b"{}") == b"DSSEv1 28 application/vnd.in-toto+json 2 {}"
