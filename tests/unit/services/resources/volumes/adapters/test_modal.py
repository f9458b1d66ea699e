"""Volumes on Modal across replicas, beside those of others."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest

from services.resources.volumes.adapters import open_store
from services.resources.volumes.adapters.modal import name_of
from services.resources.volumes.ports import VolumeStore
from tests.fakes.modal import FakeModal
from tests.fakes.modal.replicas import replica, url_of
from theory.core.errors import NotReady

pytestmark = pytest.mark.slow


@pytest.fixture
def fake() -> Iterator[FakeModal]:
    with FakeModal() as made:
        yield made


@pytest.fixture
async def stores(fake: FakeModal) -> AsyncIterator[list[VolumeStore]]:
    async with AsyncExitStack() as stack:
        openings = [await stack.enter_async_context(replica()) for _ in range(2)]
        yield [await open_store(url_of(fake), each) for each in openings]


def test_a_name_fits_whatever_the_plan_and_the_volume_are_called() -> None:
    longest = name_of("p" * 64, "v" * 40)
    assert len(longest) == 64
    assert longest.startswith(name_of("p" * 64, ""))
    assert name_of("p", "") != name_of("q", "")


async def test_a_volume_is_the_same_for_every_replica(stores: list[VolumeStore]) -> None:
    one, two = stores
    made = await asyncio.gather(*(each.create(plan_id="p", name="a") for each in stores * 2))
    assert len(set(made)) == 1
    assert await two.list(plan_id="p") == [made[0]]
    assert await one.locate(plan_id="p", name="a") == name_of("p", "a")
    await two.delete(plan_id="p", name="a")
    assert await one.list(plan_id="p") == []


async def test_an_end_holds_for_every_replica_and_leaves_what_is_not_ours(
    fake: FakeModal, stores: list[VolumeStore]
) -> None:
    one, two = stores
    for name in ("a", "b"):
        await two.create(plan_id="p", name=name)
    await one.create(plan_id="q", name="a")
    fake.call(lambda: fake.plane.volumes.resolve("main", "somebody's", 1))
    await one.end_plan("p")
    with pytest.raises(NotReady):
        await two.create(plan_id="p", name="a")
    assert await two.list(plan_id="p") == []
    names = fake.call(lambda: {each.name for each in fake.plane.volumes.by_id.values()})
    assert names == {name_of("q", "a"), "somebody's"}
