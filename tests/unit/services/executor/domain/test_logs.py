"""The tests of services/executor/domain/logs.py."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from services.executor.domain.logs import LogPosition
from tests.documents import plan, policy, step
from tests.embedded import Embedded
from tests.scripted import Act, failing
from theory.core.adapters import LogPiece, LogSource
from theory.core.errors import Invalid, NotFound, NotReady
from theory.core.ids import ExecutionId, PlanId
from theory.sdk.views import LogPart

pytestmark = pytest.mark.asyncio(loop_scope="module")

OUT, ERR = LogSource.STDOUT, LogSource.STDERR


def _piece(data: bytes, source: LogSource = OUT) -> LogPiece:
    return LogPiece(source, data, "")


def _id(plan_id: PlanId, name: str = "a") -> ExecutionId:
    return ExecutionId.parse(f"{plan_id}.{name}")


async def _all(theory: Embedded, plan_id: PlanId, name: str = "a", **asked: Any) -> list[LogPart]:
    return [each async for each in theory.theory.executor.logs(_id(plan_id, name), **asked)]


def _text(parts: list[LogPart]) -> bytes:
    return b"".join(each.data for each in parts)


async def test_what_runs_is_told_as_it_comes_and_to_the_end(theory: Embedded) -> None:
    hold = asyncio.Event()
    theory.runtime.scripts["a"] = Act(hold=hold, log="settled")
    theory.runtime.printed["a-a0"] = printed = [_piece(b"one\n"), _piece(b"oh\n", ERR)]
    submitted = await theory.submit(plan(step("a")))
    async with aclosing(theory.theory.executor.logs(_id(submitted.plan_id))) as parts:
        first, second = await anext(parts), await anext(parts)
        assert [(each.source, each.data, each.attempt_idx) for each in (first, second)] == [
            (OUT, b"one\n", 0),
            (ERR, b"oh\n", 0),
        ]
        printed.append(_piece(b"two\n"))
        assert (await anext(parts)).data == b"two\n"
        printed.append(_piece(b"end\n"))
        hold.set()
        rest = [each async for each in parts]
    assert _text(rest) == b"end\n"
    assert [each.last for each in rest][-1]
    assert not any(each.gap for each in rest)
    await theory.ended(submitted.plan_id)
    behind = await _all(theory, submitted.plan_id, position=rest[-1].position)
    assert [(each.data, each.last) for each in behind] == [(b"", True)]


async def test_every_position_is_one_to_go_on_from(theory: Embedded) -> None:
    hold = asyncio.Event()
    theory.runtime.scripts["a"] = Act(hold=hold)
    theory.runtime.printed["a-a0"] = [_piece(b"%d\n" % number) for number in range(5)]
    submitted = await theory.submit(plan(step("a")))
    await theory.runtime.until_running(1)
    whole = await _all(theory, submitted.plan_id, follow=False)
    assert _text(whole) == b"0\n1\n2\n3\n4\n"
    for number, part in enumerate(whole[:5], start=1):
        rest = await _all(theory, submitted.plan_id, position=part.position, follow=False)
        assert _text(rest) == b"".join(b"%d\n" % each for each in range(number, 5))
        assert rest[-1].last
    hold.set()
    await theory.ended(submitted.plan_id)


async def test_of_a_settled_execution_the_end_is_told_though_no_engine_answers(theory: Embedded) -> None:
    theory.runtime.scripts["a"] = Act(log="the last words\n")
    ran = await theory.run_plan(plan(step("a"), step("b", "a")))
    told = await _all(theory, ran.plan.plan_id)
    assert [(each.source, each.data, each.gap, each.last) for each in told] == [
        (LogSource.BOTH, b"the last words\n", False, False),
        (None, b"", False, True),
    ]
    assert [(each.data, each.last) for each in await _all(theory, ran.plan.plan_id, "b")] == [(b"", False), (b"", True)]
    theory.runtime.logs_fault = NotReady("ENGINE_DOWN", "start it")
    assert _text(await _all(theory, ran.plan.plan_id)) == b"the last words\n"


async def test_what_was_removed_before_it_was_told_is_a_gap(theory: Embedded) -> None:
    theory.runtime.scripts["a"] = Act(log="the last words\n")
    ran = await theory.run_plan(plan(step("a")))
    told = await _all(theory, ran.plan.plan_id, position="0:17")
    assert [(each.data, each.gap) for each in told] == [(b"the last words\n", True), (b"", False)]


async def test_attempt_follows_attempt(theory: Embedded) -> None:
    theory.runtime.scripts["a"] = [failing(), Act(hold=(hold := asyncio.Event()))]
    theory.runtime.printed |= {"a-a0": [_piece(b"first\n")], "a-a1": [_piece(b"second\n")]}
    await theory.publish(policy("logs-twice@1", retry={"max_attempts": 2, "backoff_ms": [0]}))
    submitted = await theory.submit(plan(step("a"), policy="logs-twice@1"))
    await theory.until(submitted.plan_id, "a", "running")
    following = asyncio.create_task(_all(theory, submitted.plan_id, position="0:"))
    await theory.runtime.until_looked("a-a1")
    hold.set()
    told = await following
    assert {(each.attempt_idx, each.data) for each in told if each.attempt_idx} == {(1, b"second\n"), (1, b"")}
    assert told[-1].last
    await theory.ended(submitted.plan_id)
    alone = await _all(theory, submitted.plan_id, attempt_idx=0)
    assert [(each.data, each.gap, each.last) for each in alone] == [(b"", True, False), (b"", False, True)]


async def test_what_was_never_told_is_refused(theory: Embedded) -> None:
    ran = await theory.run_plan(plan(step("a")))
    for attempt_idx, position in ((0, "x"), (0, "1:"), (-1, ""), (0, ":")):
        with pytest.raises(Invalid) as caught:
            await _all(theory, ran.plan.plan_id, attempt_idx=attempt_idx, position=position)
        assert (caught.value.reason, caught.value.metadata) == ("LOG_POSITION_INVALID", {"field": "position"})
    with pytest.raises(NotFound) as unknown:
        await _all(theory, ran.plan.plan_id, "nobody")
    assert unknown.value.reason == "EXECUTION_UNKNOWN"


async def test_what_is_read_is_removed_only_afterwards(theory: Embedded) -> None:
    hold = asyncio.Event()
    theory.runtime.scripts["a"] = Act(hold=hold)
    theory.runtime.printed["a-a0"] = [_piece(b"one\n"), _piece(b"two\n")]
    submitted = await theory.submit(plan(step("a")))
    async with aclosing(theory.theory.executor.logs(_id(submitted.plan_id))) as parts:
        assert (await anext(parts)).data == b"one\n"
        hold.set()
        await theory.ended(submitted.plan_id)
        assert _text([each async for each in parts]) == b"two\n"
    await theory.runtime.until_released()


async def test_a_position_reads_as_it_is_written() -> None:
    assert LogPosition.parse("3:5.1-7.2") == LogPosition(3, "5.1-7.2")
    assert LogPosition(3, "5.1-7.2").text == "3:5.1-7.2"
    for wrong in ("", "1", ":", "-1:", "1:\u00e9", "1:" + "x" * 201, "1:a:b", "1:\n"):
        with pytest.raises(Invalid):
            LogPosition.parse(wrong)
