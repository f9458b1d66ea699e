"""The tests of services/executor/domain/volumes.py."""

from dataclasses import replace
from pathlib import Path

import pytest

from services.executor.domain.volumes import located, require_mountable
from tests.embedded import Embedded
from tests.peers import peers_of
from tests.records import EXECUTION
from tests.scripted import ScriptedRuntime
from theory.core.errors import NotReady, Unsupported
from theory.core.ids import PlanId
from theory.sdk.volumes import VolumesClient

pytestmark = pytest.mark.asyncio(loop_scope="module")

_RUNS = ScriptedRuntime(needs_directory=True)


async def test_a_volume_is_made_once_and_told_by_name(theory: Embedded) -> None:
    scratch = peers_of(theory).scratch
    record = replace(EXECUTION, plan_id=PlanId("p-located"), volumes=("b", "a"))
    found = await located(scratch, _RUNS, record)
    assert list(found) == ["b", "a"]
    (Path(found["a"]) / "kept").touch()
    assert await located(scratch, _RUNS, record) == found
    assert [each.name for each in Path(found["a"]).iterdir()] == ["kept"]
    assert [each.name for each in await VolumesClient(theory.channel()).list(plan_id="p-located")] == ["a", "b"]


async def test_what_names_none_and_what_runs_nothing_makes_none(theory: Embedded) -> None:
    scratch = peers_of(theory).scratch
    record = replace(EXECUTION, plan_id=PlanId("p-none"), volumes=("a",))
    assert await located(scratch, _RUNS, replace(record, volumes=())) == {}
    assert await located(scratch, ScriptedRuntime(), record) == {}
    assert await VolumesClient(theory.channel()).list(plan_id="p-none") == []


async def test_an_ended_plan_gets_none(theory: Embedded) -> None:
    scratch = peers_of(theory).scratch
    await scratch.end_plan(PlanId("p-over"))
    with pytest.raises(NotReady):
        await located(scratch, _RUNS, replace(EXECUTION, plan_id=PlanId("p-over"), volumes=("a",)))


async def test_a_store_that_the_runtime_does_not_know_is_refused() -> None:
    require_mountable(_RUNS, "directory")
    with pytest.raises(Unsupported) as caught:
        require_mountable(_RUNS, "elsewhere")
    assert (caught.value.reason, caught.value.metadata) == ("CAPABILITY_MISSING", {"capability": "volumes"})
