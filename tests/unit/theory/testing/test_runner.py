"""What becomes of cases that are run."""

import asyncio

import pytest

from theory.core.clock import FakeClock
from theory.core.errors import Unavailable
from theory.testing.case import Case, Lacking, Target, case
from theory.testing.report import Outcome, Report, Verdict
from theory.testing.runner import run


async def _silent() -> None:
    raise Unavailable("SERVICE_UNREACHABLE", "nobody is there")


def _target(**more: object) -> Target:
    return Target(
        connect=lambda role: pytest.fail(f"nobody connects as {role}"),
        capabilities=frozenset({"DURABLE"}),
        **more,  # type: ignore[arg-type]
    )


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


@case()
async def impatient(target: Target) -> None:
    """A call of it was not answered in time."""
    raise TimeoutError("the call did not end before its deadline")


@case("CLOCK")
async def needy(target: Target) -> None:
    """It needs more."""
    raise AssertionError


@case("DURABLE")
async def served(target: Target) -> None:
    """It has what it needs."""


@case()
async def nameless(target: Target) -> None:
    """It finds out that nobody is who it would have to be."""
    raise Lacking("needs the identity of the executor")


def _ended(report: Report) -> list[tuple[Case, str]]:
    return [(each.case, each.outcome.value) for each in report.verdicts]


async def test_each_case_is_kept_broken_or_skipped() -> None:
    begun: list[Case] = []
    told: list[Verdict] = []
    report = await run([kept, broken, needy, served], _target(), on_case=begun.append, on_verdict=told.append)
    assert _ended(report) == [(kept, "kept"), (broken, "broken"), (needy, "skipped"), (served, "kept")]
    assert begun == [kept, broken, served]
    assert told == report.verdicts
    assert not report.ok


async def test_what_was_skipped_says_what_it_needs() -> None:
    [clock, name] = (await run([needy, nameless], _target())).verdicts
    assert (clock.missing, clock.why) == (frozenset({"CLOCK"}), "needs CLOCK: the server's clock is turned by hand")
    assert (name.outcome, name.why) == (Outcome.SKIPPED, "needs the identity of the executor")


async def test_what_broke_says_why_in_a_line_and_keeps_its_error() -> None:
    [verdict] = (await run([broken], _target())).verdicts
    assert "NOTHING" in verdict.why
    assert "\n" not in verdict.why
    assert isinstance(verdict.error, AssertionError)


async def test_a_case_that_never_ends_is_broken() -> None:
    report = await run([endless, kept], _target(), timeout_s=0.01)
    assert _ended(report) == [(endless, "broken"), (kept, "kept")]
    assert report.verdicts[0].why == "it had not ended after 0.01 s"


async def test_a_call_that_is_not_answered_is_told_apart_from_a_case_that_never_ends() -> None:
    [verdict] = (await run([impatient], _target())).verdicts
    assert verdict.why.startswith("the call did not end before its deadline [")


async def test_cases_run_at_once_and_are_reported_in_their_order() -> None:
    gate = asyncio.Event()

    @case()
    async def first(target: Target) -> None:
        await gate.wait()

    @case()
    async def second(target: Target) -> None:
        gate.set()

    ended: list[Case] = []
    report = await run([first, second, kept], _target(), at_once=2, on_verdict=lambda each: ended.append(each.case))
    assert _ended(report) == [(first, "kept"), (second, "kept"), (kept, "kept")]
    assert ended[0] is not first


async def test_a_case_that_makes_the_target_unreachable_is_broken_and_the_rest_is_not_run() -> None:
    clock = FakeClock()
    running = asyncio.create_task(run([served, kept, needy], _target(answers=_silent), clock=clock))
    while not running.done():
        clock.advance(1)
        await asyncio.sleep(0)
    report = running.result()
    assert _ended(report) == [(served, "broken"), (kept, "skipped"), (needy, "skipped")]
    assert report.verdicts[0].why.startswith("the target no longer answers after it: Unavailable SERVICE_UNREACHABLE")
    assert "not run: the target no longer answers" in report.verdicts[1].why


async def test_a_target_that_comes_back_is_asked_on() -> None:
    clock, asked = FakeClock(), iter([False, False, True, True])

    async def answers() -> None:
        if not next(asked):
            await _silent()

    running = asyncio.create_task(run([served, kept], _target(answers=answers), clock=clock))
    while not running.done():
        clock.advance(1)
        await asyncio.sleep(0)
    assert _ended(running.result()) == [(served, "broken"), (kept, "kept")]


async def test_whoever_cancels_a_run_ends_it() -> None:
    running = asyncio.create_task(run([endless], _target()))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
