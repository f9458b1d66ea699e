"""Any history of a store that does one thing after the other is sound, whatever its clients saw of it and when."""

from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Any, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.chaos import key_history, linearizable, total_queue
from tests.chaos.faulty_keys import ModelKeys
from tests.chaos.history import NEVER, Operation, Outcome
from tests.chaos.key_history import Delete, Get, Incr, Key, KeyOperation, Put
from tests.chaos.linearizable import Verdict
from tests.chaos.model_queue import ModelQueue
from tests.chaos.queue_history import (
    Ack,
    Action,
    Answer,
    Consume,
    Extend,
    Nack,
    Promises,
    Publish,
    QueueOperation,
    Redrive,
)
from theory.core.adapters import KVIncr, KVPut, KVValue, Message, Published, QueueExtend, QueueNack, QueuePublish
from theory.core.clock import FakeClock
from theory.core.errors import TheoryError

T = TypeVar("T")

PLACE = ("p-1", "work")


@dataclass(frozen=True)
class Seen:
    """How a client saw what happened at one moment."""

    passed_s: float
    """Since the moment before."""
    early_s: float
    """How long before it asked."""
    late_s: float
    """How long after it was answered."""
    lost: str
    """Which message did not arrive: none, the request or the answer."""


seen = st.builds(
    Seen,
    st.sampled_from([0.0, 0.01, 0.3, 1.0, 2.5]),
    st.sampled_from([0.0, 0.01, 0.4, 3.0]),
    st.sampled_from([0.0, 0.01, 0.4]),
    st.sampled_from(["", "", "", "", "", "request", "answer"]),
)


def now(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a method of a model answers; it never waits."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        return ended.value  # type: ignore[no-any-return]
    raise AssertionError("a model waits for nothing")


class QueueClients:
    """Clients of one topic, and what they write down."""

    def __init__(self, promises: Promises) -> None:
        self.clock = FakeClock()
        self.store = ModelQueue(self.clock)
        self.promises = promises
        self.history: list[QueueOperation] = []
        self.handles: list[str] = []
        self.number = 0

    def tried(self, kind: str, pick: int, s: int, how: Seen) -> None:
        self.clock.advance(how.passed_s)
        action = self.action(kind, pick, s)
        if action is not None:
            self.done(action, how)

    def action(self, kind: str, pick: int, s: int) -> Action | None:
        if kind == "publish":
            self.number += 1
            return Publish(b"%d" % self.number, f"{self.number}" if pick % 2 else None, s)
        if kind == "consume":
            return Consume(1 + pick % 3, 1 + s, bool(self.promises.max_receives) and pick % 4 == 0)
        if not self.handles:
            return None
        handle = self.handles[-1 - pick % len(self.handles)]
        if kind == "redrive":
            return Redrive(handle) if handle.endswith("True") else None
        settling: dict[str, Action] = {"ack": Ack(handle), "nack": Nack(handle, s), "extend": Extend(handle, 1 + s)}
        return settling[kind]

    def done(self, action: Action, how: Seen) -> None:
        answer = None if how.lost == "request" else self.asked(action)
        at = self.clock.monotonic()
        done: QueueOperation = Operation("c", action, at - how.early_s, ended=at + how.late_s)
        self.history.append(done)
        if how.lost:
            return
        done.returned = done.ended
        if isinstance(answer, TheoryError):
            done.outcome, done.reason = Outcome.FAIL, answer.reason
            return
        done.outcome, done.answer = Outcome.OK, answer
        if isinstance(answer, tuple):
            self.handles += [each.receipt_handle for each in answer]

    def asked(self, action: Action) -> Answer | TheoryError | None:
        match action:
            case Publish(body=body, key=key, delay_s=delay_s):
                items, most = [QueuePublish(body, key, delay_s)], self.promises.max_receives
                return now(self.store.publish_many(*PLACE, items, max_receives=most))[0]
            case Consume(max_messages=count, visibility_s=s, dead=dead):
                return tuple(self.consumed(count, s, dead=dead))
            case Ack(handle=handle):
                return now(self.store.ack_many(*PLACE, [handle]))[0]
            case Nack(handle=handle, after_s=s):
                return now(self.store.nack_many(*PLACE, [QueueNack(handle, s)]))[0]
            case Extend(handle=handle, after_s=s):
                return now(self.store.extend_many(*PLACE, [QueueExtend(handle, s)]))[0]
            case Redrive(handle=handle):
                return now(self.store.redrive_many(*PLACE, [handle]))[0]

    def consumed(self, count: int, s: int, *, dead: bool) -> Sequence[Message]:
        plan_id, topic = PLACE
        return now(
            self.store.consume(
                plan_id=plan_id, topic=topic, max_messages=count, visibility_timeout_s=s, dead_letters=dead
            )
        )

    def drain(self) -> None:
        self.clock.advance(100)
        exact = Seen(0.01, 0.0, 0.0, "")
        for dead in (False, True):
            while True:
                self.clock.advance(0.01)
                self.done(Consume(100, 50, dead), exact)
                found = self.history[-1].answer
                assert isinstance(found, tuple)
                if not found:
                    break
                for message in found:
                    self.done(Ack(message.receipt_handle), exact)


steps = st.lists(
    st.tuples(
        st.sampled_from(["publish", "publish", "consume", "consume", "ack", "nack", "extend", "redrive"]),
        st.integers(0, 11),
        st.sampled_from([0, 0, 1, 2]),
        seen,
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(steps, st.sampled_from([0, 0, 1, 2]))
def test_any_history_of_a_queue_that_keeps_its_promises_is_sound(
    taken: list[tuple[str, int, int, Seen]], max_receives: int
) -> None:
    promises = Promises(max_receives=max_receives)
    clients = QueueClients(promises)
    for each in taken:
        clients.tried(*each)
    clients.drain()
    report = total_queue.check(clients.history, promises)
    assert report.violations == ()
    published = [each for each in clients.history if isinstance(each.action, Publish)]
    assert report.acknowledged == sum(isinstance(each.answer, Published) for each in published)


actions = st.lists(
    st.tuples(st.sampled_from(["get", "get", "put", "put", "lease", "delete", "incr"]), seen), max_size=40
)


def key_run(taken: Sequence[tuple[str, Seen]]) -> list[KeyOperation]:
    clock = FakeClock()
    store, history = ModelKeys(clock), []
    for number, (kind, how) in enumerate(taken):
        clock.advance(how.passed_s)
        key = "counter" if kind == "incr" or number % 5 == 0 else "register"
        ttl_s = 1 if kind == "lease" else None
        action: key_history.Action
        answer: bytes | int | None = None
        if kind == "incr":
            action = Incr(key, 1 + number % 3)
        elif kind in {"put", "lease"} and key == "register":
            action = Put(key, b"%d" % number, ttl_s)
        else:
            action = Delete(key) if kind == "delete" else Get(key)
        if how.lost != "request":
            answer = key_asked(store, action)
        at = clock.monotonic()
        done: KeyOperation = Operation("w", action, at - how.early_s, ended=at + how.late_s)
        if not how.lost:
            done.outcome, done.answer, done.returned = Outcome.OK, answer, done.ended
        history.append(done)
    return history


def key_asked(store: ModelKeys, action: key_history.Action) -> bytes | int | None:
    match action:
        case Get(key=key):
            [found] = now(store.get_many("p-1", [key]))
            return found.value if isinstance(found, KVValue) else None
        case Put(key=key, value=value, ttl_s=ttl_s):
            now(store.put_many("p-1", [KVPut(key, value, ttl_s)]))
        case Delete(key=key):
            now(store.delete_many("p-1", [key]))
        case Incr(key=key, by=by):
            [total] = now(store.incr_many("p-1", [KVIncr(key, by)]))
            assert isinstance(total, int)
            return total
    return None


@settings(max_examples=60, deadline=None)
@given(actions)
def test_any_history_of_keys_that_keep_their_promises_is_linearizable(taken: list[tuple[str, Seen]]) -> None:
    assert key_history.check(key_run(taken)).violations == ()


@settings(max_examples=60, deadline=None)
@given(actions.filter(len), st.integers(0, 40))
def test_a_read_of_what_nobody_wrote_is_always_found(taken: list[tuple[str, Seen]], at: int) -> None:
    history = key_run(taken)
    invented: KeyOperation = Operation("w", Get("register"), at, at + 1.0, at + 1.0, Outcome.OK, b"invented")
    assert key_history.check([*history, invented]).counts == {"order": 1}
    assert all(each.returned in {each.ended, NEVER} for each in history)


VALUES = (b"1", b"2")
made_up = st.lists(
    st.builds(
        lambda action, answer, invoked, took, known: Operation(
            "w",
            action,
            invoked,
            invoked + took if known else NEVER,
            outcome=Outcome.OK if known else Outcome.UNKNOWN,
            answer=answer if isinstance(action, Get) else int(answer or 0),
        ),
        st.sampled_from([Get("k"), Get("k"), *(Put("k", each) for each in VALUES), Delete("k"), Incr("k")]),
        st.sampled_from([None, *VALUES]),
        st.integers(0, 5),
        st.integers(0, 3),
        st.sampled_from([True, True, False]),
    ),
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(made_up)
def test_the_search_finds_an_order_where_trying_every_order_finds_one(history: list[KeyOperation]) -> None:
    found = linearizable.check(history, Key()).verdict
    assert (found is Verdict.LINEARIZABLE) is any(allowed(each) for each in orders(history))


def orders(history: Sequence[KeyOperation]) -> Iterator[Sequence[KeyOperation]]:
    """Every order in which these may have taken effect; those of unknown outcome, in which they did."""
    known = [each for each in history if each.ok]
    unsure = [each for each in history if not each.ok]
    for count in range(len(unsure) + 1):
        for effective in combinations(unsure, count):
            yield from permutations([*known, *effective])


def allowed(order: Sequence[KeyOperation]) -> bool:
    state = Key.initial
    for idx, each in enumerate(order):
        legal, state = Key().step(state, each)
        if not legal or any(later.before(each) for later in order[idx:]):
            return False
    return True
