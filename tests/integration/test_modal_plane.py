"""What the fake of Modal does when the real client asks: tests on it mean something, an upgrade shows what is new."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from queue import Empty, Full
from typing import Any

import pytest
from grpclib import Status

from services.drivers.modal import Connection
from tests.fakes.modal import Chaos, FakeModal, Fault
from tests.fakes.modal.dicts import IDLE_S
from tests.fakes.modal.queues import MAX_ITEMS, PARTITION_S
from tests.fakes.modal.replicas import connected


@pytest.fixture(scope="module")
def plane() -> Iterator[FakeModal]:
    with FakeModal() as fake:
        yield fake
        assert fake.hub.missing == set()


@pytest.fixture
async def connection(plane: FakeModal) -> AsyncIterator[Connection]:
    plane.call(plane.hub.faults.clear)
    plane.hub.skew_s = 0
    plane.hub.dedupe = False
    async with connected(plane) as made:
        yield made


@pytest.fixture
async def dictionary(connection: Connection, request: pytest.FixtureRequest) -> Any:
    name = request.node.name[:64].replace("[", "-").replace("]", "-")
    return await _dict(connection, name)


@pytest.fixture
async def queue(connection: Connection, request: pytest.FixtureRequest) -> Any:
    name = request.node.name[:64]
    made = connection.sdk.Queue.from_name(
        name, environment_name="main", create_if_missing=True, client=connection.client
    )
    return await made.hydrate.aio()


async def test_a_put_if_absent_says_who_was_first(dictionary: Any) -> None:
    won = await asyncio.gather(*(dictionary.put.aio("k", idx, skip_if_exists=True) for idx in range(16)))
    assert won.count(True) == 1
    assert await dictionary.get.aio("k") == won.index(True)
    await dictionary.put.aio("k", "over")
    assert await dictionary.pop.aio("k") == "over"
    assert await dictionary.get.aio("k", "nothing") == "nothing"


async def test_keys_are_listed_without_their_values(dictionary: Any) -> None:
    await dictionary.update.aio({"a": 1, "b": 2})
    assert sorted([key async for key in dictionary.keys.aio()]) == ["a", "b"]
    assert await dictionary.contains.aio("a")
    assert not await dictionary.contains.aio("c")


async def test_an_entry_that_nobody_touches_for_a_week_is_gone(plane: FakeModal, dictionary: Any) -> None:
    await dictionary.update.aio({"read": 1, "forgotten": 2})
    plane.hub.skew_s = IDLE_S - 60
    assert await dictionary.get.aio("read") == 1
    plane.hub.skew_s = IDLE_S + 60
    assert await dictionary.get.aio("read") == 1
    assert await dictionary.get.aio("forgotten") is None


async def test_an_object_is_found_by_name_made_if_asked_and_deleted(connection: Connection) -> None:
    sdk = connection.sdk
    with pytest.raises(sdk.exception.NotFoundError):
        await sdk.Dict.from_name("nobody", environment_name="main", client=connection.client).hydrate.aio()
    first = await _dict(connection, "mine")
    assert (await _dict(connection, "mine")).object_id == first.object_id
    listed = await sdk.Dict.objects.list.aio(environment_name="main", client=connection.client)
    assert "mine" in {each.name for each in listed}
    await sdk.Dict.objects.delete.aio("mine", environment_name="main", client=connection.client)
    with pytest.raises(sdk.exception.NotFoundError):
        await first.get.aio("k")


async def test_a_queue_gives_each_item_once_by_partition(queue: Any) -> None:
    await queue.put_many.aio([1, 2, 3], partition="a")
    await queue.put.aio(4, partition="b")
    assert [each async for each in queue.iterate.aio(partition="a")] == [1, 2, 3]
    assert await queue.get_many.aio(2, block=False, partition="a") == [1, 2]
    assert await queue.get_many.aio(5, block=False, partition="a") == [3]
    assert await queue.get_many.aio(5, block=False, partition="a") == []
    assert await queue.len.aio(total=True) == 1


async def test_a_get_waits_for_an_item(queue: Any) -> None:
    waiting = asyncio.ensure_future(queue.get.aio(timeout=5, partition="a"))
    await queue.put.aio("late", partition="a")
    assert await waiting == "late"
    with pytest.raises(Empty):
        await queue.get.aio(timeout=0.01, partition="a")


async def test_a_partition_is_forgotten_a_day_after_the_last_put(plane: FakeModal, queue: Any) -> None:
    await queue.put.aio(1, partition="a")
    plane.hub.skew_s = PARTITION_S + 1
    assert await queue.get_many.aio(1, block=False, partition="a") == []


async def test_a_full_partition_takes_nothing(plane: FakeModal, queue: Any) -> None:
    await queue.put_many.aio([b""] * MAX_ITEMS, partition="a")
    with pytest.raises(Full):
        await queue.put.aio(b"", block=False, partition="a")


async def test_a_lost_answer_of_a_get_loses_its_items(plane: FakeModal, queue: Any) -> None:
    """Why nothing but hints goes through a Queue: the client repeats by itself, and nobody is told."""
    await queue.put_many.aio([1, 2, 3], partition="a")
    plane.call(lambda: plane.hub.faults.arm(Fault("QueueGet")))
    assert await queue.get_many.aio(3, block=False, partition="a") == []
    plane.hub.dedupe = True
    await queue.put_many.aio([4], partition="a")
    plane.call(lambda: plane.hub.faults.arm(Fault("QueueGet")))
    assert await queue.get_many.aio(3, block=False, partition="a") == [4]


async def test_a_secret_tells_which_keys_it_has_and_no_value(plane: FakeModal, connection: Connection) -> None:
    plane.keep_secret("theory-test", {"A": "canary", "B": ""})
    from_name = connection.sdk.Secret.from_name
    where = {"environment_name": "main", "client": connection.client}
    found = await from_name("theory-test", required_keys=["A", "B"], **where).hydrate.aio()
    assert "canary" not in repr(vars(found))
    for name, keys in (("theory-test", ["A", "C"]), ("nobody", [])):
        with pytest.raises(connection.sdk.exception.NotFoundError):
            await from_name(name, required_keys=keys, **where).hydrate.aio()


async def test_a_volume_is_made_listed_and_deleted(connection: Connection) -> None:
    volumes = connection.sdk.Volume
    where = {"environment_name": "main", "client": connection.client}
    for _ in range(2):
        made = await volumes.from_name("one", create_if_missing=True, **where).hydrate.aio()
    assert [each.object_id for each in await volumes.objects.list.aio(**where)] == [made.object_id]
    await volumes.objects.delete.aio("one", **where)
    assert await volumes.objects.list.aio(**where) == []


async def test_a_list_has_many_pages(connection: Connection) -> None:
    for idx in range(101):
        await _dict(connection, f"page-{idx}")
    listed = await connection.sdk.Dict.objects.list.aio(environment_name="main", client=connection.client)
    assert len({each.name for each in listed if each.name.startswith("page-")}) == 101


async def test_an_app_is_looked_up(connection: Connection) -> None:
    app = await connection.sdk.App.lookup.aio("an-app", create_if_missing=True, client=connection.client)
    assert app.app_id.startswith("ap-")


async def test_whoever_has_no_token_gets_nothing(plane: FakeModal, connection: Connection) -> None:
    client = connection.sdk.Client(plane.url, 1, ("ak-other", "as-other"))
    async with client:
        with pytest.raises(connection.sdk.exception.AuthError):
            await client.hello.aio()


async def test_an_rpc_without_a_handler_says_its_name(
    plane: FakeModal, connection: Connection, dictionary: Any
) -> None:
    with pytest.raises(connection.sdk.exception.UnimplementedError, match="does not implement DictLen"):
        await dictionary.len.aio()
    assert plane.hub.missing == {"DictLen"}
    plane.hub.missing.clear()


@pytest.mark.parametrize(("when", "stored"), [("before", None), ("after", b"v")])
async def test_a_fault_comes_before_or_after_the_deed(
    plane: FakeModal, connection: Connection, dictionary: Any, when: str, stored: bytes | None
) -> None:
    plane.call(lambda: plane.hub.faults.arm(Fault("DictUpdate", when, Status.ABORTED)))
    with pytest.raises(connection.sdk.exception.ConflictError):
        await dictionary.put.aio("k", b"v")
    assert await dictionary.get.aio("k") == stored


async def test_chaos_fails_about_as_many_as_it_says(plane: FakeModal, connection: Connection, dictionary: Any) -> None:
    plane.hub.faults.chaos = Chaos(0.5, seed=3, rpcs={"DictGet"})
    before = plane.hub.faults.fired
    answers = await asyncio.gather(*(dictionary.get.aio("k") for _ in range(60)), return_exceptions=True)
    plane.hub.faults.chaos = None
    failed = [each for each in answers if isinstance(each, connection.sdk.exception.ConflictError)]
    assert 10 < len(failed) == plane.hub.faults.fired - before < 50


async def test_every_call_is_counted(plane: FakeModal, dictionary: Any) -> None:
    since = len(plane.hub.calls)
    await dictionary.put.aio("k", b"v")
    await dictionary.get.aio("k")
    assert plane.hub.counts(since) == {"DictUpdate": 1, "DictGet": 1}


async def _dict(connection: Connection, name: str) -> Any:
    made = connection.sdk.Dict.from_name(
        name, environment_name="main", create_if_missing=True, client=connection.client
    )
    return await made.hydrate.aio()
