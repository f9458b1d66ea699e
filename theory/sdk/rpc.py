"""What the clients of all services share: answers of batches, and batches that fit into a message."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from theory.api.core.v1.item_status_pb2 import ItemStatus
from theory.core.errors import Exhausted, TheoryError
from theory.wire.status import item_error

K = TypeVar("K")
T = TypeVar("T")
V = TypeVar("V")


class _Result(Protocol):
    @property
    def status(self) -> ItemStatus: ...


R = TypeVar("R", bound=_Result)


def answers(results: Iterable[R], value: Callable[[R], V]) -> list[V | TheoryError]:
    """One answer per result of a batch: the error that its status says, or else its `value`."""
    return [item_error(result.status) or value(result) for result in results]


def outcomes(statuses: Iterable[ItemStatus]) -> list[TheoryError | None]:
    """One outcome per status of a batch: its error, or None."""
    return [item_error(status) for status in statuses]


def features_of(items: Iterable[tuple[str, int]], numbers: Iterable[int], prefix: str) -> frozenset[str]:
    """The names of features without their prefix; those that a newer server knows and we do not are left out.

    `items` are those of the enumeration.
    """
    known = {number: name for name, number in items}
    return frozenset(known[number].removeprefix(prefix) for number in numbers if number in known)


def unwrapped(answered: Iterable[V | TheoryError]) -> list[V]:
    """The values of a batch; raises the first error among them."""
    values: list[V] = []
    for answer in answered:
        if isinstance(answer, TheoryError):
            raise answer
        values.append(answer)
    return values


def fitting(
    items: Iterable[T], *, max_items: int, max_bytes: int | None = None, size_of: Callable[[T], int] = lambda _: 0
) -> Iterator[list[T]]:
    """`items` in batches that a service accepts, in their order; an item that is too large by itself stands alone."""
    batch: list[T] = []
    room = max_bytes
    for item in items:
        size = size_of(item)
        if batch and (len(batch) == max_items or (room is not None and size > room)):
            yield batch
            batch, room = [], max_bytes
        batch.append(item)
        if room is not None:
            room -= size
    if batch:
        yield batch


async def whole(
    batch: Sequence[K], send: Callable[[Sequence[K]], Awaitable[Sequence[V | TheoryError]]]
) -> list[V | TheoryError]:
    """What `send` says to each; what a reply had no room for is asked for again, as long as replies bring anything."""
    said = list(await send(batch))
    left = [at for at, each in enumerate(said) if _no_room(each)]
    while left:
        more = await send([batch[at] for at in left])
        for at, each in zip(left, more, strict=True):
            said[at] = each
        still = [at for at in left if _no_room(said[at])]
        if len(still) == len(left):
            break
        left = still
    return said


def _no_room(answer: object) -> bool:
    return isinstance(answer, Exhausted) and answer.reason == "REPLY_FULL"
