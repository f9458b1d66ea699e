"""What a conformance case is, and the server it is held against. Importing this enrols nothing anywhere."""

import itertools
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType

import grpc

from theory.core.clock import SystemClock
from theory.core.grant import AttemptGrant
from theory.core.ids import SystemIds
from theory.wire.identity import Role

_ALPHABET_BYTES = 4
_CITATION = re.compile(r"\s*\(I-\d+(?:, I-\d+)*\)")
_NUMBER = re.compile(r"\bI-(\d+)\b")


class Lacking(Exception):
    """A case found out on its way that the target lacks something: it is skipped, for this reason."""


async def _no_token(_: AttemptGrant) -> grpc.aio.Channel:
    raise Lacking("needs tokens of attempts, which the executor of an installation alone can sign")


async def _answers() -> None:
    """A target whose maker does not ask whether it still answers."""


@dataclass(frozen=True)
class Target:
    """A server under test: channels to it, what it says it can do, and names that nobody used before."""

    connect: Callable[[Role], grpc.aio.Channel]
    """Opens, or returns, a channel with the identity of a role; raises `Lacking` where it cannot prove that role."""
    capabilities: frozenset[str] = frozenset()
    """What this server offers beyond the promises that everyone keeps."""
    advance: Callable[[float], Awaitable[None]] = SystemClock().sleep
    """Lets that many seconds of the server's clock pass: waits, unless the server has a clock to turn by hand."""
    slack_s: int = 0
    """How much later than promised this server may do what a clock decides."""
    answers: Callable[[], Awaitable[None]] = _answers
    """Returns where the server still answers; raises otherwise."""
    attempt: Callable[[AttemptGrant], Awaitable[grpc.aio.Channel]] = _no_token
    """A channel with the token of an attempt; raises `Lacking` where the target's maker has none to give."""
    _run: str = field(default_factory=lambda: SystemIds().token_hex(_ALPHABET_BYTES))
    _count: Iterator[int] = field(default_factory=itertools.count)

    def channel(self, role: Role = Role.CLIENT) -> grpc.aio.Channel:
        """A channel with the identity of `role`; whoever made the target closes it."""
        return self.connect(role)

    def fresh(self, prefix: str) -> str:
        """`prefix`, a dash, and lowercase hex digits: a name that no case had before, in this run or another."""
        return f"{prefix}-{self._run}{next(self._count):04x}"


Check = Callable[[Target], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Case:
    """One promise of one service, checked over the wire."""

    check: Check
    needs: frozenset[str]
    """Capabilities without which the promise does not hold; a target that lacks one skips it."""

    @property
    def name(self) -> str:
        """The check's name: a sentence."""
        return getattr(self.check, "__name__", repr(self.check))

    @property
    def promise(self) -> str:
        """What is promised, in words; cites the number of its invariant."""
        return (self.check.__doc__ or "").strip()

    @property
    def sentence(self) -> str:
        """What is promised, in one line, without the numbers."""
        return _CITATION.sub("", " ".join(self.promise.partition("\n\n")[0].split()))

    @property
    def invariants(self) -> tuple[int, ...]:
        """The numbers that it cites, in order."""
        return tuple(sorted({int(number) for number in _NUMBER.findall(self.promise)}))

    def missing(self, target: Target) -> frozenset[str]:
        """The capabilities that `target` lacks for it."""
        return self.needs - target.capabilities


def case(*needs: str) -> Callable[[Check], Case]:
    """Make a check a case; `needs` names the capabilities without which it is skipped."""
    return lambda check: Case(check, frozenset(needs))


def cases_in(module: ModuleType) -> Iterator[Case]:
    """The cases that `module` defines, in the order of its lines."""
    return (thing for thing in vars(module).values() if isinstance(thing, Case))
