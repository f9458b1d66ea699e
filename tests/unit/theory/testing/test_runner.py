"""What becomes of cases that are run."""

import asyncio

import pytest

from theory.testing.case import Case, Target, case
from theory.testing.runner import Report, run


@pytest.fixture
def target() -> Target:
    return Target(connect=lambda role: pytest.fail(f"nobody connects as {role}"), capabilities=frozenset({"DURABLE"}))


@case()
async def kept(target: Target) -> None:
    """It holds."""


@case()
async def broken(target: Target) -> None:
    """It does not."""
    assert target.capabilities == {"NOTHING"}


@case()
async def endless(target: Target) -> None:
    """It never ends."""
    await asyncio.Event().wait()


@case("DEDUPE")
async def needy(target: Target) -> None:
    """It needs more."""
    raise AssertionError


@case("DURABLE")
async def served(target: Target) -> None:
    """It has what it needs."""


async def test_each_case_is_kept_broken_or_skipped(target: Target) -> None:
    seen: list[Case] = []
    report = await run([kept, broken, needy, served], target, on_case=seen.append)
    assert report.kept == [kept, served]
    assert [(each, type(error)) for each, error in report.broken] == [(broken, AssertionError)]
    assert report.skipped == [(needy, frozenset({"DEDUPE"}))]
    assert seen == [kept, broken, served]
    assert not report.ok


async def test_a_case_that_never_ends_is_broken(target: Target) -> None:
    report = await run([endless, kept], target, timeout_s=0.01)
    assert [(each, type(error)) for each, error in report.broken] == [(endless, TimeoutError)]
    assert report.kept == [kept]


async def test_a_run_that_kept_something_and_broke_nothing_is_ok(target: Target) -> None:
    assert (await run([kept, needy], target)).ok
    assert not (await run([needy], target)).ok
    assert not Report().ok


async def test_whoever_cancels_a_run_ends_it(target: Target) -> None:
    running = asyncio.create_task(run([endless], target))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
