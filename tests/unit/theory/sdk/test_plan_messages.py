"""Plans and executions to protobuf and back."""

from datetime import UTC, datetime

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from theory.api.executor.v1 import execution_pb2, executor_pb2, plan_pb2
from theory.api.ledger.v1 import receipt_pb2
from theory.core.cid import Cid
from theory.core.errors import Invalid
from theory.core.execution import ExecutionState, MemoVerdict, PlanState
from theory.core.jcs import JSON
from theory.core.plan import PlanSpec
from theory.core.receipt import AttemptOutcome
from theory.sdk import plan_messages
from theory.sdk.views import ExecutionView, PlanView

_CID = Cid.of(b"a").text
_TRANSITIONS: list[JSON] = [
    {"id": "probe", "processor": "media/probe@1", "for_each": {"files": "/artifacts/**"}, "reads": ["${item.path}"]},
    {"id": "tile", "processor": "media/render@1", "inputs": {"width": 4}, "for_each": [{"n": 1}], "needs": ["probe"]},
    {
        "id": "report",
        "processor": "media/report@1",
        "write_prefix": "/artifacts/outputs/",
        "runtime": "process",
        "volumes": ["v"],
    },
]
_DOCUMENT: dict[str, JSON] = {
    "name": "media",
    "seed": 7,
    "runtime": "mock",
    "budget": {"max_usd_micro": 0},
    "files": [{"path": "/artifacts/a.png", "cid": _CID, "size_bytes": 1, "content_type": "image/png"}],
    "transitions": _TRANSITIONS,
}


def test_a_plan_keeps_all_that_it_says() -> None:
    message = plan_messages.spec_to_proto(PlanSpec.parse(_DOCUMENT))
    assert (message.name, message.policy_ref, message.seed, message.runtime) == ("media", "default@1", 7, "mock")
    assert message.HasField("max_usd_micro")
    assert message.max_usd_micro == 0
    (file,) = message.files
    assert (file.world_path, file.cid, file.size_bytes, file.content_type) == ("/artifacts/a.png", _CID, 1, "image/png")
    probe, tile, report = message.transitions
    assert (probe.for_each.file_selector, list(probe.reads)) == ("/artifacts/**", ["${item.path}"])
    assert (list(tile.for_each.item_list.items), tile.inputs, list(tile.needs)) == (
        [b'{"n":1}'],
        b'{"width":4}',
        ["probe"],
    )
    assert not report.HasField("for_each")
    assert (report.write_prefix, report.runtime, report.inputs) == ("/artifacts/outputs/", "process", b"")
    assert list(report.volumes) == ["v"]


def test_a_plan_without_a_cap_leaves_it_to_the_policy() -> None:
    document = {**_DOCUMENT, "budget": {}}
    assert not plan_messages.spec_to_proto(PlanSpec.parse(document)).HasField("max_usd_micro")


def test_a_plan_whose_files_were_not_uploaded_is_refused() -> None:
    with pytest.raises(Invalid, match="not uploaded") as caught:
        plan_messages.spec_to_proto(PlanSpec.parse({**_DOCUMENT, "files": {"/artifacts/": ["*.png"]}}))
    assert caught.value.metadata == {"field": "files"}


def test_every_state_and_outcome_has_its_word() -> None:
    plan_states = set(plan_pb2.Plan.State.values()) - {0}
    assert {_plan(state=state).state for state in plan_states} == set(PlanState)
    states = set(execution_pb2.Execution.State.values()) - {0}
    assert {_execution(state=state).state for state in states} == set(ExecutionState)
    outcomes = set(receipt_pb2.AttemptOutcome.values())
    assert {_execution(outcome=outcome).outcome for outcome in outcomes} == {None, *AttemptOutcome}


def test_what_is_not_set_is_none() -> None:
    plan, execution = _plan(), _execution()
    assert (plan.snapshot_id, plan.finish_time, plan.failure) == (None, None, None)
    assert (execution.index, execution.memo, execution.receipt_id, execution.named_outputs) == (None, None, None, {})


def test_what_is_set_is_there() -> None:
    execution = _execution(
        item_index=0,
        memo=execution_pb2.Memo(memo_key="b3:0", hit=True, source_execution_id="p-0.probe"),
        failure=plan_pb2.Failure(reason="PROCESSOR_FAILED", message="no", metadata={"exit_code": "3"}),
        outputs=[{"world_path": "/artifacts/a.png", "cid": _CID, "size_bytes": 1}],
        named_outputs=b'{"a":1}',
        start_time=_moment(),
    )
    assert execution.index == 0
    assert isinstance(execution.memo, MemoVerdict)
    assert execution.memo.source_execution_id is not None
    assert execution.failure is not None
    assert execution.failure.metadata == {"exit_code": "3"}
    assert execution.outputs[0].content_type == "application/octet-stream"
    assert execution.named_outputs == {"a": 1}
    assert execution.start_time == datetime(2026, 1, 2, tzinfo=UTC)


def test_a_change_holds_the_plan_and_what_changed() -> None:
    message = executor_pb2.WatchPlanResponse(seq=3, plan=_plan_message(), executions=[_execution_message()])
    change = plan_messages.change_from_proto(message)
    assert (change.seq, change.plan.plan_id.text, change.executions[0].name) == (3, "p-1", "probe")


def test_capabilities_name_the_runtimes_in_order() -> None:
    message = executor_pb2.GetCapabilitiesResponse(default_runtime="mock", max_in_flight=2)
    message.runtimes.add(kind="local", advice="start it", isolation_missing=["a", "b"])
    message.runtimes.add(kind="mock", ready=True, isolation="none")
    offered = plan_messages.capabilities_from_proto(message)
    assert [(each.kind, each.ready) for each in offered.runtimes] == [("local", False), ("mock", True)]
    assert [each.isolation_missing for each in offered.runtimes] == [("a", "b"), ()]


def _plan_message(**fields: object) -> plan_pb2.Plan:
    given: dict[str, object] = {"plan_id": "p-1", "name": "media", "world": "p-1", "state": plan_pb2.Plan.STATE_RUNNING}
    return plan_pb2.Plan(**{**given, "create_time": _moment(), **fields})  # type: ignore[arg-type]


def _plan(**fields: object) -> PlanView:
    return plan_messages.plan_from_proto(_plan_message(**fields))


def _execution_message(**fields: object) -> execution_pb2.Execution:
    given: dict[str, object] = {
        "plan_id": "p-1",
        "execution_id": "p-1.probe",
        "transition_id": "probe",
        "processor_ref": "media/probe@1",
        "state": execution_pb2.Execution.STATE_RUNNING,
    }
    return execution_pb2.Execution(**{**given, **fields})  # type: ignore[arg-type]


def _execution(**fields: object) -> ExecutionView:
    return plan_messages.execution_from_proto(_execution_message(**fields))


def _moment() -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(datetime(2026, 1, 2, tzinfo=UTC))
    return moment
