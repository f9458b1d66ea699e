"""Every interleaving of a few coroutines, one awaited step at a time, without an event loop."""

import types
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping
from typing import Any

Work = Coroutine[Any, Any, object]
Start = Callable[[], Mapping[str, Work]]
"""Makes everything anew: the coroutines of one run, by name."""


@types.coroutine
def gate() -> Generator[None, None, None]:
    """The end of a step: whoever else is at work may come between."""
    yield


def explore(start: Start, check: Callable[[], None]) -> int:
    """Run every interleaving, `check` after each step; how many there are.

    An `AssertionError` says who took each step on the way to it.
    """
    count = 0
    choices: list[tuple[int, int]] | None = []
    while choices is not None:
        choices = _following(_run(start, check, choices))
        count += 1
    return count


def _run(start: Start, check: Callable[[], None], choices: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """One interleaving: the chosen steps, then always the first that can be taken. Each choice, of how many."""
    under_way = {name: work for name, work in start().items() if _goes_on(work)}
    taken: list[tuple[int, int]] = []
    names: list[str] = []
    try:
        while under_way:
            chosen = choices[len(taken)][0] if len(taken) < len(choices) else 0
            taken.append((chosen, len(under_way)))
            name = list(under_way)[chosen]
            names.append(name)
            if not _goes_on(under_way[name]):
                del under_way[name]
            check()
    except AssertionError as error:
        raise AssertionError(f"{error}; the way there: {' '.join(names)}") from error
    finally:
        for work in under_way.values():
            work.close()
    return taken


def _goes_on(work: Work) -> bool:
    try:
        work.send(None)
    except StopIteration:
        return False
    return True


def _following(taken: list[tuple[int, int]]) -> list[tuple[int, int]] | None:
    """The next in order; None after the last."""
    for at in _backwards(taken):
        chosen, of = taken[at]
        if chosen + 1 < of:
            return [*taken[:at], (chosen + 1, of)]
    return None


def _backwards(taken: list[tuple[int, int]]) -> Iterator[int]:
    return reversed(range(len(taken)))
