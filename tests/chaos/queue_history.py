"""What may be asked of a queue, and what a history says of one message: its tries, its deliveries, their windows."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from tests.chaos.history import NEVER, Operation
from theory.core.adapters import Message, Published

_SHOWN = 40

LINGER_S = 1.0
"""How long a consume may go on after its client stopped waiting. No store works on one for so long."""

SHORTEST_S = 0.95
"""The shortest window that a consume can ask for, less what clocks may differ."""


@dataclass(frozen=True, slots=True)
class Publish:
    """Each logical message has a body of its own; another try has the same one, and the same key."""

    body: bytes
    key: str | None = None
    delay_s: int = 0


@dataclass(frozen=True, slots=True)
class Consume:
    """Of one side of the topic."""

    max_messages: int
    visibility_s: int
    dead: bool = False


@dataclass(frozen=True, slots=True)
class Ack:
    """Of one delivery."""

    handle: str


@dataclass(frozen=True, slots=True)
class Nack:
    """Of one delivery."""

    handle: str
    after_s: int


@dataclass(frozen=True, slots=True)
class Extend:
    """Of one delivery."""

    handle: str
    after_s: int


@dataclass(frozen=True, slots=True)
class Redrive:
    """Of one dead letter."""

    handle: str


Action: TypeAlias = Publish | Consume | Ack | Nack | Extend | Redrive
Answer: TypeAlias = Published | tuple[Message, ...]
QueueOperation: TypeAlias = Operation[Action, Answer]


@dataclass(frozen=True, slots=True)
class Promises:
    """What the store of a history claims."""

    keys: bool = True
    """An idempotency key makes one message, whatever dies."""
    fenced: bool = True
    """A handle that no longer counts is refused."""
    moves: bool = True
    """A message is in the topic or in its dead letters, never in both."""
    counts: bool = True
    """`receive_count` grows by one with each delivery."""
    max_receives: int = 0
    tolerance_s: float = 0.05
    """How much the store's clock may differ from ours over one window."""


@dataclass(slots=True, eq=False)
class Delivery:
    """One message of the answer to one consume."""

    consume: QueueOperation
    message: Message
    dead: bool
    visibility_s: int
    settled: list[QueueOperation] = field(default_factory=list)
    """What was asked with its handle, in the order of asking."""

    @property
    def count(self) -> int:
        return self.message.receive_count

    def before(self, other: "Delivery") -> bool:
        """Whether the answer that held it was there before the other's consume was asked for."""
        return self.consume.before(other.consume)

    def earliest_end(self, at: Operation[Action, Answer], *, fenced: bool) -> float:
        """The earliest moment at which its window can be over, by what can have happened when `at` was answered."""
        end = certain = self.consume.invoked + self.visibility_s
        possible: list[float] = []
        for each in self.settled:
            if not isinstance(each.action, Nack | Extend) or not each.possible or each.invoked > at.returned:
                continue
            shown = each.invoked + each.action.after_s
            if each.ok and each.before(at) and (fenced or each.returned < end):
                end = certain = shown
            else:
                possible.append(shown)
        return min((certain, *possible))

    def lines(self, since: float) -> Iterator[str]:
        """Its part of a report."""
        asked, name = self.consume, "dead letter" if self.dead else "delivery"
        took = f"{asked.invoked - since:8.3f} .. {asked.returned - since:8.3f}  {asked.process:<8}"
        yield f"{took}  {name} {self.count} of {self.message.message_id}, hidden for {self.visibility_s} s"
        for each in self.settled:
            end = "       -" if each.returned == NEVER else f"{each.returned - since:8.3f}"
            what = type(each.action).__name__.lower()
            after = f" after {each.action.after_s} s" if isinstance(each.action, Nack | Extend) else ""
            told = f"{each.outcome} {each.reason}".strip()
            yield f"{each.invoked - since:8.3f} .. {end}  {each.process:<8}    {what} {self.count}{after}: {told}"


@dataclass(slots=True, eq=False)
class Story:
    """All that is known of one message, by its body."""

    body: bytes
    tries: list[QueueOperation] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What a report calls it."""
        return repr(self.body[:_SHOWN])

    @property
    def asked(self) -> Publish:
        """What was published; nothing, for what never was."""
        action = self.tries[0].action if self.tries else Publish(self.body)
        assert isinstance(action, Publish)
        return action

    @property
    def acknowledged(self) -> bool:
        """Whether the store said that it has it."""
        return any(each.ok for each in self.tries)

    def lines(self) -> Iterator[str]:
        """The whole story, for a report."""
        since = min((each.invoked for each in (*self.tries, *(each.consume for each in self.deliveries))), default=0.0)
        for each in self.tries:
            end = "       -" if each.returned == NEVER else f"{each.returned - since:8.3f}"
            told = f"{each.outcome} {each.reason}".strip()
            named = f" as {each.answer.message_id}" if isinstance(each.answer, Published) else ""
            yield f"{each.invoked - since:8.3f} .. {end}  {each.process:<8}  publish {self.name}: {told}{named}"
        for delivery in sorted(self.deliveries, key=lambda each: each.consume.returned):
            yield from delivery.lines(since)


class _Gap(NamedTuple):
    """A time in which answers of consumes were lost."""

    since: float
    until: float
    answers: int


def _merged(spans: Sequence[tuple[float, float]]) -> list[_Gap]:
    """The spans, with those that overlap as one."""
    gaps: list[_Gap] = []
    for since, until in sorted(spans):
        if gaps and since <= gaps[-1].until:
            gaps[-1] = _Gap(gaps[-1].since, max(gaps[-1].until, until), gaps[-1].answers + 1)
        else:
            gaps.append(_Gap(since, until, 1))
    return gaps


class Index:
    """A history of one topic, message by message."""

    def __init__(self, history: Sequence[QueueOperation]) -> None:
        self.stories: dict[bytes, Story] = {}
        self._by_handle: dict[str, Delivery] = {}
        lost_answers: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
        settling: list[QueueOperation] = []
        for each in history:
            if isinstance(each.action, Publish):
                self._story(each.action.body).tries.append(each)
            elif isinstance(each.action, Consume):
                self._consumed(each, each.action, lost_answers)
            else:
                settling.append(each)
        for each in settling:
            assert not isinstance(each.action, Publish | Consume)
            self._by_handle[each.action.handle].settled.append(each)
        self._gaps = {dead: _merged(lost) for dead, lost in lost_answers.items()}

    def lost_answers(self, since: float, until: float, *, dead: bool) -> int:
        """How often, at most, one message may have been handed out in this time without that anybody saw it."""
        gaps = self._gaps[dead]
        first = bisect_left(gaps, since, key=lambda each: each.until)
        most = 0
        for each in gaps[first:]:
            if each.since > until:
                break
            # A hand-out hides it, and whoever did not get it cannot give it back: the next one is a window later.
            span_s = min(each.until, until) - max(each.since, since)
            most += min(each.answers, int(span_s / SHORTEST_S) + 1)
        return most

    def _story(self, body: bytes) -> Story:
        if body not in self.stories:
            self.stories[body] = Story(body)
        return self.stories[body]

    def _consumed(
        self, operation: QueueOperation, asked: Consume, lost_answers: dict[bool, list[tuple[float, float]]]
    ) -> None:
        if not operation.ok:
            if operation.possible:
                lost_answers[asked.dead].append((operation.invoked, operation.ended + LINGER_S))
            return
        assert isinstance(operation.answer, tuple)
        for message in operation.answer:
            delivery = Delivery(operation, message, asked.dead, asked.visibility_s)
            self._by_handle[message.receipt_handle] = delivery
            self._story(message.body).deliveries.append(delivery)


def settled(deliveries: Sequence[Delivery], kind: type[Action]) -> list[QueueOperation]:
    """Every operation of a kind with the handles of these deliveries that may have taken effect."""
    found = (each for delivery in deliveries for each in delivery.settled)
    return [each for each in found if isinstance(each.action, kind) and each.possible]


def by_message(deliveries: Sequence[Delivery]) -> list[list[Delivery]]:
    """The deliveries of each message id: one body may have been published as several messages."""
    found: dict[str, list[Delivery]] = defaultdict(list)
    for each in deliveries:
        found[each.message.message_id].append(each)
    return list(found.values())
