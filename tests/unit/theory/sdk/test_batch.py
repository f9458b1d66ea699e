"""The coalescer: few calls for many, and no caller pays for another."""

import asyncio
from collections.abc import Sequence

import pytest

from theory.core.errors import Exhausted, NotFound, TheoryError, Unavailable
from theory.sdk.batch import Coalescer
from theory.wire.context import current_call, serving
from theory.wire.identity import Principal, Role


class Loader:
    """Doubles numbers; keeps every batch, and answers when it is let."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.failure: BaseException | None = None

    async def __call__(self, items: Sequence[int]) -> list[int | TheoryError]:
        self.batches.append(list(items))
        await self.open.wait()
        if self.failure is not None:
            raise self.failure
        return [NotFound("KEY_INVALID", "negative") if item < 0 else 2 * item for item in items]


@pytest.fixture
def load() -> Loader:
    return Loader()


async def _turn() -> None:
    """Let the event loop run what is ready now, and what that makes ready."""
    for _ in range(2):
        turned = asyncio.Event()
        asyncio.get_running_loop().call_soon(turned.set)
        await turned.wait()


async def test_calls_of_one_turn_make_one_batch(load: Loader) -> None:
    double = Coalescer(load, max_items=100)
    assert await asyncio.gather(*(double(n) for n in range(64))) == [2 * n for n in range(64)]
    assert load.batches == [list(range(64))]


async def test_calls_of_tasks_that_become_ready_together_make_one_batch(load: Loader) -> None:
    double = Coalescer(load, max_items=100)

    async def work(number: int) -> int:
        return await double(number)

    assert await asyncio.gather(*(asyncio.create_task(work(n)) for n in range(32))) == [2 * n for n in range(32)]
    assert len(load.batches) == 1


async def test_a_batch_is_split_at_max_items(load: Loader) -> None:
    double = Coalescer(load, max_items=3)
    await asyncio.gather(*(double(n) for n in range(7)))
    assert load.batches == [[0, 1, 2], [3, 4, 5], [6]]


async def test_a_batch_is_split_at_max_bytes_and_a_large_item_travels_alone(load: Loader) -> None:
    double = Coalescer(load, max_items=100, max_bytes=10, size_of=lambda n: n)
    await asyncio.gather(*(double(n) for n in (4, 6, 1, 50, 2)))
    assert load.batches == [[4, 6], [1], [50], [2]]


async def test_an_item_gets_its_own_error_and_spares_its_neighbours(load: Loader) -> None:
    double = Coalescer(load, max_items=100)
    good, bad = await asyncio.gather(double(1), double(-1), return_exceptions=True)
    assert good == 2
    assert isinstance(bad, NotFound)


async def test_a_failed_call_fails_each_item_with_an_error_of_its_own(load: Loader) -> None:
    double = Coalescer(load, max_items=100)
    load.failure = Unavailable("SERVICE_UNREACHABLE", "away", url="unix:///x")
    one, two = await asyncio.gather(double(1), double(2), return_exceptions=True)
    assert isinstance(one, Unavailable)
    assert isinstance(two, Unavailable)
    assert one is not two
    assert one.metadata == two.metadata == {"url": "unix:///x"}


async def test_a_timeout_of_the_call_reaches_every_caller(load: Loader) -> None:
    double = Coalescer(load, max_items=100)
    load.failure = TimeoutError("late")
    answers = await asyncio.gather(double(1), double(2), return_exceptions=True)
    assert [type(answer) for answer in answers] == [TimeoutError, TimeoutError]


async def test_a_wrong_number_of_answers_fails_every_caller() -> None:
    async def load(items: Sequence[int]) -> list[int | TheoryError]:
        return [1]

    double = Coalescer(load, max_items=100)
    answers = await asyncio.gather(double(1), double(2), return_exceptions=True)
    assert all(type(answer) is TheoryError for answer in answers)


async def test_a_caller_that_gives_up_does_not_cancel_the_others(load: Loader) -> None:
    double = Coalescer(load, max_items=100)
    load.open.clear()
    impatient, patient = asyncio.ensure_future(double(1)), asyncio.ensure_future(double(2))
    await _turn()
    assert load.batches == [[1, 2]]
    impatient.cancel()
    load.open.set()
    assert await patient == 4
    assert impatient.cancelled()


async def test_a_caller_that_gives_up_before_the_call_is_left_out(load: Loader) -> None:
    double = Coalescer(load, max_items=100)
    impatient, patient = asyncio.ensure_future(double(1)), asyncio.ensure_future(double(2))
    impatient.cancel()
    assert await patient == 4
    assert load.batches == [[2]]


async def test_nothing_is_called_if_every_caller_has_given_up(load: Loader) -> None:
    double = Coalescer(load, max_items=100)
    asyncio.ensure_future(double(1)).cancel()
    await _turn()
    assert load.batches == []


async def test_batches_grow_while_as_many_as_allowed_are_in_flight(load: Loader) -> None:
    double = Coalescer(load, max_items=100, max_in_flight=2)
    load.open.clear()
    calls = []
    for number in range(10):
        calls.append(asyncio.ensure_future(double(number)))
        await _turn()
    assert load.batches == [[0], [1]]
    load.open.set()
    assert await asyncio.gather(*calls) == [2 * n for n in range(10)]
    assert load.batches == [[0], [1], list(range(2, 10))]


async def test_items_for_which_the_reply_had_no_room_are_asked_for_again() -> None:
    batches: list[list[int]] = []

    async def load(items: Sequence[int]) -> list[int | TheoryError]:
        batches.append(list(items))
        return [n if at < 2 else Exhausted("REPLY_FULL", "full") for at, n in enumerate(items)]

    same = Coalescer(load, max_items=100)
    assert await asyncio.gather(*(same(n) for n in range(5))) == list(range(5))
    assert batches == [[0, 1, 2, 3, 4], [2, 3, 4], [4]]


async def test_an_item_for_which_a_whole_reply_has_no_room_fails() -> None:
    async def load(items: Sequence[int]) -> list[int | TheoryError]:
        return [Exhausted("REPLY_FULL", "full") for _ in items]

    same = Coalescer(load, max_items=100)
    with pytest.raises(Exhausted):
        await same(1)


async def test_a_batch_does_not_inherit_the_deadline_of_the_caller_that_began_it() -> None:
    seen = []

    async def load(items: Sequence[int]) -> list[int | TheoryError]:
        seen.append(current_call())
        return list(items)

    same = Coalescer(load, max_items=100)
    with serving(Principal(Role.CLIENT), timeout_s=0.001):
        await same(1)
    assert seen == [None]


async def test_a_cancelled_call_cancels_its_callers(load: Loader) -> None:
    double = Coalescer(load, max_items=100)
    load.failure = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        await double(1)
    load.failure = None
    assert await double(2) == 4
