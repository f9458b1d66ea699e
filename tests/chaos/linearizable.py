"""Whether one object's history could have happened one operation after the other, each between its call and answer.

The search of Wing and Gong with the memory of Lowe: walk the events in time; at a call, let its operation take effect
if the model allows it, unless this set of operations led to this state before; at an answer whose operation has not
taken effect, go back to the last choice. Objects are judged one by one, since a history is linearizable where each of
its objects is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, Protocol, TypeVar

from tests.chaos.history import NEVER, Operation

S = TypeVar("S")


class Model(Protocol[S]):
    """What one object is, one operation after the other."""

    @property
    def initial(self) -> S:
        """Hashable."""
        ...

    def step(self, state: S, operation: Operation[Any, Any]) -> tuple[bool, S]:
        """Whether the operation may be answered so in this state, and the state after it.

        One whose outcome is unknown may always be.
        """
        ...


class Verdict(Enum):
    """What the search came to."""

    LINEARIZABLE = "linearizable"
    BROKEN = "not linearizable"
    UNDECIDED = "not decided within the limit"


@dataclass(frozen=True)
class Judgement(Generic[S]):
    """The verdict, and how far the best order came."""

    verdict: Verdict
    order: tuple[Operation[Any, Any], ...] = ()
    """The longest order that the model allows."""
    state: S | None = None
    """The object at the end of that order."""
    stuck: Operation[Any, Any] | None = None
    """The answer that no continuation of it explains."""
    steps: int = 0


MOST_STEPS = 300_000


def check(history: Sequence[Operation[Any, Any]], model: Model[S], most_steps: int = MOST_STEPS) -> Judgement[S]:
    """Judge the history of one object."""
    return _Search(history, model).run(most_steps)


class _Event:
    """A call or an answer, in a list from which the operations that took effect are taken out."""

    __slots__ = ("answer", "following", "number", "preceding")

    def __init__(self, number: int, answer: "_Event | None") -> None:
        self.number = number
        self.answer = answer
        """Of a call; None in an answer."""
        self.preceding: _Event = self
        self.following: _Event | None = None


class _Search(Generic[S]):
    def __init__(self, history: Sequence[Operation[Any, Any]], model: Model[S]) -> None:
        # What failed has no effect, and a read of which the answer is unknown says nothing.
        self._operations = [each for each in history if each.possible]
        self._model = model
        self._head = self._chained()
        self._known = sum(each.ok for each in self._operations)
        self._twin = self._twins()

    def _chained(self) -> _Event:
        timed: list[tuple[float, int, int, _Event]] = []
        for number, each in enumerate(self._operations):
            answer = _Event(number, None)
            # A call comes before an answer of the same moment: that allows more orders.
            timed.append((each.invoked, 0, number, _Event(number, answer)))
            timed.append((each.returned, 1, number, answer))
        head = last = _Event(-1, None)
        for *_, event in sorted(timed, key=lambda each: each[:3]):
            last.following, event.preceding = event, last
            last = event
        return head

    def _twins(self) -> list[int]:
        """For an operation of unknown outcome, the mask of those like it that were asked for before it.

        They are interchangeable, so they need to be tried in one order only.
        """
        masks, seen = [0] * len(self._operations), dict[Any, int]()
        for number in sorted(range(len(self._operations)), key=lambda each: self._operations[each].invoked):
            each = self._operations[number]
            if each.returned == NEVER:
                masks[number] = seen.get(each.action, 0)
                seen[each.action] = masks[number] | 1 << number
        return masks

    def run(self, most_steps: int) -> Judgement[S]:
        state, done, known, steps = self._model.initial, 0, 0, 0
        taken: list[tuple[_Event, S]] = []
        visited: set[tuple[int, S]] = set()
        longest: tuple[_Event, ...] = ()
        stuck: int | None = None
        event = self._head.following
        while known < self._known:
            steps += 1
            if steps > most_steps:
                return Judgement(Verdict.UNDECIDED, steps=steps)
            assert event is not None
            if event.answer is not None:
                legal, after = self._allowed(event, state, done)
                mark = (done | 1 << event.number, after)
                if legal and mark not in visited:
                    visited.add(mark)
                    taken.append((event, state))
                    state, done = after, mark[0]
                    known += self._operations[event.number].ok
                    _take_out(event)
                    event = self._head.following
                else:
                    event = event.following
            else:
                if stuck is None or len(taken) > len(longest):
                    longest, stuck = tuple(each for each, _ in taken), event.number
                if not taken:
                    return self._broken(longest, stuck, steps)
                event, state = taken.pop()
                done &= ~(1 << event.number)
                known -= self._operations[event.number].ok
                _put_back(event)
                event = event.following
        return Judgement(Verdict.LINEARIZABLE, steps=steps)

    def _allowed(self, event: _Event, state: S, done: int) -> tuple[bool, S]:
        twins = self._twin[event.number]
        if twins & done != twins:
            return False, state
        return self._model.step(state, self._operations[event.number])

    def _broken(self, longest: Sequence[_Event], stuck: int, steps: int) -> Judgement[S]:
        order = tuple(self._operations[each.number] for each in longest)
        state = self._model.initial
        for each in order:
            _, state = self._model.step(state, each)
        return Judgement(Verdict.BROKEN, order, state, self._operations[stuck], steps)


def _take_out(call: _Event) -> None:
    for each in (call, call.answer):
        assert each is not None
        each.preceding.following = each.following
        if each.following is not None:
            each.following.preceding = each.preceding


def _put_back(call: _Event) -> None:
    for each in (call.answer, call):
        assert each is not None
        each.preceding.following = each
        if each.following is not None:
            each.following.preceding = each


Needless = Callable[[Operation[Any, Any], Sequence[Operation[Any, Any]]], bool]


def shrunk(history: Sequence[Operation[Any, Any]], model: Model[S], needless: Needless) -> list[Operation[Any, Any]]:
    """A smaller history that is broken for the same reason: without what came later, and without what may be left out.

    `needless` says of an operation that leaving it out of a history makes none worse, such as a read.
    """
    stuck = check(history, model).stuck
    if stuck is None:
        return list(history)
    kept = [each for each in history if each.possible and each.invoked <= stuck.returned]
    size = len(kept) + 1
    while len(kept) < size:  # without a read a write may be needless, too
        size = len(kept)
        for each in reversed(list(kept)):
            without = [other for other in kept if other is not each]
            if each is not stuck and needless(each, kept) and check(without, model).verdict is Verdict.BROKEN:
                kept = without
    return kept
