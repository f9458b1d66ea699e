"""Batches in which an item may have failed before: the others go on, and every outcome keeps its place."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from theory.core.errors import TheoryError

_Item = TypeVar("_Item")
_Outcome = TypeVar("_Outcome")


async def for_sound(
    items: Sequence[_Item | TheoryError], work: Callable[[list[_Item]], Awaitable[Sequence[_Outcome]]]
) -> list[_Outcome | TheoryError]:
    """What `work` answers for each item, in order; an item that is an error already stays one, unseen by `work`.

    `work` is not called where no item is left.
    """
    sound = [item for item in items if not isinstance(item, TheoryError)]
    outcomes = iter(await work(sound) if sound else ())
    return [item if isinstance(item, TheoryError) else next(outcomes) for item in items]
