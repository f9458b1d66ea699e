"""What every store of streams promises of attempts: that each reaches the streams of its own world, over the wire."""

import asyncio

from theory.core.errors import Denied
from theory.sdk.streams import StreamsClient
from theory.testing.case import Target, case
from theory.testing.cases.attempt_grants import Speaker, denied
from theory.testing.cases.streams_series import Series
from theory.testing.refusals import refusal


@case("ATTEMPTS")
async def an_attempt_appends_to_the_streams_of_its_world(target: Target) -> None:
    """It appends, reads and asks for counters there, naming its plan or not (I-140)."""
    attempt = await Speaker.of(target)
    ours, theirs = StreamsClient(attempt.channel), Series(target, world=attempt.grant.world.text)
    place = (theirs.world, theirs.series)
    await ours.append_many(*place, [b"0"])
    await ours.append_many(*place, [b"1"], plan_id=attempt.grant.plan_id.text)
    assert await theirs.kept() == [(0, b"0"), (1, b"1")]
    assert [each.data for each in (await ours.read(*place)).chunks] == [b"0", b"1"]
    assert (await ours.status(*place)).watermark_idx == 1


@case("ATTEMPTS")
async def the_streams_of_another_world_are_closed_to_an_attempt(target: Target) -> None:
    """Whatever it asks of them is `Denied ATTEMPT_DENIED`, and nothing is appended (I-140)."""
    attempt, series = await Speaker.of(target), Series(target)
    ours, place = StreamsClient(attempt.channel), (series.world, series.series)
    await series.append(b"0")
    asked = (ours.append_many(*place, [b"1"]), ours.read(*place), ours.status(*place))
    for answer in await asyncio.gather(*asked, return_exceptions=True):
        denied(answer, "world")
    assert await series.kept() == [(0, b"0")]


@case("ATTEMPTS")
async def an_attempt_has_its_samples_recorded_in_its_own_plan(target: Target) -> None:
    """Naming another plan is `Denied ATTEMPT_DENIED`, and nothing is appended (I-140)."""
    attempt = await Speaker.of(target)
    ours, series = StreamsClient(attempt.channel), Series(target, world=attempt.grant.world.text)
    [answer] = await asyncio.gather(
        ours.append_many(series.world, series.series, [b"0"], plan_id=target.fresh("plan")), return_exceptions=True
    )
    denied(answer, "plan_id")
    await series.append(b"0")
    assert await series.kept() == [(0, b"0")]


@case("ATTEMPTS")
async def streams_are_not_listed_for_an_attempt(target: Target) -> None:
    """`Denied ROLE_DENIED` (I-139)."""
    attempt = await Speaker.of(target)
    listing = StreamsClient(attempt.channel).list(attempt.grant.world.text)
    await refusal(anext(aiter(listing)), Denied, "ROLE_DENIED")
