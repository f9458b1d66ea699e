"""The client of volumes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.theory.sdk.scratch import resources
from theory.core.adapters import VolumeAdapter
from theory.core.errors import Denied, Invalid, NotFound, NotReady
from theory.sdk.volumes import VolumesClient
from theory.wire.identity import Role
from theory.wire.server import RunningServer


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RunningServer]:
    async with resources(tmp_path) as running:
        yield running


def test_it_is_the_adapter_of_the_floor_below() -> None:
    adapter: type[VolumeAdapter] = VolumesClient
    assert adapter is VolumesClient


async def test_volumes_are_listed_by_name(server: RunningServer) -> None:
    volumes = VolumesClient(server.channel())
    made = [await volumes.create(plan_id="p", name=name) for name in ("b", "a")]
    assert await volumes.list(plan_id="p") == sorted(made, key=lambda each: each.name)
    await volumes.delete(plan_id="p", name="a")
    assert [each.name for each in await volumes.list(plan_id="p")] == ["b"]
    assert await volumes.adapter() == "directory"


async def test_the_executor_learns_where_they_lie(server: RunningServer) -> None:
    executor = VolumesClient(server.channel(Role.EXECUTOR))
    await executor.create(plan_id="p", name="cache")
    assert Path(await executor.locate(plan_id="p", name="cache")).is_dir()
    with pytest.raises(NotFound):
        await executor.locate(plan_id="p", name="other")
    with pytest.raises(Denied):
        await VolumesClient(server.channel()).locate(plan_id="p", name="cache")


async def test_an_ended_plan_takes_none(server: RunningServer) -> None:
    executor = VolumesClient(server.channel(Role.EXECUTOR))
    await executor.create(plan_id="p", name="cache")
    await executor.end_plan("p")
    assert await executor.list(plan_id="p") == []
    with pytest.raises(NotReady):
        await executor.create(plan_id="p", name="cache")


async def test_a_name_that_is_no_text_is_refused(server: RunningServer) -> None:
    volumes = VolumesClient(server.channel())
    with pytest.raises(Invalid) as raised:
        await volumes.create(plan_id="p", name="\ud800")
    assert raised.value.reason == "VOLUME_NAME_INVALID"
    with pytest.raises(Invalid) as raised:
        await volumes.list(plan_id="\ud800")
    assert raised.value.reason == "ID_INVALID"
