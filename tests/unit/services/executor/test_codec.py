"""The tests of services/executor/codec.py."""

from dataclasses import replace
from datetime import UTC

import pytest

from services.executor import codec
from services.executor.codec import (
    changes_to_proto,
    execution_to_proto,
    executions_to_proto,
    plan_spec_from_proto,
    plan_to_proto,
)
from tests.records import ENDED, EXECUTION, NOW, PLAN
from theory.api.executor.v1 import execution_pb2, plan_pb2
from theory.api.ledger.v1 import receipt_pb2
from theory.core.cid import Cid
from theory.core.errors import Invalid
from theory.core.execution import ExecutionState, Failure, PlanState
from theory.core.plan import EachFile, ItemList, PlanFile, PlanSpec
from theory.core.receipt import AttemptOutcome
from theory.core.selector import Selector
from theory.core.world_path import WorldPath
from theory.sdk.plan_messages import execution_from_proto, plan_from_proto, spec_to_proto

_CID = Cid.of(b"photo").text


def _spec(**fields: object) -> plan_pb2.PlanSpec:
    transition = plan_pb2.TransitionSpec(transition_id="probe", processor_ref="media/probe@1")
    return plan_pb2.PlanSpec(**{"name": "media", "transitions": [transition], **fields})  # type: ignore[arg-type]


def _transition(**fields: object) -> plan_pb2.TransitionSpec:
    given = {"transition_id": "probe", "processor_ref": "media/probe@1", **fields}
    return plan_pb2.TransitionSpec(**given)  # type: ignore[arg-type]


def _file(**fields: object) -> plan_pb2.PlanSpec:
    """A plan with one file."""
    file = {"world_path": "/artifacts/inputs/a", "cid": _CID, "size_bytes": 5, **fields}
    return _spec(files=[plan_pb2.PlanFile(**file)])  # type: ignore[arg-type]


def _over(**source: object) -> plan_pb2.PlanSpec:
    """A plan that fans out over this."""
    return _spec(transitions=[_transition(for_each=plan_pb2.FanOut(**source))])  # type: ignore[arg-type]


def test_what_is_not_set_is_the_default() -> None:
    assert plan_spec_from_proto(_spec()) == PlanSpec.parse(
        {"name": "media", "transitions": [{"id": "probe", "processor": "media/probe@1"}]}
    )


def test_every_field_of_a_plan_is_read() -> None:
    message = _spec(
        policy_ref="swift@2",
        world="shared",
        seed=3,
        runtime="mock",
        max_usd_micro=0,
        files=[
            plan_pb2.PlanFile(world_path="/artifacts/inputs/a.png", cid=_CID, size_bytes=5, content_type="image/png")
        ],
        transitions=[
            _transition(
                inputs=b'{"n": "${item.n}"}',
                reads=["/artifacts/inputs/${item.name}"],
                write_prefix="/artifacts/outputs/${item.n}/",
                for_each=plan_pb2.FanOut(item_list=plan_pb2.ItemList(items=[b'{"n": 1, "name": "a.png"}'])),
                runtime="process",
                volumes=["shared"],
            ),
            _transition(transition_id="each", for_each=plan_pb2.FanOut(file_selector="/artifacts/inputs/**")),
            _transition(transition_id="report", needs=["probe", "each"]),
        ],
    )
    spec = plan_spec_from_proto(message)
    assert (spec.policy.text, spec.seed, spec.runtime, spec.max_usd_micro) == ("swift@2", 3, "mock", 0)
    assert spec.world is not None
    assert spec.world.text == "shared"
    assert spec.files == (PlanFile(WorldPath("/artifacts/inputs/a.png"), Cid(_CID), 5, "image/png"),)
    probe, each, report = spec.transitions
    assert probe.for_each == ItemList(({"n": 1, "name": "a.png"},))
    assert (probe.inputs, probe.runtime, probe.volumes) == ({"n": "${item.n}"}, "process", ("shared",))
    assert (probe.reads, probe.write_prefix) == (("/artifacts/inputs/${item.name}",), "/artifacts/outputs/${item.n}/")
    assert each.for_each == EachFile(Selector.parse("/artifacts/inputs/**"))
    assert [need.text for need in report.needs] == ["probe", "each"]


def test_what_the_client_writes_is_what_is_read() -> None:
    spec = PlanSpec.parse(
        {
            "name": "media",
            "budget": {"max_usd_micro": 5},
            "files": [{"path": "/artifacts/inputs/a", "cid": _CID, "size_bytes": 5}],
            "transitions": [
                {"id": "a", "processor": "media/probe@1", "inputs": {"x": 0.5}, "for_each": [{"n": 1}]},
                {"id": "b", "processor": "media/probe@1", "needs": ["a"], "reads": ["/artifacts/**"]},
            ],
        }
    )
    assert plan_spec_from_proto(spec_to_proto(spec)) == spec


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (_spec(name=""), "name"),
        (_spec(transitions=[]), "transitions"),
        (_spec(seed=-1), "seed"),
        (_spec(policy_ref="nonsense"), "policy"),
        (_spec(world="Upper"), "world"),
        (_spec(runtime="quantum"), "runtime"),
        (_spec(max_usd_micro=-1), "budget.max_usd_micro"),
        (_file(world_path="/artifacts/a/../b"), "files[0].path"),
        (_file(cid="sha1:1"), "files[0].cid"),
        (_file(size_bytes=-1), "files[0].size_bytes"),
        (_file(content_type="no"), "files[0].content_type"),
        (_spec(transitions=[_transition(), _transition()]), "transitions[1].id"),
        (_spec(transitions=[_transition(transition_id="Probe")]), "transitions[0].id"),
        (_spec(transitions=[_transition(processor_ref="probe")]), "transitions[0].processor"),
        (_spec(transitions=[_transition(inputs=b"[]")]), "transitions[0].inputs"),
        (_spec(transitions=[_transition(inputs=b'{"a": 1, "a": 2}')]), "transitions[0].inputs"),
        (_spec(transitions=[_transition(reads=["artifacts/a"])]), "transitions[0].reads[0]"),
        (_spec(transitions=[_transition(needs=["nobody"])]), "transitions[0].needs[0]"),
        (_spec(transitions=[_transition(write_prefix="/artifacts/a")]), "transitions[0].write_prefix"),
        (_spec(transitions=[_transition(runtime="quantum")]), "transitions[0].runtime"),
        (_over(), "transitions[0].for_each"),
        (_over(file_selector="*"), "transitions[0].for_each.files"),
        (_over(item_list=plan_pb2.ItemList()), "transitions[0].for_each"),
        (_over(item_list=plan_pb2.ItemList(items=[b"7"])), "transitions[0].for_each[0]"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(message: plan_pb2.PlanSpec, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        plan_spec_from_proto(message)
    assert caught.value.metadata["field"] == field


def test_clients_read_the_plan_that_is_recorded() -> None:
    failure = Failure("NEED_FAILED", "1 of 2 executions did not succeed", {"needs": "probe"})
    view = plan_from_proto(plan_to_proto(replace(PLAN, state=PlanState.FAILED, finish_time=NOW, failure=failure)))
    assert (view.plan_id, view.name, view.world, view.state.value, view.seq) == (
        PLAN.plan_id,
        "media",
        PLAN.world,
        "failed",
        1,
    )
    assert (view.create_time, view.finish_time) == (NOW.astimezone(UTC), NOW)
    assert view.failure is not None
    assert (view.failure.reason, view.failure.metadata) == ("NEED_FAILED", {"needs": "probe"})
    assert (view.execution_count, view.max_usd_micro, view.snapshot_id) == (2, 1_000_000, PLAN.snapshot_id)
    assert plan_from_proto(plan_to_proto(PLAN)).finish_time is None


def test_clients_read_the_executions_that_are_recorded() -> None:
    running, ended = (execution_from_proto(execution_to_proto(each)) for each in (EXECUTION, ENDED))
    assert (running.execution_id, running.index, running.attempt_idx, running.epoch) == (
        EXECUTION.execution_id,
        0,
        1,
        2,
    )
    assert (running.outcome, running.finish_time, running.receipt_id) == (AttemptOutcome.FAILED, None, None)
    assert running.memo is not None
    assert (running.memo.hit, running.memo.differences) == (False, ("seed", "inputs:title"))
    assert running.log_tail == "last words\n"
    assert (ended.index, ended.outputs, ended.named_outputs) == (None, ENDED.outputs, ENDED.named_outputs)
    assert (ended.cost_usd_micro, ended.receipt_id) == (2**53, ENDED.receipt_id)
    assert ended.memo is not None
    assert ended.memo.source_execution_id == ENDED.memo.source_execution_id if ENDED.memo else False


def test_every_state_and_outcome_has_a_name_on_the_wire() -> None:
    for plan_state in PlanState:
        sent = plan_to_proto(replace(PLAN, state=plan_state)).state
        assert plan_pb2.Plan.State.Name(sent) == f"STATE_{plan_state.name}"
    for state in ExecutionState:
        sent_state = execution_to_proto(replace(EXECUTION, state=state)).state
        assert execution_pb2.Execution.State.Name(sent_state) == f"STATE_{state.name}"
    for outcome in AttemptOutcome:
        sent_outcome = execution_to_proto(replace(EXECUTION, outcome=outcome)).outcome
        assert receipt_pb2.AttemptOutcome.Name(sent_outcome) == f"ATTEMPT_OUTCOME_{outcome.name}"
    assert execution_to_proto(replace(EXECUTION, outcome=None)).outcome == 0


def test_a_log_with_half_a_surrogate_pair_can_be_sent() -> None:
    message = execution_to_proto(replace(EXECUTION, log_tail="cut \ud83d".encode("utf-8", "replace").decode()))
    assert message.log_tail == "cut ?"


@pytest.fixture
def small_replies(monkeypatch: pytest.MonkeyPatch) -> int:
    """Replies that hold two executions."""
    room = 2 * execution_to_proto(EXECUTION).ByteSize() + 10
    monkeypatch.setattr(codec, "REPLY_BYTES", room)
    return room


def test_changes_that_fit_are_one_message() -> None:
    [message] = changes_to_proto(replace(PLAN, seq=9), [EXECUTION, ENDED])
    assert (message.seq, message.plan.seq, len(message.executions)) == (9, 9, 2)
    [alone] = changes_to_proto(replace(PLAN, seq=9), [])
    assert (alone.seq, len(alone.executions)) == (9, 0)


def test_more_changes_than_fit_are_several_messages_each_to_resume_from(small_replies: int) -> None:
    seqs = [3, 4, 4, 4, 7]
    messages = list(changes_to_proto(replace(PLAN, seq=9), [replace(EXECUTION, seq=seq) for seq in seqs]))
    assert [[each.seq for each in message.executions] for message in messages] == [[3, 4], [4, 4], [7]]
    assert [message.seq for message in messages] == [3, 6, 9]
    assert all(message.ByteSize() < 2 * small_replies for message in messages)
    for position in range(len(messages)):
        seen = {each.seq for message in messages[: position + 1] for each in message.executions}
        assert set(seqs) <= seen | {seq for seq in seqs if seq > messages[position].seq}


def test_a_page_holds_as_many_executions_as_fit_and_at_least_one(
    small_replies: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(executions_to_proto([EXECUTION] * 5)) == 2
    monkeypatch.setattr(codec, "REPLY_BYTES", 1)
    assert len(executions_to_proto([EXECUTION] * 5)) == 1
    assert executions_to_proto([]) == []
