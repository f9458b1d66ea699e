"""The tests of services/executor/adapters/judge.py, with the process itself."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from services.executor.adapters.judge import SpawnedJudge
from services.executor.domain import judging
from theory.core import jcs
from theory.core.errors import NotReady, Unavailable
from theory.core.jcs import JSON

_BACKTRACKS: Mapping[str, JSON] = {"path": "/artifacts/a", "ref": "a@1", "schema": {"pattern": "^(a+)+$"}}
_HOSTILE = jcs.canonical("a" * 60 + "!")
_FINE: Mapping[str, JSON] = {"path": "/artifacts/a", "expression": "a"}


def ends(rule: Mapping[str, JSON], document: bytes) -> str | None:
    """End the process that asks; kept here so that the program can name it."""
    os._exit(3)


def grows(rule: Mapping[str, JSON], document: bytes) -> str | None:
    """Take so many MiB."""
    return None if bytes(int(document) << 20) else "nothing was taken"


def environment(rule: Mapping[str, JSON], document: bytes) -> str | None:
    """What the program knows of whoever began it."""
    return " ".join(sorted(os.environ))


@pytest.fixture
async def judge() -> AsyncIterator[SpawnedJudge]:
    """With a fifth of a second for each answer."""
    made = SpawnedJudge(judging.complaint, cpu_s=0.2)
    yield made
    await made.close()
    assert made.pid is None


async def test_nothing_is_begun_before_it_is_asked_and_one_process_answers_all(judge: SpawnedJudge) -> None:
    assert judge.pid is None
    assert await judge.complaint(_FINE, b'{"a": 1}') is None
    first = judge.pid
    asked = [judge.complaint(_FINE, b'{"a": %d}' % (number % 2)) for number in range(20)]
    assert [said is None for said in await asyncio.gather(*asked)] == [False, True] * 10
    assert judge.pid == first


async def test_a_pattern_that_backtracks_costs_its_time_and_nobody_else(judge: SpawnedJudge) -> None:
    assert await judge.complaint(_FINE, b'{"a": 1}') is None
    first = judge.pid
    hostile = asyncio.create_task(judge.complaint(_BACKTRACKS, _HOSTILE))
    behind = asyncio.create_task(judge.complaint(_FINE, b'{"a": 1}'))
    turns = 0
    while not hostile.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 100  # the loop went on
    with pytest.raises(NotReady) as caught:
        await hostile
    assert (caught.value.reason, caught.value.metadata) == ("PREDICATE_TIMED_OUT", {"timeout_s": "0.2"})
    assert await behind is None
    assert judge.pid != first


async def test_an_expression_that_multiplies_costs_its_time(judge: SpawnedJudge) -> None:
    doubled = "|".join(["[@, @][]"] * 60)
    with pytest.raises(NotReady) as caught:
        await judge.complaint({**_FINE, "expression": doubled}, jcs.canonical(["a"]))
    assert caught.value.reason == "PREDICATE_TIMED_OUT"


async def test_what_outgrows_its_memory_is_a_complaint_and_the_process_goes_on() -> None:
    judge = SpawnedJudge(grows)
    try:
        assert "1024 MiB" in str(await judge.complaint(_FINE, b"2048"))
        first = judge.pid
        assert await judge.complaint(_FINE, b"1") is None
        assert judge.pid == first
    finally:
        await judge.close()


async def test_a_process_that_was_killed_is_begun_again_without_a_word(judge: SpawnedJudge) -> None:
    assert await judge.complaint(_FINE, b'{"a": 1}') is None
    assert judge.pid is not None
    os.kill(judge.pid, signal.SIGKILL)
    assert await judge.complaint(_FINE, b'{"a": 1}') is None


async def test_a_process_that_is_stopped_is_given_up() -> None:
    hasty = SpawnedJudge(judging.complaint, longest_s=30)
    assert await hasty.complaint(_FINE, b'{"a": 1}') is None
    assert hasty.pid is not None
    os.kill(hasty.pid, signal.SIGSTOP)
    hasty._longest_s = 0.1
    with pytest.raises(NotReady) as caught:
        await hasty.complaint(_FINE, b'{"a": 1}')
    assert caught.value.metadata == {"timeout_s": "0.1"}
    assert hasty.pid is None


async def test_whoever_leaves_takes_the_answer_along(judge: SpawnedJudge) -> None:
    assert await judge.complaint(_FINE, b'{"a": 1}') is None
    left = asyncio.create_task(judge.complaint(_BACKTRACKS, _HOSTILE))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    assert await judge.complaint(_FINE, b'{"a": 1}') is None


async def test_what_ends_its_process_each_time_is_a_complaint() -> None:
    judge = SpawnedJudge(ends)
    assert "without an answer" in str(await judge.complaint(_FINE, b"{}"))
    assert judge.pid is None


async def test_the_process_knows_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEORY_SECRET_WORD", "private")
    judge = SpawnedJudge(environment)
    try:
        assert "THEORY" not in str(await judge.complaint(_FINE, b"{}"))
    finally:
        await judge.close()


async def test_a_process_that_does_not_start_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "missing"))
    with pytest.raises(Unavailable) as caught:
        await SpawnedJudge(judging.complaint).complaint(_FINE, b"{}")
    assert caught.value.reason == "SERVICE_UNREACHABLE"
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(Unavailable):
        await SpawnedJudge(judging.complaint).complaint(_FINE, b"{}")
