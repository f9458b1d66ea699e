"""Slots and flights, and what is kept of both for attempts that an earlier process began."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeAlias

import pytest

from services.executor.domain.seats import Seats
from services.executor.ports import ExecutionRecord
from tests.records import EXECUTION
from theory.core.ids import ExecutionId, PlanId

_Work: TypeAlias = Callable[[Seats, str, str | None], Coroutine[Any, Any, None]]

KEY, OTHER = "b3:one", "b3:other"


@pytest.fixture
def began() -> list[str]:
    return []


@pytest.fixture
def hold() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
def work(began: list[str], hold: asyncio.Event) -> _Work:
    async def carry_out(seats: Seats, name: str, key: str | None) -> None:
        async with seats.slot(_record(name)), seats.flight(_record(name), key):
            began.append(name)
            await hold.wait()

    return carry_out


async def test_no_more_have_a_slot_than_there_are(began: list[str], hold: asyncio.Event, work: _Work) -> None:
    seats = Seats(2)
    async with asyncio.TaskGroup() as group:
        for name in "abc":
            group.create_task(work(seats, name, None))
        await _turns()
        assert began == ["a", "b"]
        hold.set()
    assert began == ["a", "b", "c"]


async def test_of_those_with_one_key_one_flies(began: list[str], hold: asyncio.Event, work: _Work) -> None:
    seats = Seats(9)
    async with asyncio.TaskGroup() as group:
        for name, key in (("a", KEY), ("b", KEY), ("c", OTHER), ("d", None), ("e", None)):
            group.create_task(work(seats, name, key))
        await _turns()
        assert began == ["a", "c", "d", "e"]
        hold.set()
    assert began[-1] == "b"


async def test_what_runs_already_flies_first(began: list[str], hold: asyncio.Event, work: _Work) -> None:
    seats = Seats(9)
    await seats.take_up(_record("old"), KEY)
    async with asyncio.TaskGroup() as group:
        group.create_task(work(seats, "new", KEY))
        await _turns()
        assert began == []
        group.create_task(work(seats, "old", KEY))
        await _turns()
        assert began == ["old"]
        hold.set()
    assert began == ["old", "new"]


async def test_whoever_waits_for_what_runs_already_keeps_no_slot_from_it(
    began: list[str], hold: asyncio.Event, work: _Work
) -> None:
    seats = Seats(2)
    for name, key in (("one", KEY), ("two", KEY), ("three", OTHER)):
        await seats.take_up(_record(name), key)
    async with asyncio.TaskGroup() as group:
        for name, key in (("x", KEY), ("y", OTHER), ("three", OTHER), ("two", KEY), ("one", KEY)):
            group.create_task(work(seats, name, key))
        await _turns()
        assert began == ["three", "one"]
        hold.set()
    assert sorted(began) == ["one", "three", "two", "x", "y"]


async def test_a_slot_that_was_kept_is_a_slot(began: list[str], hold: asyncio.Event, work: _Work) -> None:
    seats = Seats(2)
    await seats.take_up(_record("old"), None)
    async with asyncio.TaskGroup() as group:
        for name in ("new", "newer", "old"):
            group.create_task(work(seats, name, None))
        await _turns()
        assert began == ["new", "old"]
        hold.set()


async def test_what_is_kept_is_kept_once(began: list[str], hold: asyncio.Event, work: _Work) -> None:
    """The next attempt of an execution waits like everybody else."""
    seats = Seats(1)
    await seats.take_up(_record("old"), KEY)
    hold.set()
    await work(seats, "old", OTHER)
    hold.clear()
    async with asyncio.TaskGroup() as group:
        for name in ("new", "old"):
            group.create_task(work(seats, name, KEY))
        await _turns()
        assert began == ["old", "new"]
        hold.set()


async def test_what_nobody_asks_for_goes_back_with_its_plan(began: list[str], hold: asyncio.Event, work: _Work) -> None:
    seats = Seats(1)
    await seats.take_up(_record("old"), KEY)
    await seats.let_go(PlanId.parse("p-other"))
    async with asyncio.TaskGroup() as group:
        group.create_task(work(seats, "new", KEY))
        await _turns()
        assert began == []
        await seats.let_go(_record("old").plan_id)
        await _turns()
        assert began == ["new"]
        hold.set()


async def _turns() -> None:
    """Let everybody go on as far as they can."""
    for _ in range(20):
        await asyncio.sleep(0)


def _record(name: str) -> ExecutionRecord:
    return replace(EXECUTION, execution_id=ExecutionId.parse(f"x-{name}"))
