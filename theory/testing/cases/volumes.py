"""What every store of volumes promises, over the wire."""

import asyncio

from theory.api.resources.v1 import volume_pb2
from theory.api.resources.v1.volume_pb2_grpc import VolumeServiceStub
from theory.core.errors import Denied, Exhausted, Invalid, NotFound, NotReady
from theory.sdk.volumes import VolumesClient
from theory.testing.case import Target, case
from theory.testing.refusals import refusal
from theory.wire.channel import call
from theory.wire.identity import ANYONE, Role

_MAX_PLAN_VOLUMES = 32
_NO_NAMES = ("", "A", "1a", "-a", "a_b", "a/b", "..", "a\n", "a" * 41, "\u00e4", "\x00", "\ud800")
_WEEK_S = 7 * 86_400


@case()
async def a_volume_is_of_its_plan_alone(target: Target) -> None:
    """The same name in two plans is two volumes; removing one leaves the other (I-95)."""
    volumes, executor = VolumesClient(target.channel()), VolumesClient(target.channel(Role.EXECUTOR))
    one, two = target.fresh("plan"), target.fresh("plan")
    for plan_id in (one, two):
        await volumes.create(plan_id=plan_id, name="shared")
    assert await executor.locate(plan_id=one, name="shared") != await executor.locate(plan_id=two, name="shared")
    await volumes.delete(plan_id=one, name="shared")
    assert await volumes.list(plan_id=one) == []
    assert [each.name for each in await volumes.list(plan_id=two)] == ["shared"]


@case("CLOCK")
async def a_volume_is_made_once(target: Target) -> None:
    """A second create finds the first volume, as it is: its place and its create time stay (I-95)."""
    volumes, executor, plan_id = _clients(target)
    first = await volumes.create(plan_id=plan_id, name="a")
    place = await executor.locate(plan_id=plan_id, name="a")
    await target.advance(60)
    assert await volumes.create(plan_id=plan_id, name="a") == first
    assert await volumes.list(plan_id=plan_id) == [first]
    assert await executor.locate(plan_id=plan_id, name="a") == place
    await volumes.delete(plan_id=plan_id, name="a")
    assert (await volumes.create(plan_id=plan_id, name="a")).create_time > first.create_time


@case()
async def creates_at_once_make_one_volume(target: Target) -> None:
    """Whoever asks for a name gets the same volume (I-95)."""
    volumes, _, plan_id = _clients(target)
    made = await asyncio.gather(*(volumes.create(plan_id=plan_id, name="a") for _ in range(8)))
    assert len(set(made)) == 1
    assert await volumes.list(plan_id=plan_id) == made[:1]


@case()
async def an_absent_volume_is_no_error(target: Target) -> None:
    """Removing one succeeds, twice too; asking where it lies is `NotFound VOLUME_UNKNOWN` (I-95)."""
    volumes, executor, plan_id = _clients(target)
    for _ in range(2):
        await volumes.delete(plan_id=plan_id, name="nobody")
    assert await volumes.list(plan_id=plan_id) == []
    error = await refusal(executor.locate(plan_id=plan_id, name="nobody"), NotFound, "VOLUME_UNKNOWN")
    assert error.metadata == {"name": "nobody"}


@case()
async def ending_a_plan_removes_its_volumes(target: Target) -> None:
    """They are gone, and none is made any more; another plan's stay; a second end changes nothing (I-96)."""
    volumes, executor, plan_id = _clients(target)
    other = target.fresh("plan")
    for each in (plan_id, other):
        for name in ("a", "b"):
            await volumes.create(plan_id=each, name=name)
    for _ in range(2):
        await executor.end_plan(plan_id)
        assert await volumes.list(plan_id=plan_id) == []
        error = await refusal(volumes.create(plan_id=plan_id, name="a"), NotReady, "PLAN_ENDED")
        assert error.metadata == {"plan_id": plan_id}
        await refusal(executor.locate(plan_id=plan_id, name="a"), NotFound, "VOLUME_UNKNOWN")
        await volumes.delete(plan_id=plan_id, name="a")
    assert [each.name for each in await volumes.list(plan_id=other)] == ["a", "b"]


@case()
async def a_plan_may_end_before_it_began(target: Target) -> None:
    """A plan that never had a volume gets none after its end (I-96)."""
    volumes, executor, plan_id = _clients(target)
    await executor.end_plan(plan_id)
    await refusal(volumes.create(plan_id=plan_id, name="a"), NotReady, "PLAN_ENDED")


@case("CLOCK")
async def an_end_is_known_for_a_week(target: Target) -> None:
    """No late call brings a volume of an ended plan back, while any process of the plan may live (I-96)."""
    volumes, executor, plan_id = _clients(target)
    await executor.end_plan(plan_id)
    await target.advance(_WEEK_S - 60)
    await executor.end_plan(target.fresh("plan"))
    await refusal(volumes.create(plan_id=plan_id, name="a"), NotReady, "PLAN_ENDED")


@case()
async def a_plan_has_a_limited_number_of_volumes(target: Target) -> None:
    """One more is `Exhausted QUOTA_EXCEEDED`; the others can still be had, and a removal makes room (I-89)."""
    volumes, _, plan_id = _clients(target)
    names = [f"v{idx:02}" for idx in range(_MAX_PLAN_VOLUMES)]
    await asyncio.gather(*(volumes.create(plan_id=plan_id, name=name) for name in names))
    error = await refusal(volumes.create(plan_id=plan_id, name="more"), Exhausted, "QUOTA_EXCEEDED")
    assert error.metadata == {"quota": "volumes", "limit": str(_MAX_PLAN_VOLUMES)}
    await volumes.create(plan_id=plan_id, name=names[0])
    await volumes.delete(plan_id=plan_id, name=names[0])
    await volumes.create(plan_id=plan_id, name="more")
    assert [each.name for each in await volumes.list(plan_id=plan_id)] == ["more", *names[1:]]


@case()
async def a_malformed_name_is_refused(target: Target) -> None:
    """It is `Invalid VOLUME_NAME_INVALID` for every call that takes one; the longest name is fine (I-89)."""
    volumes, executor, plan_id = _clients(target)
    for name in _NO_NAMES:
        for asked in (
            volumes.create(plan_id=plan_id, name=name),
            volumes.delete(plan_id=plan_id, name=name),
            executor.locate(plan_id=plan_id, name=name),
        ):
            error = await refusal(asked, Invalid, "VOLUME_NAME_INVALID")
            assert set(error.metadata) == {"value"}
    assert (await volumes.create(plan_id=plan_id, name="a" * 40)).name == "a" * 40


@case()
async def a_malformed_plan_id_is_refused(target: Target) -> None:
    """It is `Invalid ID_INVALID`, whatever is asked (I-89)."""
    volumes, executor, _ = _clients(target)
    for plan_id in ("", "..", "A", "a/b", "\ud800"):
        for asked in (
            volumes.create(plan_id=plan_id, name="a"),
            volumes.delete(plan_id=plan_id, name="a"),
            volumes.list(plan_id=plan_id),
            executor.locate(plan_id=plan_id, name="a"),
            executor.end_plan(plan_id),
        ):
            await refusal(asked, Invalid, "ID_INVALID")


@case()
async def a_list_goes_by_name_and_page(target: Target) -> None:
    """Every volume once over the pages, in the order of names (I-88)."""
    volumes, _, plan_id = _clients(target)
    names = ["a", "a-1", "a1", "b", "z"]
    for name in reversed(names):
        await volumes.create(plan_id=plan_id, name=name)
    stub = VolumeServiceStub(target.channel())
    pages: list[list[str]] = []
    token = ""
    while not pages or token:
        asked = volume_pb2.ListVolumesRequest(plan_id=plan_id, page_size=2, page_token=token)
        page = await call(stub.ListVolumes, asked)
        pages.append([each.name for each in page.volumes])
        token = page.next_page_token
    assert pages == [["a", "a-1"], ["a1", "b"], ["z"]]


@case()
async def a_place_is_told_to_the_executor_alone(target: Target) -> None:
    """Everyone else is `Denied ROLE_DENIED` for a place, and for the end of a plan (I-105)."""
    volumes, _, plan_id = _clients(target)
    await volumes.create(plan_id=plan_id, name="a")
    for role in ANYONE - {Role.EXECUTOR}:
        client = VolumesClient(target.channel(role))
        await refusal(client.locate(plan_id=plan_id, name="a"), Denied, "ROLE_DENIED")
        await refusal(client.end_plan(plan_id), Denied, "ROLE_DENIED")
    assert [each.name for each in await volumes.list(plan_id=plan_id)] == ["a"]


@case()
async def the_store_says_what_it_is(target: Target) -> None:
    """Capabilities name the adapter's kind and the limit, never an address (I-89)."""
    stub = VolumeServiceStub(target.channel())
    told = await call(stub.GetCapabilities, volume_pb2.VolumeServiceGetCapabilitiesRequest())
    assert told.adapter.isidentifier()
    assert told.max_plan_volumes == _MAX_PLAN_VOLUMES


def _clients(target: Target) -> tuple[VolumesClient, VolumesClient, str]:
    return VolumesClient(target.channel()), VolumesClient(target.channel(Role.EXECUTOR)), target.fresh("plan")
