"""Starting, stopping and starting again: nothing is lost, and nobody waits long (I-92)."""

import asyncio
import itertools
import signal
import time
from collections.abc import AsyncIterator
from functools import partial

import pytest
import pytest_asyncio

from services.executor.domain.patience import patiently
from tests.documents import policy, tool
from tests.embedded import Ran
from tests.integration.processes import PROCESSES, SPLIT, Installation, installed
from theory.core.clock import SystemClock
from theory.core.errors import TheoryError
from theory.core.jcs import JSON
from theory.sdk.rpc import unwrapped
from theory.sdk.verify import verify_plan
from theory.sdk.views import PlanView

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

_DRAIN_S = 9.0
"""Less than what a server waits at most for calls that do not end."""
_FLAKY = tool("test/flaky@1", adapter={"mock": {"outcome": "failed", "attempts": 1}})
_PATIENT = policy("patient@1", retry={"max_attempts": 2, "backoff_ms": [3_600_000], "on": ["failed"]})
_seeds = itertools.count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=list(PROCESSES))
async def installation(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Installation]:
    """Each test leaves it running."""
    async with installed(request.param, tmp_path_factory.mktemp("home")) as running:
        unwrapped(await running.theory.registry.publish_many([_FLAKY, _PATIENT, tool()]))
        yield running


async def _begun(installation: Installation) -> PlanView:
    """A plan that failed once, and would wait an hour before it tried again."""
    first: JSON = {"id": "first", "processor": "test/flaky@1"}
    last: JSON = {"id": "last", "processor": "test/step@1", "needs": ["first"]}
    document: JSON = {"name": "flaky", "policy": "patient@1", "seed": next(_seeds), "transitions": [first, last]}
    submitted = await installation.submit(document)
    await installation.until(submitted.plan_id, "first", "queued", attempt_idx=1)
    return submitted


async def _finished(installation: Installation, ran: Ran) -> None:
    assert ran.states == {"first": "succeeded", "last": "succeeded"}
    assert (ran["first"].attempt_idx, ran["first"].epoch) == (1, 2)
    verify = partial(verify_plan, installation.theory, ran.plan.plan_id.text)
    # A connection that saw the ledger go away takes a moment to see that it is back.
    assert (await patiently(SystemClock(), verify)).faults == ()


async def test_a_stopped_installation_goes_on_where_it_was(installation: Installation) -> None:
    submitted = await _begun(installation)
    watching = asyncio.create_task(installation.ended(submitted.plan_id))
    began = time.monotonic()
    ended = await installation.processes.stop()
    assert set(ended.values()) == {0}, {name: installation.processes.log(name) for name in ended}
    assert time.monotonic() - began < _DRAIN_S
    assert not list(installation.processes.home.glob("*.sock"))
    await installation.processes.start()
    await _finished(installation, await watching)


async def test_a_killed_installation_goes_on_where_it_was(installation: Installation) -> None:
    submitted = await _begun(installation)
    ended = await installation.processes.stop(number=signal.SIGKILL)
    assert set(ended.values()) == {-signal.SIGKILL}
    await installation.processes.start()
    await _finished(installation, await installation.ended(submitted.plan_id))


async def test_a_home_that_is_served_stays_with_who_serves_it(installation: Installation) -> None:
    name = PROCESSES[installation.deployment][0]
    assert await installation.processes.second(name) == 1
    assert "HOME_LOCKED" in installation.processes.log(name).splitlines()[-1]
    assert (await installation.theory.executor.capabilities()).default_runtime == "mock"


@pytest.mark.parametrize("installation", [SPLIT], indirect=True)
async def test_a_plan_waits_for_peers_that_are_away(installation: Installation) -> None:
    submitted, processes = await _begun(installation), installation.processes
    await processes.stop(["ledger", "registry", "artifacts", "resources"])
    with pytest.raises(TheoryError) as caught:
        await installation.submit({"name": "x", "transitions": [{"id": "a", "processor": "test/step@1"}]})
    assert caught.value.reason == "SERVICE_UNREACHABLE"
    assert "registry" in caught.value.message
    await processes.stop(["executor"])
    await processes.start(["executor"])
    await processes.start(["ledger", "registry", "artifacts", "resources"])
    await _finished(installation, await installation.ended(submitted.plan_id))
