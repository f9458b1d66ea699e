"""What may be asked of a key, what a key is, and the judge of a history of many keys."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tests.chaos import linearizable
from tests.chaos.history import NEVER, Findings, Operation, Outcome, Violation
from tests.chaos.linearizable import Verdict


@dataclass(frozen=True, slots=True)
class Get:
    """Answered by the value, or by None."""

    key: str


@dataclass(frozen=True, slots=True)
class Put:
    """Each put of a key has a value of its own."""

    key: str
    value: bytes
    ttl_s: int | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    key: str


@dataclass(frozen=True, slots=True)
class Incr:
    """Answered by the sum."""

    key: str
    by: int = 1


@dataclass(frozen=True, slots=True)
class Expire:
    """What a time to live does to a key that still holds the value."""

    key: str
    value: bytes


Action: TypeAlias = Get | Put | Delete | Incr | Expire
Answer: TypeAlias = bytes | int
KeyOperation: TypeAlias = Operation[Action, Answer]
State: TypeAlias = bytes | None


class Key:
    """One key: absent, or a value, which may be a number that is counted up."""

    initial: State = None

    def step(self, state: State, operation: KeyOperation) -> tuple[bool, State]:
        """What the promises say, one operation after the other."""
        match operation.action:
            case Get():
                return not operation.ok or operation.answer == state, state
            case Put(value=value):
                return True, value
            case Delete():
                return True, None
            case Incr(by=by):
                total = int(state or b"0") + by
                return not operation.ok or operation.answer == total, b"%d" % total
            case Expire(value=value):
                return True, None if state == value else state


@dataclass(frozen=True)
class KeysReport:
    """What a history of keys holds, and which of them are broken."""

    keys: int
    operations: int
    unknown: int
    counts: Counter[str]
    violations: tuple[Violation, ...]

    @property
    def valid(self) -> bool:
        """Whether every key could have been what its clients saw."""
        return not self.counts


def check(
    history: Sequence[KeyOperation], *, tolerance_s: float = 0.05, most_steps: int = linearizable.MOST_STEPS
) -> KeysReport:
    """Judge each key; one that is not decided within the limit counts as broken, and says so."""
    by_key: dict[str, list[KeyOperation]] = defaultdict(list)
    for each in history:
        by_key[each.action.key].append(each)
    findings, model = Findings(), Key()
    for key, operations in by_key.items():
        told = [*_needed(operations), *_expiries(operations, tolerance_s)]
        judgement = linearizable.check(told, model, most_steps)
        if judgement.verdict is Verdict.BROKEN:
            findings.add("order", f"{key}: no order explains its answers", _told(told, model))
        elif judgement.verdict is Verdict.UNDECIDED:
            findings.add("undecided", f"{key}: {len(told)} operations are too many to judge")
    unknown = sum(each.outcome is Outcome.UNKNOWN for each in history)
    return KeysReport(len(by_key), len(history), unknown, findings.counts, tuple(findings.kept))


def _needed(operations: Sequence[KeyOperation]) -> list[KeyOperation]:
    """Without what says nothing: reads without an answer, and writes without one of values that nobody ever saw."""
    seen = {each.answer for each in operations if isinstance(each.action, Get)}
    counted = any(isinstance(each.action, Incr) for each in operations)

    def says_nothing(operation: KeyOperation) -> bool:
        match operation.action:
            case Get():
                return not operation.ok
            case Put(value=value, ttl_s=None):  # one that expires can be seen by what is no longer there
                return not (operation.ok or counted or value in seen)
        return False

    return [each for each in operations if not says_nothing(each)]


def _expiries(operations: Sequence[KeyOperation], tolerance_s: float) -> Iterator[KeyOperation]:
    for each in operations:
        if isinstance(each.action, Put) and each.action.ttl_s is not None and each.possible:
            ttl_s = each.action.ttl_s
            over = each.returned + ttl_s + tolerance_s
            outcome = Outcome.UNKNOWN if over == NEVER else Outcome.OK
            action = Expire(each.action.key, each.action.value)
            yield Operation(each.process, action, each.invoked + ttl_s - tolerance_s, over, outcome=outcome)


def _needless(operation: KeyOperation, history: Sequence[KeyOperation]) -> bool:
    """A read, or a write that nobody can have seen: another one came between it and every read."""
    if isinstance(operation.action, Get):
        return True
    if any(isinstance(each.action, Incr) for each in history):
        return False
    reads = [each for each in history if isinstance(each.action, Get)]
    return any(
        each.ok
        and isinstance(each.action, Put | Delete)
        and operation.before(each)
        and all(each.before(read) for read in reads)
        for each in history
    )


def _told(history: Sequence[Operation[Any, Any]], model: Key) -> Iterator[str]:
    small = linearizable.shrunk(history, model, _needless)
    judgement = linearizable.check(small, model)
    since = min(each.invoked for each in small)
    yield from (each.told(since) for each in sorted(small, key=lambda each: each.invoked))
    if judgement.stuck is not None:
        best = " ".join(_short(each) for each in judgement.order) or "none"
        yield f"the longest order that holds: {best}"
        yield f"the key then holds {judgement.state!r}, which does not explain: {_short(judgement.stuck)}"


def _short(operation: Operation[Any, Any]) -> str:
    match operation.action:
        case Get():
            return f"get={operation.answer!r}"
        case Put(value=value, ttl_s=ttl_s):
            return f"put({value!r})" if ttl_s is None else f"put({value!r}, ttl {ttl_s})"
        case Incr(by=by):
            return f"incr({by})={operation.answer}"
        case _:
            return type(operation.action).__name__.lower()
