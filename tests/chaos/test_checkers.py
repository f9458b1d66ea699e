"""What the judges make of small histories that are written by hand."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from tests.chaos import key_history, linearizable, told, total_queue
from tests.chaos.history import NEVER, Operation, Outcome
from tests.chaos.key_history import Delete, Get, Incr, Key, KeyOperation, Put
from tests.chaos.linearizable import Verdict
from tests.chaos.queue_history import Ack, Action, Consume, Extend, Nack, Promises, Publish, QueueOperation, Redrive
from theory.core.adapters import Message, Published
from theory.core.chain import Event

UNKNOWN, FAIL = Outcome.UNKNOWN, Outcome.FAIL


def key(
    action: key_history.Action, invoked: float, returned: float = NEVER, answer: bytes | int | None = None
) -> KeyOperation:
    outcome = UNKNOWN if returned == NEVER else Outcome.OK
    return Operation("w", action, invoked, returned, returned, outcome, answer)


def verdict(*history: KeyOperation) -> Verdict:
    return linearizable.check(history, Key()).verdict


def test_a_read_of_what_was_written_before_is_in_order() -> None:
    assert verdict(key(Put("k", b"1"), 0, 1), key(Get("k"), 2, 3, b"1")) is Verdict.LINEARIZABLE


def test_a_read_of_what_was_overwritten_before_is_not() -> None:
    history = (key(Put("k", b"1"), 0, 1), key(Put("k", b"2"), 2, 3), key(Get("k"), 4, 5, b"1"))
    assert verdict(*history) is Verdict.BROKEN


def test_operations_that_overlap_may_take_effect_in_any_order() -> None:
    writes = (key(Put("k", b"1"), 0, 9), key(Put("k", b"2"), 0, 9))
    assert verdict(*writes, key(Get("k"), 10, 11, b"1")) is Verdict.LINEARIZABLE
    assert verdict(*writes, key(Get("k"), 10, 11, b"2")) is Verdict.LINEARIZABLE
    assert verdict(*writes, key(Get("k"), 10, 11)) is Verdict.BROKEN


def test_reads_never_go_back() -> None:
    write = key(Put("k", b"1"), 0, 9)
    assert verdict(write, key(Get("k"), 1, 2), key(Get("k"), 3, 4, b"1")) is Verdict.LINEARIZABLE
    assert verdict(write, key(Get("k"), 1, 2, b"1"), key(Get("k"), 3, 4)) is Verdict.BROKEN


def test_a_write_without_an_answer_may_take_effect_late_or_never() -> None:
    write, reads = key(Put("k", b"1"), 0), (key(Get("k"), 1, 2), key(Get("k"), 3, 4))
    assert verdict(write, *reads) is Verdict.LINEARIZABLE
    assert verdict(write, *reads, key(Get("k"), 5, 6, b"1")) is Verdict.LINEARIZABLE
    assert verdict(write, *reads, key(Get("k"), 5, 6, b"1"), key(Get("k"), 7, 8)) is Verdict.BROKEN


def test_a_write_that_was_refused_is_never_seen() -> None:
    refused: KeyOperation = Operation("w", Put("k", b"1"), 0, 1, 1, FAIL)
    assert verdict(refused, key(Get("k"), 2, 3)) is Verdict.LINEARIZABLE
    assert verdict(refused, key(Get("k"), 2, 3, b"1")) is Verdict.BROKEN


def test_each_sum_is_answered_once() -> None:
    assert verdict(key(Incr("k"), 0, 5, 2), key(Incr("k"), 0, 5, 1)) is Verdict.LINEARIZABLE
    assert verdict(key(Incr("k"), 0, 5, 1), key(Incr("k"), 0, 5, 1)) is Verdict.BROKEN
    assert verdict(key(Incr("k"), 0, 1, 1), key(Delete("k"), 2, 3), key(Incr("k"), 4, 5, 1)) is Verdict.LINEARIZABLE


def test_an_addition_without_an_answer_counts_once_at_most() -> None:
    history = (key(Incr("k"), 0), key(Incr("k"), 1, 2, 1), key(Get("k"), 3, 4, b"2"))
    assert verdict(*history) is Verdict.LINEARIZABLE
    assert verdict(*history, key(Get("k"), 5, 6, b"3")) is Verdict.BROKEN


def test_many_additions_without_an_answer_are_judged_fast() -> None:
    unsure = [key(Incr("k"), 0) for _ in range(40)]
    known = [key(Incr("k"), 1 + n, 1.5 + n, 2 * n + 1) for n in range(20)]
    judgement = linearizable.check([*unsure, *known], Key())
    assert judgement.verdict is Verdict.LINEARIZABLE
    assert judgement.steps < 50_000


def test_a_search_that_is_too_long_is_given_up() -> None:
    unsure = [key(Put("k", b"%d" % n), 0) for n in range(20)]
    judgement = linearizable.check([*unsure, key(Get("k"), 1, 2, b"x")], Key(), most_steps=1_000)
    assert judgement.verdict is Verdict.UNDECIDED


def test_a_value_lives_as_long_as_it_was_given_and_no_longer() -> None:
    def counts(*reads: KeyOperation) -> dict[str, int]:
        return dict(key_history.check([key(Put("k", b"1", 2), 0, 0.1), *reads]).counts)

    assert counts(key(Get("k"), 1.8, 1.9, b"1"), key(Get("k"), 2.2, 2.3)) == {}
    assert counts(key(Get("k"), 2.2, 2.3, b"1")) == {"order": 1}
    assert counts(key(Get("k"), 1.8, 1.9)) == {"order": 1}


def test_a_counterexample_holds_no_more_than_it_needs() -> None:
    busy = [key(Put("k", b"%d" % n), n, n + 0.5) for n in range(30)]
    reads = [key(Get("k"), n + 0.6, n + 0.7, b"%d" % n) for n in range(30)]
    report = key_history.check([*busy, *reads, key(Get("k"), 30, 31, b"7"), key(Put("k", b"8"), 40, 41)])
    assert report.counts == {"order": 1}
    [violation] = report.violations
    assert [line for line in violation.evidence if "Put" in line or "Get" in line] == [
        "  0.000 ..   0.500  w         Put(key='k', value=b'29', ttl_s=None)  ok",
        "  1.000 ..   2.000  w         Get(key='k')  ok -> b'7'",
    ]
    assert violation.evidence[-1] == "the key then holds b'29', which does not explain: get=b'7'"


def test_keys_are_judged_one_by_one() -> None:
    sound = [key(Put("a", b"1"), 0, 1), key(Get("a"), 2, 3, b"1")]
    report = key_history.check([*sound, key(Get("b"), 0, 1, b"1")])
    assert (report.keys, report.operations, dict(report.counts)) == (2, 3, {"order": 1})


def queue(
    action: Action,
    invoked: float,
    returned: float = NEVER,
    answer: Published | tuple[Message, ...] | None = None,
    reason: str = "",
) -> QueueOperation:
    outcome = UNKNOWN if returned == NEVER else FAIL if reason else Outcome.OK
    return Operation("c", action, invoked, returned, returned, outcome, answer, reason)


def sent(name: str = "m", at: float = 0.0) -> QueueOperation:
    return queue(Publish(name.encode(), name), at, at + 0.1, Published(name))


def taken(
    at: float, count: int = 1, name: str = "m", *, body: str = "", dead: bool = False, visibility_s: int = 2
) -> QueueOperation:
    message = Message(name, (body or name).encode(), f"{name}:{count}:{dead}", count, datetime.now(UTC))
    return queue(Consume(10, visibility_s, dead), at, at + 0.1, (message,))


def acked(at: float, count: int = 1, name: str = "m", *, dead: bool = False, reason: str = "") -> QueueOperation:
    return queue(Ack(f"{name}:{count}:{dead}"), at, at + 0.1, reason=reason)


HANDED_OUT, LIMITED = (sent(), taken(1)), Promises(max_receives=1)
SOUND: dict[str, tuple[Sequence[QueueOperation], Promises]] = {
    "once": ((*HANDED_OUT, acked(2)), Promises()),
    "again when its time is over": ((*HANDED_OUT, taken(3.2, 2), acked(4, 2)), Promises()),
    "again at once after a nack": (
        (*HANDED_OUT, queue(Nack("m:1:False", 0), 1.2, 1.3), taken(1.2, 2), acked(2, 2)),
        Promises(),
    ),
    "a nack without an answer may come at any time": (
        (*HANDED_OUT, queue(Nack("m:1:False", 0), 1.2), taken(1.5, 2), acked(2, 2)),
        Promises(),
    ),
    "acknowledged late, while nobody has it": ((*HANDED_OUT, acked(5)), Promises()),
    "a delivery that nobody saw": (
        (*HANDED_OUT, queue(Consume(10, 2), 3.3), taken(6, 3), acked(7, 3)),
        Promises(),
    ),
    "a publish without an answer": ((queue(Publish(b"m", "m"), 0), taken(1), acked(2)), Promises()),
    "a publish without an answer and without a key, twice": (
        (
            *(queue(Publish(b"m"), 0), queue(Publish(b"m"), 1, 2, Published("m"))),
            *(taken(3), acked(4), taken(3, name="n", body="m"), acked(4, name="n")),
        ),
        Promises(),
    ),
    "an ack without an answer, then again": (
        (*HANDED_OUT, queue(Ack("m:1:False"), 2), acked(3, reason="MESSAGE_UNKNOWN")),
        Promises(),
    ),
    "a stale ack that is refused": (
        (*HANDED_OUT, taken(3.2, 2), acked(3.5, reason="RECEIPT_SUPERSEDED"), acked(4, 2)),
        Promises(),
    ),
    "a stale ack that does nothing": ((*HANDED_OUT, taken(3.2, 2), acked(3.5), acked(4, 2)), Promises(fenced=False)),
    "a dead letter": ((*HANDED_OUT, taken(3.2, 2, dead=True), acked(4, 2, dead=True)), LIMITED),
    "a dead letter that was brought back": (
        (
            *(*HANDED_OUT, taken(3.2, 2, dead=True), queue(Redrive("m:2:True"), 3.4, 3.5)),
            *(taken(3.6), acked(4, 1)),
        ),
        LIMITED,
    ),
}
BROKEN: dict[str, tuple[str, Sequence[QueueOperation], Promises]] = {
    "never delivered": ("lost", (sent(),), Promises()),
    "never acknowledged": ("lost", HANDED_OUT, Promises()),
    "out of nowhere": ("unexpected", (taken(1), acked(2)), Promises()),
    "published in vain": (
        "unexpected",
        (queue(Publish(b"m", "m"), 0, 0.1, reason="QUOTA_EXCEEDED"), taken(1), acked(2)),
        Promises(),
    ),
    "before its time": (
        "early",
        (queue(Publish(b"m", "m", 5), 0, 0.1, Published("m")), taken(1), acked(2)),
        Promises(),
    ),
    "two ids": ("key", (sent(), queue(Publish(b"m", "m"), 1, 2, Published("n")), taken(3), acked(4)), Promises()),
    "new twice": ("key", (sent(), sent(at=1), taken(3), acked(4)), Promises()),
    "inside its window": ("overlap", (*HANDED_OUT, taken(2, 2), acked(4, 2)), Promises()),
    "inside an extended window": (
        "overlap",
        (*HANDED_OUT, queue(Extend("m:1:False", 9), 2, 2.1), taken(5, 2), acked(6, 2)),
        Promises(),
    ),
    "after its acknowledgement": ("resurrected", (*HANDED_OUT, acked(1.5), taken(5, 2), acked(6, 2)), Promises()),
    "a stale ack": ("fence", (*HANDED_OUT, taken(3.2, 2), acked(3.5), acked(4, 2)), Promises()),
    "an ack of what is gone": ("fence", (*HANDED_OUT, acked(2), acked(3)), Promises()),
    "refused for nothing": ("refused", (*HANDED_OUT, acked(2, reason="RECEIPT_SUPERSEDED"), acked(3)), Promises()),
    "gone for nothing": ("refused", (*HANDED_OUT, acked(2, reason="MESSAGE_UNKNOWN"), acked(3)), Promises()),
    "the same delivery twice": ("count", (*HANDED_OUT, taken(5, 1), acked(6, 1)), Promises()),
    "a delivery left out": ("count", (*HANDED_OUT, taken(5, 3), acked(6, 3)), Promises()),
    "beyond its limit": ("max_receives", (*HANDED_OUT, taken(5, 2), acked(6, 2)), LIMITED),
    "dead too early": ("dead_early", (sent(), taken(1, 1, dead=True), acked(2, dead=True)), LIMITED),
    "dead without a limit": (
        "dead_early",
        (*HANDED_OUT, taken(5, 2, dead=True), acked(6, 2, dead=True)),
        Promises(),
    ),
    "alive after it died": (
        "dead_alive",
        (*HANDED_OUT, taken(5, 2, dead=True), taken(9, 2), acked(9.5, 2)),
        LIMITED,
    ),
}


@pytest.mark.parametrize("name", SOUND)
def test_an_allowed_history_of_a_queue_is_sound(name: str) -> None:
    history, promises = SOUND[name]
    assert total_queue.check(history, promises).violations == ()


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_promise_of_a_queue_is_found(name: str) -> None:
    kind, history, promises = BROKEN[name]
    report = total_queue.check(history, promises)
    assert kind in report.counts
    assert any(each.kind == kind and each.evidence for each in report.violations)


def test_a_report_counts_what_happened() -> None:
    history = (*HANDED_OUT, taken(3.2, 2), acked(4, 2), queue(Publish(b"n"), 0), taken(1, name="n"), acked(2, name="n"))
    report = total_queue.check(history, Promises())
    assert (report.acknowledged, report.delivered, report.deliveries, report.duplicates) == (1, 2, 3, 1)
    assert (report.recovered, report.dead, report.valid) == (1, 0, True)


def event(number: int, kind: str, area: str = "queue", **body: str) -> Event:
    return Event("p-1", number, f"{area}/0a1b/{number}", kind, "", body, "", "", b"")


TOLD = (
    *(event(n, "scratch.queue.published") for n in (1, 2)),
    event(3, "scratch.queue.retry"),
    *(event(n, "scratch.kv.changed", "kv", op="put") for n in (1, 2)),
)
KNOWN = (sent("a"), sent("b"), taken(1, name="a"), queue(Nack("a:1:False", 0), 2, 3))
WRITTEN = (key(Put("k", b"1"), 0, 1), key(Put("k", b"2"), 0), key(Delete("k"), 0, 1))


def test_events_of_every_change_and_of_no_more_are_sound() -> None:
    assert told.check(TOLD, KNOWN, WRITTEN).violations == ()


@pytest.mark.parametrize("missing", range(len(TOLD) - 1))
def test_an_event_that_is_missing_is_found(missing: int) -> None:
    report = told.check([each for idx, each in enumerate(TOLD) if idx != missing], KNOWN, WRITTEN)
    assert not report.valid
    assert report.events == len(TOLD) - 1


def test_a_change_that_nobody_asked_for_is_found() -> None:
    assert told.check([*TOLD, event(4, "scratch.queue.retry")], KNOWN, WRITTEN).counts == {"event_count": 1}
    assert told.check([*TOLD, event(3, "scratch.kv.changed", "kv", op="incr")], KNOWN, WRITTEN).counts == {
        "event_count": 1
    }
