"""What a case says of a call that must fail."""

from collections.abc import Awaitable
from typing import TypeVar

from theory.core.errors import TheoryError

E = TypeVar("E", bound=TheoryError)


def refused(answer: object, kind: type[E], reason: str) -> E:
    """The answer of an item, which must be this error."""
    assert isinstance(answer, kind), f"{reason} was expected, not {answer!r}"
    assert answer.reason == reason, f"{reason} was expected, not {answer!r}"
    return answer


async def refusal(asked: Awaitable[object], kind: type[E], reason: str) -> E:
    """The error of a call, which must fail as a whole with this one."""
    try:
        answer = await asked
    except TheoryError as error:
        return refused(error, kind, reason)
    message = f"{reason} was expected, but the call answered {answer!r:.200}"
    raise AssertionError(message)
