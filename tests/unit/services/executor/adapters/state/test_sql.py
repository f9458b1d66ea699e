"""The promises of the executor's state: in memory, in a file, and on a server that executors share."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from services.executor.adapters.state import MODULE_BY_SCHEME, open_state
from services.executor.ports import ExecutionRecord, ExecutorState, PlanRecord
from tests.records import ENDED, EXECUTION, KEY, MEMO, PLAN, REPLICA
from tests.servers import Servers
from theory.core.errors import AlreadyExists, Invalid, NotFound
from theory.core.execution import ExecutionState, PlanState
from theory.core.ids import ExecutionId, PlanId
from theory.core.refs import Ref

_URL_BY_SCHEME: dict[str, Callable[[Path, Servers], str]] = {
    "memory": lambda *_: "memory:",
    "sqlite": lambda home, _: f"sqlite:///{home}/executor.db",
    "postgresql": lambda _, servers: servers.postgres(),
}


@pytest.fixture(params=sorted(MODULE_BY_SCHEME))
async def state(request: pytest.FixtureRequest, tmp_path: Path, servers: Servers) -> AsyncIterator[ExecutorState]:
    opened = await open_state(_URL_BY_SCHEME[request.param](tmp_path, servers), REPLICA)
    yield opened
    await opened.close()


def _plan(number: int, **fields: object) -> PlanRecord:
    given = {"plan_id": PlanId(f"p-{number}"), "request_id": f"r-{number}", **fields}
    return replace(PLAN, **given)  # type: ignore[arg-type]


def _execution(number: int, ordinal: int = 0, **fields: object) -> ExecutionRecord:
    name = ExecutionId(f"p-{number}.probe.{ordinal}")
    given = {"plan_id": PlanId(f"p-{number}"), "execution_id": name, "ordinal": ordinal, "index": ordinal, **fields}
    return replace(EXECUTION, **given)  # type: ignore[arg-type]


async def test_a_plan_and_its_executions_are_recorded_together(state: ExecutorState) -> None:
    recorded = await state.add_plan(PLAN, [EXECUTION, ENDED])
    assert recorded == PLAN
    assert await state.plan(PLAN.plan_id) == PLAN
    assert await state.executions(PLAN.plan_id, from_ordinal=0, limit=10) == [EXECUTION, ENDED]
    assert await state.execution(ENDED.execution_id) == ENDED


async def test_a_request_id_is_one_plan(state: ExecutorState) -> None:
    first = await state.add_plan(_plan(1), [_execution(1)])
    again = await state.add_plan(_plan(2, request_id="r-1"), [_execution(2)])
    assert again == first
    with pytest.raises(NotFound):
        await state.plan(PlanId("p-2"))
    with pytest.raises(AlreadyExists) as caught:
        await state.add_plan(_plan(3, request_id="r-1", request_digest="b3:other"), [_execution(3)])
    assert (caught.value.reason, caught.value.metadata) == ("REQUEST_ID_TAKEN", {"request_id": "r-1"})
    assert await state.plan_of_request("r-1") == first
    assert await state.plan_of_request("r-2") is None


async def test_concurrent_repeats_are_one_plan(state: ExecutorState) -> None:
    found = await asyncio.gather(*(state.add_plan(_plan(n, request_id="r"), [_execution(n)]) for n in range(8)))
    assert len({each.plan_id for each in found}) == 1


async def test_what_nobody_recorded_is_not_found(state: ExecutorState) -> None:
    with pytest.raises(NotFound) as plan:
        await state.plan(PlanId("p-9"))
    with pytest.raises(NotFound) as changes:
        await state.changes(PlanId("p-9"), after_seq=0)
    with pytest.raises(NotFound) as saved:
        await state.save_plan(_plan(9))
    with pytest.raises(NotFound) as execution:
        await state.execution(ExecutionId("p-9.probe.0"))
    assert {each.value.reason for each in (plan, changes, saved)} == {"PLAN_UNKNOWN"}
    assert (execution.value.reason, execution.value.metadata) == (
        "EXECUTION_UNKNOWN",
        {"execution_id": "p-9.probe.0"},
    )
    assert await state.executions(PlanId("p-9"), from_ordinal=0, limit=10) == []
    assert await state.memo(KEY) is None


async def test_plans_are_listed_from_the_newest(state: ExecutorState) -> None:
    for number in range(1, 6):
        await state.add_plan(_plan(number), [_execution(number)])
    page = await state.plans(before=None, limit=2)
    assert [each.plan_id.text for each in page] == ["p-5", "p-4"]
    assert [each.plan_id.text for each in await state.plans(before=page[-1].plan_id, limit=9)] == ["p-3", "p-2", "p-1"]


async def test_a_plan_is_open_until_its_scratch_has_ended(state: ExecutorState) -> None:
    for number in range(1, 5):
        await state.add_plan(_plan(number), [_execution(number)])
    await state.save_plan(_plan(2, state=PlanState.FAILED))
    await state.save_plan(_plan(3, state=PlanState.SUCCEEDED, scratch_ended=True))
    await state.save_plan(_plan(4, state=PlanState.QUEUED))
    assert [each.plan_id.text for each in await state.open_plans()] == ["p-1", "p-2", "p-4"]


async def test_each_write_moves_the_position_of_its_plan(state: ExecutorState) -> None:
    await state.add_plan(_plan(1), [_execution(1, n) for n in range(3)])
    await state.add_plan(_plan(2), [_execution(2)])
    [failed] = await state.save_executions([_execution(1, 1, state=ExecutionState.FAILED)])
    saved = await state.save_plan(_plan(1, state=PlanState.FAILED))
    assert (failed.seq, saved.seq) == (2, 3)
    assert (await state.plan(PlanId("p-1"))).seq == 3
    assert (await state.plan(PlanId("p-2"))).seq == 1
    assert (await state.execution(failed.execution_id)).state is ExecutionState.FAILED


async def test_changes_are_what_moved_since_in_its_order(state: ExecutorState) -> None:
    await state.add_plan(_plan(1), [_execution(1, n) for n in range(4)])
    await state.save_executions([_execution(1, 2)])
    await state.save_executions([_execution(1, 3), _execution(1, 0)])
    plan, changed = await state.changes(PlanId("p-1"), after_seq=1)
    assert (plan.seq, [(each.seq, each.ordinal) for each in changed]) == (3, [(2, 2), (3, 0), (3, 3)])
    assert [each.ordinal for each in (await state.changes(PlanId("p-1"), after_seq=0))[1]] == [1, 2, 0, 3]
    assert (await state.changes(PlanId("p-1"), after_seq=3))[1] == []


async def test_concurrent_writes_each_have_a_position_of_their_own(state: ExecutorState) -> None:
    await state.add_plan(_plan(1), [_execution(1, n) for n in range(16)])
    saved = await asyncio.gather(*(state.save_executions([_execution(1, n)]) for n in range(16)))
    assert sorted(each[0].seq for each in saved) == list(range(2, 18))


async def test_executions_are_read_in_pieces(state: ExecutorState) -> None:
    await state.add_plan(_plan(1), [_execution(1, n) for n in range(5)])
    pieces = [await state.executions(PlanId("p-1"), from_ordinal=at, limit=2) for at in (0, 2, 4, 5)]
    assert [[each.ordinal for each in piece] for piece in pieces] == [[0, 1], [2, 3], [4], []]


async def test_a_result_is_remembered_with_the_end_that_made_it(state: ExecutorState) -> None:
    await state.add_plan(_plan(1), [_execution(1)])
    await state.save_executions([_execution(1, attempt=None)], MEMO)
    assert await state.memo(KEY) == MEMO
    with pytest.raises(NotFound):
        await state.save_executions([_execution(9)], replace(MEMO, memo_key="b3:other"))
    assert await state.memo("b3:other") is None


async def test_the_latest_result_of_a_key_stays(state: ExecutorState) -> None:
    await state.add_plan(_plan(1), [_execution(1)])
    later = replace(MEMO, receipt_id="b3:later")
    for entry in (MEMO, later):
        await state.save_executions([_execution(1)], entry)
    assert await state.memo(KEY) == later


async def test_recent_keys_are_those_of_any_version_of_a_processor(state: ExecutorState) -> None:
    await state.add_plan(_plan(1), [_execution(1)])
    for number, processor in enumerate(("media/probe@1", "media/probe@2", "media/render@1", "media/probe@1")):
        components = {"seed": str(number), "write_prefix": None}
        entry = replace(MEMO, memo_key=f"b3:{number}", processor=Ref(processor), components=components)
        await state.save_executions([_execution(1)], entry)
    found = await state.recent_components(Ref("media/probe@7"), write_prefix=None, limit=2)
    assert [each["seed"] for each in found] == ["3", "1"]


async def test_recent_keys_of_the_same_place_are_preferred(state: ExecutorState) -> None:
    await state.add_plan(_plan(1), [_execution(1)])
    for number, prefix in enumerate(("/artifacts/a/", "/artifacts/b/", "/artifacts/a/")):
        entry = replace(MEMO, memo_key=f"b3:{number}", components={"seed": str(number), "write_prefix": prefix})
        await state.save_executions([_execution(1)], entry)

    async def seeds(prefix: str) -> list[object]:
        found = await state.recent_components(MEMO.processor, write_prefix=prefix, limit=5)
        return [each["seed"] for each in found]

    assert await seeds("/artifacts/a/") == ["2", "0"]
    assert await seeds("/artifacts/b/") == ["1"]
    assert await seeds("/artifacts/new/") == ["2", "1", "0"]


async def test_a_file_is_found_again(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/executor.db"
    first = await open_state(url, REPLICA)
    await first.add_plan(PLAN, [EXECUTION, ENDED])
    await first.save_executions([EXECUTION], MEMO)
    await first.close()
    second = await open_state(url, REPLICA)
    assert await second.execution(EXECUTION.execution_id) == replace(EXECUTION, seq=2)
    assert await second.memo(KEY) == MEMO
    await second.close()


async def test_another_scheme_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        await open_state("mongodb://host", REPLICA)
    assert (caught.value.reason, caught.value.metadata) == ("ADAPTER_UNKNOWN", {"scheme": "mongodb"})


async def test_what_is_to_end_is_taken_down_once(state: ExecutorState) -> None:
    for number in (1, 2, 3):
        await state.add_plan(_plan(number), [_execution(number)])
    one = _execution(1).execution_id
    for plan_id, execution_id in [(PlanId("p-1"), one), (PlanId("p-1"), one), (PlanId("p-2"), None)]:
        await state.ask_to_cancel(plan_id, execution_id)
    assert await state.asked_to_cancel([PlanId("p-1"), PlanId("p-3")]) == [(PlanId("p-1"), one)]
    assert await state.asked_to_cancel([PlanId("p-2")]) == [(PlanId("p-2"), None)]
    assert await state.asked_to_cancel([]) == []


async def test_results_are_read_by_many_keys(state: ExecutorState) -> None:
    await state.add_plan(PLAN, [EXECUTION])
    await state.save_executions([EXECUTION], MEMO)
    assert await state.memos([KEY, "b3:other"]) == {KEY: MEMO}
    assert await state.memos([]) == {}


async def test_alone_nobody_holds_anything(tmp_path: Path) -> None:
    state = await open_state(f"sqlite:///{tmp_path}/executor.db", REPLICA)
    await state.add_plan(PLAN, [EXECUTION])
    assert state.holder == ""
    assert await state.take_plan(PLAN.plan_id)
    await state.save_executions([EXECUTION])
    await state.close()


async def test_executions_stand_in_line_in_the_order_in_which_they_came(state: ExecutorState) -> None:
    names = [ExecutionId(f"p-{number}.a") for number in range(3)]
    assert [await state.line_up(each, "one", 30) for each in names] == [0, 1, 2]
    assert await state.line_up(ExecutionId("p-9.a"), "other", 30) == 0
    assert [await state.line_up(each, "one", 30) for each in names] == [0, 1, 2]
    await state.keep_places(names, 30)
    await state.step_out(names[0])
    await state.step_out(names[0])
    assert [await state.line_up(each, "one", 30) for each in (names[2], names[1], names[0])] == [1, 0, 2]


async def test_who_was_not_kept_stands_nowhere_any_more(state: ExecutorState) -> None:
    gone, here = ExecutionId("p-1.a"), ExecutionId("p-2.a")
    assert await state.line_up(gone, "one", -1) == 0
    assert await state.line_up(here, "one", 30) == 0
    assert await state.line_up(gone, "one", 30) == 1


async def test_what_was_asked_of_a_plan_is_forgotten_with_its_end(state: ExecutorState) -> None:
    await state.add_plan(PLAN, [EXECUTION])
    await state.ask_to_cancel(PLAN.plan_id, EXECUTION.execution_id)
    await state.ask_to_cancel(PLAN.plan_id, None)
    assert len(await state.asked_to_cancel([PLAN.plan_id])) == 2
    await state.save_plan(replace(PLAN, state=PlanState.CANCELLED))
    assert await state.asked_to_cancel([PLAN.plan_id]) == []


async def test_a_key_is_had_again_by_whoever_has_it(state: ExecutorState) -> None:
    for _ in range(2):
        assert await state.take_flight(KEY)
        await state.prolong_leases()
    for _ in range(2):
        await state.leave_flight(KEY)
    assert await state.take_flight(KEY)
    await state.leave_flight(KEY)
