"""Clocks, and time as text."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest

from tests.unit.theory.core.refusal import refused
from theory.core.clock import Clock, FakeClock, SystemClock, parse_rfc3339, rfc3339, until_set
from theory.core.errors import Invalid


async def test_the_system_clock_tells_utc_and_never_goes_back() -> None:
    clock: Clock = SystemClock()
    assert clock.now().tzinfo is UTC
    before = clock.monotonic()
    await clock.sleep(0)
    assert clock.monotonic() >= before


def test_a_fake_clock_stands_still_until_it_is_advanced() -> None:
    clock = FakeClock(datetime(2030, 1, 1, tzinfo=UTC))
    assert (clock.now(), clock.monotonic()) == (datetime(2030, 1, 1, tzinfo=UTC), 0)
    clock.advance(90)
    assert (clock.now(), clock.monotonic()) == (datetime(2030, 1, 1, 0, 1, 30, tzinfo=UTC), 90)


async def test_sleepers_wake_when_their_time_has_come_and_not_before() -> None:
    clock = FakeClock()
    woken: list[int] = []

    async def sleeper(s: int) -> None:
        await clock.sleep(s)
        woken.append(s)

    async with asyncio.TaskGroup() as tasks:
        for s in (3, 1, 2):
            tasks.create_task(sleeper(s))
        await clock.until_sleepers(3)
        clock.advance(0.5)
        await asyncio.sleep(0)
        assert woken == []
        clock.advance(1.5)
        await asyncio.sleep(0)
        assert woken == [1, 2]
        assert clock.sleepers == 1
        clock.advance(10)
    assert woken == [1, 2, 3]


async def test_a_sleep_of_nothing_returns_by_itself() -> None:
    clock = FakeClock()
    await clock.sleep(0)
    await clock.sleep(-1)
    assert clock.sleepers == 0


async def test_a_cancelled_sleeper_neither_counts_nor_breaks_the_clock() -> None:
    clock = FakeClock()
    task = asyncio.create_task(clock.sleep(1))
    await clock.until_sleepers(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert clock.sleepers == 0
    clock.advance(2)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "2026-01-02T03:04:05.000006Z"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05.000000Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000000Z"),
        (datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_time_is_written_in_utc_with_microseconds(moment: datetime, text: str) -> None:
    assert rfc3339(moment) == text
    assert parse_rfc3339(text) == moment
    assert parse_rfc3339(text).tzinfo is UTC


def test_a_time_of_another_zone_is_written_in_utc() -> None:
    moment = datetime(2026, 1, 2, 3, 0, tzinfo=timezone(timedelta(hours=2)))
    assert rfc3339(moment) == "2026-01-02T01:00:00.000000Z"
    assert rfc3339(moment.astimezone(timezone(timedelta(0)))) == "2026-01-02T01:00:00.000000Z"


def test_a_time_without_a_zone_is_refused() -> None:
    with refused(Invalid, "TIME_INVALID"):
        rfc3339(datetime(2026, 1, 2))  # noqa: DTZ001


@pytest.mark.parametrize("text", ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.5Z", "2026-01-02T03:04:05.500000Z"])
def test_fewer_digits_are_read(text: str) -> None:
    assert parse_rfc3339(text).replace(microsecond=0) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02T03:04:05+00:00",
        "2026-01-02T03:04:05z",
        "2026-01-02t03:04:05Z",
        "2026-01-02 03:04:05Z",
        "2026-02-30T03:04:05Z",
        "2026-13-01T03:04:05Z",
        "2026-01-02T25:04:05Z",
        "2026-01-02T23:59:60Z",
        "0000-01-01T00:00:00Z",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05.1234567Z",
        "2026-01-02T03:04:05Z\n",
        "\u0662026-01-02T03:04:05Z",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with refused(Invalid, "TIME_INVALID", value=text):
        parse_rfc3339(text)


async def test_an_event_that_is_set_is_not_waited_for() -> None:
    event = asyncio.Event()
    event.set()
    assert await until_set(event, FakeClock(), 10)


async def test_the_event_ends_the_wait() -> None:
    event, clock = asyncio.Event(), FakeClock()
    waiting = asyncio.create_task(until_set(event, clock, 10))
    await clock.until_sleepers(1)
    event.set()
    assert await waiting
    assert clock.sleepers == 0


async def test_the_limit_ends_the_wait() -> None:
    clock = FakeClock()
    waiting = asyncio.create_task(until_set(asyncio.Event(), clock, 10))
    await clock.until_sleepers(1)
    clock.advance(10)
    assert not await waiting
