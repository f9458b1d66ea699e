"""Identifiers of plans, transitions, executions and requests, and where fresh ones come from."""

import re
import secrets
from dataclasses import dataclass
from typing import ClassVar, Protocol, Self

from theory.core.clock import Clock, SystemClock
from theory.core.errors import Invalid, shown


@dataclass(frozen=True, slots=True, order=True)
class _Id:
    text: str

    _what: ClassVar[str]
    _rule: ClassVar[str]
    _form: ClassVar[re.Pattern[str]]

    @classmethod
    def parse(cls, text: str) -> Self:
        """The identifier that `text` spells; `Invalid` (`ID_INVALID`) with `field` and `value` otherwise."""
        if cls._form.fullmatch(text) is None:
            raise Invalid("ID_INVALID", f"a {cls._what} {cls._rule}", field=cls._what, value=shown(text))
        return cls(text)

    def __str__(self) -> str:
        return self.text


class PlanId(_Id):
    """One submission. Budget, chain, scratch and, unless a shared world is named, a world hang on it."""

    __slots__ = ()
    _what = "plan_id"
    _rule = "has 1 to 64 characters of a-z, 0-9 and '-', the first no '-'"
    _form = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


class TransitionId(_Id):
    """One step of a plan as its author named it."""

    __slots__ = ()
    _what = "transition_id"
    _rule = "has 1 to 40 characters of a-z, 0-9 and '-', the first a letter"
    _form = re.compile(r"[a-z][a-z0-9-]{0,39}")


class ExecutionId(_Id):
    """One transition, or one item of its fan-out, being carried out. Fit to name a directory or a container."""

    __slots__ = ()
    _what = "execution_id"
    _rule = "has 1 to 140 characters of a-z, 0-9, '-' and single inner dots, the first no '-'"
    _form = re.compile(r"[a-z0-9](?:[a-z0-9-]|\.(?=[a-z0-9])){0,139}")


class RequestId(_Id):
    """What makes a repeated mutation one mutation; the client chooses it."""

    __slots__ = ()
    _what = "request_id"
    _rule = "has 1 to 36 visible ASCII characters"
    _form = re.compile(r"[!-~]{1,36}")


def execution_id_of(plan_id: PlanId, transition_id: TransitionId, index: int | None) -> ExecutionId:
    """The execution of a transition, or of item `index` of its fan-out: the same inputs give the same id."""
    name = f"{plan_id.text}.{transition_id.text}"
    return ExecutionId(name if index is None else f"{name}.{index}")


class IdSource(Protocol):
    """Where fresh identifiers come from. Everything that makes one takes a source in its constructor."""

    def plan_id(self) -> PlanId:
        """A plan id that was never given before; later ones sort behind earlier ones."""
        ...

    def request_id(self) -> RequestId:
        """A request id that was never given before."""
        ...

    def token_hex(self, nbytes: int) -> str:
        """`nbytes` bytes that nobody can guess, in hex."""
        ...


_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM_BITS = 80


class SystemIds:
    """Identifiers from the machine's clock and its secure random source."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._last = 0

    def plan_id(self) -> PlanId:
        """`p-` and 26 characters: 48 bits of milliseconds, 80 random bits. Strictly rising within a process."""
        millis = int(self._clock.now().timestamp() * 1000)
        number = (millis << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
        if number <= self._last or (number >> _RANDOM_BITS) == (self._last >> _RANDOM_BITS):
            number = self._last + 1 + secrets.randbits(32)
        self._last = number
        return PlanId("p-" + _crockford(number))

    def request_id(self) -> RequestId:
        """32 random hex digits."""
        return RequestId(secrets.token_hex(16))

    def token_hex(self, nbytes: int) -> str:
        """Random bytes of the operating system."""
        return secrets.token_hex(nbytes)


class SequenceIds:
    """Identifiers that count from one: tests know them before they are made. Nothing about them is secret."""

    def __init__(self) -> None:
        self._plans = 0
        self._requests = 0
        self._tokens = 0

    def plan_id(self) -> PlanId:
        """`p-` and the count in 26 characters."""
        self._plans += 1
        return PlanId("p-" + _crockford(self._plans))

    def request_id(self) -> RequestId:
        """`r-1`, `r-2`, ..."""
        self._requests += 1
        return RequestId(f"r-{self._requests}")

    def token_hex(self, nbytes: int) -> str:
        """The count, as `nbytes` bytes in hex."""
        self._tokens += 1
        return f"{self._tokens:0{2 * nbytes}x}"[-2 * nbytes :]


def _crockford(number: int) -> str:
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))
