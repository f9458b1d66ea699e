"""The items of a batch request: how many there may be, and a bad one that stops no other."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from theory.core.errors import Invalid, TheoryError

_Item = TypeVar("_Item")
_Word = TypeVar("_Word")


def batch(items: Sequence[_Item], most: int) -> Sequence[_Item]:
    """`items`, if they are as many as a batch may hold; otherwise `Invalid` (`BATCH_SIZE`)."""
    if not 1 <= len(items) <= most:
        raise Invalid("BATCH_SIZE", f"a batch has 1 to {most} items", max=str(most))
    return items


def decoded(items: Sequence[_Item], decode: Callable[[_Item], _Word], *, most: int) -> list[_Word | TheoryError]:
    """Each item of a batch as `decode` reads it, or why it cannot be read; `Invalid` (`BATCH_SIZE`)."""
    words: list[_Word | TheoryError] = []
    for item in batch(items, most):
        try:
            words.append(decode(item))
        except TheoryError as error:
            words.append(error)
    return words
