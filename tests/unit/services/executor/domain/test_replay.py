"""The tests of services/executor/domain/replay.py, and of the comparison that theory/sdk/replay.py makes of it."""

import asyncio
from pathlib import Path

import pytest

from tests.documents import plan, step
from tests.embedded import Embedded, embedded
from tests.scripted import Act, failing
from theory.core.context import ExpandedContext
from theory.core.errors import AlreadyExists, NotFound, NotReady
from theory.core.ids import ExecutionId, RequestId
from theory.core.jcs import JSON
from theory.sdk.replay import ReplayReport, replay

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _again(theory: Embedded, execution_id: ExecutionId) -> ReplayReport:
    return await replay(theory.theory, execution_id)


async def test_an_execution_comes_to_the_same_again(theory: Embedded) -> None:
    reading = step(reads=["/artifacts/inputs/**"], inputs={"title": "x"}, write_prefix="/artifacts/outputs/here/")
    first = await theory.run_plan(plan(reading, seed=70_001, files=await theory.upload(a=b"a", b=b"b")))
    theory.forget()
    report = await _again(theory, first["step"].execution_id)
    assert (report.same, report.differences) == (True, ())
    assert theory.runtime.invoked == ["step-a0"]  # no result was taken
    given = theory.runtime.contexts["step-a0"]
    assert (given.seed, given.inputs, given.write_prefix) == (70_001, {"title": "x"}, "/artifacts/outputs/here/")
    assert report.after.document["replay_of"] == {
        "execution_id": first["step"].execution_id.text,
        "receipt_id": first["step"].receipt_id,
    }
    plan_again = await theory.theory.executor.get_plan(report.plan_id)
    assert plan_again.replay_of == first["step"].execution_id
    assert (plan_again.world.text, plan_again.snapshot_id) == (report.plan_id.text, first.plan.snapshot_id)
    await theory.check(report.plan_id)


async def test_what_differs_is_named_to_the_leaf(theory: Embedded) -> None:
    calls = iter((b'{"n": 1, "same": 0}', b'{"n": 2, "same": 0}'))

    def moody(context: ExpandedContext) -> Act:
        return Act(files={f"{context.write_prefix}out.json": next(calls)})

    theory.runtime.scripts["step"] = moody
    first = await theory.run_plan(plan(step()))
    report = await _again(theory, first["step"].execution_id)
    path = "/artifacts/outputs/step/out.json"
    assert [(each.what, each.where) for each in report.differences] == [("output", path), ("output", f"{path} /n")]
    assert not report.same


async def test_a_failure_is_compared_too(theory: Embedded) -> None:
    theory.runtime.scripts["step"] = failing()
    first = await theory.run_plan(plan(step()))
    theory.runtime.scripts["step"] = Act()
    report = await _again(theory, first["step"].execution_id)
    assert [str(each) for each in report.differences] == ['outcome: "failed" -> "succeeded"', "exit_code: 1 -> 0"]


async def test_one_item_of_a_fan_out_is_replayed_alone(theory: Embedded) -> None:
    items: list[JSON] = [{"n": n} for n in range(3)]
    first = await theory.run_plan(plan(step("each", for_each=items, inputs={"n": "${item.n}"})))
    report = await _again(theory, first["each.1"].execution_id)
    assert report.same
    assert report.after.execution_id == f"{report.plan_id}.each.1"


async def test_neither_takes_nor_leaves_a_remembered_result(theory: Embedded) -> None:
    first = await theory.run_plan(plan(step(), seed=70_002))
    report = await _again(theory, first["step"].execution_id)
    theory.forget()
    third = await theory.run_plan(plan(step(), seed=70_002))
    memo = third["step"].memo
    assert memo is not None
    assert memo.source_execution_id == first["step"].execution_id
    assert report.same


async def test_a_repeat_of_the_request_is_the_same_plan(theory: Embedded) -> None:
    first = await theory.run_plan(plan(step()))
    other = await theory.run_plan(plan(step()))
    executor, request_id = theory.theory.executor, RequestId.parse("replay-once")
    plans = [await executor.replay(first["step"].execution_id, request_id) for _ in range(2)]
    assert len({each.plan_id for each in plans}) == 1
    with pytest.raises(AlreadyExists, match="request id"):
        await executor.replay(other["step"].execution_id, request_id)
    await theory.ended(plans[0].plan_id)


async def test_only_what_was_settled_and_ran_can_be_replayed(theory: Embedded) -> None:
    hold = asyncio.Event()
    theory.runtime.scripts |= {"a": Act(hold=hold), "b": failing()}
    submitted = await theory.submit(plan(step("a"), step("b"), step("c", "b")))
    await theory.until(submitted.plan_id, "c", "skipped")
    for name, why in (("a", "it is running"), ("c", "it is skipped")):
        with pytest.raises(NotReady, match=why) as caught:
            await theory.theory.executor.replay(ExecutionId.parse(f"{submitted.plan_id}.{name}"))
        assert caught.value.reason == "REPLAY_IMPOSSIBLE"
    hold.set()
    await theory.ended(submitted.plan_id)
    with pytest.raises(NotFound, match="no execution"):
        await theory.theory.executor.replay(ExecutionId.parse(f"{submitted.plan_id}.nobody"))


async def test_what_never_began_cannot_begin_again(theory: Embedded) -> None:
    ran = await theory.run_plan(plan(step(reads=["/artifacts/inputs/nothing"])))
    assert ran.states == {"step": "failed"}
    with pytest.raises(NotReady, match="nothing ran"):
        await theory.theory.executor.replay(ran["step"].execution_id)


@pytest.mark.slow
async def test_a_replay_whose_input_has_gone_is_refused(tmp_path: Path) -> None:
    async with embedded(tmp_path, memory=False) as theory:
        reading = step(reads=["/artifacts/inputs/a"])
        first = await theory.run_plan(plan(reading, files=await theory.upload(a=b"only here")))
        for each in (tmp_path / "artifacts").rglob("*"):
            if each.is_file() and each.read_bytes() == b"only here":
                each.unlink()
    async with embedded(tmp_path, memory=False) as theory:
        with pytest.raises(NotFound, match="/artifacts/inputs/a are not kept"):
            await theory.theory.executor.replay(first["step"].execution_id)
