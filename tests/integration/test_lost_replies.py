"""Every call of the executor to another service is done there, and its answer is lost: nothing is done twice for it."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import fields
from typing import get_type_hints

import pytest
import pytest_asyncio

from services.executor.domain.collect import SMALL_BYTES
from services.executor.ports import Peers
from tests.documents import asks, plan, policy, predicate, step, tool
from tests.embedded import Embedded, Ran, embedded
from tests.scripted import Act, ScriptedRuntime, failing
from theory.core.errors import Unavailable
from theory.core.jcs import JSON
from theory.core.money import UsdMicro
from theory.core.receipt import AttemptOutcome
from theory.core.stream import AskedLimits

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

_AWAY = Unavailable("SERVICE_UNREACHABLE", "away")
SERIES = "/streams/camera/frames"
COST: UsdMicro = 7
RESERVED: UsdMicro = 70
OF_SOCKETS = frozenset({"world.pin_inputs"})
"""What the first call over an attempt's socket brings about: tests/integration/test_sockets.py."""
NOT_OF_A_PLAN = frozenset({"ledger.receipts", "scratch.queue_stats"})
"""What looks, and changes nothing: replaying, looking up, and sampling every so often."""

_numbers = itertools.count(1)


def _calls() -> Iterator[str]:
    """Every method of every peer, as the ports name them."""
    hints = get_type_hints(Peers)
    for each in fields(Peers):
        yield from (f"{each.name}.{name}" for name in vars(hints[each.name]) if not name.startswith("_"))


CALLS = sorted(set(_calls()) - OF_SOCKETS - NOT_OF_A_PLAN)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def theory(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Embedded]:
    home, runtime = tmp_path_factory.mktemp("home"), ScriptedRuntime(needs_directory=True)
    counts = predicate("artifact.jmespath_ok@1", path="/artifacts/inputs/a", expression="n >= `0`")
    published = (
        tool("test/first@1", admission=[asks(RESERVED)], success=[predicate("artifact.exists@1", path="${outputs.a}")]),
        tool("test/then@1", admission=[asks(RESERVED), counts], optional=["TOKEN"]),
        policy("twice@1", retry={"max_attempts": 2, "backoff_ms": [0], "on": ["failed"]}),
    )
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("THEORY_TEST_LOST_TOKEN", "a value")
        secrets_url = "env:THEORY_TEST_LOST_"
        async with embedded(home, runtime=runtime, publish=published, secrets_url=secrets_url) as installation:
            yield installation


def _scripted(runtime: ScriptedRuntime) -> None:
    path = "/artifacts/outputs/first/a"
    wrote = Act(files={path: b"a"}, outputs={"a": path}, reported=COST)
    runtime.scripts["first"] = [failing(reported=COST), wrote]
    runtime.scripts["then"] = Act(files={"/artifacts/outputs/then/b": bytes(SMALL_BYTES + 1)}, reported=COST)


async def _document(theory: Embedded, number: int) -> dict[str, JSON]:
    """A plan that calls whatever executions without a directory call: files, a stream, volumes, a retry, predicates."""
    world = f"lost-{number}"
    await theory.theory.streams.append_many(world, SERIES, [b"frame"], limits=AskedLimits(max_chunks=2))
    reads: list[JSON] = ["/artifacts/inputs/a", "/artifacts/inputs/**", f"{SERIES}/**"]
    first = step("first", processor="test/first@1", reads=reads, volumes=["cache"])
    then = step("then", "first", processor="test/then@1", reads=["/artifacts/outputs/first/**"])
    files = await theory.upload(a=b'{"n":%d}' % number)
    return plan(first, then, files=files, world=world, policy="twice@1")


async def _judged(theory: Embedded, ran: Ran) -> None:
    """Each execution settled once for good, the account is exact to the last, and the chain holds."""
    assert ran.states == {"first": "succeeded", "then": "succeeded"}, [each.failure for each in ran.executions]
    receipts = await theory.receipts(ran.plan.plan_id)
    ended = [(each.execution_id.rpartition(".")[2], each.outcome, each.final) for each in receipts]
    settled = [each for each in ended if each[1] is not AttemptOutcome.LOST]
    assert settled == [("first", "failed", False), ("first", "succeeded", True), ("then", "succeeded", True)]
    assert theory.runtime.invoked == ["first-a0", "first-a1", "then-a0"]
    budget = await theory.theory.ledger.get_budget(ran.plan.plan_id)
    assert (budget.reserved_usd_micro, budget.spent_usd_micro, budget.debt_usd_micro) == (0, 2 * COST, 0), (
        "what failed reported nothing"
    )
    bound = [each.path.text async for each in theory.theory.artifacts.list(ran.plan.world)]
    assert bound == ["/artifacts/inputs/a", "/artifacts/outputs/first/a", "/artifacts/outputs/then/b"]
    await theory.check(ran.plan.plan_id)


@pytest.mark.parametrize("method", CALLS)
async def test_an_answer_that_is_lost_changes_nothing(theory: Embedded, method: str) -> None:
    document = await _document(theory, next(_numbers))
    theory.forget()
    _scripted(theory.runtime)
    theory.faults.lose(method, _AWAY)
    await _judged(theory, await _run(theory, document))
    async with asyncio.timeout(10):
        while theory.faults.calls.count(method) < 2:  # noqa: ASYNC110 - the scratch of a plan ends behind it
            await asyncio.sleep(0.01)


async def test_the_first_answers_of_every_call_that_are_lost_change_nothing(theory: Embedded) -> None:
    document = await _document(theory, next(_numbers))
    theory.forget()
    _scripted(theory.runtime)
    for method in CALLS:
        theory.faults.lose(method, _AWAY, _AWAY)
    await _judged(theory, await _run(theory, document))


async def _run(theory: Embedded, document: JSON) -> Ran:
    """Run a plan as a client does that does not give up: it submits again, with the id that it had."""
    request_id = f"lost-{next(_numbers)}"
    while True:
        try:
            submitted = await theory.submit(document, request_id)
        except Unavailable:
            continue
        return await theory.ended(submitted.plan_id)
