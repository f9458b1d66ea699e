"""Coalescers by place: single calls for one plan, or one topic of it, travel together; those for another do not."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Generic, TypeAlias, TypeVar
from weakref import WeakValueDictionary

from theory.core.errors import TheoryError
from theory.sdk.batch import Coalescer

P = TypeVar("P")
K = TypeVar("K")
V = TypeVar("V")

Load: TypeAlias = Callable[[P, Sequence[K]], Awaitable[Sequence[V | TheoryError]]]
"""Answers a batch of one place, as `theory.sdk.batch.Load` does."""


class PlaceCoalescer(Generic[P, K, V]):
    """Turns `await coalescer(place, item)` of many tasks into few calls of `load`, each for one place.

    A place costs nothing while nothing of it is under way, so there may be any number of them.
    """

    def __init__(
        self,
        load: Load[P, K, V],
        *,
        max_items: int,
        max_bytes: int | None = None,
        size_of: Callable[[K], int] | None = None,
    ) -> None:
        self._load = load
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._size_of = size_of
        # The event loop holds what has something to send or to wait for; the rest goes.
        self._coalescers: WeakValueDictionary[P, Coalescer[K, V]] = WeakValueDictionary()

    def __call__(self, place: P, item: K) -> Awaitable[V]:
        """The value of `item`; raises its error."""
        coalescer = self._coalescers.get(place)
        if coalescer is None:
            coalescer = Coalescer(
                partial(self._load, place), max_items=self._max_items, max_bytes=self._max_bytes, size_of=self._size_of
            )
            self._coalescers[place] = coalescer
        return coalescer(item)
