"""Following a plan through a pipe."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.theory.sdk.servicer import ScriptedExecutor, change, execution, for_ever, plan
from theory.cli.environment import read
from theory.cli.follow import concluded, follow
from theory.cli.output import Output
from theory.cli.session import Session
from theory.core import jcs
from theory.core.clock import FakeClock
from theory.sdk.client import Theory
from theory.sdk.plan_messages import plan_from_proto
from theory.wire.server import running

_MISS = {"memo_key": "b3:", "differences": ["seed"]}


@pytest.fixture
def executor() -> ScriptedExecutor:
    return ScriptedExecutor(executions=[execution("probe", "waiting"), execution("report", "waiting")])


@pytest.fixture
async def theory(executor: ScriptedExecutor) -> AsyncIterator[Theory]:
    async with running([executor.unit()]) as server, Theory.connect(server.url) as theory:
        yield theory


def _session(*, as_json: bool = False) -> Session:
    output = Output(as_json=as_json, colour=True, stdout=io.StringIO(), stderr=io.StringIO())
    return Session(environment=read({}), output=output, home=Path(), url=None)


def _said(session: Session) -> list[str]:
    assert isinstance(session.output.stdout, io.StringIO)
    return session.output.stdout.getvalue().splitlines()


async def test_each_change_of_an_execution_is_a_line(executor: ScriptedExecutor, theory: Theory) -> None:
    failure = {"reason": "PROCESSOR_FAILED", "message": "exit code 1"}
    executor.scripts = [
        [
            change(1, execution("probe")),
            change(2, execution("probe", "queued", attempt_idx=1, failure=failure)),
            change(3, execution("probe", attempt_idx=1)),
            change(4, execution("probe", "succeeded", attempt_idx=1, memo=_MISS, cost_usd_micro=5000)),
            change(5, execution("report", "succeeded", memo={"memo_key": "b3:", "hit": True}), state="succeeded"),
        ]
    ]
    session = _session()
    progress = await follow(session, theory, plan_from_proto(plan()), clock=FakeClock())
    assert progress.plan.state.terminal
    assert [each.split(maxsplit=2)[2] for each in _said(session)[1:]] == [
        "probe            running",
        "probe            queued again after PROCESSOR_FAILED: exit code 1",
        "probe            running, attempt 2",
        "probe            succeeded in 2.0 s, $0.005; seed differed; 2 attempts",
        "report           memo hit; an earlier result",
    ]
    assert concluded(session, progress) == 0
    assert _said(session)[-1] == "  verify     theory verify p-1"


async def test_of_a_large_plan_only_the_ends_are_told(executor: ScriptedExecutor, theory: Theory) -> None:
    executor.scripts = [[change(1, execution("probe")), change(2, execution("probe", "failed"), state="failed")]]
    for message in executor.scripts[0]:
        message.plan.execution_count = 500  # type: ignore[union-attr]  # they are messages
    session = _session()
    progress = await follow(session, theory, plan_from_proto(plan(execution_count=500)), clock=FakeClock())
    assert len(_said(session)) == 2
    assert concluded(session, progress) == 1


async def test_with_json_each_change_is_a_line_where_that_is_wanted(executor: ScriptedExecutor, theory: Theory) -> None:
    for records, lines in ((True, 2), (False, 0)):
        executor.scripts = [[change(1, execution("probe")), change(2, state="succeeded")]]
        session = _session(as_json=True)
        await follow(session, theory, plan_from_proto(plan()), records=records, clock=FakeClock())
        assert [set(jcs.parse_object(each)) for each in _said(session)] == [{"seq", "plan", "executions"}] * lines


async def test_who_leaves_early_is_told_that_the_plan_goes_on(executor: ScriptedExecutor, theory: Theory) -> None:
    reached = asyncio.Event()

    async def hang() -> None:
        reached.set()
        await for_ever()

    executor.scripts = [[change(1), hang]]
    session = _session()
    following = asyncio.ensure_future(follow(session, theory, plan_from_proto(plan())))
    await reached.wait()
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    assert isinstance(session.output.stderr, io.StringIO)
    assert session.output.stderr.getvalue() == "the plan goes on: 'theory plan watch p-1' follows it again\n"
