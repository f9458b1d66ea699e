"""The tests of services/executor/domain/statement.py."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from services.executor.domain.statement import check_fits, facts_of, fingerprint_of, memo_event, written_events
from tests.records import ATTEMPT, EXECUTION, MEMO, NOW, PLAN
from theory.core import jcs
from theory.core.artifact import Output
from theory.core.cid import Cid
from theory.core.errors import Invalid
from theory.core.execution import Failure
from theory.core.fingerprint import fingerprint_digest_of
from theory.core.jcs import JSON
from theory.core.ledger import PlanEvent
from theory.core.world_path import WorldPath


def _facts(**given: object) -> Mapping[str, JSON]:
    return facts_of(PLAN, EXECUTION, started=NOW, finished=NOW, **{"basis": ATTEMPT, **given})  # type: ignore[arg-type]


def test_the_facts_of_an_attempt_are_enough_to_run_it_again() -> None:
    assert _facts() == {
        "snapshot_id": PLAN.snapshot_id,
        "processor": "media/probe@1",
        "runtime": "mock",
        "world": "p-1",
        "seed": "7",
        "write_prefix": "/artifacts/outputs/probe/0/",
        "inputs_cid": Cid.of(jcs.canonical(dict(EXECUTION.inputs))).text,
        "started_at": "2026-01-02T03:04:05.000006Z",
        "finished_at": "2026-01-02T03:04:05.000006Z",
        "input_cids": [{"path": "/artifacts/inputs/a.png", "cid": Cid.of(b"photo").text}],
        "image_digest": "sha256:1",
        "memo_key": ATTEMPT.memo_key,
        "env_fingerprint": fingerprint_of(ATTEMPT.components),
        "env_fingerprint_preimage": {"runtime": "mock", "cpu": "1"},
        "secret_names": ["TOKEN"],
    }


def test_what_was_never_resolved_is_absent() -> None:
    assert not {"input_cids", "image_digest", "memo_key", "env_fingerprint", "secret_names"} & _facts(basis=None).keys()


def test_facts_hold_no_fraction_though_inputs_do() -> None:
    record = replace(EXECUTION, inputs={"scale": 0.5})
    facts = facts_of(PLAN, record, started=NOW, finished=NOW, basis=ATTEMPT)
    assert jcs.canonical(dict(facts), floats=False)


def test_what_became_of_it_is_told_where_there_is_something_to_tell() -> None:
    failure = Failure("PROCESSOR_FAILED", "it failed", {"exit_code": "3"})
    facts = _facts(named_outputs={"page": "/artifacts/x"}, failure=failure, exit_code=3, memo_of=MEMO)
    assert (facts["named_outputs"], facts["exit_code"]) == ({"page": "/artifacts/x"}, 3)
    assert facts["failure"] == failure.to_document()
    source = {"plan_id": "p-0", "execution_id": "p-0.probe", "receipt_id": MEMO.receipt_id}
    assert facts["memo_of"] == source


def test_a_fingerprint_is_the_digest_of_its_preimage() -> None:
    preimage: JSON = {"runtime": "mock", "cpu": "1"}
    assert fingerprint_of(ATTEMPT.components) == fingerprint_digest_of(jcs.canonical(preimage))


def test_every_output_is_an_event_named_after_the_attempt() -> None:
    outputs = [Output(WorldPath(f"/artifacts/outputs/{name}"), Cid.of(b"x"), 1) for name in "ab"]
    events = written_events(PLAN, EXECUTION, 3, outputs, NOW)
    assert [event.event_id for event in events] == ["written/p-1.probe.0/3/0", "written/p-1.probe.0/3/1"]
    assert {event.kind for event in events} == {"artifact.written"}
    assert events[0].body == {
        "world": "p-1",
        "path": "/artifacts/outputs/a",
        "cid": Cid.of(b"x").text,
        "size": 1,
        "execution_id": "p-1.probe.0",
    }
    assert all(PlanEvent("p-1", event) for event in events)


def test_a_hit_says_whose_result_it_is() -> None:
    event = memo_event(EXECUTION, 2, MEMO, NOW)
    assert (event.event_id, event.kind) == ("memo/p-1.probe.0/2", "memo.hit")
    assert event.body == {
        "execution_id": "p-1.probe.0",
        "memo_key": MEMO.memo_key,
        "source_execution_id": "p-0.probe",
        "source_receipt_id": MEMO.receipt_id,
    }


def test_as_many_outputs_as_an_attempt_may_write_can_be_stated_in_one_message() -> None:
    outputs = [Output(WorldPath(f"/artifacts/outputs/step/{n:06}"), Cid.of(b"x"), 1) for n in range(10_000)]
    check_fits(PLAN, EXECUTION, ATTEMPT, outputs)


@pytest.mark.parametrize("count", [4_000, 10_000])
def test_a_list_of_outputs_that_fits_into_no_message_is_refused(count: int) -> None:
    folder = "/".join(["x" * 200] * 4)
    outputs = [Output(WorldPath(f"/artifacts/outputs/{folder}/{n}"), Cid.of(b"x"), 1) for n in range(count)]
    with pytest.raises(Invalid) as caught:
        check_fits(PLAN, EXECUTION, ATTEMPT, outputs)
    assert (caught.value.reason, caught.value.metadata["rule"]) == ("OUTPUT_REFUSED", "too_many_files")
