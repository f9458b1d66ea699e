"""The tests of services/executor/domain/isolation.py."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from services.executor.domain.isolation import admitted
from tests.documents import plan, step
from tests.embedded import Embedded, embedded
from tests.scripted import Act, ScriptedRuntime
from theory.core.errors import NotReady

pytestmark = pytest.mark.asyncio(loop_scope="module")


def _runtime(kind: str, *missing: str, needs_directory: bool = True) -> ScriptedRuntime:
    runtime = ScriptedRuntime(needs_directory=needs_directory)
    runtime.isolation, runtime.isolation_missing = kind, missing
    return runtime


@pytest.mark.parametrize(
    ("runtime", "required"),
    [
        (_runtime("none"), ""),
        (_runtime("namespaces", "seccomp"), ""),
        (_runtime("namespaces"), "namespaces"),
        (_runtime("gvisor"), "namespaces"),
        (_runtime("gvisor"), "gvisor"),
        (_runtime("none", needs_directory=False), "gvisor"),
    ],
)
async def test_enough_is_admitted(runtime: ScriptedRuntime, required: str) -> None:
    assert (await admitted(runtime, required)).kind == runtime.isolation


@pytest.mark.parametrize(
    ("runtime", "required", "missing"),
    [
        (_runtime("none"), "namespaces", ""),
        (_runtime("namespaces"), "gvisor", ""),
        (_runtime("namespaces", "output_quota", "seccomp"), "namespaces", "output_quota seccomp"),
        (_runtime("gvisor", "no_network"), "namespaces", "no_network"),
    ],
)
async def test_less_is_refused(runtime: ScriptedRuntime, required: str, missing: str) -> None:
    with pytest.raises(NotReady) as caught:
        await admitted(runtime, required)
    assert caught.value.reason == "ISOLATION_MISSING"
    assert caught.value.metadata == {
        "runtime": runtime.kind,
        "required": required,
        "found": runtime.isolation,
        "missing": missing,
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demanding(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Embedded]:
    home: Path = tmp_path_factory.mktemp("home")
    runtime = ScriptedRuntime(needs_directory=True)
    async with embedded(home, runtime=runtime, required_isolation="namespaces") as theory:
        yield theory


async def test_a_plan_that_would_run_with_less_is_refused_before_it_is_recorded(demanding: Embedded) -> None:
    with pytest.raises(NotReady) as caught:
        await demanding.submit(plan(step()))
    assert caught.value.reason == "ISOLATION_MISSING"
    assert demanding.runtime.invoked == []


async def test_what_separates_less_by_the_time_it_runs_fails_its_execution(demanding: Embedded) -> None:
    hold = asyncio.Event()
    demanding.runtime.isolation = "namespaces"
    demanding.runtime.scripts["a"] = Act(hold=hold)
    submitted = await demanding.submit(plan(step("a"), step("b", "a")))
    await demanding.until(submitted.plan_id, "a", "running")
    demanding.runtime.isolation_missing = ("seccomp",)
    hold.set()
    refused = (await demanding.ended(submitted.plan_id))["b"].failure
    assert refused is not None
    assert (refused.reason, refused.metadata["missing"]) == ("ISOLATION_MISSING", "seccomp")
    assert demanding.runtime.invoked == ["a-a0"]


async def test_what_is_missing_is_told_and_stands_in_the_receipt(theory: Embedded) -> None:
    theory.runtime.isolation_missing = ("output_quota", "seccomp")
    try:
        offered = await theory.theory.executor.capabilities()
        ran = await theory.run_plan(plan(step()))
    finally:
        theory.runtime.isolation_missing = ()
    assert {each.kind: each.isolation_missing for each in offered.runtimes}["process"] == ("output_quota", "seccomp")
    [receipt] = await theory.receipts(ran.plan.plan_id)
    assert "none without output_quota seccomp" in str(receipt.document)
