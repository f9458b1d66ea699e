"""The tests of theory/sdk/reattach.py; with a real server those of the executor's and the ledger's clients."""

from collections.abc import AsyncGenerator, Sequence

import pytest

from theory.core.clock import FakeClock
from theory.core.errors import NotFound, Unavailable
from theory.sdk.reattach import followed

_AWAY = Unavailable("SERVICE_UNREACHABLE", "away")


class _Attached:
    """What each attachment gives, in order; an error breaks it."""

    def __init__(self, *scripts: Sequence[int | Exception]) -> None:
        self.scripts = list(scripts)
        self.asked: list[int] = []

    async def __call__(self, position: int) -> AsyncGenerator[tuple[int, int], None]:
        self.asked.append(position)
        for said in self.scripts.pop(0):
            if isinstance(said, Exception):
                raise said
            yield said, said


async def _never(_: int | None) -> bool:
    return False


async def test_a_stream_goes_on_where_it_broke() -> None:
    attached = _Attached([1, 2, _AWAY], [3], [4, NotFound("PLAN_UNKNOWN", "gone")])
    breaks: list[Exception] = []
    stream = followed(attached, 0, FakeClock(), on_break=breaks.append)
    seen = [await anext(stream) for _ in range(4)]
    with pytest.raises(NotFound):
        await anext(stream)
    assert (seen, attached.asked, breaks) == ([1, 2, 3, 4], [0, 2, 3], [_AWAY])


async def test_a_stream_is_over_when_it_says_so() -> None:
    async def over(last: int | None) -> bool:
        return last == 2

    attached = _Attached([1], [2])
    assert [each async for each in followed(attached, 0, FakeClock(), over=over)] == [1, 2]


async def test_patience_ends() -> None:
    class _Asleep(FakeClock):
        async def sleep(self, s: float) -> None:
            self.advance(s)

    attached = _Attached(*([_AWAY] for _ in range(50)))
    with pytest.raises(Unavailable):
        await anext(followed(attached, 7, _Asleep(), patience_s=20, over=_never))
    assert set(attached.asked) == {7}
    assert 5 < len(attached.asked) < 20
