"""What no field of a message can hold: it is answered like any other bad item, before anything is sent."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import ParamSpec, TypeVar

from theory.core.errors import Invalid, TheoryError

K = TypeVar("K")
V = TypeVar("V")
M = TypeVar("M")
P = ParamSpec("P")

INT32 = range(-(1 << 31), 1 << 31)
INT64 = range(-(1 << 63), 1 << 63)


def is_text(value: str) -> bool:
    """Whether `value` can be written as UTF-8; half a surrogate pair cannot."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def message(make: Callable[P, M], *values: P.args, **fields: P.kwargs) -> M:
    """What `make` makes of its arguments; `Invalid` (`FIELD_INVALID`) where one of them fits into no message."""
    try:
        return make(*values, **fields)
    except UnicodeError as error:
        raise Invalid("FIELD_INVALID", "a text holds half a surrogate pair", field="") from error
    except (TypeError, ValueError) as error:  # a number too large for its field, another type
        raise Invalid("FIELD_INVALID", f"a value fits into no message: {error}", field="") from error


async def ask(
    items: Sequence[K],
    fault_of: Callable[[K], Invalid | None],
    load: Callable[[Sequence[K]], Awaitable[Sequence[V | TheoryError]]],
) -> list[V | TheoryError]:
    """One answer per item, in order: its fault, or else what `load` says, which is asked for the sound ones."""
    faults = {idx: fault for idx, item in enumerate(items) if (fault := fault_of(item))}
    sound = [item for idx, item in enumerate(items) if idx not in faults] if faults else items
    answers: Iterator[V | TheoryError] = iter(await load(sound) if sound else ())
    return [faults[idx] if idx in faults else next(answers) for idx in range(len(items))]
