"""The tests of services/executor/domain/submit.py."""

import asyncio
from pathlib import Path
from typing import Any, TypeVar

import pytest

from services.executor.adapters.state import open_state
from services.executor.domain.submit import Submissions
from services.executor.domain.watch import WatchedState
from services.executor.ports import ExecutionRecord, PlanRecord
from tests.documents import asks, plan, policy, step, tool
from tests.embedded import Embedded, embedded
from tests.peers import peers_of
from tests.records import REPLICA
from tests.scripted import ScriptedRuntime
from theory.core.cid import Cid
from theory.core.clock import SystemClock
from theory.core.errors import AlreadyExists, Invalid, NotFound, NotReady, TheoryError, Unsupported
from theory.core.ids import RequestId, SequenceIds
from theory.core.jcs import JSON
from theory.core.plan import PlanSpec

pytestmark = pytest.mark.asyncio(loop_scope="module")

E = TypeVar("E", bound=TheoryError)


async def _refused(theory: Embedded, document: JSON, kind: type[E], reason: str) -> E:
    before = len([each async for each in theory.theory.executor.list_plans()])
    with pytest.raises(kind) as caught:
        await theory.submit(document)
    assert caught.value.reason == reason
    assert len([each async for each in theory.theory.executor.list_plans()]) == before
    return caught.value


async def test_a_repeat_is_the_same_plan(theory: Embedded) -> None:
    document = plan(step())
    first = await theory.submit(document, "same")
    ended = await theory.ended(first.plan_id)
    assert (await theory.submit(document, "same")).plan_id == first.plan_id
    assert (await theory.theory.executor.get_plan(first.plan_id)).finish_time == ended.plan.finish_time
    assert theory.runtime.invoked == ["step-a0"]


async def test_concurrent_repeats_are_one_plan(theory: Embedded) -> None:
    document = plan(step())
    plans = await asyncio.gather(*(theory.submit(document, "at-once") for _ in range(8)))
    assert len({each.plan_id for each in plans}) == 1
    await theory.ended(plans[0].plan_id)
    assert theory.runtime.invoked == ["step-a0"]


async def test_a_request_id_belongs_to_one_plan(theory: Embedded) -> None:
    submitted = await theory.submit(plan(step()), "mine")
    with pytest.raises(AlreadyExists) as caught:
        await theory.submit(plan(step()), "mine")
    assert (caught.value.reason, caught.value.metadata) == ("REQUEST_ID_TAKEN", {"request_id": "mine"})
    await theory.ended(submitted.plan_id)


async def test_a_write_prefix_stays_below_what_the_processor_declares(theory: Embedded) -> None:
    document = plan(step("a"), step("b", write_prefix="/artifacts/elsewhere/"))
    error = await _refused(theory, document, Invalid, "WRITE_PREFIX_REFUSED")
    expected = {"field": "transitions[1].write_prefix", "write_prefix": "/artifacts/elsewhere/"}
    assert error.metadata == expected


async def test_a_write_prefix_needs_a_declared_folder(theory: Embedded) -> None:
    await theory.publish(tool("test/exact@1", writes=["/artifacts/outputs/one.json"]))
    document = plan(step(processor="test/exact@1", write_prefix="/artifacts/outputs/"))
    await _refused(theory, document, Invalid, "WRITE_PREFIX_REFUSED")


@pytest.mark.parametrize(
    ("fields", "ref", "kind"),
    [
        ({"transitions": [step(processor="test/nobody@1")]}, "test/nobody@1", "tools"),
        ({"policy": "nobody@1"}, "nobody@1", "policies"),
    ],
)
async def test_what_was_never_published_cannot_be_named(
    theory: Embedded, fields: dict[str, Any], ref: str, kind: str
) -> None:
    error = await _refused(theory, plan(step()) | fields, NotFound, "SPEC_UNKNOWN")
    assert (error.metadata["ref"], error.metadata["kind"]) == (ref, kind)


async def test_a_file_must_have_been_uploaded(theory: Embedded) -> None:
    cid = Cid.of(b"never uploaded").text
    file: JSON = {"path": "/artifacts/inputs/a", "cid": cid, "size_bytes": 14}
    error = await _refused(theory, plan(step(), files=[file]), NotFound, "BLOB_UNKNOWN")
    assert error.metadata == {"cid": cid, "path": "/artifacts/inputs/a"}


async def test_every_missing_secret_is_named(theory: Embedded) -> None:
    secretive = tool("test/secretive@1", required=["TOKEN_B", "TOKEN_A"], optional=["TOKEN_C"])
    await theory.publish(secretive)
    error = await _refused(theory, plan(step(processor="test/secretive@1")), NotFound, "SECRET_UNKNOWN")
    assert error.metadata == {"names": "TOKEN_A TOKEN_B"}


async def test_a_runtime_that_is_not_served_is_refused(theory: Embedded) -> None:
    error = await _refused(theory, plan(step(), runtime="modal"), NotReady, "RUNTIME_UNKNOWN")
    assert error.metadata == {"runtime": "modal", "served": "mock process"}


async def test_an_engine_that_is_down_is_told(theory: Embedded) -> None:
    theory.runtime.down = "no engine answers: start one"
    error = await _refused(theory, plan(step()), NotReady, "ENGINE_DOWN")
    assert error.message == "no engine answers: start one"


async def test_volumes_that_a_runtime_cannot_mount_are_refused_unless_it_runs_nothing(tmp_path: Path) -> None:
    runtime = ScriptedRuntime(needs_directory=True)
    async with embedded(tmp_path, runtime=runtime) as theory:
        document = plan(step("a"), step("b", volumes=["shared"]))
        assert (await theory.run_plan(document)).states == {"a": "succeeded", "b": "succeeded"}
        runtime.volume_kinds = frozenset({"elsewhere"})
        error = await _refused(theory, document, Unsupported, "CAPABILITY_MISSING")
        assert error.metadata == {"capability": "volumes"}
        mocked = plan(step("a"), step("b", volumes=["shared"], runtime="mock"))
        assert (await theory.run_plan(mocked)).states == {"a": "succeeded", "b": "succeeded"}


async def test_a_plan_may_not_ask_for_more_than_its_policy_gives(theory: Embedded) -> None:
    error = await _refused(theory, plan(step(), budget={"max_usd_micro": 1_000_001}), Invalid, "PLAN_INVALID")
    assert error.metadata == {"field": "budget.max_usd_micro"}


async def test_a_budget_that_cannot_pay_for_one_step_is_refused(theory: Embedded) -> None:
    await theory.publish(tool("test/dear@1", admission=[asks(500)]))
    document = plan(step("a"), step("b", processor="test/dear@1"), budget={"max_usd_micro": 499})
    error = await _refused(theory, document, NotReady, "BUDGET_INSUFFICIENT")
    expected = {"required_usd_micro": "500", "available_usd_micro": "499", "transition": "b"}
    assert error.metadata == expected


async def test_a_step_that_its_policy_can_never_pay_for_says_so(theory: Embedded) -> None:
    await theory.publish(tool("test/dearest@1", admission=[asks(1_000_001)]))
    error = await _refused(theory, plan(step(processor="test/dearest@1")), NotReady, "BUDGET_INSUFFICIENT")
    assert error.message.endswith("the plan may spend 1000000: its policy once@1 allows no more")


async def test_a_budget_that_cannot_pay_the_policys_default_is_refused(theory: Embedded) -> None:
    await theory.publish(policy("usual@1", budget={"default_required_usd_micro": 50}))
    await _refused(
        theory, plan(step(), policy="usual@1", budget={"max_usd_micro": 49}), NotReady, "BUDGET_INSUFFICIENT"
    )


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (plan(), "transitions"),
        (plan(step("a", "b")), "transitions[0].needs[0]"),
        (plan(step("a", "b"), step("b", "a")), "transitions[0].needs"),
        (plan(step("a", for_each=[{"n": 1}], inputs={"x": "${item.m}"})), "transitions[0].inputs.x"),
        (plan(step("a", for_each={"files": "/artifacts/inputs/**"})), "transitions[0].for_each.files"),
    ],
)
async def test_a_plan_that_makes_no_sense_names_the_place(theory: Embedded, document: JSON, field: str) -> None:
    try:
        error: Invalid = await _refused(theory, document, Invalid, "PLAN_INVALID")
    except Invalid as refused:  # the client reads it by the same grammar
        error = refused
    assert error.metadata["field"] == field


async def test_a_plan_that_is_recorded_begins_though_its_client_went_away(theory: Embedded, tmp_path: Path) -> None:
    """I-94: what was recorded is carried out."""
    clock, begun = SystemClock(), asyncio.Event()
    state = _HeldState(WatchedState(await open_state("memory:", REPLICA), clock))
    submissions = Submissions(
        state=state,  # type: ignore[arg-type]  # a wrapper of one method
        peers=peers_of(theory),
        runtimes={"process": theory.runtime},
        default_runtime="process",
        required_isolation="",
        clock=clock,
        ids=SequenceIds(),
        begin=lambda _: begun.set(),
    )
    submitting = asyncio.create_task(submissions.submit(RequestId.parse("gone"), PlanSpec.parse(plan(step()))))
    await state.adding.wait()
    submitting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await submitting
    assert not begun.is_set()
    state.may_add.set()
    async with asyncio.timeout(5):
        await begun.wait()
    recorded = await state.plan_of_request("gone")
    assert recorded is not None
    await state.close()


class _HeldState:
    def __init__(self, inner: WatchedState) -> None:
        self._inner = inner
        self.adding, self.may_add = asyncio.Event(), asyncio.Event()

    async def add_plan(self, record: PlanRecord, executions: list[ExecutionRecord]) -> PlanRecord:
        self.adding.set()
        await self.may_add.wait()
        return await self._inner.add_plan(record, executions)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
